"""How many generated cases are made, and how many graphs and runs were compared.

`CASES=all` makes all of them. Nothing here imports hypothesis: agent stacks are tested without it.
"""

import os
from collections import Counter

CASES = Counter()

PERCENT = {"few": 15, "all": 100}[os.environ.get("CASES", "few")]


def cases(count):
    """Return how many cases to make of the `count` that there are with `CASES=all`."""
    return -(-count * PERCENT // 100)
