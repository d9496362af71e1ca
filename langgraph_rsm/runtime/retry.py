"""Retry: decides after each failed attempt of a call whether, where and when to try again.

Retries belong to the scheduler, not to the client library: a client that sleeps and re-sends on its
own keeps its slot while it does nothing. Here the slot goes back at once, another engine is tried
first if there is one, and the pause is spent outside of every queue.

The pause before attempt n + 1 is `base * 2^(n-1)`, capped, times a random factor between a half and
one, so that calls which failed together do not return together. A server's `retry-after` is a lower
bound; when it asks for more than the cap, the call fails with the server's error instead.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph_rsm.core.events import Fault
from langgraph_rsm.errors import CallTimeoutError
from langgraph_rsm.runtime.engine import is_connection_error

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

_TRANSIENT_STATUS = frozenset({408, 409, 429})
"""Client errors that are about the moment, not about the request; 5xx come on top."""
_TRANSIENT_TYPES = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ServerDisconnectedError",
        "WriteError",
        "WriteTimeout",
    }
)
"""Names, not classes, of transport errors: httpx, httpx2 and aiohttp need not be installed."""


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

    __slots__ = ("_engines", "_failed", "_rng", "_rules", "_tried")

    def __init__(self, engines: tuple[str, ...], rules: RetryRules, rng: random.Random) -> None:
        self._engines = engines
        self._rules = rules
        self._rng = rng
        self._tried = 0
        self._failed: set[str] = set()

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines for the next attempt: those that did not fail yet, else all."""
        return tuple(one for one in self._engines if one not in self._failed) or self._engines

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
        if self._tried > self._rules.max_retries or not is_retryable(error):
            return None
        self._failed.add(engine_id)
        if len(self._failed) < len(self._engines):
            return 0.0
        self._failed.clear()
        asked_s = retry_after_s(error) or 0.0
        if asked_s > self._rules.cap_s:
            return None
        ceiling_s = min(self._rules.cap_s, self._rules.base_s * 2.0 ** (self._tried - 1))
        return max(asked_s, ceiling_s * self._rng.uniform(0.5, 1.0))


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same request may succeed later or elsewhere.

    LangChain's `ModelError.is_retryable` decides where there is one; else the HTTP status; else
    whether the connection failed. A cancellation is never retried.
    """
    if not isinstance(error, Exception):
        return False
    verdict = getattr(error, "is_retryable", None)
    if isinstance(verdict, bool):
        return verdict
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status in _TRANSIENT_STATUS or status >= 500
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, ConnectionError | TimeoutError) or not names.isdisjoint(
        _TRANSIENT_TYPES | {"APIConnectionError"}
    )


def fault_of(error: BaseException) -> Fault:
    """Tell whom an error says something about."""
    status = getattr(error, "status_code", None)
    if status == 429 or (status == 503 and retry_after_s(error) is not None):
        return Fault.RATE_LIMIT
    if isinstance(status, int):
        return Fault.ENGINE if status >= 500 else Fault.CALL
    broken = isinstance(error, CallTimeoutError) or is_retryable(error)
    return Fault.ENGINE if broken or is_connection_error(error) else Fault.CALL


def retry_after_s(error: BaseException) -> float | None:
    """Return how long the server asked to wait, in seconds; None when it did not say."""
    headers: Mapping[str, Any] = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            asked_s = float(headers[name]) * unit_s
        except (KeyError, TypeError, ValueError):
            continue
        return asked_s if asked_s >= 0 else None
    return _until_date(headers.get("retry-after"))


def _until_date(text: Any) -> float | None:
    when = email.utils.parsedate_tz(text) if isinstance(text, str) else None
    # The header names a date, so the calendar, not the monotonic clock, tells how far off it is.
    return None if when is None else max(0.0, email.utils.mktime_tz(when) - time.time())
