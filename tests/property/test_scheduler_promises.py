"""Long random histories of a loaded core: promotion, waiting and fairness keep their bounds."""

import heapq
import math
import random

import pytest

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.call import Call
from langgraph_rsm.core.engines.balancer import Balancer, Cost, LeastUsed
from langgraph_rsm.core.events import (
    Cancelled,
    Dispatch,
    EngineChanged,
    EngineLimits,
    Failed,
    Fault,
    Finished,
    Preempt,
    Preempted,
    ProgramEnded,
    Progress,
    Started,
    Submitted,
    Tick,
)
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.core.policies import create_policy

ENGINES = ("a", "b", "c")
MAX_WAIT_S = 40.0


class World:
    """Programs that make calls one after another, and engines that fail, vanish and return."""

    def __init__(self, seed: int, config: SchedulerConfig, balancer: Balancer, **limits) -> None:
        self.random = random.Random(seed)
        self.core = SchedulerCore(
            config, policy=create_policy(config), balancer=balancer, preemption_levels=1
        )
        self.now, self.count = 0.0, 0
        self.agenda = []
        self.submitted, self.ended, self.running = {}, set(), set()
        self.log = []
        self.starving = set()
        for engine in ENGINES:
            self.feed(
                EngineChanged(now=0.0, engine_id=engine, capacity=3, limits=EngineLimits(**limits))
            )

    def feed(self, event):
        for instruction in self.core.handle(event):
            self.log.append(repr(instruction))
            if isinstance(instruction, Dispatch):
                call_id = instruction.call_id
                assert call_id in self.submitted, "a call that was never submitted"
                assert call_id not in self.ended, "a call that has ended"
                assert call_id not in self.running, "a call that has a slot already"
                self.running.add(call_id)
                self.feed(Started(now=self.now, call_id=call_id))
                self.later(self.random.expovariate(0.5), "advance", call_id)
            elif isinstance(instruction, Preempt):
                self.running.remove(instruction.call_id)
                self.feed(Preempted(now=self.now, call_id=instruction.call_id))
        self.core.validate()

    def later(self, delay_s, what, *arguments):
        self.count += 1
        heapq.heappush(self.agenda, (self.now + delay_s, self.count, what, arguments))

    def submit(self, program, calls_left):
        self.count += 1
        call = Call(
            call_id=f"{program}/{self.count}",
            program_id=program,
            engines=self.random.choice([ENGINES, ENGINES, ("a", "b"), ("c",)]),
            tenant=self.random.choice(["x", "y"]) if program < "p3" else "default",
            call_site=self.random.choice(["plan", "work"]),
            graph=f"g{len(program)}",
            prompt_tokens=self.random.randrange(3000),
            preemptible=self.random.random() < 0.5,
            deadline_s=self.now + 30 if self.random.random() < 0.1 else None,
            interactive=self.random.random() < 0.1,
        )
        self.submitted[call.call_id] = (program, calls_left)
        self.feed(Submitted(now=self.now, call=call))

    def advance(self, call_id):
        if call_id not in self.running:
            return
        if self.random.random() < 0.5:
            self.feed(Progress(now=self.now, call_id=call_id))
            if call_id in self.running:
                self.later(self.random.expovariate(0.5), "advance", call_id)
            return
        self.running.remove(call_id)
        self.ended.add(call_id)
        fault = self.random.choice([*[None] * 20, *Fault])
        if fault is None:
            self.feed(Finished(now=self.now, call_id=call_id))
        else:
            self.feed(Failed(now=self.now, call_id=call_id, fault=fault))
        program, left = self.submitted[call_id]
        if left:
            self.later(self.random.expovariate(1.0), "submit", program, left - 1)
        elif self.random.random() < 0.7:
            self.feed(ProgramEnded(now=self.now, program_id=program))

    def give_up(self):
        live = sorted(set(self.submitted) - self.ended)
        if live:
            call_id = self.random.choice(live)
            self.ended.add(call_id)
            self.running.discard(call_id)
            self.feed(Cancelled(now=self.now, call_id=call_id))

    def resize(self, engine, capacity):
        self.feed(EngineChanged(now=self.now, engine_id=engine, capacity=capacity))
        if capacity < 2:
            self.later(self.random.uniform(1, 20), "resize", engine, 3)

    def run(self, programs=40):
        for n in range(programs):
            self.later(self.random.uniform(0, 60), "submit", f"p{n}", self.random.randrange(6))
        for _ in range(6):
            self.later(self.random.uniform(0, 80), "give_up")
            engine = self.random.choice(ENGINES)
            self.later(self.random.uniform(0, 80), "resize", engine, self.random.randrange(2))
        while self.agenda or self.core.wakeup_s is not None:
            wakeup_s = self.core.wakeup_s
            if wakeup_s is not None and (not self.agenda or wakeup_s < self.agenda[0][0]):
                self.now = wakeup_s
                self.feed(Tick(now=self.now))
            else:
                self.now, _, what, arguments = heapq.heappop(self.agenda)
                getattr(self, what)(*arguments)
            self.check()
        return self.log

    def check(self):
        """A program that has waited too long is promoted by the next event."""
        starving = set()
        for program in self.core.programs:
            if program.waiting and not program.promoted_left:
                self.core._guard.before(program, self.now)
                bound_s = 8.0 * max(program.recent_service_s, 1.0)
                if program.recent_wait_s > bound_s + 1e-6:
                    starving.add((program.program_id, program.finished, program.waiting))
        assert not starving & self.starving
        self.starving = starving


