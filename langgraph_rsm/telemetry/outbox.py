"""Outbox: records leave in order, one at a time, and never under a lock that anyone waits for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_rsm.telemetry.records import Hook, Record

_logger = logging.getLogger(__name__)


class Outbox:
    """Queue between a scheduler and its hooks.

    Whoever finds the outbox unattended delivers what is there; everybody else leaves at once. The
    loop re-checks after it let go, so no record stays behind.

    Args:
        hooks: Observers, called in this order.
    """

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = tuple(hooks)
        self._records: deque[Record] = deque()
        self._attended = threading.Lock()
        self._blamed: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def put(self, record: Record) -> None:
        """Queue a record; cheap, and safe under the scheduler's lock."""
        self._records.append(record)

    def deliver(self) -> None:
        """Hand out what is queued, unless someone is at it already (maybe the calling hook)."""
        while self._records and self._attended.acquire(blocking=False):
            try:
                while self._records:
                    self._hand_out(self._records.popleft())
            finally:
                self._attended.release()

    def _hand_out(self, record: Record) -> None:
        for hook in self._hooks:
            try:
                hook(record)
            except Exception:
                self._blame(hook)

    def _blame(self, hook: Hook) -> None:
        if id(hook) in self._blamed:
            return
        self._blamed.add(id(hook))
        _logger.exception("scheduler hook %r failed; further failures of it are not logged", hook)
