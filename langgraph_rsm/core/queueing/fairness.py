"""Fairness: tenants share service by their weights, and no program starves.

Tenants: start-time fair queueing (Goyal et al., SIGCOMM 1996). Each has a virtual time, its service
divided by its weight; the tenant with the least goes first, and one that returns from idling starts
at the present, so that idleness earns no credit. Service is charged when a call starts, at what
calls of the tenant have taken on average, and corrected as it becomes known.

Starvation: Autellix (arXiv 2502.13965, algorithm 1) promotes what has waited `beta` times as long
as it was served. There a program's wait is never reset, so that a program once promoted stays on
top, and a promoted call's service is, so that it is under-charged. Here wait and service of the
*recent* past are counted apart from the totals, fade exponentially, and start again at a promotion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langgraph_rsm.core.lazy_heap import LazyHeap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program

_LEARNING_RATIO = 0.1
"""Weight of the latest call in a tenant's average: the last ten or so count."""
_TOLERANCE_S = 1e-6
"""Earlier than due by which a program is promoted: rounding must not set a timer to the present."""
_KEPT_IDLE = 64
"""Idle tenants kept before they are looked through for ones that have no debt."""


@dataclass(slots=True, kw_only=True)
class Tenant:
    """Whom programs are run for."""

    tenant_id: str
    index: int
    """Order of appearance; breaks ties."""
    weight: float
    virtual_s: float
    """Service charged so far, in seconds, divided by the weight; jumps forward after idling."""
    active: int = 0
    """Calls waiting or holding a slot."""
    service_s: float = 0.0
    """Service received, undivided."""
    expected_s: float = 1.0
    """Average service of a call; the first guess is of the order of a short answer."""


