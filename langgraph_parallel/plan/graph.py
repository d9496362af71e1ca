"""A plan as a dependency graph: what waits for what, why, and what that makes possible.

1 -> 2 -> 3 -> 4      becomes      1 -> 3 -> 4      batches: (1, 2) (3,) (4,)
                                   2 ------/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.dependencies import Decision
from langgraph_parallel.plan.references import References
from langgraph_parallel.plan.task import Task

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, kw_only=True)
class TaskGraph:
    """Tasks in plan order, and the fewest edges that keep every known or possible dependence."""

    tasks: tuple[Task, ...]
    """In plan order: a task never waits for a later one."""
    predecessors: tuple[tuple[int, ...], ...]
    """For each task the positions of those it waits for, rising, without what follows from others
    (the transitive reduction)."""
    decisions: Mapping[tuple[int, int], Decision] = field(default_factory=dict)
    """Decisions by the positions of a pair, the lower first."""
    complete: frozenset[int] = frozenset()
    """Positions of tasks that are independent of all earlier ones that no decision orders."""
    goal: str = ""
    """What the plan is for; empty when not known."""
    notes: tuple[str, ...] = ()
    """Remarks of the analyzers."""
    cost_tokens: int = 0
    """Tokens of model calls made for the analysis."""
    references: Mapping[str, References] = field(default_factory=dict)
    """The parsed references of each task, by id."""

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each task by id."""
        return {task.id: position for position, task in enumerate(self.tasks)}

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each task the positions of all it waits for, directly or not, as bits of a number."""
        masks: list[int] = []
        for earlier in self.predecessors:
            mask = 0
            for i in earlier:
                mask |= masks[i] | 1 << i
            masks.append(mask)
        return tuple(masks)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The reduced dependency graph.

        A node for each id, with its `task`, and an edge from each task to those that wait for it,
        with its `decision`.
        """
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for task in self.tasks:
            graph.add_node(task.id, task=task)
        for j, earlier in enumerate(self.predecessors):
            for i in earlier:
                graph.add_edge(self.tasks[i].id, self.tasks[j].id, decision=self.decide(i, j))
        return graph

    @cached_property
    def batches(self) -> tuple[tuple[Task, ...], ...]:
        """Tasks by level: each batch needs only earlier ones. In plan order within a batch."""
        levels: list[int] = []
        batches: list[list[Task]] = []
        for task, earlier in zip(self.tasks, self.predecessors, strict=True):
            level = 1 + max((levels[i] for i in earlier), default=-1)
            levels.append(level)
            if level == len(batches):
                batches.append([])
            batches[level].append(task)
        return tuple(tuple(batch) for batch in batches)

    @cached_property
    def critical_path(self) -> tuple[Task, ...]:
        """The chain of tasks that takes longest; the plan cannot be faster than it."""
        ends, best = self._finish_times()
        if not ends:
            return ()
        position: int | None = max(range(len(ends)), key=lambda i: (ends[i], -i))
        path: list[Task] = []
        while position is not None:
            path.append(self.tasks[position])
            position = best[position]
        return tuple(reversed(path))

    @property
    def work_s(self) -> float:
        """Seconds that the tasks take one after the other; 1 for each without a `duration_s`."""
        return sum(duration_of(task) for task in self.tasks)

    @property
    def span_s(self) -> float:
        """Seconds of the critical path."""
        return sum(duration_of(task) for task in self.critical_path)

    @property
    def speedup(self) -> float:
        """Predicted speed-up when nothing limits concurrency; 1 for a plan that takes no time."""
        return self.work_s / self.span_s if self.span_s else 1.0

    def why(self, earlier: int | str | Task, later: int | str | Task) -> Decision:
        """Say whether two tasks are ordered, and why.

        Args:
            earlier: A task, by id, position or itself.
            later: Another one; the two are swapped when the plan has them the other way round.

        Returns:
            The decision. When the order follows from others, its reason names the way.

        Raises:
            PlanError: If there is no such task, or both are the same.
        """
        i, j = sorted((self._position(earlier), self._position(later)))
        if i == j:
            msg = f"Task {self.tasks[i].id!r} is one task; `why` compares two."
            raise PlanError(msg)
        decision = self.decide(i, j)
        if not decision.ordered and self.ancestors[j] >> i & 1:
            way = " -> ".join(repr(self.tasks[k].id) for k in self._way(i, j))
            return Decision(
                earlier=decision.earlier,
                later=decision.later,
                ordered=True,
                source=decision.source,
                reason=f"not by itself ({decision.reason}), but by way of {way}",
                confidence=decision.confidence,
            )
        return decision

    def decide(self, i: int, j: int) -> Decision:
        """Return the decision on the tasks at positions `i < j` alone, without what follows."""
        if found := self.decisions.get((i, j)):
            return found
        earlier, later = self.tasks[i].id, self.tasks[j].id
        if j in self.complete:
            return Decision(
                earlier=earlier,
                later=later,
                ordered=False,
                source="declared",
                reason="the later one says what it depends on",
            )
        return Decision(
            earlier=earlier,
            later=later,
            ordered=True,
            source="chain",
            reason="nothing shows that they are independent",
            confidence=0.0,
        )

    def _position(self, which: int | str | Task) -> int:
        key = which.id if isinstance(which, Task) else which
        found = self.index.get(key) if isinstance(key, str) else key
        if found is None or not 0 <= found < len(self.tasks):
            msg = f"The plan has no task {key!r}; its {len(self.tasks)} tasks are {known(self)}."
            raise PlanError(msg)
        return found

    def _way(self, i: int, j: int) -> list[int]:
        """Return positions from `i` to `j` along edges."""
        way = [j]
        while way[-1] != i:
            way.append(
                next(k for k in self.predecessors[way[-1]] if k == i or self.ancestors[k] >> i & 1)
            )
        return way[::-1]

    def _finish_times(self) -> tuple[list[float], list[int | None]]:
        """Return when each task ends without limits, and which one it waited for last."""
        ends: list[float] = []
        last: list[int | None] = []
        for task, earlier in zip(self.tasks, self.predecessors, strict=True):
            latest = max(earlier, key=lambda i: (ends[i], -i), default=None)
            last.append(latest)
            ends.append((0.0 if latest is None else ends[latest]) + duration_of(task))
        return ends, last


def duration_of(task: Task) -> float:
    """Return the seconds that a task is expected to take; 1 when nobody said."""
    return 1.0 if task.duration_s is None else task.duration_s


def known(plan: TaskGraph, *, most: int = 8) -> str:
    """Return the first ids of a plan for a message."""
    names = [repr(task.id) for task in plan.tasks[:most]]
    return ", ".join(names) + (", …" if len(plan.tasks) > most else "")


def reduce_waits(waits: int, ancestors: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return the fewest positions that imply all of `waits`, and everything they imply.

    Args:
        waits: Positions of tasks to wait for, as bits.
        ancestors: For each of those tasks the positions of all that it waits for, as bits.

    Returns:
        The positions, rising, and the closure as bits.
    """
    kept: list[int] = []
    closure = waits
    while waits:
        i = waits.bit_length() - 1
        kept.append(i)
        closure |= ancestors[i]
        waits &= ~(ancestors[i] | 1 << i)
    return tuple(reversed(kept)), closure
