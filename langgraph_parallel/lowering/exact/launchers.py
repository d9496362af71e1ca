"""Where early runs run: on threads in a sync run, as tasks of its event loop in an async one.

A run that was given up is stopped if it can be, and else left behind: nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from langgraph_parallel._compat.runnables import runs_in_executor
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.threads import LEFT_BEHIND, DaemonThreads

Ended = Callable[[EarlyRun], None]
_GRACE_S: Final = 0.1
"""For cancelled tasks to clean up. Closing a connection takes some turns of the event loop, much
less than this; a task that goes on regardless of being cancelled would take for ever."""


class _Threads:
    """Threads for the early runs of one run of a graph, if it comes to need any."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: DaemonThreads | None = None

    def start(self, run: EarlyRun, runnable: Any) -> None:
        if self._pool is None:
            # LangGraph's own pool stays free for its own nodes.
            self._pool = DaemonThreads(self._most)
        run.thread = self._pool.submit(run.context.run, run.work, runnable.run_early)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _drop_thread(run: EarlyRun) -> None:
    if run.thread is not None and not run.thread.cancel():
        LEFT_BEHIND.add(run.thread)


class ThreadLauncher:
    """Runs early runs on threads."""

    def __init__(self, most: int) -> None:
        self._threads = _Threads(most)

    def start(self, run: EarlyRun, runnable: Any, ended: Ended) -> None:
        """Start a run on a thread."""
        self._threads.start(run, runnable)
        assert run.thread is not None
        run.thread.add_done_callback(lambda _: ended(run))

    def drop(self, run: EarlyRun) -> None:
        """Keep a run from starting; one that has started stops at its next event."""
        _drop_thread(run)

    def wait(self, run: EarlyRun) -> None:
        """Wait for the end of a run; one that has not started never will."""
        if run.thread is not None and not run.thread.cancel():
            run.thread.result()

    def close(self) -> None:
        """Let the threads end when their calls have."""
        self._threads.close()


class TaskLauncher:
    """Runs early runs as tasks of the running event loop; sync functions on threads."""

    def __init__(self, most: int) -> None:
        self._threads = _Threads(most)

    def start(self, run: EarlyRun, runnable: Any, ended: Ended) -> None:
        """Start a run as a task."""
        if runs_in_executor(runnable):
            self._threads.start(run, runnable)
            assert run.thread is not None
            run.task = asyncio.wrap_future(run.thread)
        else:
            loop = asyncio.get_running_loop()
            run.task = loop.create_task(run.awork(runnable.arun_early), context=run.context)
        run.task.add_done_callback(lambda _: ended(run))

    def drop(self, run: EarlyRun) -> None:
        """Cancel a run; a sync function on a thread stops at its next event."""
        _drop_thread(run)
        if run.task is not None:
            run.task.cancel()

    async def wait(self, run: EarlyRun) -> None:
        """Wait for the end of a run."""
        if run.task is not None:
            await asyncio.wait([run.task])

    async def close(self, runs: Iterable[EarlyRun]) -> None:
        """Cancel the runs that have not ended, and wait a moment for their tasks."""
        self._threads.close()
        tasks = [run.task for run in runs if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=_GRACE_S)
            for task in pending:
                LEFT_BEHIND.add(task)
