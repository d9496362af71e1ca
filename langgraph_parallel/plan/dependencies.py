"""What an analyzer says about a plan: for pairs of tasks, ordered or independent, and why.

An analyzer sees the tasks in plan order and may leave any pair open. Strategies are asked one after
the other, the first decision on a pair stands, and a pair that stays open is kept in order: a plan
that nobody understands is the chain it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from langgraph_parallel.plan.task import Task

Source: TypeAlias = Literal["declared", "reference", "heuristic", "llm", "chain"]
"""Who decided on a pair; `chain` when nobody did and the plan's order was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is known about one pair of tasks."""

    earlier: str
    """Id of the task that comes first in the plan."""
    later: str
    """Id of the task that comes after it."""
    ordered: bool
    """True when `later` has to wait for `earlier`; False when neither needs the other."""
    source: Source
    """Who says so."""
    reason: str
    """Why, in words that a report can show after the names of the two tasks."""
    confidence: float = 1.0
    """Estimated probability that `ordered` is right, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an analyzer found in one plan."""

    decisions: tuple[Decision, ...] = ()
    """Decisions on pairs; a pair that is not here is open. At most one for each pair."""
    complete: frozenset[str] = frozenset()
    """Ids of tasks whose ordered pairs with earlier tasks are all in `decisions`: their other pairs
    with earlier tasks are independent. It spares an analyzer that knows to list them."""
    notes: tuple[str, ...] = ()
    """Remarks for the report, such as what was corrected in a model's answer."""
    cost_tokens: int = 0
    """Tokens of model calls made for these findings."""


class DependencyAnalyzer(Protocol):
    """A strategy that finds out which tasks of a plan have to wait for which."""

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:
        """Decide on pairs of tasks.

        Args:
            tasks: The tasks in plan order; a task never waits for a later one.
            goal: What the whole plan is for; empty when not known.

        Returns:
            Decisions, each with the id of the task that comes first in `tasks` as `earlier`.
        """
