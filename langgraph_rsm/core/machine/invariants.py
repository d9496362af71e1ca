"""Invariants of the scheduler core, checked after every event under test.

1. Each live call is in exactly one place: the waiting room, or the slot of one engine.
2. An engine holds no more calls than its capacity, or than were left when it was lowered.
3. Work conservation: no call waits while an engine that it waits for has room, and is up, and has
   memory for it.
4. The process table counts exactly the live calls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from langgraph_rsm.core.call import CallState
from langgraph_rsm.errors import InvariantError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langgraph_rsm.core.engines.engines import Engines
    from langgraph_rsm.core.engines.load import EngineLoad
    from langgraph_rsm.core.machine.call_record import CallRecord
    from langgraph_rsm.core.programs.table import ProcessTable
    from langgraph_rsm.core.queueing.waiting import WaitingRoom

_HOLDING = (CallState.DISPATCHED, CallState.RUNNING, CallState.PREEMPTING)


def check_core(
    calls: Mapping[str, CallRecord],
    waiting: WaitingRoom,
    engines: Engines,
    table: ProcessTable,
    now: float,
) -> None:
    """Check all invariants.

    Raises:
        InvariantError: One is broken; the message names the call, engine or program.
    """
    _check_places(calls, waiting, engines.loads)
    _check_engines(calls, engines)
    _check_work_conservation(calls, engines, now)
    _check_table(calls, table)


def _check_places(
    calls: Mapping[str, CallRecord], waiting: WaitingRoom, engines: Mapping[str, EngineLoad]
) -> None:
    queued = Counter(ticket.call_id for ticket in waiting)
    held = Counter(call_id for load in engines.values() for call_id in load.in_flight)
    _require(len(waiting) == sum(queued.values()), "the waiting room miscounts its calls")
    _require(len(waiting) == sum(waiting.depths().values()), "the level depths miscount")
    _require(set(queued) | set(held) == set(calls), "a call is lost or a dead call is kept")
    for load in engines.values():
        _require(len(load.in_flight) <= load.ceiling, f"engine {load.engine_id!r} is overfull")
    for call_id, record in calls.items():
        holds = record.state in _HOLDING
        _require(
            (queued[call_id], held[call_id]) == ((0, 1) if holds else (1, 0)),
            f"call {call_id!r} ({record.state.value}) is in {queued[call_id]} queues "
            f"and {held[call_id]} slots",
        )
        if holds:
            _require(
                record.engine_id in record.call.engines
                and call_id in engines[record.engine_id].in_flight,
                f"call {call_id!r} holds a slot of the wrong engine",
            )


def _check_engines(calls: Mapping[str, CallRecord], engines: Engines) -> None:
    bound = Counter(
        record.ticket.engines[0]
        for record in calls.values()
        if record.state is CallState.WAITING and len(record.ticket.engines) == 1
    )
    for load in engines:
        holders = [calls[call_id] for call_id in load.in_flight]
        counts = (
            sum(record.boosted for record in holders),
            sum(record.state is CallState.PREEMPTING for record in holders),
            bound[load.engine_id],
        )
        _require(
            counts == (load.boosted, load.preempting, load.bound),
            f"engine {load.engine_id!r} miscounts its boosted, preempting or bound calls",
        )


def _check_work_conservation(calls: Mapping[str, CallRecord], engines: Engines, now: float) -> None:
    idle = [
        load
        for load in engines
        if load.has_room(now) and not load.memory.bounded and not engines.is_down(load, now)
    ]
    for call_id, record in calls.items():
        if record.state is CallState.WAITING:
            free = {
                load.engine_id
                for load in idle
                if load.engine_id in record.ticket.engines
                and load.rest_s(record.call.account_at(load.engine_id), now) <= 0
            }
            _require(not free, f"call {call_id!r} waits while {sorted(free)} have room")


def _check_table(calls: Mapping[str, CallRecord], table: ProcessTable) -> None:
    waiting: Counter[str] = Counter()
    running: Counter[str] = Counter()
    branches: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in calls.values():
        counter = running if record.state in _HOLDING else waiting
        counter[record.call.program_id] += 1
        if record.call.thread_id:
            branches[record.call.program_id][record.call.thread_id] += 1
    for program in table:
        program_id = program.program_id
        _require(
            (program.waiting, program.running) == (waiting[program_id], running[program_id]),
            f"program {program_id!r} miscounts its calls",
        )
        _require(
            program.active > 0 or not program.ended, f"program {program_id!r} outlived its run"
        )
        _require(
            Counter(program.branches) == branches[program_id],
            f"program {program_id!r} miscounts its threads",
        )
    known = {program.program_id for program in table}
    _require(set(waiting) | set(running) <= known, "a call has no program")


def _require(holds: bool, broken: str) -> None:
    if not holds:
        msg = f"scheduler invariant broken: {broken}"
        raise InvariantError(msg)
