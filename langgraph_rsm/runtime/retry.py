"""Retry: decides after each failed attempt of a call whether, where and when to try again.

Retries belong to the scheduler, not to the client library: a client that sleeps and re-sends on its
own keeps its slot while it does nothing. Here the slot goes back at once, another engine is tried
first if there is one, and the pause is spent outside of every queue.

The pause before attempt n + 1 is `base * 2^(n-1)`, capped, times a random factor between a half and
one, so that calls which failed together do not return together. A server's `retry-after` is a lower
bound; when it asks for more than the cap, or would refuse again, only other engines are tried, and
the call fails with the server's error when there is none left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langgraph_rsm.runtime.faults import is_retryable, may_succeed_elsewhere, retry_after_s

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often and how fast failed attempts are repeated."""

    max_retries: int
    """Attempts after the first one, at least 0."""
    base_s: float
    """Longest pause before the first retry, in seconds; doubled for each further one."""
    cap_s: float
    """Longest pause of all, in seconds."""


class Attempts:
    """Attempts of one call, over the engines that can serve it.

    Args:
        engines: Ids of the engines, at least one.
        rules: How often and how fast.
        rng: Source of the random factor.
    """

    __slots__ = ("_engines", "_failed", "_out", "_rng", "_rules", "_tried")

    def __init__(self, engines: tuple[str, ...], rules: RetryRules, rng: random.Random) -> None:
        self._engines = engines
        self._rules = rules
        self._rng = rng
        self._tried = 0
        self._failed: set[str] = set()
        self._out: set[str] = set()
        """Engines that would say the same again."""

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines for the next attempt: those that did not fail yet, else all that may help."""
        left = tuple(one for one in self._engines if one not in self._out)
        return tuple(one for one in left if one not in self._failed) or left or self._engines

    def after(self, error: BaseException, engine_id: str) -> float | None:
        """Take note of a failed attempt.

        Args:
            error: How it failed.
            engine_id: Where it failed.

        Returns:
            Seconds to pause before the next attempt, 0 when another engine can be tried at once;
            None when the error is final.
        """
        self._tried += 1
        if self._tried > self._rules.max_retries:
            return None
        asked_s = retry_after_s(error) or 0.0
        if not is_retryable(error) or asked_s > self._rules.cap_s:
            self._out.add(engine_id)
            if not may_succeed_elsewhere(error):
                return None
        self._failed.add(engine_id)
        left = [one for one in self._engines if one not in self._out]
        if not left:
            return None
        if not self._failed.issuperset(left):
            return 0.0
        self._failed.clear()
        if engine_id not in left:
            asked_s = 0.0  # it asked for itself
        ceiling_s = min(self._rules.cap_s, self._rules.base_s * 2.0 ** (self._tried - 1))
        return max(asked_s, ceiling_s * self._rng.uniform(0.5, 1.0))
