"""Carries out a crew's tasks out of order, and commits them in order.

The tasks are CrewAI's own, on private copies of their agents. A task that does something visible at
its end (callbacks, guardrails, files) gets there only when all tasks before it have ended. When a
task fails, those before it still run, those after it are given up, and its error is raised: what
is left is what a sequential run would have left.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from langgraph_parallel.adapters.crewai.agents import (
    give_back,
    hold_back,
    hold_back_async,
    private_agent,
    records,
)
from langgraph_parallel.adapters.crewai.order import is_implicit, is_visible
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.plan.executor import ParallelExecutor
from langgraph_parallel.plan.plan import ParallelPlan
from langgraph_parallel.plan.task import Task

_CHANGES: Final = (
    "output",
    "start_time",
    "end_time",
    "prompt_context",
    "processed_by_agents",
    "retry_count",
    "used_tools",
    "tools_errors",
    "delegations",
)
"""What carrying out a task changes in it."""


class _GivenUp(BaseException):
    """Ends a task that nobody will see; not an `Exception`, so CrewAI reports no failure."""


class CrewRun:
    """One run of the tasks of one crew.

    Args:
        crew: The crew.
        plan: Which task waits for which; with the crew's tasks in their order.
        start_index: The first task that is not taken from an earlier run.
        was_replayed: Whether there was an earlier run, for CrewAI's log.
        max_concurrency: Tasks that run at a time; None means no limit.
    """

    def __init__(
        self,
        crew: Any,
        plan: ParallelPlan,
        *,
        start_index: int,
        was_replayed: bool,
        max_concurrency: int | None,
    ) -> None:
        self._crew = crew
        self._tasks = crew.tasks
        self._plan = plan
        self._start_index = start_index
        self._was_replayed = was_replayed
        self._outputs: list[Any] = [t.output or None for t in crew.tasks[:start_index]]
        self._outputs += [None] * (len(crew.tasks) - len(self._outputs))
        self._ended: list[Future[None]] = [Future() for _ in crew.tasks]
        self._errors: dict[int, BaseException] = {}
        self._limit = len(crew.tasks)
        """The first task that is given up because one before it failed."""
        self._committed = start_index
        self._twins: dict[int, tuple[Any, Any, tuple[int, int]]] = {}
        self._before: dict[int, dict[str, Any]] = {}
        self._running: dict[int, asyncio.Task[Any]] = {}
        self._slots = threading.BoundedSemaphore(max_concurrency or max(1, len(crew.tasks)))
        self._async_slots = asyncio.BoundedSemaphore(max_concurrency or max(1, len(crew.tasks)))
        for future in self._ended[:start_index]:
            future.set_result(None)

    # -- from code that is not async, in threads ---------------------------------------------------

    def run(self) -> Any:
        """Carry out all tasks and return CrewAI's output of the crew."""
        with ThreadPoolExecutor(max(1, len(self._tasks)), "crew") as pool:

            async def run_task(task: Task) -> None:
                j = self._plan.index[task.id]
                if not self._is_due(j):
                    self._end(j)
                    return
                loop, context = asyncio.get_running_loop(), contextvars.copy_context()
                await loop.run_in_executor(pool, context.run, self._perform, j)
                self._commit()

            try:
                ParallelExecutor(_CARRY_ON).execute(self._plan, run_task)
            finally:
                self._give_up()
        return self._finish()

    def _perform(self, j: int) -> None:
        turn = _Slot(self._slots)
        try:
            prepared = self._prepare(j)
            if prepared is not None:
                agent, context, tools = prepared
                if j in self._twins and is_visible(self._crew, self._tasks[j]):
                    hold_back(agent, functools.partial(self._wait, j, turn))
                task = self._tasks[j]
                self._outputs[j] = task.execute_sync(agent=agent, context=context, tools=tools)
        except BaseException as error:
            self._fail(j, error)
        finally:
            self._end(j)
            turn.leave()

    def _wait(self, j: int, turn: _Slot) -> None:
        turn.leave()
        for future in self._ended[:j]:
            future.result()
        if not self._is_due(j):
            raise _GivenUp

    # -- from async code --------------------------------------------------------------------------

    async def arun(self) -> Any:
        """Carry out all tasks and return CrewAI's output of the crew."""

        async def run_task(task: Task) -> None:
            j = self._plan.index[task.id]
            if not self._is_due(j):
                self._end(j)
                return
            self._running[j] = asyncio.ensure_future(self._aperform(j))
            try:
                await self._running[j]
            except asyncio.CancelledError:
                if self._is_due(j):
                    raise
            finally:
                del self._running[j]
            self._commit()

        try:
            await ParallelExecutor(_CARRY_ON).aexecute(self._plan, run_task)
        finally:
            self._give_up()
        return self._finish()

    async def _aperform(self, j: int) -> None:
        await self._async_slots.acquire()
        turn = _Slot(self._async_slots, is_taken=True)
        try:
            prepared = self._prepare(j)
            if prepared is not None:
                agent, context, tools = prepared
                if j in self._twins and is_visible(self._crew, self._tasks[j]):
                    hold_back_async(agent, functools.partial(self._await, j, turn))
                task = self._tasks[j]
                self._outputs[j] = await task.aexecute_sync(
                    agent=agent, context=context, tools=tools
                )
        except (Exception, _GivenUp) as error:
            self._fail(j, error)
            for other in [k for k in self._running if k > self._limit - 1]:
                self._running[other].cancel()
        finally:
            self._end(j)
            turn.leave()

    async def _await(self, j: int, turn: _Slot) -> None:
        turn.leave()
        for future in self._ended[:j]:
            # A waiter that is cancelled must not cancel what others wait for too.
            await asyncio.shield(asyncio.wrap_future(future))
        if not self._is_due(j):
            raise _GivenUp

    # -- both -------------------------------------------------------------------------------------

    def _prepare(self, j: int) -> tuple[Any, str, list[Any]] | None:
        """Return agent, context and tools of a task; None when it is not carried out."""
        from crewai.crews.utils import check_conditional_skip
        from crewai.tasks.conditional_task import ConditionalTask

        if not self._is_due(j):
            return None
        crew, task = self._crew, self._tasks[j]
        outputs = [output for output in self._outputs[:j] if output is not None]
        if isinstance(task, ConditionalTask):
            skipped = check_conditional_skip(crew, task, outputs, j, self._was_replayed)
            if skipped:
                self._outputs[j] = skipped
                return None
        agent = task.agent
        tools = crew._prepare_tools(agent, task, task.tools or agent.tools or [])
        context = crew._get_context(task, self._seen(j))
        if not self._is_alone(j):
            self._before[j] = {name: getattr(task, name) for name in _CHANGES}
            self._before[j]["processed_by_agents"] = set(task.processed_by_agents)
            twin = private_agent(agent)
            self._twins[j] = (agent, twin, records(twin))
            agent = twin
        return agent, context, tools

    def _seen(self, j: int) -> list[Any]:
        """Return the outputs that a task without a `context` gets."""
        if not is_implicit(self._tasks[j]):
            # As in CrewAI: an async task gets the last output that was taken from an earlier run.
            taken = [i for i in range(self._start_index) if not self._tasks[i].async_execution]
            return [self._outputs[i] for i in taken if self._outputs[i] is not None][-1:]
        needed = self._plan.ancestors[j]
        return [o for i, o in enumerate(self._outputs[:j]) if o is not None and needed >> i & 1]

    def _is_alone(self, j: int) -> bool:
        """Tell whether a task never runs beside another one."""
        ancestors = self._plan.ancestors
        after = range(j + 1, len(self._tasks))
        return ancestors[j] == (1 << j) - 1 and all(ancestors[k] >> j & 1 for k in after)

    def _is_due(self, j: int) -> bool:
        return self._start_index <= j < self._limit

    def _fail(self, j: int, error: BaseException) -> None:
        if not isinstance(error, _GivenUp):
            self._errors[j] = error
            self._limit = min(self._limit, j + 1)

    def _end(self, j: int) -> None:
        if j in self._twins:
            self._tasks[j].agent = self._twins[j][0]
        if not self._ended[j].done():
            self._ended[j].set_result(None)

    def _commit(self) -> None:
        """Tell CrewAI of the tasks that have ended, up to the first one that has not."""
        crew = self._crew
        while self._committed < self._limit and self._ended[self._committed].done():
            j = self._committed
            self._committed += 1
            output, task = self._outputs[j], self._tasks[j]
            crew._log_task_start(task, task.agent.role)
            if j in self._twins:
                give_back(*self._twins[j])
            if j in self._errors or task.output is not output:
                continue  # a condition that did not hold is logged where that was found
            crew._process_task_result(task, output)
            crew._store_execution_log(task, output, j, self._was_replayed)

    def _give_up(self) -> None:
        """Let no thread wait for a turn that never comes."""
        if any(not future.done() for future in self._ended):
            done = [j for j, future in enumerate(self._ended) if not future.done()]
            self._limit = min(self._limit, *done)
            for j in done:
                self._ended[j].set_result(None)

    def _finish(self) -> Any:
        """Return the crew's output, or undo what was given up and raise the first error."""
        if not self._errors:
            return self._crew._create_crew_output([o for o in self._outputs if o is not None])
        for j, before in self._before.items():
            if j >= self._limit:
                for name, value in before.items():
                    setattr(self._tasks[j], name, value)
        raise self._errors[min(self._errors)]


_CARRY_ON: Final = ParallelConfig(on_error="continue")
"""Errors are kept and raised in the order of the tasks, limits are slots."""


class _Slot:
    """One place among those that run at a time; left once."""

    def __init__(self, slots: Any, *, is_taken: bool = False) -> None:
        self._slots = slots
        if not is_taken:
            slots.acquire()
        self._is_held = True

    def leave(self) -> None:
        """Make room for another task."""
        if self._is_held:
            self._is_held = False
            self._slots.release()
