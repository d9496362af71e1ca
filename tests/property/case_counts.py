"""How many generated cases the tests of this folder compared."""

from collections import Counter

CASES = Counter()
