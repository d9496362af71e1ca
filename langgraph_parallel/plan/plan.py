"""The plan that a planner returns: the dependency graph of its tasks, in every form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langgraph_parallel.plan.dependencies import Decision
from langgraph_parallel.plan.graph import TaskGraph, reduce_waits
from langgraph_parallel.plan.references import References
from langgraph_parallel.plan.report import plan_as_json, plan_as_mermaid, plan_as_text
from langgraph_parallel.plan.task import Task


@dataclass(frozen=True, kw_only=True)
class ParallelPlan(TaskGraph):
    """Tasks in plan order, and the fewest edges that keep every known or possible dependence."""

    def __str__(self) -> str:
        return plan_as_text(self)

    def draw_mermaid(self) -> str:
        """Return the graph as a Mermaid flow chart; guessed edges are dotted."""
        return plan_as_mermaid(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return tasks, edges, batches and the prediction as JSON text."""
        return plan_as_json(self, indent=indent)


def build_plan(
    tasks: Sequence[Task],
    decisions: Mapping[tuple[int, int], Decision],
    complete: frozenset[int] = frozenset(),
    *,
    goal: str = "",
    notes: tuple[str, ...] = (),
    cost_tokens: int = 0,
    references: Mapping[str, References] | None = None,
) -> ParallelPlan:
    """Return the plan that keeps every ordered and every open pair in order.

    Sets of tasks are bits of a number, so that a chain of n tasks costs n steps, not n².

    Args:
        tasks: In plan order.
        decisions: By the positions of a pair, the lower first.
        complete: Positions of tasks whose undecided pairs with earlier ones are independent.
        goal: What the plan is for.
        notes: Remarks for the report.
        cost_tokens: Tokens that the analysis took.
        references: The parsed references of each task, by id; None means that there are none.
    """
    ordered = [0] * len(tasks)
    independent = [0] * len(tasks)
    for (i, j), decision in decisions.items():
        (ordered if decision.ordered else independent)[j] |= 1 << i
    ancestors: list[int] = []
    predecessors: list[tuple[int, ...]] = []
    for j in range(len(tasks)):
        waits = ordered[j] if j in complete else ((1 << j) - 1) & ~independent[j]
        kept, mask = reduce_waits(waits, ancestors)
        ancestors.append(mask)
        predecessors.append(kept)
    return ParallelPlan(
        tasks=tuple(tasks),
        predecessors=tuple(predecessors),
        decisions=decisions,
        complete=complete,
        goal=goal,
        notes=notes,
        cost_tokens=cost_tokens,
        references=references or {},
    )
