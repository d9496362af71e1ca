"""Snapshots: the state of a scheduler at one moment, as immutable records for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langgraph_rsm.core.engines.load import EngineLoad
    from langgraph_rsm.core.machine.core import SchedulerCore
    from langgraph_rsm.core.programs.table import ProgramSnapshot
    from langgraph_rsm.core.queueing.fairness import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSnapshot:
    """Slots of an engine at one moment."""

    engine_id: str
    capacity: int
    limit: int
    """Calls that may be in flight now; below the capacity while an adaptive window is."""
    in_flight: int
    health: str
    """`up`, `down` or `probing`."""
    resident_programs: int
    """Programs whose context the engine is to keep; 0 when its memory is not bounded."""
    resident_tokens: int


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


def take_snapshot(core: SchedulerCore, policy: str, now: float) -> SchedulerSnapshot:
    """Copy what may be seen of a core; O(programs + waiting calls + engines).

    Args:
        core: The core; nobody may change it meanwhile.
        policy: Name of its policy.
        now: Time in seconds, that of its last event or later.
    """
    return SchedulerSnapshot(
        at_s=now,
        policy=policy,
        waiting=core.waiting.depths(),
        engines=tuple(_engine_snapshot(load, now) for load in core.engines.values()),
        tenants=tuple(map(_tenant_snapshot, core.tenants)),
        programs=tuple(program.snapshot(now) for program in core.programs),
    )


def _engine_snapshot(load: EngineLoad, now: float) -> EngineSnapshot:
    return EngineSnapshot(
        engine_id=load.engine_id,
        capacity=load.capacity,
        limit=load.limit,
        in_flight=len(load.in_flight),
        health=load.health.state(now).value,
        resident_programs=len(load.memory),
        resident_tokens=load.memory.used_tokens,
    )


def _tenant_snapshot(tenant: Tenant) -> TenantSnapshot:
    return TenantSnapshot(
        tenant_id=tenant.tenant_id,
        weight=tenant.weight,
        active=tenant.active,
        service_s=tenant.service_s,
    )
