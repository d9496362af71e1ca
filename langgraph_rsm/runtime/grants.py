"""Grants: what the core has decided for callers that wait, until they are told outside the lock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from langgraph_rsm.core.events import Dispatch, Reject
from langgraph_rsm.runtime.steps import refusal_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.core.events import Instruction
    from langgraph_rsm.runtime.lease import AsyncWaiter, SyncWaiter


class Grants:
    """Callers that wait, and the slots and refusals that they have not been told of yet."""

    __slots__ = ("_decided", "_waiters")

    def __init__(self) -> None:
        self._waiters: dict[str, SyncWaiter | AsyncWaiter] = {}
        self._decided: deque[Dispatch | Reject] = deque()

    def expect(self, call_id: str, waiter: SyncWaiter | AsyncWaiter) -> None:
        """Take note of a caller that waits."""
        self._waiters[call_id] = waiter

    def forget(self, call_id: str) -> None:
        """Take note that a caller waits no more, if it did."""
        self._waiters.pop(call_id, None)

    def note(self, instruction: Instruction) -> None:
        """Keep what a caller is to be told."""
        if isinstance(instruction, Dispatch | Reject):
            self._decided.append(instruction)

    def wake(self) -> Iterator[str]:
        """Tell the callers, and yield those calls that got a slot and whose caller is gone."""
        while self._decided:
            try:
                decided = self._decided.popleft()
            except IndexError:  # another thread was faster
                return
            waiter = self._waiters.pop(decided.call_id, None)
            if waiter is None:
                continue
            if isinstance(decided, Reject):
                waiter.refusal = refusal_error(decided)
                waiter.resolve(None)
                continue
            waiter.not_before_s = decided.not_before_s
            if not waiter.resolve(decided.engine_id):
                yield decided.call_id
