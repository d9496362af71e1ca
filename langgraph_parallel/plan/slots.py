"""Slots of a run with limited concurrency, where the node that waits lends its own.

LangGraph counts a node that waits for its tasks as busy, so nodes with tasks can fill all slots and
wait for ever. Here one task of each node may always run, on the slot of the node; the others take
slots of the run like everybody else. The limit of the run holds, and somebody always goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Any


class Slots:
    """Gives out the node's own slot and those of the run.

    Args:
        shared: The semaphore of the run, of which the node holds one; None when nothing is limited.
    """

    def __init__(self, shared: asyncio.Semaphore | None) -> None:
        self._shared = shared
        self._is_lent = False
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._borrowed = 0

    async def __aenter__(self) -> None:
        if self._shared is None:
            return
        if not self._is_lent:
            self._is_lent = True
            return
        own: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        shared: asyncio.Future[Any] = asyncio.ensure_future(self._shared.acquire())
        self._waiting.append(own)
        try:
            await asyncio.wait({own, shared}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_up(own, shared, keep=None)
            raise
        keep = own if own.done() else shared
        self._give_up(own, shared, keep=keep)
        if keep is shared:
            self._borrowed += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shared is None:
            return
        # Which of its slots a task gives back makes no difference.
        if self._borrowed:
            self._borrowed -= 1
            self._shared.release()
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Lend the node's slot to the next task that waits."""
        while self._waiting:
            own = self._waiting.popleft()
            if not own.done():
                own.set_result(None)
                return
        self._is_lent = False

    def _give_up(
        self,
        own: asyncio.Future[Any],
        shared: asyncio.Future[Any],
        *,
        keep: asyncio.Future[Any] | None,
    ) -> None:
        """Give back what a waiting task got or may still get, but `keep`."""
        if keep is not shared:
            if shared.done():
                self._release(shared)
            else:
                shared.add_done_callback(self._release)
                shared.cancel()
        if keep is not own:
            if own.done():
                self._hand_on()
            else:
                own.cancel()

    def _release(self, shared: asyncio.Future[Any]) -> None:
        if not shared.cancelled() and self._shared is not None:
            self._shared.release()
