"""A plan as a node of a LangGraph graph: each task is saved when it ends and never run again.

    planner --> PlanNode(run_task) --> reporter
                  |-- a ----.
                  '-- b -- c '         tasks of LangGraph's functional API, inside one superstep

The tasks appear in the `updates`, `tasks`, `messages` and `custom` streams under their own ids.
With a checkpointer, a crash or an interrupt in one of them leaves the results of the finished ones
in place: LangGraph finds them by a number, which here is the task's position in the plan, so that
it does not depend on which task ends first.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, set_config_context
from langgraph.func import task as functional_task

from langgraph_parallel._compat.calls import can_index_calls, index_calls, run_slots
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.calls import (
    RunTask,
    call_sync,
    check_run_task,
    is_async,
    unabandoned,
    wait_for_all,
)
from langgraph_parallel.plan.executor import run_in_other_thread
from langgraph_parallel.plan.plan import ParallelPlan
from langgraph_parallel.plan.planner import ParallelPlanner
from langgraph_parallel.plan.results import PlanExecutionError, PlanResults
from langgraph_parallel.plan.run import MOST_THREADS, PlanRun
from langgraph_parallel.plan.slots import Slots
from langgraph_parallel.plan.task import Task

_RESERVED: Final = re.compile(r"[|:]")
"""Characters that LangGraph puts between the parts of a namespace."""


class PlanNode(Runnable[Any, Any]):
    """Runs the plan that it finds in the state, and writes the results back.

    Limit tasks by `config.task_timeout_s`, not by a `timeout` of the node: with one, LangGraph
    hides what is needed to find saved results, and a resumed plan begins again.

    Args:
        run_task: Carries out a task: `run_task(task)` or `run_task(task, results)`, async or not.
            It may call models, `interrupt` and `get_stream_writer` like any node. An async one
            needs a graph that is run with `ainvoke` or `astream`.
        plan_key: Where in the state the plan is: whatever `ParallelPlanner.optimize` takes.
        results_key: Where the values of the tasks go, a dict by id in plan order.
        write: What to write instead, from the results.
        config: Limits and policies; None means the default ones. `max_concurrency` of the run
            counts too: one task uses the slot of the node, the others wait for one of their own.
            In a graph that is not run async, each `PlanNode` keeps the limit by itself.
        planner: Plans what is not a `ParallelPlan` yet; None means `ParallelPlanner(config)`.
    """

    def __init__(
        self,
        run_task: RunTask,
        *,
        plan_key: str = "plan",
        results_key: str = "results",
        write: Callable[[PlanResults], Any] | None = None,
        config: ParallelConfig | None = None,
        planner: ParallelPlanner | None = None,
    ) -> None:
        self._run_task = check_run_task(run_task)
        self._plan_key = plan_key
        self._results_key = results_key
        self._write = write
        self._config = config or (planner.config if planner else ParallelConfig())
        self._planner = planner or ParallelPlanner(self._config)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ARG002
        """Run the plan in `input`, a state, and return the update.

        Raises:
            PlanError: If there is no plan, it cannot be read, or `run_task` is async.
            Exception: What a task raised, under `on_error="fail_fast"`.
            GraphInterrupt: When tasks wait for answers and the others have ended.
        """
        if is_async(self._run_task):
            msg = "`run_task` is async; run the graph with `ainvoke` or `astream`."
            raise PlanError(msg)
        plan = self._planner.optimize(self._read(input))
        current = ensure_config(config)
        return run_in_other_thread(lambda: asyncio.run(self._run_sync(plan, current)))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ARG002
        """Run the plan in `input`, a state, and return the update.

        Raises:
            PlanError: If there is no plan, or it cannot be read.
            Exception: What a task raised, under `on_error="fail_fast"`.
            GraphInterrupt: When tasks wait for answers and the others have ended.
        """
        plan = await self._planner.aoptimize(self._read(input))
        current = ensure_config(config)
        if not can_index_calls(current):
            return await self._finish(PlanRun(self._limited(current), self._run_task), plan)
        calls = _AsyncCalls(self._config, current)
        run = PlanRun(self._limited(current), self._run_task, carrier=calls.carry_out)
        calls.attempt = run.attempt
        try:
            return await self._finish(run, plan)
        finally:
            await wait_for_all(list(calls.started))

    async def _run_sync(self, plan: ParallelPlan, current: RunnableConfig) -> Any:
        if not can_index_calls(current):
            return await self._finish(PlanRun(self._limited(current), self._run_task), plan)
        limited = self._limited(current)
        with ThreadPoolExecutor(limited.max_concurrency or MOST_THREADS, "plan") as pool:
            calls = _ThreadCalls(self._config, current, self._run_task, pool)
            return await self._finish(
                PlanRun(limited, self._run_task, carrier=calls.carry_out), plan
            )

    async def _finish(self, run: PlanRun, plan: ParallelPlan) -> Any:
        try:
            results = await run.run(plan)
        except PlanExecutionError as error:
            if error.__cause__ is None or isinstance(error, TimeoutError):
                raise
            # A node's retry policy and error handler look at the type of the error.
            error.__cause__.add_note(str(error))
            raise error.__cause__ from None
        return {self._results_key: results.values} if self._write is None else self._write(results)

    def _limited(self, current: RunnableConfig) -> ParallelConfig:
        limits = (self._config.max_concurrency, current.get("max_concurrency"))
        known = [limit for limit in limits if limit]
        return self._config.model_copy(update={"max_concurrency": min(known, default=None)})

    def _read(self, state: Any) -> Any:
        key = self._plan_key
        plan = state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)
        if plan is None:
            msg = f"The state has no plan at {key!r}; write one before this node, or set plan_key."
            raise PlanError(msg)
        return plan


def _as_functional_task(
    function: Callable[..., Any], task: Task, config: ParallelConfig
) -> Callable[..., Any]:
    """Return a function that hands itself to LangGraph, under the id of the task."""
    decorate: Any = functional_task(
        name=_RESERVED.sub("_", task.id), retry_policy=config.retry_policy
    )
    decorated: Callable[..., Any] = decorate(function)
    return decorated


class _AsyncCalls:
    """Hands tasks to LangGraph from the event loop of the graph."""

    def __init__(self, config: ParallelConfig, current: RunnableConfig) -> None:
        self._config = config
        self._current = current
        self._slots = Slots(run_slots(current))
        self.started: set[asyncio.Task[Any]] = set()
        self.attempt: Callable[[Task, Mapping[str, Any] | None], Any]

    async def carry_out(self, position: int, task: Task, results: Mapping[str, Any] | None) -> Any:
        async def carry_out(task: Task) -> Any:
            return await self.attempt(task, results)

        call = _as_functional_task(carry_out, task, self._config)
        with set_config_context(index_calls(self._current, position, self._start)) as context:
            future = context.run(call, task)
        return await future

    def _start(self, function: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        async def in_slot() -> Any:
            async with self._slots:
                return await function(*args, **kwargs)

        loop = asyncio.get_running_loop()
        task = loop.create_task(in_slot(), context=contextvars.copy_context())
        self.started.add(task)
        task.add_done_callback(self.started.discard)
        return task


class _ThreadCalls:
    """Hands tasks to LangGraph from a graph that is not run async."""

    def __init__(
        self,
        config: ParallelConfig,
        current: RunnableConfig,
        run_task: RunTask,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._config = config
        self._current = current
        self._run_task = run_task
        self._pool = pool

    async def carry_out(self, position: int, task: Task, results: Mapping[str, Any] | None) -> Any:
        def carry_out(task: Task) -> Any:
            value = call_sync(self._run_task, task, results)
            if inspect.isawaitable(value):
                if inspect.iscoroutine(value):
                    value.close()
                msg = "`run_task` returned an awaitable; run the graph with `ainvoke`."
                raise PlanError(msg)
            return value

        call = _as_functional_task(carry_out, task, self._config)
        with set_config_context(index_calls(self._current, position, self._start)) as context:
            future = context.run(call, task)
        return await unabandoned(asyncio.wrap_future(future))

    def _start(self, function: Any, *args: Any, **kwargs: Any) -> Future[Any]:
        context = contextvars.copy_context()
        return self._pool.submit(context.run, function, *args, **kwargs)
