"""Cancellation: whether a task was cancelled during a wait that came back as if it was not.

In Python 3.11, `asyncio.wait_for` drops a cancellation that meets a result which is ready. Clients
wait for each chunk with it, so a stream whose reader was cancelled would be read to its end.
"""

from __future__ import annotations

import asyncio


class Cancellation:
    """A watch over one wait of the present task: make it before, check it after."""

    __slots__ = ("_before", "_task")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = 0 if self._task is None else self._task.cancelling()

    def check(self) -> None:
        """Let the task end if it was told to meanwhile.

        Raises:
            CancelledError: It was, and whoever was told did not pass it on.
        """
        if self._task is not None and self._task.cancelling() > self._before:
            raise asyncio.CancelledError
