"""Errors of the scheduler: every message says what happened, where, and what to do about it.

```text
SchedulerError
├── ConfigError (also a TypeError)   arguments that do not fit together; change the code
├── EngineError                      an engine is unknown, or was registered twice differently
├── QueueFullError                   too many calls wait; retrying later can succeed
├── EngineRestingError               all engines asked to be left alone for longer than it may wait
├── QueueTimeoutError                no slot within `queue_timeout_s`; retrying can succeed
├── CallTimeoutError                 no answer within `call_timeout_s`; retrying can succeed
├── InvalidTransitionError           an event that is impossible in the call's present state
└── InvariantError                   `SchedulerCore.validate` found a broken promise (a bug here)
```

The retryable ones deliberately have no builtin base, not even `TimeoutError`: LangGraph's default
retry rule refuses to retry subclasses of `RuntimeError`, `ValueError` and `OSError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class SchedulerError(Exception):
    """Base of all errors that `langgraph_rsm` raises on its own account."""


class ConfigError(SchedulerError, TypeError):
    """Raised when arguments do not fit together or have the wrong kind; never retryable."""


class EngineError(SchedulerError):
    """Raised when an engine is unknown or is registered twice in conflicting ways."""


class QueueFullError(SchedulerError):
    """Raised when a call arrives while too many calls wait, or its program has too many; retryable.

    Args:
        call_id: The call that was turned away.
        reason: What is full, with numbers, and what to do.
    """

    def __init__(self, *, call_id: str, reason: str) -> None:
        self.call_id = call_id
        self.reason = reason
        super().__init__(f"call {call_id!r} was turned away: {reason}")


class EngineRestingError(SchedulerError):
    """Raised when all engines of a call asked to be left alone for longer than it may wait.

    Retryable, after `retry_after_s`.

    Args:
        call_id: The call that was turned away.
        reason: Which engines rest, for how long, and what to do.
        retry_after_s: Seconds until one may be asked again; infinity if none said.
    """

    def __init__(self, *, call_id: str, reason: str, retry_after_s: float) -> None:
        self.call_id = call_id
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(f"call {call_id!r} was turned away: {reason}")


class QueueTimeoutError(SchedulerError):
    """Raised when a call got no slot in time; retryable.

    Args:
        call_id: The call that gave up.
        timeout_s: How long it waited, in seconds.
        engines: Ids of the engines that it waited for.
    """

    def __init__(self, *, call_id: str, timeout_s: float, engines: Sequence[str]) -> None:
        self.call_id = call_id
        self.timeout_s = timeout_s
        self.engines = tuple(engines)
        super().__init__(
            f"call {call_id!r} got no slot of {', '.join(engines)} within {timeout_s:g} s; add an "
            "engine, raise a capacity, or allow more with SchedulerConfig(queue_timeout_s=..., "
            "call_timeout_s=...)"
        )


class CallTimeoutError(SchedulerError):
    """Raised when a call had no complete answer in time, waiting and retries included; retryable.

    Args:
        engine_id: The engine that was working on it.
        timeout_s: The configured bound, in seconds.
    """

    def __init__(self, *, engine_id: str, timeout_s: float) -> None:
        self.engine_id = engine_id
        self.timeout_s = timeout_s
        super().__init__(
            f"no complete answer within {timeout_s:g} s, lastly from engine {engine_id!r}; the "
            "bound is SchedulerConfig(call_timeout_s=...), counted from the call on, waiting and "
            "retries included"
        )


class InvalidTransitionError(SchedulerError):
    """Raised when an event cannot happen in the state that its call is in.

    Args:
        call_id: The call.
        what: The event and the state that refused it.
        story: Recent transitions of the call, oldest first, one line each.
    """

    def __init__(self, *, call_id: str, what: str, story: Sequence[str]) -> None:
        self.call_id = call_id
        self.story = tuple(story)
        lines = "; ".join(self.story) or "nothing is known of this call"
        super().__init__(
            f"impossible event for call {call_id!r}: {what}; story: {lines}. "
            "Each call must be submitted once and ended once"
        )


class InvariantError(SchedulerError):
    """Raised by `SchedulerCore.validate` when the state contradicts itself."""
