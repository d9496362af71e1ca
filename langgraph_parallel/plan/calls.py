"""How the user's `run_task` is called: with one or two arguments, awaited or in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeAlias, TypeVar

from langgraph.types import RetryPolicy

from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.task import Task

RunTask: TypeAlias = Callable[..., Any] | Callable[..., Awaitable[Any]]
"""Carries out a task: `run_task(task)` or `run_task(task, results)`, async or not. `task` has its
references filled in; `results` maps the ids of all tasks that it waited for to their values."""

_T = TypeVar("_T")


def check_run_task(run_task: Any) -> RunTask:
    """Return `run_task`.

    Raises:
        PlanError: If it is not a function.
    """
    if not callable(run_task):
        msg = (
            f"`run_task` must be a function that carries out a task, not"
            f" {type(run_task).__name__}; pass it as ParallelExecutor(run_task=...) or"
            " execute(plan, run_task)."
        )
        raise PlanError(msg)
    function: RunTask = run_task
    return function


def is_async(run_task: RunTask) -> bool:
    """Tell whether calling the function gives a coroutine."""
    call = getattr(type(run_task), "__call__", None)  # noqa: B004 - the method, not whether it is
    return inspect.iscoroutinefunction(run_task) or inspect.iscoroutinefunction(call)


def takes_results(run_task: RunTask) -> bool:
    """Tell whether the function wants the results too: a second parameter without a default."""
    try:
        parameters = inspect.signature(run_task).parameters.values()
    except (TypeError, ValueError):
        return False
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = (p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    return sum(p.default is p.empty for p in positional) >= 2


def check_timeouts(tasks: Sequence[Task], *, default_s: float | None) -> None:
    """Check that no task of a function that is not async has a time-out.

    Raises:
        PlanError: If one has.
    """
    limited = next((task.id for task in tasks if task.timeout_s is not None), None)
    if limited is None and default_s is None:
        return
    what = "`task_timeout_s` is set" if limited is None else f"Task {limited!r} has a `timeout_s`"
    msg = (
        f"{what}, but `run_task` is not async, and nothing can stop a thread; make `run_task` async"
        " or leave the limit to the client that it uses."
    )
    raise PlanError(msg)


async def call_in_thread(
    pool: Executor, run_task: RunTask, task: Task, results: Mapping[str, Any] | None
) -> Any:
    """Call a function that is not async in a thread, with this context, and await its result.

    A thread cannot be stopped: when this is cancelled, it ends with the thread.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(pool, context.run, call_sync, run_task, task, results)
    value = await unabandoned(future)
    return await value if inspect.isawaitable(value) else value


def call_sync(run_task: RunTask, task: Task, results: Mapping[str, Any] | None) -> Any:
    """Call the function in this thread.

    Raises:
        RuntimeError: If it raises `StopIteration`, which no future can hold: who awaits it would
            wait for ever.
        Exception: What else it raises.
    """
    try:
        return run_task(task) if results is None else run_task(task, results)
    except StopIteration as error:
        msg = f"`run_task` raised StopIteration for task {task.id!r}."
        raise RuntimeError(msg) from error


async def unabandoned(future: asyncio.Future[_T]) -> _T:
    """Await a future to its end, also when cancelled."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if future.cancelled():
            raise
        await wait_for_all([future])
        future.exception()  # it has been looked at: no warning
        raise


async def wait_for_all(futures: Sequence[asyncio.Future[Any]]) -> bool:
    """Wait until all have ended, whatever happens; tell whether that was asked to stop."""
    was_cancelled = False
    while not all(future.done() for future in futures):
        try:
            await asyncio.wait(futures)
        except asyncio.CancelledError:
            was_cancelled = True
    return was_cancelled


def retry_delay_s(
    policies: RetryPolicy | Sequence[RetryPolicy] | None, error: Exception, attempt: int
) -> float | None:
    """Return the seconds to wait before the next attempt; None when there is none.

    Args:
        policies: LangGraph's policies; the first whose `retry_on` fits counts.
        error: What the attempt raised.
        attempt: Number of the attempt that failed, from 1.
    """
    if policies is None:
        return None
    for policy in (policies,) if isinstance(policies, RetryPolicy) else policies:
        if _fits(policy, error):
            if attempt >= policy.max_attempts:
                return None
            delay_s = policy.initial_interval * policy.backoff_factor ** (attempt - 1)
            # The same jitter as LangGraph's own: up to a second.
            return min(policy.max_interval, delay_s) + (random.random() if policy.jitter else 0.0)
    return None


def _fits(policy: RetryPolicy, error: Exception) -> bool:
    retry_on = policy.retry_on
    if isinstance(retry_on, type):
        return isinstance(error, retry_on)
    if isinstance(retry_on, Sequence):
        return isinstance(error, tuple(retry_on))
    return bool(retry_on(error))
