"""Failures on purpose: seeded faults and a limit on the request rate, for tests of resilience."""

from __future__ import annotations

import dataclasses
import enum
import math
import random

from langgraph_rsm.emulation.errors import RateLimitedError


class FaultKind(enum.Enum):
    """How a request fails."""

    ERROR = "error"
    """Status 500 instead of an answer."""
    CUT = "cut"
    """The connection closes in the middle of the answer."""
    STALL = "stall"
    """The answer stops in the middle and the connection stays open for a while."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The fault of one request."""

    kind: FaultKind
    """How the request fails."""
    after_tokens: int
    """Tokens after which a cut or a stall happens, 1..8; at the latest with the last one."""


class FaultPlan:
    """Decides which requests fail: the same ones for the same seed and order of arrival.

    Args:
        rate: Share of the requests that fail, 0..1.
        kinds: Kinds to draw from, at least one.
        seed: Seed of the draws.
    """

    def __init__(self, *, rate: float, kinds: tuple[FaultKind, ...], seed: int) -> None:
        self._rate = rate
        self._kinds = kinds
        self._rng = random.Random(seed)

    def draw(self) -> Fault | None:
        """Return the fault of the next request; None means that it is served well."""
        # Three draws per request whatever happens, so that the rate does not shift the kinds.
        chance, kind, after = self._rng.random(), self._rng.random(), self._rng.randint(1, 8)
        if chance >= self._rate:
            return None
        return Fault(kind=self._kinds[int(kind * len(self._kinds))], after_tokens=after)


class RequestRateLimit:
    """A token bucket over requests: a burst of one minute's worth, then a steady rate.

    Args:
        rpm: Requests per minute, >= 1.
        now_s: Present on the caller's monotonic clock, in seconds.
    """

    def __init__(self, rpm: int, *, now_s: float) -> None:
        self._rpm = rpm
        self._left = float(rpm)
        self._updated_s = now_s

    def take(self, now_s: float) -> dict[str, str]:
        """Count one request and return the `x-ratelimit-*` headers of its answer.

        Raises:
            RateLimitedError: When the limit is reached; its headers say when to retry.
        """
        refill = (now_s - self._updated_s) * self._rpm / 60
        self._left = min(float(self._rpm), self._left + refill)
        self._updated_s = now_s
        if self._left < 1:
            wait_s = (1 - self._left) * 60 / self._rpm
            msg = f"rate limit of {self._rpm} requests per minute reached; retry in {wait_s:.1f} s"
            retry = {"retry-after": str(math.ceil(round(wait_s, 3)))}
            raise RateLimitedError(msg, headers={**self._headers(), **retry})
        self._left -= 1
        return self._headers()

    def _headers(self) -> dict[str, str]:
        reset_s = (self._rpm - self._left) * 60 / self._rpm
        return {
            "x-ratelimit-limit-requests": str(self._rpm),
            "x-ratelimit-remaining-requests": str(int(self._left)),
            "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
        }
