"""From the probabilities of a plan's pairs to the relaxations worth looking at, in numbers.

Candidates are the graphs that keep all pairs above a threshold, and those that run one stretch of
steps side by side, all of them after the same steps and before the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from langgraph_parallel.plan.heuristic.features import NAMES
from langgraph_parallel.plan.heuristic.text import StepText

Pair: TypeAlias = tuple[int, int]
Pairs: TypeAlias = Mapping[Pair, float]
Rows: TypeAlias = Mapping[Pair, Sequence[float]]
Ancestors: TypeAlias = tuple[int, ...]
"""For each step the steps before it, as the bits of a number."""

_LARGEST_PROBABILITY: Final = 0.75
"""Pairs more probable to be dependent than this are never relaxed by a threshold."""
_LONGEST_STRETCH: Final = 10
"""Steps of a stretch that is tried side by side, at most."""
_COLUMNS: Final = tuple(
    NAMES.index(name)
    for name in (
        *("jaccard", "introduced", "introduced_j", "known_j", "same_verb", "same_last", "prefix"),
        *("suffix", "best_other", "last_i_in_j", "verb_run", "adjacent_gap", "length_ratio"),
        *("pronouns_j", "results_j", "groups_j", "the_j", "ed_j"),
        *("gather_i", "gather_j", "synthesize_i", "synthesize_j"),
        *("open_j", "open_i", "name_match", "same_tool", "values_shared", "tool_overlap"),
        *("arguments_j", "open_rank", "open_name_best"),
    )
)
"""Numbers of the relaxed pairs of which the mean and the largest describe a relaxation."""
_WHOLE: Final = tuple(map(NAMES.index, ("mean_jaccard", "verbs_alike", "plan_gather")))
_WORDS: Final = NAMES.index("words")


def candidates(n: int, pairs: Pairs) -> dict[Ancestors, bool]:
    """Return relaxations of a plan of `n` steps that shorten it; True marks those by threshold."""
    found: dict[Ancestors, bool] = {}
    for threshold in sorted(set(pairs.values())):
        if threshold > _LARGEST_PROBABILITY:
            break
        masks = [0] * n
        for j in range(n):
            for i in range(j):
                if pairs[i, j] > threshold:
                    masks[j] |= masks[i] | 1 << i
        found.setdefault(tuple(masks), True)
    for a in range(n):
        for b in range(a + 1, min(n, a + _LONGEST_STRETCH)):
            masks = [(1 << (a if a < j <= b else j)) - 1 for j in range(n)]
            found.setdefault(tuple(masks), False)
    return {masks: kind for masks, kind in found.items() if depth(masks) < n}


def depth(ancestors: Ancestors) -> int:
    """Return how many steps the longest path has."""
    levels: list[int] = []
    for j, mask in enumerate(ancestors):
        levels.append(1 + max((levels[i] for i in range(j) if mask >> i & 1), default=0))
    return max(levels)


def describe(
    steps: Sequence[StepText],
    rows: Rows,
    pairs: Pairs,
    ancestors: Ancestors,
    *,
    by_threshold: bool,
) -> list[float]:
    """Return the numbers that say how risky a relaxation is.

    Args:
        steps: The steps of the plan.
        rows: The numbers of each pair, those named in `NAMES`.
        pairs: For each pair how probable it is that the later step needs the earlier one.
        ancestors: A relaxation, as `candidates` returns it.
        by_threshold: Whether it came from a threshold.
    """
    n = len(steps)
    relaxed = [pair for pair in pairs if not ancestors[pair[1]] >> pair[0] & 1]
    kept = [p for (i, j), p in pairs.items() if ancestors[j] >> i & 1]
    return [
        n,
        n / depth(ancestors),
        by_threshold,
        sum(bool(step.tool) for step in steps) / n,
        *(next(iter(rows.values()))[column] for column in _WHOLE),
        sum(step.marks[9] for step in steps) / n,
        sum(len(step.words) for step in steps) / n,
        *_probabilities(pairs, relaxed, kept),
        *_adjacent(n, pairs, ancestors),
        *_where(n, relaxed),
        *_aggregates(rows, relaxed),
    ]


def _probabilities(pairs: Pairs, relaxed: Sequence[Pair], kept: Sequence[float]) -> list[float]:
    """Return what the pairs' probabilities say: of the relaxed, of the kept, and of all."""
    loose = sorted(pairs[pair] for pair in relaxed)
    return [
        len(loose),
        len(loose) / len(pairs),
        sum(-math.log(max(1e-6, 1 - p)) for p in loose),
        loose[0],
        loose[len(loose) // 2],
        loose[-1],
        sum(loose) / len(loose),
        min(kept, default=1.0),
        sum(kept) / max(1, len(kept)),
        sum(p < loose[-1] for p in kept),
        min(pairs.values()),
        sum(pairs.values()) / len(pairs),
    ]


def _adjacent(n: int, pairs: Pairs, ancestors: Ancestors) -> list[float]:
    """Return the same for the pairs of steps that follow each other in the plan."""
    every = [pairs[j - 1, j] for j in range(1, n)]
    kept = [pairs[j - 1, j] for j in range(1, n) if ancestors[j] >> (j - 1) & 1]
    loose = [pairs[j - 1, j] for j in range(1, n) if not ancestors[j] >> (j - 1) & 1]
    return [
        len(loose),
        max(loose, default=0.0),
        min(kept, default=1.0),
        sum(kept) / max(1, len(kept)),
        sum(every) / len(every),
    ]


def _where(n: int, relaxed: Sequence[Pair]) -> list[float]:
    first, last = min(i for i, _ in relaxed), max(j for _, j in relaxed)
    return [first, last, n - 1 - last, last - first + 1]


def _aggregates(rows: Rows, relaxed: Sequence[Pair]) -> list[float]:
    numbers = [rows[pair] for pair in relaxed]
    found: list[float] = []
    for column in (*_COLUMNS, _WORDS):
        values = [row[column] for row in numbers]
        found += [sum(values) / len(values), max(values)]
    return found
