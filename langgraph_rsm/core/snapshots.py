"""Snapshots: the state of a scheduler at one moment, as immutable records for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ProgramState(StrEnum):
    """What a program is doing."""

    REASONING = "reasoning"
    """It has calls waiting or running."""
    ACTING = "acting"
    """It has none: its tools, its code or a person are at work."""
    DONE = "done"
    """Its run is over; the entry goes with the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSnapshot:
    """State of a program at one moment; all times in seconds of the scheduler's clock."""

    program_id: str
    tenant: str
    weight: float
    arrived_s: float
    """Arrival of its first call."""
    state: ProgramState
    attained_s: float
    """Service of all its calls together, as far as it is known."""
    critical_path_s: float
    """Service along the longest observed chain of its calls."""
    wait_s: float
    """Time during which at least one of its calls waited."""
    context_tokens: int
    """Length of its latest call, prompt and answer; 0 when unknown."""
    home: str | None
    """Engine that served its latest call, whose cache is likely to hold its context."""
    waiting: int
    running: int
    finished: int
    """Calls that ended in any way."""
    engines: tuple[tuple[str, int], ...]
    """Engines used and how many of its calls each served, most used first."""
    threads: tuple[str, ...]
    """Branches with a call waiting or running, sorted."""
    last_arrival_s: float
    last_completion_s: float | None
    """End of its latest call; None while none has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSnapshot:
    """Slots of an engine at one moment."""

    engine_id: str
    capacity: int | None
    """Most calls in flight; None for one of which nobody said how many it takes."""
    limit: int | None
    """Calls that may be in flight now; below the capacity while an adaptive window is. None for any
    number."""
    in_flight: int
    health: str
    """`up`, `down` or `probing`."""
    resident_programs: int
    """Programs whose context the engine is to keep; 0 when its memory is not bounded."""
    resident_tokens: int
    server: str | None = None
    """What the engine says it is, and its version; None when it does not say."""
    engine_waiting: int | None = None
    """Requests in its own queue when it was last asked; None when it does not say."""
    engine_running: int | None = None
    """Requests in its batch when it was last asked; None when it does not say."""
    kv_usage_ratio: float | None = None
    """Share of its key-value cache in use; None when it does not say."""
    prefix_hit_ratio: float | None = None
    """Share of the prompts' tokens that it had cached; None when it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSnapshot:
    """Service of a tenant at one moment."""

    tenant_id: str
    weight: float
    active: int
    """Calls waiting or running."""
    service_s: float
    """Service of its calls since it was last forgotten, which is when it owes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSnapshot:
    """State of a scheduler at one moment."""

    at_s: float
    """Seconds of the scheduler's clock."""
    policy: str
    waiting: Mapping[int, int]
    """Waiting calls per level, ascending; empty when nothing waits."""
    engines: tuple[EngineSnapshot, ...]
    """In order of registration."""
    tenants: tuple[TenantSnapshot, ...]
    """In order of appearance."""
    programs: tuple[ProgramSnapshot, ...]
    """In order of arrival; ended programs are gone."""
