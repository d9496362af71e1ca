"""Random sizes with a given mean: log-normal token counts and numbers of calls."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


def sample_tokens(rng: random.Random, mean: float, sigma: float, *, most: int = 32_768) -> int:
    """Return a log-normal number of tokens, 1 to `most`.

    Args:
        rng: Source of randomness.
        mean: Mean before rounding and clipping.
        sigma: Standard deviation of the logarithm; 0.5 is mild, 1 is heavy-tailed.
        most: Upper bound.
    """
    return max(1, min(most, round(rng.lognormvariate(math.log(mean) - sigma**2 / 2, sigma))))


def sample_count(rng: random.Random, mean: float, sigma: float, *, most: int) -> int:
    """Return a log-normal number, 1 to `most`, whose mean after rounding and clipping is `mean`."""
    return _clip(rng.lognormvariate(_location(mean, sigma, most), sigma), most)


def _clip(value: float, most: int) -> int:
    return max(1, min(most, round(value)))


@lru_cache(maxsize=64)
def _location(mean: float, sigma: float, most: int) -> float:
    """Return the mean of the logarithm that gives the wanted mean, by bisection."""
    low, high = math.log(mean) - 4 * sigma**2 - 2, math.log(most) + 1
    for _ in range(60):
        middle = (low + high) / 2
        if _mean_of_clipped(middle, sigma, most) < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _mean_of_clipped(location: float, sigma: float, most: int) -> float:
    # E[N] = sum over n of P(N >= n) for a count of at least 1.
    normal = NormalDist(location, sigma)
    return 1 + sum(1 - normal.cdf(math.log(count - 0.5)) for count in range(2, most + 1))
