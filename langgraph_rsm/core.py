"""Scheduler core: events in, instructions out; no clock, no I/O, no threads, no randomness.

The same events always give the same instructions, so one core serves the in-process shell, a
simulator under a virtual clock, and tests. States of a call:

```text
Submitted ─┬─> WAITING ──> DISPATCHED ──Started──> RUNNING ──Finished──> DONE
           │      │             │                     ├──────Failed────> FAILED
           │      └─Cancelled───┴─────────────────────┴────Cancelled───> CANCELLED
           └─> REJECTED (max_queue)
```

A slot is held from DISPATCHED to the end, so what happens between the decision and the caller's
next step (a cancellation, a closed event loop) can neither lose a slot nor give it out twice.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_rsm.balancer import EngineLoad
from langgraph_rsm.errors import EngineError, InvalidTransitionError, SchedulerError
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
from langgraph_rsm.process_table import ProcessTable
from langgraph_rsm.queues import Ticket
from langgraph_rsm.waiting import WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from langgraph_rsm.balancer import Balancer
    from langgraph_rsm.events import Event, Instruction
    from langgraph_rsm.policies import Policy
    from langgraph_rsm.process_table import Program

_STORY_LENGTH = 16
"""Transitions remembered per call; a life without preemption has four."""
_REMEMBERED = 1024
"""Ended calls whose story is kept, so that a late second ending can be explained."""

_ALLOWED: Mapping[tuple[CallState, type], CallState] = {
    (CallState.DISPATCHED, Started): CallState.RUNNING,
    (CallState.DISPATCHED, Failed): CallState.FAILED,
    (CallState.RUNNING, Finished): CallState.DONE,
    (CallState.RUNNING, Failed): CallState.FAILED,
    (CallState.WAITING, Cancelled): CallState.CANCELLED,
    (CallState.DISPATCHED, Cancelled): CallState.CANCELLED,
    (CallState.RUNNING, Cancelled): CallState.CANCELLED,
}
"""Transition table: (state, event) to next state; what is missing is impossible."""


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """What the core knows of one call; only the core changes it."""

    call: Call
    ticket: Ticket
    state: CallState
    inherited_s: float
    """Critical path of the program when the call arrived: its own path begins there."""
    engine_id: str | None = None
    """The engine whose slot it has or had; None before dispatch."""
    dispatched_s: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    story: list[tuple[float, CallState]] = field(default_factory=list)

    def wait_s(self) -> float:
        """Return the time from submission to dispatch, or to the end of a call without a slot."""
        until_s = self.dispatched_s if self.dispatched_s is not None else self.ended_s
        return 0.0 if until_s is None else until_s - self.ticket.submitted_s

    def service_s(self) -> float:
        """Return the time from start to end; 0 before either."""
        if self.started_s is None or self.ended_s is None:
            return 0.0
        return self.ended_s - self.started_s


class SchedulerCore:
    """State machine of all calls, programs and engines of one scheduler.

    Each event costs O(levels + engines of the call + pools of the engine); none of these grows with
    the number of waiting calls.

    Args:
        policy: Order of the waiting calls.
        balancer: Choice among engines with room.
        max_wait_s: Seconds after which the oldest waiting call goes first.
        max_queue: Most waiting calls.
        program_ttl_s: Seconds after which an idle program is forgotten.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        balancer: Balancer,
        max_wait_s: float = 60.0,
        max_queue: int = 100_000,
        program_ttl_s: float = 600.0,
    ) -> None:
        self._policy = policy
        self._balancer = balancer
        self._max_queue = max_queue
        self._waiting = WaitingRoom(make_queue=policy.make_queue, max_wait_s=max_wait_s)
        self._table = ProcessTable(ttl_s=program_ttl_s)
        self._engines: dict[str, EngineLoad] = {}
        self._calls: dict[str, CallRecord] = {}
        self._ended: OrderedDict[str, CallRecord] = OrderedDict()
        self._now = float("-inf")
        self._seq = 0
        self._handlers: dict[type, Callable[[Any], Iterator[Instruction]]] = {
            Submitted: self._on_submitted,
            Started: self._on_started,
            Finished: self._on_ended,
            Failed: self._on_ended,
            Cancelled: self._on_ended,
            EngineChanged: self._on_engine_changed,
            ProgramEnded: self._on_program_ended,
        }

    def handle(self, event: Event) -> tuple[Instruction, ...]:
        """Take one event and return what to do, in order; empty when nothing changes.

        Raises:
            InvalidTransitionError: The event is impossible in its call's state.
            EngineError: A submitted call names no engine or an unknown one.
            SchedulerError: `event.now` lies before an earlier event. The state is unchanged after
                any of these.
        """
        if event.now < self._now:
            msg = f"time went back from {self._now} to {event.now}; use one monotonic clock"
            raise SchedulerError(msg)
        instructions = tuple(self._handlers[type(event)](event))
        self._now = event.now
        stale = self._table.expire(event.now)
        return instructions if stale is None else (*instructions, self._retire(stale))

    # Events

    def _on_submitted(self, event: Submitted) -> Iterator[Instruction]:
        call, now = event.call, event.now
        self._refuse_unknown(call)
        must_wait = not self._with_room(call)
        if must_wait and event.may_wait and len(self._waiting) >= self._max_queue:
            yield Reject(call_id=call.call_id, reason=f"{len(self._waiting)} calls wait")
            return
        program = self._table.admit(call, now)
        level = self._policy.level(call, program)
        ticket = Ticket(call_id=call.call_id, level=level, seq=self._seq, submitted_s=now)
        self._seq += 1
        self._calls[call.call_id] = CallRecord(
            call=call,
            ticket=ticket,
            state=CallState.WAITING,
            inherited_s=program.critical_path_s,
            story=[(now, CallState.WAITING)],
        )
        self._waiting.add(ticket, call.engines)
        if must_wait and not event.may_wait:
            yield self._dispatch(self._calls[call.call_id], now)
        for engine_id in call.engines:
            yield from self._fill(engine_id, now)

    def _on_started(self, event: Started) -> Iterator[Instruction]:
        record = self._advance(event)
        record.started_s = event.now
        yield from ()

    def _on_ended(self, event: Finished | Failed | Cancelled) -> Iterator[Instruction]:
        record = self._advance(event)
        record.ended_s = event.now
        self._remember(record)
        engine_id = record.engine_id
        if engine_id is None:
            self._waiting.discard(record.ticket, record.call.engines)
            retired = self._table.abandon(record.call, event.now)
        else:
            self._engines[engine_id].release(record.call.call_id)
            service_s = record.service_s()
            retired = self._table.complete(
                record.call,
                service_s=service_s,
                path_s=record.inherited_s + service_s,
                now=event.now,
            )
        if retired is not None:
            yield self._retire(retired, event.now)
        if engine_id is not None:
            yield from self._fill(engine_id, event.now)

    def _on_engine_changed(self, event: EngineChanged) -> Iterator[Instruction]:
        engine = self._engines.get(event.engine_id)
        if engine is None:
            engine = self._engines[event.engine_id] = EngineLoad(
                engine_id=event.engine_id, index=len(self._engines), capacity=0
            )
        engine.resize(event.capacity)
        yield from self._fill(event.engine_id, event.now)

    def _on_program_ended(self, event: ProgramEnded) -> Iterator[Instruction]:
        program = self._table.end(event.program_id)
        if program is not None:
            yield self._retire(program, event.now)

    # Steps

    def _fill(self, engine_id: str, now: float) -> Iterator[Instruction]:
        """Give every free slot of the engine to the call whose turn it is."""
        engine = self._engines[engine_id]
        while engine.has_room:
            ticket = self._waiting.next_for(engine_id, now)
            if ticket is None:
                return
            yield self._dispatch(self._calls[ticket.call_id], now)

    def _dispatch(self, record: CallRecord, now: float) -> Dispatch:
        call = record.call
        program = self._table.get(call.program_id)
        assert program is not None, "an entry lives as long as its calls"
        candidates = self._with_room(call) or [self._engines[key] for key in call.engines]
        engine = (
            candidates[0]
            if len(candidates) == 1
            else self._balancer.choose(call, program, candidates)
        )
        self._waiting.discard(record.ticket, call.engines)
        engine.take(call.call_id)
        self._table.dispatch(call, engine.engine_id, now)
        record.engine_id, record.dispatched_s = engine.engine_id, now
        self._note(record, CallState.DISPATCHED, now)
        return Dispatch(call_id=call.call_id, engine_id=engine.engine_id)

    def _with_room(self, call: Call) -> list[EngineLoad]:
        loads = (self._engines[engine_id] for engine_id in call.engines)
        return [load for load in loads if load.has_room]

    def _advance(self, event: Started | Finished | Failed | Cancelled) -> CallRecord:
        record = self._calls.get(event.call_id)
        name = type(event).__name__
        if record is None:
            raise self._impossible(event.call_id, f"{name} for a call that is not live")
        state = _ALLOWED.get((record.state, type(event)))
        if state is None:
            raise self._impossible(event.call_id, f"{name} while {record.state.value}")
        self._note(record, state, event.now)
        return record

    def _note(self, record: CallRecord, state: CallState, now: float) -> None:
        record.state = state
        record.story.append((now, state))
        if len(record.story) > _STORY_LENGTH:
            del record.story[0]

    def _remember(self, record: CallRecord) -> None:
        self._ended[record.call.call_id] = self._calls.pop(record.call.call_id)
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _refuse_unknown(self, call: Call) -> None:
        if call.call_id in self._calls or call.call_id in self._ended:
            raise self._impossible(call.call_id, "Submitted a second time")
        unknown = [engine_id for engine_id in call.engines if engine_id not in self._engines]
        if unknown or not call.engines:
            msg = (
                f"call {call.call_id!r} names {unknown or 'no'} engines this scheduler does not "
                f"know; known are {sorted(self._engines)}; register the engine first"
            )
            raise EngineError(msg)

    def _impossible(self, call_id: str, what: str) -> InvalidTransitionError:
        return InvalidTransitionError(call_id=call_id, what=what, story=self.story(call_id))

    def _retire(self, program: Program, now: float | None = None) -> Retire:
        return Retire(program=program.snapshot(self._now if now is None else now))

    # Views

    def story(self, call_id: str) -> tuple[str, ...]:
        """Return the recent transitions of a call, oldest first; empty for an unknown call."""
        record = self._calls.get(call_id) or self._ended.get(call_id)
        if record is None:
            return ()
        where = f" on {record.engine_id}" if record.engine_id else ""
        return tuple(f"{state.value}{where} at {at:.6f} s" for at, state in record.story)

    def record(self, call_id: str) -> CallRecord | None:
        """Return a live or recently ended call, to be read only; None if unknown."""
        return self._calls.get(call_id) or self._ended.get(call_id)

    def is_live(self, call_id: str) -> bool:
        """Return whether the call waits or holds a slot."""
        return call_id in self._calls

    @property
    def now(self) -> float:
        """Time of the last event, in seconds; minus infinity before the first."""
        return self._now

    @property
    def engines(self) -> Mapping[str, EngineLoad]:
        """Engines by id, in order of registration; to be read only."""
        return self._engines

    @property
    def programs(self) -> ProcessTable:
        """The process table; to be read only."""
        return self._table

    @property
    def waiting(self) -> WaitingRoom:
        """The waiting calls; to be read only."""
        return self._waiting

    def validate(self) -> None:
        """Check every invariant in O(calls x engines per call), see `langgraph_rsm.invariants`.

        Raises:
            InvariantError: The state contradicts itself.
        """
        from langgraph_rsm.invariants import check_core

        check_core(self._calls, self._waiting, self._engines, self._table)
