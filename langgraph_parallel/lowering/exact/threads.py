"""Threads that nobody waits for: what runs on them may be left behind when it is of no more use.

`concurrent.futures` joins its threads when the interpreter ends; a call of a model whose answer
nobody wants would hold it up. Here threads are daemons. How many calls may be left behind at a time
is bounded (`MOST_LEFT`): as long as there are so many, nothing more is started early.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final

MOST_LEFT: Final = 64
"""As many as one run of a graph may start by default; each holds a thread and what it refers to."""


class DaemonThreads(Executor):
    """Runs calls on daemon threads, started as they are needed and ended by `shutdown`.

    Args:
        most: Threads at a time (>= 1).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads = 0
        self._free = 0
        """Threads that wait, or will, for a call that has not been submitted yet."""
        self._is_shut = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call as soon as a thread is free.

        Raises:
            RuntimeError: After `shutdown`.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._is_shut:
                msg = "these threads were shut down"
                raise RuntimeError(msg)
            self._calls.put(_Call(future, fn, args, kwargs))
            self._free -= 1
            if self._free < 0 and self._threads < self._most:
                self._threads += 1
                self._free += 1
                name = f"langgraph-early_{self._threads - 1}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # or a thread that waits keeps its last result alive
            with self._lock:
                self._free += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End every thread when its call has ended, without waiting for it."""
        with self._lock:
            if self._is_shut:
                return
            self._is_shut = True
            waiting = []
            while cancel_futures and not self._calls.empty():
                waiting.append(self._calls.get_nowait())
            for _ in range(self._threads):
                self._calls.put(None)
        for call in waiting:
            if call is not None:
                call.future.cancel()


class _Call:
    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(self, future: Future[Any], fn: Any, args: Any, kwargs: Any) -> None:
        self.future, self.fn, self.args, self.kwargs = future, fn, args, kwargs

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.fn(*self.args, **self.kwargs)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class LeftBehind:
    """The calls of this process that go on although nobody wants their result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: weakref.WeakSet[Future[Any] | asyncio.Future[Any]] = weakref.WeakSet()

    def add(self, call: Future[Any] | asyncio.Future[Any]) -> None:
        """Note a call; one that has ended, or will never start, does not count."""
        with self._lock:
            self._calls.add(call)

    def __len__(self) -> int:
        """Return how many have not ended."""
        if not self._calls:
            return 0
        with self._lock:
            for call in [call for call in self._calls if call.done()]:
                self._calls.discard(call)
            return len(self._calls)

    def forget(self) -> None:
        """Begin anew: in a forked process no thread of its parent goes on."""
        self.__init__()  # type: ignore[misc]


LEFT_BEHIND: Final = LeftBehind()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LEFT_BEHIND.forget)
