"""Drives a scheduler core by hand: one line per event, instructions back as short strings."""

from __future__ import annotations

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.call import Call
from langgraph_rsm.core.engines.balancer import LeastUsed
from langgraph_rsm.core.events import (
    Cancelled,
    Dispatch,
    EngineChanged,
    EngineLimits,
    EngineObserved,
    Failed,
    Finished,
    Preempt,
    Preempted,
    ProgramEnded,
    Progress,
    Reject,
    Started,
    Submitted,
    Tick,
)
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.core.policies import Fcfs


class CoreDriver:
    def __init__(
        self, policy=None, *, capacity=None, balancer=None, preemption_levels=0, **settings
    ):
        self.core = SchedulerCore(
            SchedulerConfig(**settings),
            policy=policy or Fcfs(),
            balancer=balancer or LeastUsed(),
            preemption_levels=preemption_levels,
        )
        self.now = 0.0
        for engine_id, slots in (capacity or {"e": 1}).items():
            self.engine(engine_id, slots)

    def _handle(self, kind, **fields):
        instructions = self.core.handle(kind(now=self.now, **fields))
        self.core.validate()
        return [_short(instruction) for instruction in instructions]

    def at(self, now):
        self.now = now
        return self

    def submit(self, call_id, program_id="p", *, engines=("e",), may_wait=True, **fields):
        call = Call(call_id=call_id, program_id=program_id, engines=tuple(engines), **fields)
        return self._handle(Submitted, call=call, may_wait=may_wait)

    def start(self, call_id):
        return self._handle(Started, call_id=call_id)

    def progress(self, call_id, **fields):
        return self._handle(Progress, call_id=call_id, **fields)

    def preempted(self, call_id, **fields):
        return self._handle(Preempted, call_id=call_id, **fields)

    def finish(self, call_id, **fields):
        return self._handle(Finished, call_id=call_id, **fields)

    def fail(self, call_id, **fields):
        return self._handle(Failed, call_id=call_id, **fields)

    def tick(self):
        return self._handle(Tick)

    def observe(self, engine_id="e", **fields):
        return self._handle(EngineObserved, engine_id=engine_id, **fields)

    def cancel(self, call_id):
        return self._handle(Cancelled, call_id=call_id)

    def engine(self, engine_id, capacity, **limits):
        return self._handle(
            EngineChanged,
            engine_id=engine_id,
            capacity=capacity,
            limits=EngineLimits(**limits) if limits else None,
        )

    def end(self, program_id):
        return self._handle(ProgramEnded, program_id=program_id)

    def run(self, call_id, program_id="p", *, seconds, **fields):
        """Submit, start and finish a call that finds a free slot; takes `seconds`."""
        got = self.submit(call_id, program_id, **fields)
        assert got, f"{call_id} found no slot"
        self.start(call_id)
        self.now += seconds
        return self.finish(call_id)

    def program(self, program_id="p"):
        entry = self.core.programs.get(program_id)
        return None if entry is None else entry.snapshot(self.now)


def _short(instruction):
    if isinstance(instruction, Dispatch):
        return f"{instruction.call_id}->{instruction.engine_id}"
    if isinstance(instruction, Reject):
        return f"reject {instruction.call_id}"
    if isinstance(instruction, Preempt):
        return f"preempt {instruction.call_id}"
    return f"retire {instruction.program.program_id}"