CASES = [
    ("fcfs", LeastUsed, {}),
    ("plas", LeastUsed, {}),
    ("atlas", Cost, {}),
    ("mlfq", LeastUsed, {}),
    ("gittins", Cost, {"kv_tokens": 9000}),
    ("auto", Cost, {}),
    ("auto", Cost, {"requests_per_minute": 60, "tokens_per_minute": 100_000}),
]


@pytest.mark.parametrize(("policy", "balancer", "limits"), CASES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_call_is_served_once_or_cancelled_whatever_happens(policy, balancer, limits, seed):
    config = SchedulerConfig(policy=policy, max_wait_s=MAX_WAIT_S)
    world = World(seed, config, balancer(), **limits)
    world.run()
    assert world.ended == set(world.submitted)
    assert not len(world.core.waiting)
    for load in world.core.engines.values():
        assert (len(load.in_flight), load.bound, load.boosted, load.preempting) == (0, 0, 0, 0)


@pytest.mark.parametrize(("policy", "balancer", "limits"), CASES)
def test_same_seed_gives_the_same_instructions(policy, balancer, limits):
    def play():
        config = SchedulerConfig(policy=policy, max_wait_s=MAX_WAIT_S)
        return World(5, config, balancer(), **limits).run(programs=15)

    assert play() == play()


@pytest.mark.parametrize("policy", ["plas", "auto", "srpt_oracle"])
def test_wait_is_bounded_by_the_limit_and_the_work_ahead(policy):
    # One call of 1 s at a time; `old` has had much. Fresh programs never stop coming, and yet it
    # waits no longer than the limit and the overdue calls before it.
    config = SchedulerConfig(policy=policy, max_wait_s=MAX_WAIT_S, beta=math.inf)
    core = SchedulerCore(config)
    core.handle(EngineChanged(now=0.0, engine_id="e", capacity=1))

    def submit(name, now, remaining_s):
        call = Call(
            call_id=name, program_id=name, engines=("e",), oracle_remaining_s=remaining_s, graph="g"
        )
        return core.handle(Submitted(now=now, call=call))

    submit("first", 0.0, 1.0)
    for n in range(3):
        submit(f"old{n}", 0.0, 1000.0)
    now, running, served = 0.0, "first", {}
    for n in range(120):
        submit(f"new{n}", now, 1.0)
        core.handle(Started(now=now, call_id=running))
        now += 1.0
        dispatch = core.handle(Finished(now=now, call_id=running))[0]
        running = dispatch.call_id
        served[running] = now
    assert all(served[f"old{n}"] <= MAX_WAIT_S + 1 + n + 1 for n in range(3))
