"""Health of an engine: closed for a while after failures in a row, then probed with one call.

A circuit breaker (Nygard, *Release It!*, 2007):

```text
UP ──failures in a row──> DOWN ──cool-down over──> PROBING ──answer──> UP
                            ^───────failure───────────┘   (the next cool-down is twice as long)
```
"""

from __future__ import annotations

from enum import StrEnum

_FAILURES = 3
"""In a row, until an engine is taken for down: one may be the network's, two a coincidence."""
_COOL_DOWN_S = 5.0
_MAX_COOL_DOWN_S = 120.0


class HealthState(StrEnum):
    """Whether an engine can be counted on."""

    UP = "up"
    DOWN = "down"
    """It gets no call that another engine could serve."""
    PROBING = "probing"
    """It may have one such call, and then we shall see."""


class EngineHealth:
    """Failures of one engine."""

    __slots__ = ("_cool_downs", "_down_until_s", "_failures")

    def __init__(self) -> None:
        self._failures = 0
        self._cool_downs = 0
        self._down_until_s: float | None = None

    def state(self, now: float) -> HealthState:
        """Return the state at a time."""
        if self._down_until_s is None:
            return HealthState.UP
        return HealthState.DOWN if now < self._down_until_s else HealthState.PROBING

    @property
    def down_until_s(self) -> float | None:
        """End of the cool-down; None while the engine is up."""
        return self._down_until_s

    def succeeded(self) -> None:
        """Take note of an answer: the engine is up."""
        self._failures = self._cool_downs = 0
        self._down_until_s = None

    def failed(self, now: float, *, lasting: bool = False) -> bool:
        """Take note of a failure of the engine; returns whether that takes it down (again).

        Args:
            now: Time in seconds.
            lasting: Whether the next call is sure to fail as well, so that one failure will do.
        """
        self._failures += 1
        state = self.state(now)
        enough = lasting or self._failures >= _FAILURES
        if state is HealthState.DOWN or (state is HealthState.UP and not enough):
            return False
        cool_down_s = min(_MAX_COOL_DOWN_S, _COOL_DOWN_S * 2.0 ** min(self._cool_downs, 10))
        self._down_until_s = now + cool_down_s
        self._cool_downs += 1
        return True
