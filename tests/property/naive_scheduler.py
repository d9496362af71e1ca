"""What the scheduler core should do, as plainly as it can be said: flat lists, all recomputed.

Every event costs O(n^2). It shares no code with the core beyond the event types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from langgraph_rsm.core.call import Call


@dataclass(eq=False)
class NaiveProgram:
    name: str
    order: int
    tenant: str
    attained_s: float = 0.0
    critical_s: float = 0.0
    rank: tuple = (0, 0)
    turn: int = -1
    ended: bool = False


@dataclass(eq=False)
class NaiveTenant:
    index: int
    weight: float
    virtual_s: float
    expected_s: float = 1.0


@dataclass(eq=False)
class NaiveCall:
    call: Call
    program: NaiveProgram
    seq: int
    inherited_s: float
    place: tuple = (0, 0)
    submitted_s: float = 0.0
    engine: str | None = None
    started_s: float | None = None
    charged_s: float = 0.0
    sliced_s: float = 0.0
    settled_s: float = 0.0
    reserved_s: float = 0.0
    boosted: bool = False
    preempting: bool = False


@dataclass
class NaiveScheduler:
    policy: str
    order: tuple[str, ...]
    max_wait_s: float
    max_queue: int
    bounds_s: tuple[float, ...]
    preemption_levels: int
    waiting: list[NaiveCall] = field(default_factory=list)
    holding: list[NaiveCall] = field(default_factory=list)
    capacity: dict[str, int] = field(default_factory=dict)
    programs: dict[str, NaiveProgram] = field(default_factory=dict)
    tenants: dict[str, NaiveTenant] = field(default_factory=dict)
    arrivals: int = 0
    submissions: int = 0
    present_s: float = 0.0
    latest_s: float = 0.0
    round: int = 0

    # Events

    def submit(self, call: Call, may_wait: bool, now: float) -> list[str]:
        must_wait = not [e for e in call.engines if self.used(e) < self.capacity[e]]
        if must_wait and may_wait and len(self.waiting) >= self.max_queue:
            return [f"reject {call.call_id}"]
        program = self.programs.get(call.program_id)
        if program is None:
            program = NaiveProgram(call.program_id, self.arrivals, call.tenant)
            self.programs[call.program_id] = program
            self.arrivals += 1
        program.turn = max(program.turn + 1, self.round)
        self.arrive_tenant(call)
        self.submissions += 1
        new = NaiveCall(call, program, self.submissions, program.critical_s)
        self.wait(new, now)
        out = []
        if must_wait and not may_wait:
            out.append(self.place_call(new, list(call.engines), now))
        return out + self.fill(call.engines, now)

    def start(self, call_id: str, now: float) -> None:
        self.held(call_id).started_s = now

    def progress(self, call_id: str, now: float) -> list[str]:
        call = self.held(call_id)
        self.charge(call, now)
        self.rerank(call.program, now)
        others = [c for c in self.holding if c.engine == call.engine]
        if not self.preemption_levels or not call.call.preemptible:
            return []
        if any(c.preempting for c in others):
            return []
        first = self.next_for(call.engine, now)
        if first is None or first[1].call.tenant != call.call.tenant:
            return []
        own = self.rank_of(call.program, now)[0] + self.place_of(call)[0]
        theirs = self.rank_of(first[1].program, now)[0] + first[1].place[0]
        if theirs + self.preemption_levels > own:
            return []
        call.preempting = True
        return [f"preempt {call_id}"]

    def preempted(self, call_id: str, now: float) -> list[str]:
        call = self.held(call_id)
        engine = call.engine
        self.stop(call, now)
        call.engine, call.preempting = None, False
        self.wait(call, now)
        return self.fill((engine, *call.call.engines), now)

    def end(self, call_id: str, now: float) -> list[str]:
        for call in self.waiting:
            if call.call.call_id == call_id:
                self.waiting.remove(call)
                self.leave(call)
                return self.retire(call.program)
        call = self.held(call_id)
        self.stop(call, now)
        program = call.program
        program.critical_s = max(program.critical_s, call.inherited_s + call.charged_s)
        self.leave(call)
        out = self.retire(program)
        if not out:
            self.rerank(program, now)
        return out + self.fill((call.engine,), now)

    def end_program(self, name: str) -> list[str]:
        program = self.programs.get(name)
        if program is None:
            return []
        program.ended = True
        return self.retire(program)

    # Order

    def level_of(self, service_s: float) -> int:
        return sum(service_s >= bound_s for bound_s in self.bounds_s)

    def service_s(self, program: NaiveProgram, now: float) -> float:
        running = [c for c in self.holding if c.program is program and c.started_s is not None]
        return program.attained_s + sum(self.engine_s(c, now) - c.charged_s for c in running)

    def rank_of(self, program: NaiveProgram, now: float) -> tuple:
        if self.policy == "program_fcfs":
            return (0, program.order)
        if self.policy == "plas":
            return (self.level_of(self.service_s(program, now)), 0)
        return (0, 0)

    def place_of(self, call: NaiveCall) -> tuple:
        if self.policy == "mlfq":
            return (self.level_of(call.charged_s), 0)
        if self.policy == "atlas":
            return (self.level_of(call.program.critical_s + call.charged_s), 0)
        if self.policy == "round_robin":
            return (0, call.program.turn)
        return (0, 0)

    def next_for(self, engine: str, now: float) -> tuple | None:
        """Return (lane, call): the first by tenant, then overdue, then the policy's order."""
        boosted = sum(c.boosted for c in self.holding if c.engine == engine)
        best = None
        for call in self.waiting:
            if engine not in call.call.engines:
                continue
            tenant = self.tenants[call.call.tenant]
            share = (tenant.virtual_s, tenant.index)
            key = (*share, 3, *call.program.rank, *call.place, call.seq)
            if boosted < 1 and self.is_oldest(call) and now - call.submitted_s >= self.max_wait_s:
                key = (*share, 0, call.seq)
            if best is None or key < best[0]:
                best = (key, call)
        return None if best is None else (best[0][2], best[1])

    def is_oldest(self, call: NaiveCall) -> bool:
        alike = [
            c.seq
            for c in self.waiting
            if c.call.engines == call.call.engines and c.call.tenant == call.call.tenant
        ]
        return call.seq == min(alike)

    # Steps

    def wait(self, call: NaiveCall, now: float) -> None:
        call.submitted_s = now
        call.place = self.place_of(call)
        self.waiting.append(call)
        self.rerank(call.program, now)

    def rerank(self, program: NaiveProgram, now: float) -> None:
        program.rank = self.rank_of(program, now)

    def fill(self, engines: tuple[str, ...], now: float) -> list[str]:
        out = []
        for engine in engines:
            while self.used(engine) < self.capacity[engine]:
                first = self.next_for(engine, now)
                if first is None:
                    break
                lane, call = first
                call.boosted = lane == 0
                free = [e for e in call.call.engines if self.used(e) < self.capacity[e]]
                out.append(self.place_call(call, free, now))
        return out

    def place_call(self, call: NaiveCall, engines: list[str], now: float) -> str:
        def load(engine: str) -> tuple[float, int]:
            size = self.capacity[engine]
            return (self.used(engine) / size if size else 1.0, self.order.index(engine))

        call.engine = min(engines, key=load)
        self.waiting.remove(call)
        self.holding.append(call)
        self.round = max(self.round, int(call.place[1])) if self.policy == "round_robin" else 0
        tenant = self.tenants[call.call.tenant]
        self.present_s = max(self.present_s, tenant.virtual_s)
        call.reserved_s = tenant.expected_s
        tenant.virtual_s += tenant.expected_s / tenant.weight
        return f"{call.call.call_id}->{call.engine}"

    def engine_s(self, call: NaiveCall, now: float) -> float:
        return call.sliced_s + (0.0 if call.started_s is None else now - call.started_s)

    def charge(self, call: NaiveCall, now: float) -> None:
        gained_s = self.engine_s(call, now) - call.charged_s
        if gained_s > 0:
            call.charged_s += gained_s
            call.program.attained_s += gained_s

    def stop(self, call: NaiveCall, now: float) -> None:
        self.charge(call, now)
        call.sliced_s, call.started_s = self.engine_s(call, now), None
        service_s = call.charged_s - call.settled_s
        call.settled_s, call.boosted = call.charged_s, False
        tenant = self.tenants[call.call.tenant]
        tenant.virtual_s += (service_s - call.reserved_s) / tenant.weight
        tenant.expected_s += 0.1 * (service_s - tenant.expected_s)
        self.holding.remove(call)

    def arrive_tenant(self, call: Call) -> None:
        tenant = self.tenants.get(call.tenant)
        active = [c for c in [*self.waiting, *self.holding] if c.call.tenant == call.tenant]
        if tenant is None:
            weight = 1.0 if call.tenant == "default" else call.weight
            self.tenants[call.tenant] = NaiveTenant(len(self.tenants), weight, self.present_s)
        elif not active:
            tenant.virtual_s = max(tenant.virtual_s, self.present_s)

    def leave(self, call: NaiveCall) -> None:
        self.latest_s = max(self.latest_s, self.tenants[call.call.tenant].virtual_s)
        if not self.waiting and not self.holding:
            self.present_s = max(self.present_s, self.latest_s)

    def used(self, engine: str) -> int:
        return sum(call.engine == engine for call in self.holding)

    def held(self, call_id: str) -> NaiveCall:
        return next(call for call in self.holding if call.call.call_id == call_id)

    def retire(self, program: NaiveProgram) -> list[str]:
        active = any(c.program is program for c in [*self.waiting, *self.holding])
        if active or not program.ended:
            return []
        del self.programs[program.name]
        return [f"retire {program.name}"]
