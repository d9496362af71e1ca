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
    plan = _Plan(steps)
    return {
        (i, j): [
            *_place_features(plan, i, j),
            *_overlap_features(plan, i, j),
            *_wording_features(steps[i], steps[j], plan.sets[i], plan.sets[j]),
            *_plan_features(plan, i, j),
            *_call_features(steps[i], steps[j], steps, i, j),
            *steps[i].marks,
            *steps[j].marks,
            *plan.whole,
        ]
        for j in range(len(steps))
        for i in range(j)
    }


class _Plan:
    """What the pairs of one plan share."""

    def __init__(self, steps: Sequence[StepText]) -> None:
        n = len(steps)
        self.steps = steps
        self.sets = sets = [frozenset(step.content) for step in steps]
        self.alike = {(i, j): _jaccard(sets[i], sets[j]) for j in range(n) for i in range(j)}
        self.mean_alike = sum(self.alike.values()) / max(1, len(self.alike))
        self.new = [sets[i].difference(*sets[:i]) for i in range(n)]
        """Words that a step is the first to use."""
        self.known = [len(sets[j].intersection(frozenset().union(*sets[:j]))) for j in range(n)]
        """How many words of a step were used before it."""
        verbs = [step.verb for step in steps]
        self.runs = [verbs.count(verb) for verb in verbs]
        """How many steps have the verb of a step."""
        self.verbs_alike = (n - len(set(verbs))) / n
        self.whole = [
            sum(step.marks[6] for step in steps) / n,
            sum(step.marks[9] for step in steps) / n,
            sum(len(step.words) for step in steps) / n,
        ]


def _place_features(plan: _Plan, i: int, j: int) -> list[float]:
    """Return where two steps stand, and how alike each is to the rest."""
    n, alike = len(plan.steps), plan.alike
    return [
        n,
        i,
        j,
        j - i,
        n - 1 - j,
        i == 0,
        j == n - 1,
        sum(alike[min(i, k), max(i, k)] for k in range(n) if k != i),
        sum(alike[min(j, k), max(j, k)] for k in range(n) if k != j),
    ]


def _overlap_features(plan: _Plan, i: int, j: int) -> list[float]:
    """Return which words two steps share, and who had them first."""
    sets, size_i, size_j = plan.sets, max(1, len(plan.sets[i])), max(1, len(plan.sets[j]))
    shared, introduced = len(sets[i] & sets[j]), len(plan.new[i] & sets[j])
    elsewhere: frozenset[str] = frozenset().union(*(sets[k] for k in range(j) if k != i))
    return [
        shared,
        shared / size_i,
        shared / size_j,
        plan.alike[i, j],
        introduced,
        introduced / size_j,
        len(sets[j] & elsewhere),
        plan.known[j] / size_j,
        max((plan.alike[k, j] for k in range(j) if k != i), default=0.0),
    ]


def _wording_features(
    a: StepText, b: StepText, set_a: frozenset[str], set_b: frozenset[str]
) -> list[float]:
    """Return how alike the sentences of two steps are built."""
    return [
        bool(a.last and a.last in set_b),
        bool(b.last and b.last in set_a),
        a.verb == b.verb,
        a.last == b.last,
        _prefix(a.words, b.words),
        _prefix(a.words[::-1], b.words[::-1]),
        len(a.words),
        len(b.words),
        len(b.words) / max(1, len(a.words)),
    ]


def _plan_features(plan: _Plan, i: int, j: int) -> list[float]:
    """Return how a pair compares with the plan, and with the steps between."""
    a, b = plan.steps[i], plan.steps[j]
    return [
        min(plan.runs[i], plan.runs[j]),
        plan.mean_alike,
        plan.verbs_alike,
        sum(step.verb == a.verb for step in plan.steps[i + 1 : j]),
        len(a.values & b.values),
        len(b.content) - plan.known[j],
    ]


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
