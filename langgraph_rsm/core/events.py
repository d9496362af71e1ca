"""Vocabulary of the core: what happens (events) and what to do (instructions).

Events carry the time at which they happened, in seconds of one monotonic clock that the caller
owns, so that the core needs no clock: `now` never decreases from one event to the next.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.core.programs.table import ProgramSnapshot
    from langgraph_rsm.telemetry.records import TokenUsage

_call_numbers = itertools.count(1)


def _next_call_id() -> str:
    return f"call-{next(_call_numbers)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model call, as far as scheduling needs to know it; prompts are never part of it."""

    program_id: str
    """The program (usually one graph run) that the call belongs to."""
    engines: tuple[str, ...]
    """Ids of the engines that can serve the call; at least one."""
    call_id: str = field(default_factory=_next_call_id)
    """Unique among the calls of one scheduler; a process-wide number when not given."""
    thread_id: str = ""
    """The branch of the program that waits for the answer; empty for the main one."""
    call_site: str = ""
    """Where in the program the call is made, such as `research/planner`; empty when unknown."""
    graph: str = ""
    """Fingerprint of the graph that the program runs: programs with the same one are expected to
    cost alike; empty when unknown."""
    tenant: str = "default"
    """Who the program is run for."""
    weight: float = 1.0
    """Share relative to others, above 0: of the tenant, or of the program where the tenant is
    `default`."""
    parents: tuple[str, ...] = ()
    """Calls of the program whose answers this one needed; empty when they were not observed."""
    remaining_path_s: float | None = None
    """Expected engine time of the longest chain of calls that begins with this one, in seconds;
    None when the graph does not tell."""
    prompt_tokens: int = 0
    """Estimated length of the prompt; 0 when unknown."""
    output_tokens: int = 0
    """Expected length of the answer; 0 when unknown."""
    prefix_id: str = ""
    """Identity of a prefix that calls of several programs share, such as a system prompt."""
    prefix_tokens: int = 0
    """Part of `prompt_tokens` that `prefix_id` covers."""
    deadline_s: float | None = None
    """When the answer is due, in seconds of the scheduler's clock; None for no deadline."""
    interactive: bool = False
    """Whether a person is waiting for this very answer."""
    preemptible: bool = False
    """Whether the call can be stopped in the middle and taken up again, see `Preempt`."""
    oracle_remaining_s: float | None = None
    """True engine time that the program still needs, this call included; for simulations only, and
    only the policy `srpt_oracle` looks at it."""


class CallState(Enum):
    """Where a call is in its life."""

    WAITING = "waiting"
    """In a queue, no slot."""
    DISPATCHED = "dispatched"
    """A slot is reserved; the caller has been told but has not begun yet."""
    RUNNING = "running"
    """The engine works on it."""
    PREEMPTING = "preempting"
    """It has been asked to give its slot back and to wait again, and has not yet done so."""
    DONE = "done"
    """Answered."""
    FAILED = "failed"
    """Ended by an error."""
    CANCELLED = "cancelled"
    """Given up by its caller, before or after it had a slot."""
    REJECTED = "rejected"
    """Never queued: too many calls waited."""

    __hash__ = object.__hash__  # identity is enough and three times as fast as Enum's own


class Fault(Enum):
    """Whom the failure of a request says something about."""

    CALL = "call"
    """Only the call: a refused prompt, a bad argument."""
    RATE_LIMIT = "rate_limit"
    """The engine is healthy but has had enough: 429, or 503 with a time to come back."""
    ENGINE = "engine"
    """The engine: no connection, a crash, 5xx, no answer in time."""


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
    """Calls in flight allowed from now on; 0 drains the engine: no new calls."""
    limits: EngineLimits | None = None
    """None leaves the limits as they are, at first none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineObserved:
    """Something was learned of an engine besides the ends of calls: metrics, response headers."""

    now: float
    engine_id: str
    waiting: int | None = None
    """Requests in the engine's own queue; None when unknown."""
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
    """What is full, with numbers, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Tell observers that the program's entry is gone."""

    program: ProgramSnapshot


Instruction = Dispatch | Preempt | Reject | Retire
"""Everything that the core can ask of its shell."""
