"""Where early runs run: on threads in a sync run, as tasks of its event loop in an async one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langgraph_parallel._compat.runnables import runs_in_executor
from langgraph_parallel.lowering.exact.run import EarlyRun, call_async, call_sync

Ended = Callable[[EarlyRun], None]


class _Threads:
    """Threads for the early runs of one run of a graph, started as they are needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            # LangGraph's own pool stays free for its own nodes.
            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="langgraph-early")
        return self._pool

    def close(self, *, wait: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)


class ThreadLauncher:
    """Runs early runs on threads."""

    def __init__(self, most: int) -> None:
        self._threads = _Threads(most)

    def start(self, run: EarlyRun, runnable: Any, ended: Ended) -> None:
        """Start a run on a thread."""
        pool = self._threads.pool()
        run.thread = pool.submit(run.context.run, run.work, call_sync(runnable))
        run.thread.add_done_callback(lambda _: ended(run))

    def drop(self, run: EarlyRun) -> None:
        """Keep a run from starting; one that has started stops at its next event."""
        if run.thread is not None:
            run.thread.cancel()

    def wait(self, run: EarlyRun) -> None:
        """Wait for the end of a run; one that has not started never will."""
        if run.thread is not None and not run.thread.cancel():
            run.thread.result()

    def close(self) -> None:
        """Wait for the runs that have started: as LangGraph does with threads of its own."""
        self._threads.close(wait=True)


class TaskLauncher:
    """Runs early runs as tasks of the running event loop; sync functions on threads."""

    def __init__(self, most: int) -> None:
        self._threads = _Threads(most)

    def start(self, run: EarlyRun, runnable: Any, ended: Ended) -> None:
        """Start a run as a task."""
        loop = asyncio.get_running_loop()

        if runs_in_executor(runnable):
            pool = self._threads.pool()
            work = loop.run_in_executor(pool, run.context.run, run.work, call_sync(runnable))
            run.task = work
        else:
            run.task = loop.create_task(run.awork(call_async(runnable)), context=run.context)
        run.task.add_done_callback(lambda _: ended(run))

    def drop(self, run: EarlyRun) -> None:
        """Cancel a run; a sync function on a thread stops at its next event."""
        if run.task is not None:
            run.task.cancel()

    async def wait(self, run: EarlyRun) -> None:
        """Wait for the end of a run."""
        if run.task is not None:
            await asyncio.wait([run.task])

    async def close(self, runs: Iterable[EarlyRun]) -> None:
        """Cancel the runs that have not ended, and wait for their tasks."""
        tasks = [run.task for run in runs if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._threads.close(wait=False)
