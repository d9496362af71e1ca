"""Vocabulary of the core: what happens (events) and what to do (instructions).

Events carry the time at which they happened, in seconds of one monotonic clock that the caller
owns, so that the core needs no clock: `now` never decreases from one event to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call, TokenUsage
    from langgraph_rsm.core.snapshots import ProgramSnapshot


UNBOUNDED = 1 << 30
"""Capacity of an engine of which nobody said how many calls it takes."""


class Fault(Enum):
    """Whom the failure of a request says something about."""

    CALL = "call"
    """Only the call: a refused prompt, a bad argument."""
    RATE_LIMIT = "rate_limit"
    """The engine is healthy but has had enough: 429, or 503 with a time to come back."""
    ENGINE = "engine"
    """The engine: no connection, a crash, 5xx."""
    SILENCE = "silence"
    """The engine, unless it has answered another call since this one began: no answer in time."""
    REFUSAL = "refusal"
    """The engine will refuse other calls as well: a wrong key, address or model, no money left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What an engine can take; None means unlimited or unknown."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and answer together."""
    kv_tokens: int | None = None
    """Tokens of context that its key-value cache holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHeaders:
    """Rate-limit headers of one response; None where a header is missing."""

    remaining_requests: float | None = None
    reset_requests_s: float | None = None
    """Seconds until the limit of requests is full again."""
    remaining_tokens: float | None = None
    reset_tokens_s: float | None = None
    """Seconds until the limit of tokens is full again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A caller asks for a slot."""

    now: float
    call: Call
    may_wait: bool = True
    """False for a caller whose own waiting could keep slots from ever coming back: it starts at
    once, beyond the capacity if need be."""
    place: int | None = None
    """Position among all submissions to take, that of a failed attempt of the same call; None for
    the end."""
    timeout_s: float | None = None
    """Seconds that the caller will wait for a slot; None for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The caller of a dispatched call begins its request: engine time counts from here."""

    now: float
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A running call has been served so far; a preemptible one may be answered by `Preempt`."""

    now: float
    call_id: str
    tokens: TokenUsage | None = None
    """Tokens of the whole call so far, all slices together; None when not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempted:
    """A call that was told to `Preempt` has stopped: it waits again, and its slot is free."""

    now: float
    call_id: str
    tokens: TokenUsage | None = None
    """Tokens of the whole call so far, all slices together; None when not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete."""

    now: float
    call_id: str
    tokens: TokenUsage | None = None
    """Tokens of the whole call; None when not counted."""
    ttft_s: float | None = None
    """Seconds from the start to the first token; None when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The request ended with an error."""

    now: float
    call_id: str
    tokens: TokenUsage | None = None
    fault: Fault = Fault.CALL
    retry_after_s: float | None = None
    """How long the engine asked to be left alone; None when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The caller gave up, waiting or running."""

    now: float
    call_id: str
    tokens: TokenUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChanged:
    """An engine appears or has a new capacity; running calls beyond it are left to finish."""

    now: float
    engine_id: str
    capacity: int
    """Calls in flight allowed from now on; 0 drains the engine: no new calls. `UNBOUNDED` lets it
    have all of them until there are signs that they wait in it."""
    limits: EngineLimits | None = None
    """None leaves the limits as they are, at first none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineObserved:
    """Something was learned of an engine besides the ends of calls: metrics, response headers."""

    now: float
    engine_id: str
    waiting: int | None = None
    """Requests in the engine's own queue; None when unknown."""
    running: int | None = None
    """Requests in its batch; None when unknown."""
    seats: int | None = None
    """Most requests in its batch, as far as it says; else None."""
    kv_usage_ratio: float | None = None
    """Share of its key-value cache in use; None when unknown."""
    prefix_hit_ratio: float | None = None
    """Share of the prompts' tokens that were cached, since it started; None when unknown."""
    server: str | None = None
    """What it is and of which version; None when unknown."""
    headers: RateHeaders | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnded:
    """No further calls of the program are expected; its entry goes with its last call."""

    now: float
    program_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Only time has passed; due at `SchedulerCore.wakeup_s`, harmless at any other time."""

    now: float


Event = (
    Submitted
    | Started
    | Progress
    | Preempted
    | Finished
    | Failed
    | Cancelled
    | EngineChanged
    | EngineObserved
    | ProgramEnded
    | Tick
)
"""Everything that can happen to the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Let the call begin on the engine; a slot there is reserved for it."""

    call_id: str
    engine_id: str
    level: int = 0
    """Queue it came from, 0 first: what to tell an engine that has priorities of its own."""
    not_before_s: float | None = None
    """When it may begin, for a call that waits for no slot but for the engine's rest; None for at
    once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """Stop the running call where it is, keep what it has, and tell `Preempted`.

    Its next `Dispatch` continues it. Only calls that said to be preemptible are told, and only in
    answer to their own `Progress`. A call that ends before it stops just ends.
    """

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Turn the call away."""

    call_id: str
    reason: str
    """What is full or rests, with numbers, and what to do."""
    retry_after_s: float | None = None
    """Seconds until an engine may be asked again; None when the reason is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Tell observers that the program's entry is gone."""

    program: ProgramSnapshot


Instruction = Dispatch | Preempt | Reject | Retire
"""Everything that the core can ask of its shell."""
