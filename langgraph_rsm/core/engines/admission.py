"""Admission: rate limits, pauses and refusals, which say how much of what waits may come in now.

Rate limits are kept by reserving what a call is expected to use and settling when it is known, and
by believing what the engine says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.core.programs.program import Program

_DEFAULT_PAUSE_S = 1.0
"""After a refusal for rate that does not say how long to wait; doubles up to the maximum."""
_MAX_PAUSE_S = 60.0
"""After which an engine that asked for more is asked anew, by one call: what it said may be wrong,
and a quota may have been raised."""


class RateLimit:
    """A budget that refills evenly, at most to what one minute gives.

    Args:
        per_minute: Units per minute, above 0.
        now: Time in seconds; the budget is full then.
    """

    __slots__ = ("_at_s", "_level", "per_minute")

    def __init__(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self._level = per_minute
        self._at_s = now

    def ready_s(self, amount: float, now: float) -> float:
        """Return when the amount can be taken, `now` or later; at once from a full budget.

        An amount above the whole budget is let through when the budget is full: it would never fit.
        """
        self._refill(now)
        missing = min(amount, self.per_minute) - self._level
        return now if missing <= 1e-9 else now + missing * 60 / self.per_minute

    def take(self, amount: float) -> None:
        """Use up an amount, or give back a negative one."""
        self._level = min(self.per_minute, self._level - amount)

    def observe(self, remaining: float, now: float) -> None:
        """Believe what the engine says is left, if it is less."""
        self._refill(now)
        self._level = min(self._level, remaining)

    def _refill(self, now: float) -> None:
        gained = (now - self._at_s) * self.per_minute / 60
        self._level = min(self.per_minute, self._level + gained)
        self._at_s = now


@dataclass(slots=True)
class Pause:
    """When an engine that refused calls for their rate may be asked again."""

    until_s: float = float("-inf")
    """Before this it is not asked."""
    said_until_s: float = float("-inf")
    """Until then it asked to be left alone; infinity if it set no end."""
    refusals: int = 0
    """In a row; those that come while it rests speak of the same overload and count once."""

    def refused(self, now: float, retry_after_s: float | None) -> None:
        """Wait for as long as the engine said, or longer each time if it did not."""
        if now >= self.until_s:
            self.refusals += 1
        if retry_after_s is None:
            retry_after_s = min(_MAX_PAUSE_S, _DEFAULT_PAUSE_S * 2.0 ** min(self.refusals - 1, 10))
        wait_s = max(0.0, retry_after_s)
        self.said_until_s = max(self.said_until_s, now + wait_s)
        self.until_s = max(self.until_s, now + min(wait_s, _MAX_PAUSE_S))

    def answered(self, now: float) -> None:
        """Take note of an answer; while the engine rests it is one to an older request."""
        self.refusals = 0
        if now >= self.until_s:
            self.said_until_s = now

    def open_s(self, now: float, *, idle: bool) -> float:
        """Return when the engine may be asked, `now` or later.

        Args:
            now: Time in seconds.
            idle: Whether it has no call under way, and so may be asked by one.
        """
        return max(now, self.until_s if idle else max(self.until_s, self.said_until_s))


def refusal(config: SchedulerConfig, waiting: int | None, program: Program | None) -> str | None:
    """Return why a call must be turned away, and what to do about it; None if it may come in.

    Args:
        config: The bounds.
        waiting: Calls that wait already; None if it need not.
        program: Its program; None if it is the first call.
    """
    if waiting is not None and waiting >= config.max_queue:
        return (
            f"{waiting} calls wait, max_queue is {config.max_queue}; add an engine, raise an "
            "engine's capacity or SchedulerConfig(max_queue=...)"
        )
    if program is not None and program.active >= config.max_program_calls:
        return (
            f"program {program.program_id!r} has {program.active} calls waiting or running, "
            f"max_program_calls is {config.max_program_calls}; let it await answers before "
            "it asks for more, or raise SchedulerConfig(max_program_calls=...)"
        )
    return None
