"""State of the scheduler core: the parts it is made of, and what may be seen of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.engines.balancer import Balancer, create_balancer
from langgraph_rsm.core.engines.engines import Engines
from langgraph_rsm.core.events import UNBOUNDED
from langgraph_rsm.core.machine.accounts import Accounts
from langgraph_rsm.core.machine.call_record import CallBook, CallRecord
from langgraph_rsm.core.machine.placement import Placement
from langgraph_rsm.core.policies import Policy, create_policy
from langgraph_rsm.core.programs.table import ProcessTable
from langgraph_rsm.core.queueing.fairness import StarvationGuard, Tenants
from langgraph_rsm.core.queueing.waiting import WaitingRoom
from langgraph_rsm.core.snapshots import EngineSnapshot, SchedulerSnapshot, TenantSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langgraph_rsm.core.engines.load import EngineLoad
    from langgraph_rsm.core.queueing.fairness import Tenant


class CoreState:
    """All state of a core, to be read by anybody and changed by `SchedulerCore` alone.

    Args:
        config: Settings; None means the defaults.
        policy: Order of the waiting calls; None takes the one that `config` names, with nothing
            learned before.
        balancer: Choice among engines; None takes the one that `config` names.
        preemption_levels: A preemptible call yields to one waiting this many levels lower; 0 for
            never.
    """

    def __init__(
        self,
        config: SchedulerConfig | None = None,
        *,
        policy: Policy | None = None,
        balancer: Balancer | None = None,
        preemption_levels: int = 0,
    ) -> None:
        self._preemption_levels = preemption_levels
        self._config = config = config or SchedulerConfig()
        self._policy = policy = policy or create_policy(config)
        self._balancer = balancer = balancer or create_balancer(config)
        self._waiting = WaitingRoom(max_wait_s=config.max_wait_s)
        self._table = ProcessTable(ttl_s=config.program_ttl_s)
        self._tenants = Tenants(config.tenant_weights)
        self._guard = StarvationGuard(beta=config.beta)
        self._engines = Engines(adaptive_window=config.adaptive_window)
        self._book = CallBook()
        self._placement = Placement(
            policy=policy,
            balancer=balancer,
            waiting=self._waiting,
            engines=self._engines,
            calls=self._book.live,
            guard=self._guard,
            boosted_share=config.boosted_share,
            urgent_before_s=config.urgent_before_s,
        )
        self._accounts = Accounts(
            policy=policy,
            meter=config.service,
            tenants=self._tenants,
            guard=self._guard,
            waiting=self._waiting,
        )
        self._now = float("-inf")
        self._seq = 0

    def story(self, call_id: str) -> tuple[str, ...]:
        """Return the recent transitions of a call, oldest first; empty for an unknown call."""
        record = self._book.get(call_id)
        return () if record is None else record.tell()

    def record(self, call_id: str) -> CallRecord | None:
        """Return a live or recently ended call, to be read only; None if unknown."""
        return self._book.get(call_id)

    def is_live(self, call_id: str) -> bool:
        """Return whether the call waits or holds a slot."""
        return call_id in self._book.live

    @property
    def now(self) -> float:
        """Time of the last event, in seconds; minus infinity before the first."""
        return self._now

    @property
    def wakeup_s(self) -> float | None:
        """When a `Tick` is due if nothing else happens; None if time alone changes nothing."""
        return self._engines.wakeup_s(self._now) if len(self._waiting) else None

    @property
    def engines(self) -> Mapping[str, EngineLoad]:
        """Engines by id, in order of registration; to be read only."""
        return self._engines.loads

    @property
    def programs(self) -> ProcessTable:
        """The process table; to be read only."""
        return self._table

    @property
    def tenants(self) -> Tenants:
        """The tenants; to be read only."""
        return self._tenants

    @property
    def waiting(self) -> WaitingRoom:
        """The waiting calls; to be read only."""
        return self._waiting

    def validate(self) -> None:
        """Check every invariant in O(calls x engines per call), see `check_core`.

        Raises:
            InvariantError: The state contradicts itself.
        """
        from langgraph_rsm.core.machine.invariants import check_core

        check_core(self._book.live, self._waiting, self._engines, self._table, self._now)


def take_snapshot(core: CoreState, policy: str, now: float) -> SchedulerSnapshot:
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
        capacity=None if load.capacity >= UNBOUNDED else load.capacity,
        limit=None if load.limit >= UNBOUNDED else load.limit,
        in_flight=len(load.in_flight),
        health=load.health.state(now).value,
        resident_programs=len(load.memory),
        resident_tokens=load.memory.used_tokens,
        server=None if load.seen is None else load.seen.server,
        engine_waiting=None if load.seen is None else load.seen.waiting,
        engine_running=None if load.seen is None else load.seen.running,
        kv_usage_ratio=None if load.seen is None else load.seen.kv_usage_ratio,
        prefix_hit_ratio=None if load.seen is None else load.seen.prefix_hit_ratio,
    )


def _tenant_snapshot(tenant: Tenant) -> TenantSnapshot:
    return TenantSnapshot(
        tenant_id=tenant.tenant_id,
        weight=tenant.weight,
        active=tenant.active,
        service_s=tenant.service_s,
    )
