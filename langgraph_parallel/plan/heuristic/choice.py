"""From the probabilities of a plan's pairs to the relaxation worth its risk, or to the chain.

Candidates are the graphs that keep all pairs above a threshold, and those that run one stretch of
steps side by side. A second model says how probable each is to keep every dependence; the one with
the best expected gain after a price for being wrong is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from langgraph_parallel.plan.heuristic.model import probability
from langgraph_parallel.plan.heuristic.text import StepText

Pairs: TypeAlias = Mapping[tuple[int, int], float]
Ancestors: TypeAlias = tuple[int, ...]

_PRICE: Final = 1.0
"""Gain in speed-up that an unsound plan costs; at 1, held-out plans of the three data sets were
sound in 96 % or more of all cases."""
_LARGEST_PROBABILITY: Final = 0.75
"""Pairs more probable to be dependent than this are never relaxed by a threshold."""
_LONGEST_STRETCH: Final = 10
"""Steps after the first of a stretch that is tried side by side."""


def choose_ancestors(steps: Sequence[StepText], pairs: Pairs) -> tuple[Ancestors, float] | None:
    """Return for each step the steps before it as bits, and how probable that is sound.

    None means that no relaxation is worth its risk.
    """
    n = len(steps)
    calls = sum(bool(step.tool) for step in steps) / n
    stops = sum(step.marks[9] for step in steps) / n
    length = sum(len(step.words) for step in steps) / n
    best: tuple[Ancestors, float] | None = None
    best_gain = 0.0
    for ancestors, kind in _candidates(n, pairs).items():
        speedup = n / _depth(ancestors)
        if speedup <= 1:
            continue
        row = [*_describe(n, pairs, ancestors, kind, speedup), calls, stops, length]
        sound = probability("plans", [*row, _mean_kept(pairs, ancestors)])
        gain = sound * (speedup - 1) - _PRICE * (1 - sound)
        if gain > best_gain:
            best, best_gain = (ancestors, sound), gain
    return best


def _candidates(n: int, pairs: Pairs) -> dict[Ancestors, int]:
    found: dict[Ancestors, int] = {}
    for threshold in sorted(set(pairs.values())):
        if threshold > _LARGEST_PROBABILITY:
            break
        masks = [0] * n
        for j in range(n):
            for i in range(j):
                if pairs[i, j] > threshold:
                    masks[j] |= masks[i] | 1 << i
        found.setdefault(tuple(masks), 0)
    for a in range(n):
        for b in range(a + 1, min(n, a + _LONGEST_STRETCH)):
            masks = [(1 << (a if a < j <= b else j)) - 1 for j in range(n)]
            found.setdefault(tuple(masks), 1)
    return found


def _depth(ancestors: Ancestors) -> int:
    """Return how many steps the longest path has."""
    levels: list[int] = []
    for j, mask in enumerate(ancestors):
        levels.append(1 + max((levels[i] for i in range(j) if mask >> i & 1), default=0))
    return max(levels)


def _split(pairs: Pairs, ancestors: Ancestors) -> tuple[list[float], list[float]]:
    """Return the probabilities of the relaxed pairs and of the kept ones."""
    relaxed: list[float] = []
    kept: list[float] = []
    for (i, j), p in pairs.items():
        (kept if ancestors[j] >> i & 1 else relaxed).append(p)
    return relaxed, kept


def _describe(n: int, pairs: Pairs, ancestors: Ancestors, kind: int, speedup: float) -> list[float]:
    relaxed, kept = _split(pairs, ancestors)
    adjacent = [pairs[j - 1, j] for j in range(1, n) if not ancestors[j] >> (j - 1) & 1]
    return [
        n,
        len(relaxed),
        len(relaxed) / len(pairs),
        sum(-math.log(max(1e-6, 1 - p)) for p in relaxed),
        max(relaxed),
        sorted(relaxed)[len(relaxed) // 2],
        sum(relaxed) / len(relaxed),
        min(kept, default=1.0),
        sum(pairs.values()) / len(pairs),
        min(pairs.values()),
        speedup,
        kind,
        len(adjacent),
        max(adjacent, default=0.0),
    ]


def _mean_kept(pairs: Pairs, ancestors: Ancestors) -> float:
    _, kept = _split(pairs, ancestors)
    return sum(kept) / max(1, len(kept))
