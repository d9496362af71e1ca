"""From the words of a plan to pairs of steps that need not wait for each other.

text -> features -> model -> candidates -> choice -> decisions

The weights are numbers, fitted by `benchmarks/fit_heuristic.py` on plans whose dependencies are
known; a plan that offers no relaxation worth its risk keeps its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.heuristic.choice import choose_ancestors
from langgraph_parallel.plan.heuristic.features import pair_features, word_features
from langgraph_parallel.plan.heuristic.model import probability, sum_words
from langgraph_parallel.plan.heuristic.text import StepText, as_text, cut_ending, read_step
from langgraph_parallel.plan.task import Task

__all__ = ["HeuristicAnalyzer"]

_MOST_STEPS: Final = 15
"""Steps of a plan that is looked at; the plans that the weights were fitted on are not longer."""


class HeuristicAnalyzer:
    """Decides by the words of the steps, and only where it is confident."""

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:  # noqa: ARG002
        """Return pairs that need not wait, and pairs of which one names what the other brings."""
        if not 2 <= len(tasks) <= _MOST_STEPS:
            return Findings()
        steps = [read_step(as_text(task)) for task in tasks]
        if not all(step.content for step in steps):
            return Findings(notes=("heuristic: a step has no words to go by, the order stands",))
        rows = complete_rows(steps)
        pairs = {pair: probability("pairs", row) for pair, row in rows.items()}
        choice = choose_ancestors(steps, rows, pairs)
        if choice is None:
            return Findings()
        ancestors, sound = choice
        return Findings(
            decisions=tuple(
                Decision(
                    earlier=tasks[i].id,
                    later=tasks[j].id,
                    ordered=bool(ancestors[j] >> i & 1),
                    source="heuristic",
                    reason=_reason(steps, i, j, ordered=bool(ancestors[j] >> i & 1)),
                    confidence=pairs[i, j] if ancestors[j] >> i & 1 else sound,
                )
                for i, j in pairs
                if not ancestors[j] >> i & 1 or _introduced(steps, i, j)
            )
        )


def complete_rows(steps: Sequence[StepText]) -> dict[tuple[int, int], list[float]]:
    """Return the numbers of each pair that are named in `NAMES`."""
    n = len(steps)
    return {
        (i, j): [*row, sum_words(word_features(steps[i], steps[j], n, i, j))]
        for (i, j), row in pair_features(steps).items()
    }


def _introduced(steps: Sequence[StepText], i: int, j: int) -> list[str]:
    """Return stems that step `i` is the first to have and step `j` has too.

    Verbs and names of arguments are none: they say what a step does, not what it brings in.
    """
    known = steps[i].labels.union({steps[i].verb}, *(step.content for step in steps[:i]))
    return [w for w in steps[j].content if w in steps[i].content and w not in known]


def _reason(steps: Sequence[StepText], i: int, j: int, *, ordered: bool) -> str:
    named = _introduced(steps, i, j)
    if ordered:
        word = next(word for word in steps[j].words if cut_ending(word) == named[0])
        return f"it names {word!r}, which the earlier step brings in"
    if steps[j].tool and not steps[j].open_arguments:
        return "all arguments of the later call are given"
    if steps[i].verb == steps[j].verb:
        return f"both do the same ({steps[i].verb!r}) to different things"
    if not named:
        return "nothing that the earlier step brings in is named in the later one"
    return "plans worded like these two steps seldom need one for the other"
