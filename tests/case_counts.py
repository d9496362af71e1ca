"""How many generated cases are made, and how many graphs and runs were compared."""

from collections import Counter

from hypothesis import settings

CASES = Counter()

settings.register_profile("full", max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=15, deadline=None)
settings.load_profile("quick")


def cases(count):
    """Return how many cases to make where the profile `full` makes `count`."""
    return -(-count * settings.default.max_examples // 100)