class Tenants:
    """Virtual times of all tenants with calls, and of idle ones in debt.

    Args:
        weights: Shares by tenant; None and missing ones take the weight that calls declare.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._tenants: dict[str, Tenant] = {}
        self._present_s = 0.0
        self._latest_s = 0.0
        self._count = self._active = self._idle = 0

    def arrive(self, call: Call) -> Tenant:
        """Count a submitted call."""
        tenant = self._tenants.get(call.tenant)
        if tenant is None:
            tenant = self._tenants[call.tenant] = Tenant(
                tenant_id=call.tenant, index=self._count, weight=1.0, virtual_s=self._present_s
            )
            self._count += 1
        elif not tenant.active:
            self._idle -= 1
            tenant.virtual_s = max(tenant.virtual_s, self._present_s)
        declared = 1.0 if call.tenant == "default" else call.weight
        tenant.weight = self._weights.get(call.tenant, declared)
        tenant.active += 1
        self._active += 1
        return tenant

    def dispatch(self, tenant: Tenant) -> float:
        """Charge a call that gets a slot what calls of its tenant take; returns that."""
        if tenant.virtual_s > self._present_s:
            self._present_s = tenant.virtual_s
        tenant.virtual_s += tenant.expected_s / tenant.weight
        return tenant.expected_s

    def settle(self, tenant: Tenant, *, reserved_s: float, service_s: float) -> None:
        """Replace what was charged for a call by what it took."""
        tenant.virtual_s += (service_s - reserved_s) / tenant.weight
        tenant.service_s += service_s
        tenant.expected_s += _LEARNING_RATIO * (service_s - tenant.expected_s)

    def leave(self, tenant: Tenant) -> None:
        """Count a call that ended; a tenant without calls and debt is forgotten in time."""
        tenant.active -= 1
        self._active -= 1
        if tenant.virtual_s > self._latest_s:
            self._latest_s = tenant.virtual_s
        if not self._active:  # nobody was kept waiting: all debts are paid
            self._present_s = max(self._present_s, self._latest_s)
        if tenant.active:
            return
        self._idle += 1
        if self._idle > _KEPT_IDLE and self._idle * 2 > len(self._tenants):
            self._forget_idle()

    def _forget_idle(self) -> None:
        for tenant in list(self._tenants.values()):
            if not tenant.active and tenant.virtual_s <= self._present_s:
                del self._tenants[tenant.tenant_id]
                self._idle -= 1

    def __getitem__(self, tenant_id: str) -> Tenant:
        return self._tenants[tenant_id]

    def __len__(self) -> int:
        return len(self._tenants)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(self._tenants.values())


class StarvationGuard:
    """Finds programs whose recent wait reaches `beta` times their recent service.

    Args:
        beta: The ratio; infinity turns promotion off. Autellix publishes no value; below about 8
            everything is promoted all the time, and the order becomes first come, first served.
        memory_s: Time in which the past fades to 1/e, in seconds; at least twice beta x floor, so
            that the recent wait, which cannot exceed it, can reach the bound.
        floor_s: Least service to compare with, so that a program's first call is not promoted at
            once.
    """

    def __init__(self, *, beta: float, memory_s: float = 300.0, floor_s: float = 1.0) -> None:
        self._beta = beta
        self._memory_s = memory_s if beta == math.inf else max(memory_s, 2 * beta * floor_s)
        self._floor_s = floor_s
        self._due = LazyHeap()
        self.next_s = math.inf
        """No program is to be promoted before."""
        self._watched: dict[str, Program] = {}

    def watch(self, program: Program, now: float) -> None:
        """Look anew at a program: it began or ceased to wait.

        A program has at most one timer. What happens to it meanwhile can only put its promotion
        off, so the timer may stay as it is and be set anew when it goes off too early.
        """
        if not program.waiting:
            program.promoted_left = 0
        elif self._beta != math.inf and program.program_id not in self._watched:
            self._set(program, now)

    def before(self, program: Program, now: float) -> None:
        """Bring the recent past up to date; call it before `waiting` or the service changes."""
        if now > program.recent_at_s and self._beta != math.inf:
            self._fade(program, now)

    def reset(self, program: Program, now: float) -> None:
        """Begin the recent past of a program anew."""
        program.recent_wait_s = program.recent_service_s = 0.0
        program.recent_at_s = now

    def pop_due(self, now: float) -> Program | None:
        """Return a program that is to be promoted now; None if there is no (further) one."""
        due = self._due
        while (first := due.first()) is not None and first[0] <= now:
            program_id = first[-1]
            program = self._watched[program_id]
            waits = program.waiting and not program.promoted_left
            if waits:
                self._fade(program, now)
                delay_s = self._delay_s(program)
                if delay_s > _TOLERANCE_S:
                    due.set_first((now + delay_s, program_id))
                    continue
            due.pop_due(now)
            del self._watched[program_id]
            if waits:
                return program
        self.next_s = math.inf if first is None else first[0]
        return None

    def forget(self, program_id: str) -> None:
        """Stop watching a program."""
        if self._watched.pop(program_id, None) is not None:
            self._due.discard(program_id)

    def _set(self, program: Program, now: float) -> None:
        self._fade(program, now)
        due_s = now + self._delay_s(program)
        self.next_s = min(self.next_s, due_s)
        self._due.set((due_s, program.program_id))
        self._watched[program.program_id] = program

    def _fade(self, program: Program, now: float) -> None:
        elapsed_s = now - program.recent_at_s
        if elapsed_s <= 0:
            return
        kept = math.exp(-elapsed_s / self._memory_s)
        program.recent_wait_s *= kept
        program.recent_service_s *= kept
        if program.waiting:
            program.recent_wait_s += self._memory_s * (1 - kept)
        program.recent_at_s = now

    def _delay_s(self, program: Program) -> float:
        """Return for how much longer the program must wait until it is to be promoted.

        After t seconds the recent wait is W k + M (1 - k) with k = exp(-t / M), and the service is
        T k, but counts for at least F. The wait must reach beta times both.
        """
        memory_s, wait_s = self._memory_s, program.recent_wait_s
        served_s = self._beta * program.recent_service_s
        floor_s = self._beta * self._floor_s
        delay_s = 0.0
        if wait_s < served_s:
            delay_s = memory_s * math.log1p((served_s - wait_s) / memory_s)
        if wait_s < floor_s:
            reached_s = memory_s * math.log((memory_s - wait_s) / (memory_s - floor_s))
            delay_s = max(delay_s, reached_s)
        return delay_s
