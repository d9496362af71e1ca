"""The core under random histories: invariants, fairness, determinism, and a naive reference."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from case_counts import cases
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from naive_scheduler import NaiveScheduler

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.call import Call, CallState
from langgraph_rsm.core.engines.balancer import LeastUsed
from langgraph_rsm.core.events import (
    Cancelled,
    Dispatch,
    EngineChanged,
    Failed,
    Finished,
    Preempt,
    Preempted,
    ProgramEnded,
    Progress,
    Reject,
    Retire,
    Started,
    Submitted,
    Tick,
)
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.core.policies import Atlas, Fcfs, Levels, Mlfq, Plas, ProgramFcfs, RoundRobin

MAX_WAIT_S = 20.0
MAX_QUEUE = 12
LEVELS = Levels(levels=5, base_s=0.5)
ENGINES = ("a", "b", "c")
TENANTS = {"p": "default", "q": "default", "r": "gold", "s": "gold"}
POLICIES = {
    "fcfs": Fcfs,
    "program_fcfs": ProgramFcfs,
    "round_robin": RoundRobin,
    "mlfq": lambda: Mlfq(LEVELS),
    "plas": lambda: Plas(LEVELS),
    "atlas": lambda: Atlas(LEVELS),
}


def shorten(instruction) -> str:
    if isinstance(instruction, Dispatch):
        return f"{instruction.call_id}->{instruction.engine_id}"
    if isinstance(instruction, Reject):
        return f"reject {instruction.call_id}"
    if isinstance(instruction, Preempt):
        return f"preempt {instruction.call_id}"
    assert isinstance(instruction, Retire)
    return f"retire {instruction.program.program_id}"


def make_core(policy: str, levels: int) -> SchedulerCore:
    config = SchedulerConfig(
        max_wait_s=MAX_WAIT_S,
        max_queue=MAX_QUEUE,
        program_ttl_s=1e9,
        beta=float("inf"),
    )
    return SchedulerCore(
        config,
        policy=POLICIES[policy](),
        balancer=LeastUsed(),
        preemption_levels=levels,
    )


class CoreMachine(RuleBasedStateMachine):
    """Random users: they submit, start, finish, fail, cancel; engines grow, shrink and close."""

    @initialize(
        policy=st.sampled_from(sorted(POLICIES)),
        sizes=st.tuples(*[st.integers(1, 3)] * 3),
        levels=st.integers(0, 2),
    )
    def set_up(self, policy, sizes, levels):
        self.core, self.twin = make_core(policy, levels), make_core(policy, levels)
        self.queued = make_core(policy, levels)
        self.queued._placement.at_once = lambda *_: None
        self.naive = NaiveScheduler(policy, ENGINES, MAX_WAIT_S, MAX_QUEUE, LEVELS.bounds_s, levels)
        self.now, self.count = 0.0, 0
        self.submitted, self.over = set(), set()
        for engine, size in zip(ENGINES, sizes, strict=True):
            self.naive.capacity[engine] = size
            self.feed(EngineChanged(now=0.0, engine_id=engine, capacity=size))

    def feed(self, event):
        """One event to all cores; returns short instructions, with their claims checked."""
        instructions = self.core.handle(event)
        assert instructions == self.twin.handle(event), "the core is not deterministic"
        assert instructions == self.queued.handle(event), "a queue makes a difference"
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
        program=st.sampled_from(sorted(TENANTS)),
        engines=st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "c"), ENGINES]),
        may_wait=st.sampled_from([True] * 9 + [False]),
        preemptible=st.booleans(),
    )
    def submit(self, program, engines, may_wait, preemptible):
        self.count += 1
        call = Call(
            call_id=f"c{self.count}",
            program_id=program,
            engines=engines,
            tenant=TENANTS[program],
            weight=1.0 if TENANTS[program] == "default" else 3.0,
            preemptible=preemptible,
        )
        expected = self.naive.submit(call, may_wait, self.now)
        got = self.feed(Submitted(now=self.now, call=call, may_wait=may_wait))
        assert got == expected
        if got != [f"reject {call.call_id}"]:
            self.submitted.add(call.call_id)

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 3.0, 10.0, MAX_WAIT_S]))
    def let_time_pass(self, seconds):
        self.now += seconds

    @rule()
    def tick(self):
        assert self.feed(Tick(now=self.now)) == []

    @precondition(lambda self: self.live(CallState.DISPATCHED))
    @rule(data=st.data())
    def start(self, data):
        call_id = data.draw(st.sampled_from(self.live(CallState.DISPATCHED)))
        self.naive.start(call_id, self.now)
        assert self.feed(Started(now=self.now, call_id=call_id)) == []

    @precondition(lambda self: self.live(CallState.RUNNING))
    @rule(data=st.data())
    def progress(self, data):
        call_id = data.draw(st.sampled_from(self.live(CallState.RUNNING)))
        expected = self.naive.progress(call_id, self.now)
        assert self.feed(Progress(now=self.now, call_id=call_id)) == expected

    @precondition(lambda self: self.live(CallState.PREEMPTING))
    @rule(data=st.data())
    def stop(self, data):
        call_id = data.draw(st.sampled_from(self.live(CallState.PREEMPTING)))
        expected = self.naive.preempted(call_id, self.now)
        assert self.feed(Preempted(now=self.now, call_id=call_id)) == expected

    @precondition(lambda self: self.live(CallState.RUNNING, CallState.PREEMPTING))
    @rule(data=st.data(), kind=st.sampled_from([Finished, Finished, Failed, Cancelled]))
    def end_running(self, data, kind):
        names = self.live(CallState.RUNNING, CallState.PREEMPTING)
        self.end(data.draw(st.sampled_from(names)), kind)

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
        expected = self.naive.fill((engine,), self.now)
        got = self.feed(EngineChanged(now=self.now, engine_id=engine, capacity=capacity))
        assert got == expected

    @rule(program=st.sampled_from(sorted(TENANTS)))
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
        expected = {name: program.attained_s for name, program in self.naive.programs.items()}
        assert got == pytest.approx(expected, abs=1e-9)

    def teardown(self):
        if not hasattr(self, "core"):
            return
        for call_id in sorted(self.submitted - self.over):
            self.end(call_id, Cancelled)
        assert not any(load.in_flight for load in self.core.engines.values())
        assert len(self.core.waiting) == 0
        self.core.validate()


CoreMachine.TestCase.settings = settings(
    max_examples=cases(100), stateful_step_count=40, deadline=None
)
TestCore = CoreMachine.TestCase
