"""One run of a plan on one event loop: tasks start when the ones they wait for have ended.

Nothing polls. The end of a task settles it in the `Dispatcher` and starts what became ready, in
the same callback; the coroutine that runs the plan sleeps until nothing is left. It returns, or
raises, only when no task and no thread of the run is alive.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from langgraph.errors import GraphBubbleUp, GraphInterrupt

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import TaskTimeoutError
from langgraph_parallel.plan.calls import (
    RunTask,
    call_in_thread,
    check_timeouts,
    is_async,
    retry_delay_s,
    takes_results,
    wait_for_all,
)
from langgraph_parallel.plan.dispatch import Dispatcher
from langgraph_parallel.plan.events import EventHook, EventKind, PlanEvent
from langgraph_parallel.plan.graph import TaskGraph
from langgraph_parallel.plan.references import References, fill_in
from langgraph_parallel.plan.results import (
    EarlierResults,
    PlanExecutionError,
    PlanResults,
    PlanTimeoutError,
)
from langgraph_parallel.plan.task import Task, TaskResult

MOST_THREADS: Final = 64
"""Threads of a run without `max_concurrency`: model calls mostly wait, 8 MB of stack each."""

Carrier: TypeAlias = Callable[[int, Task, Mapping[str, Any] | None], Awaitable[Any]]

_log = logging.getLogger("langgraph_parallel")


@dataclass(slots=True, kw_only=True)
class _Record:
    """What is known about one task during the run."""

    task: Task
    references: References | None
    ancestors: int
    attempts: int = 0
    started_s: float | None = None
    ended_s: float | None = None
    value: Any = None
    error: BaseException | None = None


class PlanRun:
    """Runs one plan once.

    Args:
        config: Limits and policies.
        run_task: The user's function.
        on_event: Hook for events, or None.
        carrier: Called with the position of a task, the task and its results, carries it out, with
            its retries; None means that the run does it.
    """

    def __init__(
        self,
        config: ParallelConfig,
        run_task: RunTask,
        on_event: EventHook | None = None,
        *,
        carrier: Carrier | None = None,
    ) -> None:
        self._config = config
        self._run_task = run_task
        self._is_async = is_async(run_task)
        self._takes_results = takes_results(run_task)
        self._on_event = on_event
        self._carrier = carrier
        threads = None if self._is_async else MOST_THREADS
        self._dispatcher = Dispatcher(
            on_error=config.on_error,
            capacity=config.max_concurrency or threads,
            resources=config.resources,
            barrier=config.barrier,
        )
        self._pool = (
            None
            if self._is_async
            else ThreadPoolExecutor(config.max_concurrency or MOST_THREADS, "plan")
        )
        self.records: list[_Record] = []
        self.index: dict[str, int] = {}
        self._ids: list[str] = []
        self._values: dict[str, Any] = {}
        self._alive: dict[asyncio.Task[Any], int] = {}
        self._interrupts: list[Any] = []
        self._fatal: BaseException | None = None
        self._feeding = False
        self._is_stopping = False
        self._start = 0.0
        self._idle: asyncio.Future[None] | None = None

    # -- the run ----------------------------------------------------------------------------------

    async def run(
        self,
        plan: TaskGraph | None,
        feed: Callable[[PlanRun], Awaitable[None]] | None = None,
        replan: Callable[[PlanRun], Awaitable[bool]] | None = None,
    ) -> PlanResults:
        """Run all tasks and return their results.

        Args:
            plan: The tasks known at the start; None when they all come from `feed`.
            feed: Adds tasks while others run, and returns when there are no more.
            replan: Called when all tasks have ended; adds tasks and tells whether it did.

        Raises:
            PlanExecutionError: If a task fails under `fail_fast`, or the time is up.
            GraphInterrupt: If tasks wait for answers from outside and the others have ended.
        """
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._context = contextvars.copy_context()
        feeder: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(self._config.timeout_s) as scope:
                if plan is not None:
                    self._load(plan)
                if feed is not None:
                    self._feeding = True
                    feeder = self._loop.create_task(self._feed(feed))
                await self._until_idle()
                while replan is not None and self._may_go_on() and await replan(self):
                    await self._until_idle()
        except TimeoutError as error:
            if not scope.expired():
                raise
            await self._end(feeder, "the plan took too long")
            msg = f"The plan took longer than its limit of {self._config.timeout_s} s."
            raise PlanTimeoutError(msg, self.results()) from error
        finally:
            was_cancelled = await self._end(feeder, "the run was cancelled")
        if was_cancelled:
            raise asyncio.CancelledError
        self._raise_errors()
        return self.results()

    def _may_go_on(self) -> bool:
        is_stopped = self._config.on_error == "fail_fast" and self._first_failure() is not None
        return not (self._fatal or self._interrupts or is_stopped)

    async def _until_idle(self) -> None:
        """Sleep until no task runs, none can start and no more come."""
        self._idle = self._loop.create_future()
        self._advance()
        await self._idle

    async def _feed(self, feed: Callable[[PlanRun], Awaitable[None]]) -> None:
        try:
            await feed(self)
        except Exception as error:
            self._stop(error)
        finally:
            self._feeding = False
            self._advance()

    async def _end(self, feeder: asyncio.Task[None] | None, reason: str) -> bool:
        """Stop whatever is alive and wait for it; tell whether that was asked to stop."""
        self._is_stopping = True
        self._dispatcher.stop(reason)
        alive: list[asyncio.Future[Any]] = [*self._alive]
        if feeder is not None and not feeder.done():
            alive.append(feeder)
        for future in alive:
            future.cancel(reason)
        was_cancelled = await wait_for_all(alive)
        if self._alive:  # ended just now: the callbacks that note it run in this round of the loop
            await asyncio.sleep(0)
        self._report_settled()
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        return was_cancelled

    def _raise_errors(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        failed = self._first_failure()
        if failed is not None and self._config.on_error == "fail_fast":
            error = failed.error
            msg = f"Task {failed.task.id!r} failed: {type(error).__name__}: {error}"
            raise PlanExecutionError(msg, self.results()) from error
        if self._interrupts:
            raise GraphInterrupt(tuple(self._interrupts))

    # -- tasks ------------------------------------------------------------------------------------

    def _load(self, plan: TaskGraph) -> None:
        self._check(plan.tasks)
        self.index.update(plan.index)
        for position, task in enumerate(plan.tasks):
            self._ids.append(task.id)
            record = _Record(
                task=task,
                references=plan.references.get(task.id),
                ancestors=plan.ancestors[position],
            )
            self.records.append(record)
        self._dispatcher.load(plan)

    def add(
        self, task: Task, earlier: Sequence[int], ancestors: int, references: References
    ) -> None:
        """Add a task during the run; it starts as soon as it may.

        Args:
            task: The task; its id is new.
            earlier: Positions of the tasks it waits for.
            ancestors: Positions of all tasks whose results it may see, as bits.
            references: Its references, to tasks that are there.
        """
        self._check([task])
        self.index[task.id] = len(self.records)
        self._ids.append(task.id)
        self.records.append(_Record(task=task, references=references, ancestors=ancestors))
        needs = [self.index[reference.task_id] for reference in references]
        self._dispatcher.add(task, earlier, needs)
        self._advance()

    def is_done(self, position: int) -> bool:
        """Tell whether a task has, or may still get, a result."""
        return self._dispatcher.status(position) in (None, "done")

    def _check(self, tasks: Sequence[Task]) -> None:
        if not self._is_async:
            check_timeouts(tasks, default_s=self._config.task_timeout_s)

    def _advance(self) -> None:
        """Start what is ready; wake the run when nothing is left to wait for."""
        self._report_settled()
        for position in self._dispatcher.start_ready():
            record = self.records[position]
            record.started_s = self._now()
            context = self._context.copy()
            future = self._loop.create_task(self._carry_out(position, record), context=context)
            self._alive[future] = position
            future.add_done_callback(self._ended)
            self._tell("started", record)
        if not self._alive and not self._feeding and self._idle and not self._idle.done():
            self._idle.set_result(None)

    async def _carry_out(self, position: int, record: _Record) -> Any:
        """Run a task until an attempt succeeds or no policy wants another."""
        task = record.task
        if record.references:
            task = fill_in(task, record.references, self._values.__getitem__)
        results = self._results_for(record) if self._takes_results else None
        if self._carrier is not None:
            record.attempts = 1
            return await self._carrier(position, task, results)
        while True:
            record.attempts += 1
            try:
                return await self.attempt(task, results)
            except GraphBubbleUp:
                raise
            except Exception as error:
                delay_s = retry_delay_s(self._config.retry_policy, error, record.attempts)
                if delay_s is None:
                    raise
                self._tell("retrying", record, error)
            await asyncio.sleep(delay_s)

    async def attempt(self, task: Task, results: Mapping[str, Any] | None) -> Any:
        """Call the user's function once, within the task's time-out."""
        if self._pool is not None:
            return await call_in_thread(self._pool, self._run_task, task, results)
        limit_s = task.timeout_s if task.timeout_s is not None else self._config.task_timeout_s
        arguments = (task,) if results is None else (task, results)
        if limit_s is None:
            return await self._run_task(*arguments)
        try:
            async with asyncio.timeout(limit_s) as scope:
                return await self._run_task(*arguments)
        except TimeoutError as error:
            if not scope.expired():
                raise
            msg = f"Task {task.id!r} took longer than its limit of {limit_s} s."
            raise TaskTimeoutError(msg) from error

    def _results_for(self, record: _Record) -> EarlierResults:
        return EarlierResults(record.ancestors, self._ids, self.index, self._values)

    def _ended(self, future: asyncio.Task[Any]) -> None:
        """Note how a task ended and start what waited for it."""
        position = self._alive.pop(future)
        record = self.records[position]
        record.ended_s = self._now()
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if future.cancelled() and self._is_stopping:
            self._dispatcher.finish(position, "cancelled", "it was cancelled")
        elif isinstance(error, GraphInterrupt):
            self._interrupts += error.args[0] if error.args else ()
            self._dispatcher.pause(position)
        elif error is None:
            record.value = self._values[record.task.id] = future.result()
            self._dispatcher.finish(position, "done")
        elif isinstance(error, GraphBubbleUp):
            self._dispatcher.finish(position, "cancelled", "it left the plan")
            self._stop(error)
        else:
            record.error = error
            self._dispatcher.finish(position, "failed")
            if self._config.on_error == "fail_fast":
                self._stop(None)
        self._advance()

    def _stop(self, fatal: BaseException | None) -> None:
        """Start nothing any more and cancel what runs."""
        self._is_stopping = True
        self._fatal = self._fatal or fatal
        self._dispatcher.stop("the plan was stopped")
        for future in self._alive:
            future.cancel()

    # -- results and events -----------------------------------------------------------------------

    def results(self) -> PlanResults:
        """Return what has become of each task so far; one that still runs counts as cancelled."""
        return PlanResults(
            results=tuple(self._result(i, record) for i, record in enumerate(self.records)),
            elapsed_s=self._now(),
        )

    def _result(self, position: int, record: _Record) -> TaskResult:
        status = self._dispatcher.status(position)
        return TaskResult(
            task_id=record.task.id,
            status=status or "cancelled",
            value=record.value,
            error=record.error,
            reason=self._dispatcher.reason(position)
            or ("" if status else "it waits for an answer"),
            attempts=record.attempts,
            started_s=record.started_s,
            ended_s=record.ended_s,
        )

    def _first_failure(self) -> _Record | None:
        failed = (record for record in self.records if record.error is not None)
        return min(failed, key=lambda record: record.ended_s or 0.0, default=None)

    def _report_settled(self) -> None:
        settled = self._dispatcher.settled
        while settled:
            position = settled.popleft()
            status = self._dispatcher.status(position)
            if status is not None:
                self._tell(status, self.records[position], self.records[position].error)

    def _tell(self, kind: EventKind, record: _Record, error: BaseException | None = None) -> None:
        if self._on_event is None:
            return
        event = PlanEvent(
            kind=kind,
            task_id=record.task.id,
            at_s=self._now(),
            settled=len(self.records) - self._dispatcher.unsettled,
            total=len(self.records),
            error=error,
        )
        try:
            self._on_event(event)
        except Exception:
            _log.exception("The event hook of a plan failed.")

    def _now(self) -> float:
        return self._loop.time() - self._start
