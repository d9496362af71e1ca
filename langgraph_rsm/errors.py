"""Errors of the scheduler: every message says what happened, where, and what to do about it.

```text
SchedulerError
├── ConfigError (also a TypeError)   arguments that do not fit together; change the code
├── EngineError                      an engine is unknown, or was registered twice differently
├── QueueFullError                   too many calls wait; retrying later can succeed
├── InvalidTransitionError           an event that is impossible in the call's present state
└── InvariantError                   `SchedulerCore.validate` found a broken promise (a bug here)
```

`QueueFullError` deliberately has no builtin base: LangGraph's default retry rule refuses to retry
subclasses of `RuntimeError`, `ValueError` and `OSError`, and a full queue is worth a retry.
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
