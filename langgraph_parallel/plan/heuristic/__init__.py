"""From the words of a plan to pairs of steps that need not wait for each other.

text -> steps -> rules -> decisions, and notes on the steps that keep their place

A rule has a name and the share of plans in which it was right, measured on plans whose dependencies
are known. What no rule relaxes keeps its order, and the notes say whether that is because a step
changes something, refers to an earlier one, or is not understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.heuristic.rules import NAMED_SHARE, REASONS, find_rule, share_of
from langgraph_parallel.plan.heuristic.step import StepText
from langgraph_parallel.plan.heuristic.text import as_text, goal_words, read_steps
from langgraph_parallel.plan.task import Task

__all__ = ["HeuristicAnalyzer"]

_MOST_STEPS: Final = 100
"""Steps of a plan that is looked at: every pair is compared."""
_MOST_NAMED: Final = 8
"""Steps that a note names."""


class HeuristicAnalyzer:
    """Decides by the words of the steps, and only where they tell."""

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:
        """Return pairs that need not wait, and pairs of which one names what the other brings."""
        if len(tasks) < 2:
            return Findings()
        if len(tasks) > _MOST_STEPS:
            note = f"heuristic: the plan has more than {_MOST_STEPS} steps, the order stands"
            return Findings(notes=(note,))
        steps = read_steps([as_text(task) for task in tasks])
        words = goal_words(goal)
        decisions: list[Decision] = []
        held = set(range(1, len(tasks)))
        for j in range(1, len(steps)):
            for i in range(j):
                decision = _decide(tasks, steps, i, j, words)
                if decision is not None:
                    decisions.append(decision)
                    held -= set() if decision.ordered else {i, j}
        return Findings(decisions=tuple(decisions), notes=tuple(_notes(tasks, steps, held)))


def _decide(
    tasks: Sequence[Task], steps: Sequence[StepText], i: int, j: int, goal: str
) -> Decision | None:
    rule = find_rule(steps, i, j, goal)
    named = [] if rule else introduced(steps, i, j)
    if rule is None and not named:
        return None
    reason = (
        REASONS[rule].format(verb=steps[j].verb)
        if rule
        else f"it names {named[0]!r}, which the earlier step brings in"
    )
    return Decision(
        earlier=tasks[i].id,
        later=tasks[j].id,
        ordered=rule is None,
        source="heuristic",
        reason=reason,
        confidence=share_of(rule) if rule else NAMED_SHARE,
    )


def introduced(steps: Sequence[StepText], i: int, j: int) -> list[str]:
    """Return words that step `i` is the first to have and step `j` has too."""
    known = frozenset().union(*(steps[k].content for k in range(i)))
    shared = [s for s in steps[j].content if s in steps[i].content and s not in known]
    return [next((w for w in steps[j].words if w.startswith(s)), s) for s in shared]


def _notes(tasks: Sequence[Task], steps: Sequence[StepText], held: set[int]) -> list[str]:
    """Return why steps keep their place."""
    worded = [k for k in range(len(steps)) if steps[k].call is None]
    if worded and not any(steps[k].language for k in worded):
        return ["heuristic: the language of the plan is not understood, the order stands"]
    unknown = [k for k in worded if steps[k].kind == "unknown"]
    changes = [k for k in worded if steps[k].kind == "change"]
    calls = [k for k, step in enumerate(steps) if step.call is not None and not step.call.reads]
    back = [k for k in sorted(held) if steps[k].kind in ("lookup", "derive") and steps[k].back]
    return [
        f"heuristic: {what}: {_listed(tasks, steps, positions)}"
        for what, positions in (
            ("not understood, so in their place", unknown),
            ("they change something, so in their place", changes),
            ("nothing says that the tool only reads, so in their place", calls),
            ("they refer to what comes before them", back),
        )
        if positions
    ]


def _listed(tasks: Sequence[Task], steps: Sequence[StepText], positions: Sequence[int]) -> str:
    named = []
    for k in positions[:_MOST_NAMED]:
        step = steps[k]
        refers = bool(step.back) and step.kind in ("lookup", "derive")
        said = step.back[0].text if refers else step.verb
        named.append(f"{tasks[k].id!r}" + (f" ({said})" if said else ""))
    return ", ".join(named) + (", …" if len(positions) > _MOST_NAMED else "")
