"""What became of a plan: the result of each task in plan order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from langgraph_parallel.errors import ParallelError
from langgraph_parallel.plan.task import TaskResult


@dataclass(frozen=True, kw_only=True)
class PlanResults:
    """Results of all tasks, in plan order."""

    results: tuple[TaskResult, ...]
    """One for each task, in plan order; tasks added during the run come last."""
    elapsed_s: float
    """Seconds that the whole run took."""

    def __getitem__(self, task_id: str) -> TaskResult:
        return self.by_id[task_id]

    def __iter__(self) -> Iterator[TaskResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @cached_property
    def by_id(self) -> dict[str, TaskResult]:
        """Results by the id of their task."""
        return {result.task_id: result for result in self.results}

    @property
    def values(self) -> dict[str, Any]:
        """Values of the tasks that are done, by id, in plan order."""
        return {r.task_id: r.value for r in self.results if r.status == "done"}

    @property
    def failed(self) -> tuple[TaskResult, ...]:
        """The failed tasks."""
        return tuple(r for r in self.results if r.status == "failed")

    @property
    def ok(self) -> bool:
        """Whether every task is done."""
        return all(r.status == "done" for r in self.results)

    def __str__(self) -> str:
        lines = [f"{sum(r.status == 'done' for r in self.results)} of {len(self)} tasks done"]
        for result in self.results:
            when = ""
            if result.started_s is not None and result.ended_s is not None:
                when = f" {result.started_s:.3f} to {result.ended_s:.3f} s"
            note = result.reason or (result.error and f"{type(result.error).__name__}") or ""
            lines.append(f"  {result.task_id}: {result.status}{when}{note and f' ({note})'}")
        return "\n".join(lines)


class EarlierResults(Mapping[str, Any]):
    """The results that a task may see: those of all tasks it waits for, directly or not.

    A view; nothing is copied. In plan order; tasks without a result are not in it.

    Args:
        ancestors: Positions of the tasks, as bits.
        ids: Ids of all tasks by position.
        index: Positions of all tasks by id.
        values: Results by id, of the tasks that are done.
    """

    __slots__ = ("_ancestors", "_ids", "_index", "_values")

    def __init__(
        self,
        ancestors: int,
        ids: Sequence[str],
        index: Mapping[str, int],
        values: Mapping[str, Any],
    ) -> None:
        self._ancestors = ancestors
        self._ids = ids
        self._index = index
        self._values = values

    def __getitem__(self, task_id: str) -> Any:
        position = self._index.get(task_id)
        if position is None or not self._ancestors >> position & 1:
            raise KeyError(task_id)
        return self._values[task_id]

    def __iter__(self) -> Iterator[str]:
        rest, offset = self._ancestors, 0
        while rest:
            skip = (rest & -rest).bit_length()
            offset, rest = offset + skip, rest >> skip
            if (name := self._ids[offset - 1]) in self._values:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"EarlierResults({list(self)})"


class PlanExecutionError(ParallelError, RuntimeError):
    """Raised when a plan stops early; the task's own error is the cause.

    Args:
        message: What happened.
        results: What became of each task until then.
    """

    def __init__(self, message: str, results: PlanResults) -> None:
        super().__init__(message)
        self.results = results


class PlanTimeoutError(PlanExecutionError, TimeoutError):
    """Raised when a plan takes longer than `ParallelConfig.timeout_s`."""
