"""The core under random histories: invariants, fairness, determinism, and a naive reference.

The reference keeps flat lists, recomputes everything on every event in O(n^2), and shares no code
with the core beyond the event types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from langgraph_rsm.balancer import LeastUsed
from langgraph_rsm.core import SchedulerCore
from langgraph_rsm.events import (
    Call,
    CallState,
    Cancelled,
    Dispatch,
    EngineChanged,
    Failed,
    Finished,
    ProgramEnded,
    Reject,
    Retire,
    Started,
    Submitted,
)
from langgraph_rsm.policies import Fcfs, Plas

MAX_WAIT_S = 20.0
MAX_QUEUE = 12
BASE_S = 0.5
LEVELS = 5
ENGINES = ("a", "b", "c")
PROGRAMS = ("p", "q", "r", "s")


@dataclass
class NaiveCall:
    call: Call
    level: int
    submitted_s: float
    may_wait: bool
    engine: str | None = None
    started_s: float | None = None


@dataclass
class NaiveScheduler:
    """What the core should do, as plainly as it can be said."""

    policy: str
    waiting: list[NaiveCall] = field(default_factory=list)
    holding: list[NaiveCall] = field(default_factory=list)
    capacity: dict[str, int] = field(default_factory=dict)
    attained_s: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def level_of(self, program_id: str) -> int:
        if self.policy == "fcfs":
            return 0
        attained_s, level, bound_s = self.attained_s.get(program_id, 0.0), 0, BASE_S
        while attained_s >= bound_s and level < LEVELS - 1:
            level, bound_s = level + 1, bound_s * 2
        return level

    def used(self, engine: str) -> int:
        return sum(call.engine == engine for call in self.holding)

    def free(self, call: NaiveCall) -> list[str]:
        return [e for e in call.call.engines if self.used(e) < self.capacity[e]]

    def submit(self, call: Call, may_wait: bool, now: float) -> list[str]:
        new = NaiveCall(call, self.level_of(call.program_id), now, may_wait)
        if not self.free(new) and may_wait and len(self.waiting) >= MAX_QUEUE:
            return [f"reject {call.call_id}"]
        self.attained_s.setdefault(call.program_id, 0.0)
        self.waiting.append(new)
        if not self.free(new) and not may_wait:
            return [self.place(new, list(call.engines))]
        return self.fill(now)

    def end(self, call_id: str, now: float) -> list[str]:
        out = []
        for call in [*self.waiting, *self.holding]:
            if call.call.call_id == call_id:
                (self.holding if call.engine else self.waiting).remove(call)
                if call.started_s is not None:
                    self.attained_s[call.call.program_id] += now - call.started_s
                out = self.retire(call.call.program_id)
        return out + self.fill(now)

    def end_program(self, program_id: str) -> list[str]:
        if program_id not in self.attained_s:
            return []
        self.ended.add(program_id)
        return self.retire(program_id)

    def retire(self, program_id: str) -> list[str]:
        active = any(c.call.program_id == program_id for c in [*self.waiting, *self.holding])
        if active or program_id not in self.ended:
            return []
        self.ended.discard(program_id)
        del self.attained_s[program_id]
        return [f"retire {program_id}"]

    def fill(self, now: float) -> list[str]:
        out = []
        while ready := [call for call in self.waiting if self.free(call)]:
            chosen = min(ready, key=lambda call: self.key(call, now))
            out.append(self.place(chosen, self.free(chosen)))
        return out

    def key(self, call: NaiveCall, now: float) -> tuple[int, int]:
        # The waiting-time rule looks at the oldest of the calls with the same engines.
        overdue = now - call.submitted_s >= MAX_WAIT_S
        return (-1 if overdue else call.level, self.waiting.index(call))

    def place(self, call: NaiveCall, engines: list[str]) -> str:
        def load(engine: str) -> tuple[float, int]:
            size = self.capacity[engine]
            return (self.used(engine) / size if size else 1.0, ENGINES.index(engine))

        call.engine = min(engines, key=load)
        self.waiting.remove(call)
        self.holding.append(call)
        return f"{call.call.call_id}->{call.engine}"


def shorten(instruction) -> str:
    if isinstance(instruction, Dispatch):
        return f"{instruction.call_id}->{instruction.engine_id}"
    if isinstance(instruction, Reject):
        return f"reject {instruction.call_id}"
    assert isinstance(instruction, Retire)
    return f"retire {instruction.program.program_id}"


def make_core(policy: str) -> SchedulerCore:
    return SchedulerCore(
        policy=Fcfs() if policy == "fcfs" else Plas(levels=LEVELS, base_s=BASE_S),
        balancer=LeastUsed(),
        max_wait_s=MAX_WAIT_S,
        max_queue=MAX_QUEUE,
        program_ttl_s=1e9,
    )


class CoreMachine(RuleBasedStateMachine):
    """Random users: they submit, start, finish, fail, cancel; engines grow, shrink and close."""

    @initialize(policy=st.sampled_from(["fcfs", "plas"]), sizes=st.tuples(*[st.integers(1, 3)] * 3))
    def set_up(self, policy, sizes):
        self.policy = policy
        self.core, self.twin = make_core(policy), make_core(policy)
        self.naive = NaiveScheduler(policy)
        self.now, self.count = 0.0, 0
        self.submitted, self.over = set(), set()
        for engine, size in zip(ENGINES, sizes, strict=True):
            self.naive.capacity[engine] = size
            self.feed(EngineChanged(now=0.0, engine_id=engine, capacity=size))

    def feed(self, event):
        """One event to both cores; returns short instructions, with their claims checked."""
        instructions = self.core.handle(event)
        assert instructions == self.twin.handle(event), "the core is not deterministic"
        short = [shorten(item) for item in instructions]
        assert len(short) == len(set(short)), "an instruction was given twice"
        return short

    def live(self, *states):
        return sorted(
            call_id
            for call_id in self.submitted - self.over
            if self.core.record(call_id).state in states
        )

    @rule(
        program=st.sampled_from(PROGRAMS),
        engines=st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "c"), ENGINES]),
        may_wait=st.sampled_from([True] * 9 + [False]),
    )
    def submit(self, program, engines, may_wait):
        self.count += 1
        call = Call(call_id=f"c{self.count}", program_id=program, engines=engines)
        expected = self.naive.submit(call, may_wait, self.now)
        got = self.feed(Submitted(now=self.now, call=call, may_wait=may_wait))
        assert got == expected
        if got != [f"reject {call.call_id}"]:
            self.submitted.add(call.call_id)

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 3.0, 10.0, MAX_WAIT_S]))
    def let_time_pass(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.live(CallState.DISPATCHED))
    @rule(data=st.data())
    def start(self, data):
        call_id = data.draw(st.sampled_from(self.live(CallState.DISPATCHED)))
        for call in self.naive.holding:
            if call.call.call_id == call_id:
                call.started_s = self.now
        assert self.feed(Started(now=self.now, call_id=call_id)) == []

    @precondition(lambda self: self.live(CallState.RUNNING))
    @rule(data=st.data(), kind=st.sampled_from([Finished, Finished, Failed, Cancelled]))
    def end_running(self, data, kind):
        self.end(data.draw(st.sampled_from(self.live(CallState.RUNNING))), kind)

    @precondition(lambda self: self.live(CallState.WAITING, CallState.DISPATCHED))
    @rule(data=st.data())
    def give_up(self, data):
        names = self.live(CallState.WAITING, CallState.DISPATCHED)
        self.end(data.draw(st.sampled_from(names)), Cancelled)

    def end(self, call_id, kind):
        expected = self.naive.end(call_id, self.now)
        assert self.feed(kind(now=self.now, call_id=call_id)) == expected
        self.over.add(call_id)

    @rule(engine=st.sampled_from(ENGINES), capacity=st.integers(0, 4))
    def change_engine(self, engine, capacity):
        self.naive.capacity[engine] = capacity
        expected = self.naive.fill(self.now)
        got = self.feed(EngineChanged(now=self.now, engine_id=engine, capacity=capacity))
        assert got == expected

    @rule(program=st.sampled_from(PROGRAMS))
    def end_program(self, program):
        expected = self.naive.end_program(program)
        assert self.feed(ProgramEnded(now=self.now, program_id=program)) == expected

    @invariant()
    def core_is_consistent(self):
        self.core.validate()

    @invariant()
    def no_call_is_lost_or_doubled(self):
        waiting = {ticket.call_id for ticket in self.core.waiting}
        holding = [c for load in self.core.engines.values() for c in load.in_flight]
        assert waiting == {call.call.call_id for call in self.naive.waiting}
        assert sorted(holding) == sorted(call.call.call_id for call in self.naive.holding)
        assert waiting.union(holding) == self.submitted - self.over

    @invariant()
    def attained_service_agrees(self):
        got = {program.program_id: program.attained_s for program in self.core.programs}
        assert got == self.naive.attained_s

    def teardown(self):
        if not hasattr(self, "core"):
            return
        for call_id in sorted(self.submitted - self.over):
            self.end(call_id, Cancelled)
        assert not any(load.in_flight for load in self.core.engines.values())
        assert len(self.core.waiting) == 0
        self.core.validate()


CoreMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestCore = CoreMachine.TestCase
