"""Scheduler core: events in, instructions out; no clock, no I/O, no threads.

The same events always give the same instructions, so one core serves the in-process shell, a
simulator under a virtual clock, and tests. States of a call:

```text
            ┌───────────────────────Preempted──────────────────────┐
            v                                                      │
Submitted ─┬─> WAITING ──> DISPATCHED ──Started──> RUNNING ──> PREEMPTING
           │      │             │                     │            │
           │      │             └───────┬─────────────┴────────────┘
           │      └─Cancelled─> CANCELLED / DONE / FAILED
           └─> REJECTED (too many wait)
```

A slot is held from DISPATCHED until the end or Preempted, so what happens between the decision and
the caller's next step (a cancellation, a closed event loop) can neither lose a slot nor give it
out twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.call import CallState
from langgraph_rsm.core.engines.admission import refusal
from langgraph_rsm.core.engines.balancer import Balancer
from langgraph_rsm.core.events import (
    Cancelled,
    Dispatch,
    EngineChanged,
    EngineObserved,
    Failed,
    Fault,
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
from langgraph_rsm.core.machine.call_record import CallRecord
from langgraph_rsm.core.machine.state import CoreState
from langgraph_rsm.core.policies import Policy
from langgraph_rsm.errors import SchedulerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.engines.load import EngineLoad
    from langgraph_rsm.core.events import Event, Instruction
    from langgraph_rsm.core.programs.program import Program


class SchedulerCore(CoreState):
    """State machine of all calls, programs and engines of one scheduler.

    Each event costs O(log n) amortized in the number of waiting calls, times the number of engines
    the call names and of distinct sets of engines that calls wait for. Only the loss of an engine
    costs more: the calls that wait for it alone are bound anew.

    Args:
        config: Settings; None means the defaults.
        policy: Order of the waiting calls; None takes the one that `config` names, with nothing
            learned before.
        balancer: Choice among engines; None takes the one that `config` names.
        preemption_levels: A preemptible call yields to one waiting this many levels lower; 0 for
            never, as an engine whose memory rather than its slots is scarce loses by it.
    """

    def __init__(
        self,
        config: SchedulerConfig | None = None,
        *,
        policy: Policy | None = None,
        balancer: Balancer | None = None,
        preemption_levels: int = 0,
    ) -> None:
        super().__init__(
            config, policy=policy, balancer=balancer, preemption_levels=preemption_levels
        )
        self._handlers: dict[type, Callable[[Any, list[Instruction]], None]] = {
            Submitted: self._on_submitted,
            Started: self._on_started,
            Progress: self._on_progress,
            Preempted: self._on_preempted,
            Finished: self._on_ended,
            Failed: self._on_ended,
            Cancelled: self._on_ended,
            EngineChanged: self._on_engine_changed,
            EngineObserved: self._on_engine_observed,
            ProgramEnded: self._on_program_ended,
            Tick: self._on_tick,
        }

    def handle(self, event: Event) -> tuple[Instruction, ...]:
        """Take one event and return what to do, in order; empty when nothing changes.

        Raises:
            InvalidTransitionError: The event is impossible in its call's state.
            EngineError: A submitted call names no engine or an unknown one.
            SchedulerError: `event.now` lies before an earlier event. The state is unchanged after
                any of these.
        """
        now = event.now
        if now < self._now:
            msg = f"time went back from {self._now} to {now}; use one monotonic clock"
            raise SchedulerError(msg)
        self._placement.boost_due(now)
        out: list[Instruction] = []
        self._handlers[type(event)](event, out)
        self._now = now
        if self._table.fresh_until_s < now and (stale := self._table.expire(now)) is not None:
            out.append(self._retire(stale, now))
        return tuple(out)

    # Events

    def _on_submitted(self, event: Submitted, out: list[Instruction]) -> None:
        call, now = event.call, event.now
        self._book.refuse_known(call.call_id)
        self._engines.require(call.engines, call.call_id)
        if (rests := self._rests_too_long(call, event.timeout_s, now)) is not None:
            out.append(rests)
            return
        free = self._engines.with_room(call, call.engines, now)
        waiting = None if free else len(self._waiting)
        program = self._table.get(call.program_id)
        if event.may_wait and (reason := refusal(self._config, waiting, program)):
            out.append(Reject(call_id=call.call_id, reason=reason))
            return
        record = self._admit(event)
        if free and not len(self._waiting):
            engine = self._placement.at_once(record, free[0], now)
            if engine is not None:
                out.append(self._dispatch(record, engine, now))
                return
        self._placement.enqueue(record, now)
        self._placement.note_activity(record.program, now)
        if not free and not event.may_wait:
            engine, at_s = self._soonest(record, now)
            dispatch = self._dispatch(record, engine, now)
            out.append(dispatch if at_s <= now else replace(dispatch, not_before_s=at_s))
        for engine in free:
            self._fill(engine.engine_id, now, out)

    def _on_started(self, event: Started, _: list[Instruction]) -> None:
        self._accounts.start(self._advance(event), event.now)

    def _on_progress(self, event: Progress, out: list[Instruction]) -> None:
        record = self._advance(event)
        self._accounts.charge(record, event.now, event.tokens)
        self._guard.watch(record.program, event.now)
        self._accounts.rerank(record, event.now)
        if self._placement.must_yield(record, self._preemption_levels, event.now):
            self._engine_of(record).preempting += 1
            record.note(CallState.PREEMPTING, event.now)
            out.append(Preempt(call_id=event.call_id))

    def _on_preempted(self, event: Preempted, out: list[Instruction]) -> None:
        now = event.now
        record = self._advance(event)
        engine, program = self._engine_of(record), record.program
        self._release(record, event)
        record.waited_s = record.wait_s()
        record.engine_id = record.dispatched_s = None
        self._guard.before(program, now)
        self._table.requeue(program, now)
        self._guard.watch(program, now)
        record.ticket = self._placement.ticket(
            record.call, program, served_s=record.charged_s, seq=record.ticket.seq, now=now
        )
        self._placement.enqueue(record, now)
        self._placement.note_activity(program, now)
        self._fill(engine.engine_id, now, out)
        for other in self._engines.with_room(record.call, record.ticket.engines, now):
            self._fill(other.engine_id, now, out)

    def _on_ended(self, event: Finished | Failed | Cancelled, out: list[Instruction]) -> None:
        now = event.now
        record = self._advance(event)
        program, engine_id = record.program, record.engine_id
        self._book.close(record, now)
        if engine_id is None:
            self._placement.dequeue(record)
            self._guard.before(program, now)
            retired = self._table.abandon(record.call, now)
        else:
            retired = self._complete(record, event)
        self._tenants.leave(record.tenant)
        self._guard.watch(program, now)
        self._placement.note_activity(program, now)
        if retired is not None:
            out.append(self._retire(retired, now))
        if engine_id is None:
            return
        engine = self._engines[engine_id]
        if self._engines.learn(engine, record.call, event, record.service_s()):
            engine.memory.clear()
            self._rehome(engine_id, now, out)
        elif isinstance(event, Failed) and event.fault is Fault.RATE_LIMIT:
            self._turn_away(engine_id, now, out)
            self._rehome(engine_id, now, out)
        self._fill(engine_id, now, out)

    def _on_engine_changed(self, event: EngineChanged, out: list[Instruction]) -> None:
        engine = self._engines.change(event)
        if not engine.capacity:
            engine.memory.clear()
            self._rehome(event.engine_id, event.now, out)
        self._fill(event.engine_id, event.now, out)

    def _on_engine_observed(self, event: EngineObserved, out: list[Instruction]) -> None:
        self._engines.require((event.engine_id,), "of an observation")
        self._engines[event.engine_id].observe(event)
        self._fill(event.engine_id, event.now, out)

    def _on_program_ended(self, event: ProgramEnded, out: list[Instruction]) -> None:
        program = self._table.end(event.program_id)
        if program is None:
            return
        out.append(self._retire(program, event.now))
        if program.home is not None:  # its memory is free now
            self._fill(program.home, event.now, out)

    def _on_tick(self, event: Tick, out: list[Instruction]) -> None:
        for engine in self._engines:
            self._fill(engine.engine_id, event.now, out)

    # Steps

    def _admit(self, event: Submitted) -> CallRecord:
        """Count a submitted call as one that waits, and make a record of it."""
        call, now = event.call, event.now
        known = self._table.get(call.program_id)
        if known is not None:
            self._guard.before(known, now)
        program = self._table.admit(call, now)
        self._policy.arrived(call, program)
        self._seq += 1
        seq = self._seq if event.place is None else event.place
        record = self._book.live[call.call_id] = CallRecord(
            call=call,
            program=program,
            tenant=self._tenants.arrive(call),
            ticket=self._placement.ticket(call, program, served_s=0.0, seq=seq, now=now),
            state=CallState.WAITING,
            inherited_s=program.path_before_s(call),
            arrived_s=now,
        )
        self._guard.watch(program, now)
        return record

    def _fill(self, engine_id: str, now: float, out: list[Instruction]) -> None:
        """Give every free slot of the engine to the call whose turn it is."""
        engine = self._engines[engine_id]
        engine.memory_retry_s = float("inf")
        while len(self._waiting) and engine.has_room(now):
            turn = self._placement.next(engine, now)
            if turn is None:
                return
            out.append(self._dispatch(*turn, now))

    def _dispatch(self, record: CallRecord, engine: EngineLoad, now: float) -> Dispatch:
        call, program = record.call, record.program
        if record.ticket.queue is not None:
            self._placement.dequeue(record)
        engine.take(call.call_id, record.reserved_tokens)
        if program.home not in (None, engine.engine_id):
            self._engines[program.home].memory.leave(program.program_id)
        if engine.memory.bounded:
            engine.memory.hold(program.program_id, record.context_tokens())
        self._guard.before(program, now)
        self._table.dispatch(program, engine.engine_id, now)
        self._placement.end_promotion(program)
        self._guard.watch(program, now)
        self._accounts.reserve(record)
        self._policy.dispatched(record.ticket)
        record.engine_id, record.dispatched_s = engine.engine_id, now
        record.note(CallState.DISPATCHED, now)
        return Dispatch(call_id=call.call_id, engine_id=engine.engine_id, level=record.ticket.level)

    def _complete(self, record: CallRecord, event: Finished | Failed | Cancelled) -> Program | None:
        """Close the accounts of a call that had a slot; returns its program if that is over."""
        call, program, now = record.call, record.program, event.now
        engine = self._release(record, event)
        if isinstance(event, Finished):
            self._policy.completed(call, program, record.charged_s)
        if event.tokens is not None:
            program.context_tokens = event.tokens.input_tokens + event.tokens.output_tokens
        elif call.prompt_tokens:
            program.context_tokens = call.prompt_tokens + call.output_tokens
        if program.program_id in engine.memory:
            engine.memory.hold(program.program_id, program.context_tokens)
        path_s = record.inherited_s + record.charged_s
        retired = self._table.complete(call, path_s=path_s, now=now)
        if retired is None:
            self._accounts.rerank(record, now)
        return retired

    def _release(
        self, record: CallRecord, event: Preempted | Finished | Failed | Cancelled
    ) -> EngineLoad:
        """Take the slot of a call back and charge for it."""
        engine, tokens = self._engine_of(record), event.tokens
        self._accounts.stop(record, event.now, tokens)
        engine.release(record.call.call_id)
        engine.boosted -= record.boosted
        record.boosted = False
        used = None if tokens is None else tokens.input_tokens + tokens.output_tokens
        engine.settle(reserved_tokens=record.reserved_tokens, used_tokens=used)
        return engine

    def _rehome(self, engine_id: str, now: float, out: list[Instruction]) -> None:
        """Let the calls that wait for an engine alone wait for others that can serve them."""
        for ticket in self._waiting.bound_to(engine_id):
            record = self._book.live[ticket.call_id]
            if record.call.engines == (engine_id,) or ticket.queue is None:
                continue
            self._placement.rebind(record, now)
            for other in record.call.engines:
                if other != engine_id:
                    self._fill(other, now, out)

    def _rests_too_long(self, call: Call, timeout_s: float | None, now: float) -> Reject | None:
        """Return a rejection for a call whose engines all rest for longer than it may wait."""
        rest_s = self._engines.rest_s(call, now)
        patience_s = self._config.retry_cap_s
        if timeout_s is not None:
            patience_s = min(patience_s, timeout_s)
        if rest_s <= patience_s:
            return None
        time_s = f"another {rest_s:.0f} s" if rest_s < float("inf") else "ever"
        reason = (
            f"{', '.join(call.engines)} asked to be left alone for {time_s}, it may "
            f"wait {patience_s:g} s; add an engine, another key, or raise retry_cap_s"
        )
        return Reject(call_id=call.call_id, reason=reason, retry_after_s=rest_s)

    def _turn_away(self, engine_id: str, now: float, out: list[Instruction]) -> None:
        """Reject the waiting calls for which an engine that begins to rest leaves no hope."""
        for ticket in list(self._waiting) if len(self._waiting) else ():
            if engine_id not in ticket.call.engines:
                continue
            rests = self._rests_too_long(ticket.call, None, now)
            if rests is None:
                continue
            record = self._book.live[ticket.call_id]
            record.note(CallState.REJECTED, now)
            self._book.close(record, now)
            self._placement.dequeue(record)
            self._guard.before(record.program, now)
            retired = self._table.abandon(record.call, now)
            self._tenants.leave(record.tenant)
            self._guard.watch(record.program, now)
            self._placement.note_activity(record.program, now)
            out.append(rests)
            if retired is not None:
                out.append(self._retire(retired, now))

    def _soonest(self, record: CallRecord, now: float) -> tuple[EngineLoad, float]:
        """Return the engine for a call that waits for no slot, and when its rates allow it."""
        call = record.call
        tokens = call.prompt_tokens + call.output_tokens

        def ready_s(engine: EngineLoad) -> float:
            rest_s = engine.rest_s(call.account_at(engine.engine_id), now)
            return max(engine.ready_s(tokens, now), now + rest_s)

        engines = self._engines.sound(call, now)
        at_s = min(map(ready_s, engines))
        first = [engine for engine in engines if ready_s(engine) <= at_s]
        return self._balancer.choose(call, record.program, first), at_s

    def _engine_of(self, record: CallRecord) -> EngineLoad:
        assert record.engine_id is not None, "it has a slot"
        return self._engines[record.engine_id]

    def _advance(
        self, event: Started | Progress | Preempted | Finished | Failed | Cancelled
    ) -> CallRecord:
        record, before = self._book.advance(event)
        if before is CallState.PREEMPTING and record.state is not before:
            self._engine_of(record).preempting -= 1
        return record

    def _retire(self, program: Program, now: float) -> Retire:
        self._guard.forget(program.program_id)
        self._policy.retired(program)
        for engine in self._engines:
            engine.memory.leave(program.program_id)
        return Retire(program=program.snapshot(now))
