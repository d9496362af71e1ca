"""Records that hooks receive. Times are seconds of the scheduler's clock; prompts never appear.

Intervals lie between named events only: *wait* from submitted to dispatched, *service* from
started to finished, *time to first token* from started to the first chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call, TokenUsage
    from langgraph_rsm.core.snapshots import ProgramSnapshot


class Outcome(StrEnum):
    """How a call ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSubmitted:
    """A call entered the queue (also when a slot is free at once)."""

    at_s: float
    call: Call
    level: int
    """Queue it waits in, 0 first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDispatched:
    """A call got a slot."""

    at_s: float
    call: Call
    level: int
    engine_id: str
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstToken:
    """The first chunk of a streamed answer arrived."""

    at_s: float
    call: Call
    engine_id: str
    ttft_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished:
    """A call ended in any way; the last record of each call, exactly one per call."""

    at_s: float
    call: Call
    level: int
    outcome: Outcome
    engine_id: str | None
    """None when the call never had a slot."""
    wait_s: float
    service_s: float
    """0 when the call never started."""
    ttft_s: float | None
    """None when the answer was not streamed or no chunk came."""
    tokens: TokenUsage | None
    """None when the provider reported none."""
    error_type: str | None
    """Class name of the exception of a failed call; None otherwise."""
    chunks: int = 0
    """Chunks of a streamed answer."""
    mean_gap_s: float | None = None
    """Mean time between chunks; None below two of them."""
    longest_gap_s: float | None = None
    """Longest time between two chunks; None below two of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFinished:
    """A program's entry was removed: its run ended, or it was idle for too long."""

    at_s: float
    program: ProgramSnapshot


Record = CallSubmitted | CallDispatched | FirstToken | CallFinished | ProgramFinished
"""Everything a hook can receive."""


class Hook(Protocol):
    """Observer of a scheduler.

    Records come one at a time in the order of their events, from whichever thread caused them. A
    hook must be quick and must not block: it runs between the calls of the program. What it raises
    is logged once and otherwise ignored.
    """

    def __call__(self, record: Record, /) -> None:
        """Take note of a record."""
