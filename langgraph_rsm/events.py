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
    from langgraph_rsm.process_table import ProgramSnapshot

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
    tenant: str = "default"
    """Who the program is run for."""
    weight: float = 1.0
    """Share of the tenant or program relative to others, above 0."""


class CallState(Enum):
    """Where a call is in its life."""

    WAITING = "waiting"
    """In a queue, no slot."""
    DISPATCHED = "dispatched"
    """A slot is reserved; the caller has been told but has not begun yet."""
    RUNNING = "running"
    """The engine works on it."""
    DONE = "done"
    """Answered."""
    FAILED = "failed"
    """Ended by an error."""
    CANCELLED = "cancelled"
    """Given up by its caller, before or after it had a slot."""
    REJECTED = "rejected"
    """Never queued: too many calls waited."""

    __hash__ = object.__hash__  # identity is enough and three times as fast as Enum's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A caller asks for a slot."""

    now: float
    call: Call
    may_wait: bool = True
    """False for a caller whose own waiting could keep slots from ever coming back: it starts at
    once, beyond the capacity if need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The caller of a dispatched call begins its request: engine time counts from here."""

    now: float
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete."""

    now: float
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The request ended with an error."""

    now: float
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The caller gave up, waiting or running."""

    now: float
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChanged:
    """An engine appears or has a new capacity; running calls beyond it are left to finish."""

    now: float
    engine_id: str
    capacity: int
    """Calls in flight allowed from now on; 0 closes the engine to new calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnded:
    """No further calls of the program are expected; its entry goes with its last call."""

    now: float
    program_id: str


Event = Submitted | Started | Finished | Failed | Cancelled | EngineChanged | ProgramEnded
"""Everything that can happen to the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Let the call begin on the engine; a slot there is reserved for it."""

    call_id: str
    engine_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Turn the call away."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Tell observers that the program's entry is gone."""

    program: ProgramSnapshot


Instruction = Dispatch | Reject | Retire
"""Everything that the core can ask of its shell."""
