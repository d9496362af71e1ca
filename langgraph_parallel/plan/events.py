"""What an executor tells about a run, and a progress bar that listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

EventKind: TypeAlias = Literal["started", "retrying", "done", "failed", "skipped", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEvent:
    """One thing that happened to one task. Texts and results of tasks are never part of it."""

    kind: EventKind
    """What happened; `retrying`: an attempt failed and there will be another."""
    task_id: str
    """The task."""
    at_s: float
    """Seconds since the start of the run."""
    settled: int
    """Tasks to which nothing can happen any more, this one included if it ended."""
    total: int
    """Tasks of the plan so far."""
    error: BaseException | None = None
    """What the attempt raised, for `failed` and `retrying`."""


EventHook: TypeAlias = Callable[[PlanEvent], None]
"""Called for each event, in order, on the thread of the run; an error in it is only logged."""


class ProgressBar:
    """A hook that draws a progress bar on a terminal; needs rich.

    Use it as a context manager: `with ProgressBar() as bar: ParallelExecutor(on_event=bar)`.

    Raises:
        ModuleNotFoundError: When rich is not installed.
    """

    def __init__(self, title: str = "plan", *, console: Any = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
        self._progress = Progress(*columns, console=console)
        self._bar = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: PlanEvent) -> None:
        """Show how many tasks are settled."""
        self._progress.update(self._bar, completed=event.settled, total=event.total)
