"""From the steps of a plan to numbers for each pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from langgraph_parallel.plan.heuristic.text import StepText

NAMES: Final = (
    *["n", "i", "j", "distance", "from_end", "first", "last", "in_sum_i", "in_sum_j"],
    *[
        "shared",
        "shared_i",
        "shared_j",
        "jaccard",
        "introduced",
        "introduced_j",
        "elsewhere_j",
        "known_j",
        "best_other",
    ],
    *[
        "last_i_in_j",
        "last_j_in_i",
        "same_verb",
        "same_last",
        "prefix",
        "suffix",
        "length_i",
        "length_j",
        "length_ratio",
    ],
    *["verb_run", "mean_jaccard", "verbs_alike", "between_like", "values_shared", "adjacent_gap"],
    *[
        "calls",
        "same_tool",
        "open_j",
        "open_i",
        "arguments_j",
        "name_match",
        "tool_overlap",
        "open_rank",
        "open_name_best",
    ],
    *(
        f"{mark}_{side}"
        for side in "ij"
        for mark in (
            [
                "pronouns",
                "results",
                "groups",
                "times",
                "numerals",
                "the",
                "gather",
                "synthesize",
                "ed",
                "stop",
                "capital",
            ]
        )
    ),
    "plan_gather",
    "plan_stop",
    "plan_length",
    "words",
)
"""What each number of a pair is, in the order of `pair_features`; last comes what the model of
words says."""


def word_features(i: StepText, j: StepText, n: int, at_i: int, at_j: int) -> list[str]:
    """Return names of what a pair says, for a model that has a weight for each name."""
    names = [f"i:{w}" for w in i.content] + [f"j:{w}" for w in j.content]
    names += [
        f"iv:{i.verb}",
        f"jv:{j.verb}",
        f"vv:{i.verb}|{j.verb}",
        f"jw1:{' '.join(j.words[:2])}",
    ]
    names += [f"iw1:{' '.join(i.words[:2])}", f"jl:{j.last}", f"same:{i.verb == j.verb}"]
    names += [f"small:{w}" for w in set(j.words) if len(w) <= 5]
    names.append(f"adjacent:{at_j - at_i == 1}:{at_j == n - 1}")
    return names


def pair_features(steps: Sequence[StepText]) -> dict[tuple[int, int], list[float]]:
    """Return the numbers of every pair of steps, those named in `NAMES` without `words`.

    Cubic in the number of steps, which is small.
    """
    n = len(steps)
    sets = [frozenset(step.content) for step in steps]
    alike = {(i, j): _jaccard(sets[i], sets[j]) for j in range(n) for i in range(j)}
    mean_alike = sum(alike.values()) / max(1, len(alike))
    new = [sets[i].difference(*sets[:i]) for i in range(n)]
    known = [len(sets[j].intersection(frozenset().union(*sets[:j]))) for j in range(n)]
    runs = _verb_runs(steps)
    whole = [
        sum(step.marks[6] for step in steps) / n,
        sum(step.marks[9] for step in steps) / n,
        sum(len(step.words) for step in steps) / n,
    ]
    verbs_alike = (n - len({step.verb for step in steps})) / n
    rows: dict[tuple[int, int], list[float]] = {}
    for j in range(n):
        for i in range(j):
            a, b = steps[i], steps[j]
            shared = sets[i] & sets[j]
            introduced = new[i] & sets[j]
            others = [alike[k, j] for k in range(j) if k != i]
            size_i, size_j = max(1, len(sets[i])), max(1, len(sets[j]))
            between = [steps[k].verb == a.verb for k in range(i + 1, j)]
            rows[i, j] = [
                n,
                i,
                j,
                j - i,
                n - 1 - j,
                i == 0,
                j == n - 1,
                sum(alike[min(i, k), max(i, k)] for k in range(n) if k != i),
                sum(alike[min(j, k), max(j, k)] for k in range(n) if k != j),
                len(shared),
                len(shared) / size_i,
                len(shared) / size_j,
                alike[i, j],
                len(introduced),
                len(introduced) / size_j,
                len(
                    sets[j].intersection(frozenset().union(*(sets[k] for k in range(j) if k != i)))
                ),
                known[j] / size_j,
                max(others, default=0.0),
                bool(a.last and a.last in sets[j]),
                bool(b.last and b.last in sets[i]),
                a.verb == b.verb,
                a.last == b.last,
                _prefix(a.words, b.words),
                _prefix(a.words[::-1], b.words[::-1]),
                len(a.words),
                len(b.words),
                len(b.words) / max(1, len(a.words)),
                min(runs[i], runs[j]) if runs else 0,
                mean_alike,
                verbs_alike,
                sum(between),
                len(a.values & b.values),
                len(b.content) - known[j],
                *_call_features(a, b, steps, i, j),
                *a.marks,
                *b.marks,
                *whole,
            ]
    return rows


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def _prefix(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many words two steps have in common from the start."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _verb_runs(steps: Sequence[StepText]) -> list[int]:
    """Return for each step how many steps have its verb."""
    verbs = [step.verb for step in steps]
    return [verbs.count(verb) for verb in verbs]


def _call_features(
    a: StepText, b: StepText, steps: Sequence[StepText], i: int, j: int
) -> list[float]:
    """Return what the names of tools and open arguments say about a pair."""
    match = [_names_fit(argument, a) for argument in b.open_arguments]
    rival = [
        _names_fit(argument, steps[k]) for argument in b.open_arguments for k in range(j) if k != i
    ]
    return [
        bool(a.tool and b.tool),
        bool(a.tool and a.tool == b.tool),
        len(b.open_arguments),
        len(a.open_arguments),
        b.arguments,
        max(match, default=0.0),
        len(a.tool_words & b.tool_words),
        sum(bool(steps[k].open_arguments) for k in range(i + 1, j)),
        max(rival, default=0.0),
    ]


def _names_fit(argument: frozenset[str], step: StepText) -> float:
    return len(argument & (step.tool_words | frozenset(step.content))) / max(1, len(argument))
