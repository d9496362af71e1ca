"""Carries out plans: at once, while they are still being written, and with additions at the end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from typing import Any, TypeAlias, TypeVar

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.calls import RunTask, check_run_task
from langgraph_parallel.plan.events import EventHook, PlanEvent, ProgressBar
from langgraph_parallel.plan.intake import place_task
from langgraph_parallel.plan.plan import ParallelPlan
from langgraph_parallel.plan.planner import ParallelPlanner
from langgraph_parallel.plan.reading import read_any
from langgraph_parallel.plan.results import PlanResults
from langgraph_parallel.plan.run import PlanRun

Replan: TypeAlias = Callable[[PlanResults], Any] | Callable[[PlanResults], Awaitable[Any]]
"""Called with all results once every task has ended; returns more steps, or None to end the run."""

_T = TypeVar("_T")


class ParallelExecutor:
    """Runs the tasks of a plan, each as soon as the ones it waits for have ended.

    Args:
        config: Limits and policies; None means the default ones.
        run_task: Carries out a task: `run_task(task)` or `run_task(task, results)`, async or not.
            One that is not async runs in threads, with the context of the caller. It may be given
            to `execute` instead.
        planner: Plans what is not a `ParallelPlan` yet; None means `ParallelPlanner(config)`.
        on_event: Called for each start, retry and end of a task.
        progress: Draw a progress bar on the terminal; needs rich.
        replan: Called with the results when every task has ended, at most `config.max_replans`
            times: what it returns runs after them and may refer to them.
    """

    def __init__(
        self,
        config: ParallelConfig | None = None,
        *,
        run_task: RunTask | None = None,
        planner: ParallelPlanner | None = None,
        on_event: EventHook | None = None,
        progress: bool = False,
        replan: Replan | None = None,
    ) -> None:
        self.config = config or (planner.config if planner else ParallelConfig())
        self._run_task = None if run_task is None else check_run_task(run_task)
        self._planner = planner or ParallelPlanner(self.config)
        self._on_event = on_event
        self._progress = progress
        self._replan = replan

    def execute(self, plan: Any, run_task: RunTask | None = None) -> PlanResults:
        """Run a plan and return the results, from code that is not async.

        Called where an event loop runs, as in a notebook, it runs the plan on a loop of its own in
        another thread and blocks; there, `await aexecute(...)` is better.

        Args:
            plan: A `ParallelPlan`, or whatever `ParallelPlanner.optimize` takes.
            run_task: Carries out a task; None means the one given to the constructor.

        Returns:
            One result for each task, in plan order.

        Raises:
            PlanError: If the plan cannot be read, or there is no `run_task`.
            PlanExecutionError: If a task fails under `on_error="fail_fast"`, with the task's own
                error as its cause, or the plan takes longer than `timeout_s`.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.aexecute(plan, run_task))
        return run_in_other_thread(lambda: asyncio.run(self.aexecute(plan, run_task)))

    async def aexecute(self, plan: Any, run_task: RunTask | None = None) -> PlanResults:
        """Run a plan and return the results.

        When this is cancelled, it cancels all tasks and ends after the last of them has ended.

        Args:
            plan: A `ParallelPlan`, whatever `ParallelPlanner.optimize` takes, or an async iterator
                of steps, which start while later ones are still to come. Of those only declared
                dependencies and references are looked at: a step that declares none waits for all
                before it, unless `config.references` is `complete`.
            run_task: Carries out a task; None means the one given to the constructor.

        Returns:
            One result for each task, in plan order.

        Raises:
            PlanError: If the plan cannot be read, or there is no `run_task`.
            PlanExecutionError: If a task fails under `on_error="fail_fast"`, with the task's own
                error as its cause, or the plan takes longer than `timeout_s`.
        """
        chosen = check_run_task(run_task if run_task is not None else self._run_task)
        known, feed = None, None
        if isinstance(plan, AsyncIterable):
            if self.config.barrier:
                msg = "`barrier` needs the whole plan; a plan that arrives step by step has none."
                raise PlanError(msg)
            feed = self._feed_from(plan)
        elif isinstance(plan, ParallelPlan):
            known = plan
        else:
            known = await self._planner.aoptimize(plan)
        with self._hook() as hook:
            run = PlanRun(self.config, chosen, hook)
            return await run.run(known, feed, self._replan_with() if self._replan else None)

    @contextlib.contextmanager
    def _hook(self) -> Iterator[EventHook | None]:
        if not self._progress:
            yield self._on_event
            return
        with ProgressBar() as bar:
            yield bar if self._on_event is None else _both(bar, self._on_event)

    def _feed_from(self, steps: AsyncIterable[Any]) -> Callable[[PlanRun], Awaitable[None]]:
        async def feed(run: PlanRun) -> None:
            async for step in steps:
                place_task(run, step, self.config)

        return feed

    def _replan_with(self) -> Callable[[PlanRun], Awaitable[bool]]:
        rest = self.config.max_replans

        async def replan(run: PlanRun) -> bool:
            nonlocal rest
            if rest == 0 or self._replan is None:
                return False
            rest -= 1
            steps = self._replan(run.results())
            steps = await steps if inspect.isawaitable(steps) else steps
            tasks = [] if steps is None else read_any(steps, after=len(run.records))[0]
            first = len(run.records)
            for task in tasks:
                place_task(run, task, self.config, first=first)
            return bool(tasks)

        return replan


def _both(first: EventHook, second: EventHook) -> EventHook:
    def tell(event: PlanEvent) -> None:
        first(event)
        second(event)

    return tell


def run_in_other_thread(call: Callable[[], _T]) -> _T:
    """Return what `call` returns in another thread, in a copy of this context."""
    outcome: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="plan")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
