"""Alarm: wakes a scheduler up when time alone lets a waiting call go on.

Nearly every decision is made by the event that makes it possible. Only where an engine must be left
alone for a while (a rate limit, a cool-down) may nothing else ever happen; then a timer is set.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm:
    """At most one pending timer, on the event loop that set it or on a thread of its own.

    A timer on a loop that is closed never fires, so a thread keeps time beside it; ringing twice
    does no harm. Under a loop with virtual time only the loop's own timer comes in time.

    Args:
        ring: Called when the time has come, from any thread.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        # Reentrant: a finalizer may cancel a call, and so set the alarm, in the middle of `_fire`.
        self._lock = threading.RLock()
        self._due_s: float | None = None
        self._timer: threading.Timer | None = None

    def set(self, due_s: float | None, now: float) -> None:
        """Ring at `due_s` instead of whenever it was to ring before; None for not at all.

        Calls must not overlap.
        """
        if due_s == self._due_s:  # nearly always None both times
            return
        with self._lock:
            self._cancel()
            self._due_s = due_s
            if due_s is None:
                return
            delay_s = max(0.0, due_s - now)
            loop = asyncio._get_running_loop()
            if loop is not None:
                loop.call_later(delay_s, self._fire)
            self._timer = threading.Timer(delay_s, self._fire)
            self._timer.daemon = True
            self._timer.start()

    def _fire(self) -> None:
        with self._lock:
            self._due_s = None
        self._ring()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
