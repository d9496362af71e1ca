"""Cancellation: whether a task was cancelled during a wait that came back as if it was not.

In Python 3.11, `asyncio.wait_for` drops a cancellation that meets a result which is ready. Clients
wait for each chunk with it, so a stream whose reader was cancelled would be read to its end.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Cancellation:
    """A watch over the waits of the present task: make it before, check it after each of them."""

    __slots__ = ("_before", "_task")

    def __init__(self) -> None:
        self._watch(asyncio.current_task())

    def _watch(self, task: asyncio.Task[Any] | None) -> None:
        self._task = task
        self._before = 0 if task is None else task.cancelling()

    def check(self) -> None:
        """Let the task end if it was told to meanwhile.

        Raises:
            CancelledError: It was, and whoever was told did not pass it on.
        """
        task = asyncio.current_task()
        if task is not self._task:  # another task reads on
            self._watch(task)
        elif task is not None and task.cancelling() > self._before:
            raise asyncio.CancelledError
