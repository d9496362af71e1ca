"""Placement: for which engines a call waits, and which call an engine with a free slot gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.lazy_heap import LazyHeap
from langgraph_rsm.core.queueing.queues import Lane, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.engines.balancer import Balancer
    from langgraph_rsm.core.engines.engines import Engines
    from langgraph_rsm.core.engines.load import EngineLoad
    from langgraph_rsm.core.machine.call_record import CallRecord
    from langgraph_rsm.core.policies import Policy
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.fairness import StarvationGuard
    from langgraph_rsm.core.queueing.queues import Pool, Turn
    from langgraph_rsm.core.queueing.waiting import WaitingRoom


class Placement:
    """Moves calls into and out of the waiting room.

    Args:
        policy: Order of the waiting calls.
        balancer: Choice among engines.
        waiting: The waiting calls.
        engines: The engines.
        calls: Records of the live calls, by id.
        guard: Which programs starve.
        boosted_share: Part of an engine's slots for overdue calls and promoted programs.
        urgent_before_s: Seconds before its deadline from which a call is urgent.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        balancer: Balancer,
        waiting: WaitingRoom,
        engines: Engines,
        calls: Mapping[str, CallRecord],
        guard: StarvationGuard,
        boosted_share: float,
        urgent_before_s: float,
    ) -> None:
        self._policy = policy
        self._balancer = balancer
        self._waiting = waiting
        self._engines = engines
        self._calls = calls
        self._boosted_share = boosted_share
        self._urgent_before_s = urgent_before_s
        self._guard = guard
        self._promotions = 0
        self._deadlines = LazyHeap()
        self._has_deadlines = False

    def ticket(
        self, call: Call, program: Program, *, served_s: float, seq: int, now: float
    ) -> Ticket:
        """Return a place for a call that begins to wait, having had some service already."""
        engines, resident = self._bind(call, program, now)
        return Ticket(
            call=call,
            engines=engines,
            resident=resident,
            level=0,
            place=self._policy.place(call, program, served_s),
            seq=seq,
            submitted_s=now,
        )

    def at_once(self, record: CallRecord, engine: EngineLoad, now: float) -> EngineLoad | None:
        """Return the engine for a new call while no other call waits: no queue, the same answer.

        Args:
            record: The call, not in the waiting room.
            engine: The first of its engines that have room.
            now: Time in seconds.

        Returns:
            The engine that shall serve it; None if it must go through the waiting room, because
            more than a free slot is to be looked at.
        """
        engines = self._engines
        special = engines.any_bounded or engines.any_down
        if special or engine.engine_id not in record.ticket.engines:
            return None
        candidates = self._candidates(record, engine, now)
        if any(each.tokens is not None for each in candidates):
            return None
        if len(candidates) > 1:
            engine = self._balancer.choose(record.call, record.program, candidates)
        self._rank(record, now)
        return engine

    def _rank(self, record: CallRecord, now: float) -> None:
        ticket, program = record.ticket, record.program
        rank = self._policy.rank(program, now)
        ticket.level = int(rank[0] + ticket.place[0])
        if rank != program.rank:
            program.rank = rank
            if program.waiting > 1:
                self._waiting.rerank(program)

    def enqueue(self, record: CallRecord, now: float) -> None:
        """Put a call, with its ticket, into the waiting room."""
        ticket, program, call = record.ticket, record.program, record.call
        self._rank(record, now)
        self._waiting.add(ticket, record.tenant, program)
        if len(ticket.engines) == 1:
            self._engines[ticket.engines[0]].bound += 1
        if call.interactive:
            due_s = now if call.deadline_s is None else min(now, call.deadline_s)
            self._waiting.urge(ticket, due_s)
        elif call.deadline_s is not None:
            self._deadlines.set((call.deadline_s - self._urgent_before_s, call.call_id))
            self._has_deadlines = True

    def dequeue(self, record: CallRecord) -> None:
        """Take a call out of the waiting room."""
        ticket = record.ticket
        self._waiting.discard(ticket)
        if record.call.deadline_s is not None:
            self._deadlines.discard(ticket.call_id)
        if len(ticket.engines) == 1:
            self._engines[ticket.engines[0]].bound -= 1

    def boost_due(self, now: float) -> None:
        """Move up the calls whose deadline has come near and the programs that starve."""
        if self._guard.next_s <= now:
            self._promote_due(now)
        if not self._has_deadlines:
            return
        while (call_id := self._deadlines.pop_due(now)) is not None:
            record = self._calls[call_id]
            assert record.call.deadline_s is not None, "listed for its deadline"
            self._waiting.urge(record.ticket, record.call.deadline_s)
        self._has_deadlines = len(self._deadlines) > 0

    def end_promotion(self, program: Program) -> None:
        """Take note that a call of the program was served: the promotion is for those that wait."""
        if program.promoted_left:
            program.promoted_left = min(program.promoted_left - 1, program.waiting)
            if not program.promoted_left:
                self._waiting.demote(program)

    def rebind(self, record: CallRecord, now: float) -> None:
        """Let a call that waits for a lost engine alone wait for others; its place stays."""
        self.dequeue(record)
        old = record.ticket
        new = self.ticket(record.call, record.program, served_s=0.0, seq=old.seq, now=now)
        new.place, new.submitted_s = old.place, old.submitted_s
        if new.engines == old.engines:  # the balancer has no better idea
            new.engines, new.resident = record.call.engines, False
        record.ticket = new
        self.enqueue(record, now)

    def next(self, engine: EngineLoad, now: float) -> tuple[CallRecord, EngineLoad] | None:
        """Return the next call for an engine that has room, and the engine that shall serve it.

        That may be another one with room where the call can go. None when no waiting call can or
        should be served by the engine now.
        """
        turn = self._turn(engine, now) or self._taken_over(engine, now)
        if turn is None:
            return None
        record = self._calls[turn.ticket.call_id]
        tokens = record.call.prompt_tokens + record.call.output_tokens
        candidates = [
            each
            for each in self._candidates(record, engine, now)
            if each.tokens is None or each.ready_s(tokens, now) <= now
        ]
        if not candidates:
            # The first in line is too large for what the rate limit has left. All wait with it:
            # smaller ones that go ahead would use up what it waits for, again and again.
            engine.large_until_s = engine.ready_s(tokens, now)
            return None
        chosen = self._choose(record, candidates, now)
        if turn.lane <= Lane.PROMOTED:
            record.boosted = True
            chosen.boosted += 1
        if chosen.memory.bounded:
            self._make_room(chosen, record, now)
        return record, chosen

    def note_activity(self, program: Program, now: float) -> None:
        """Tell the memory that holds a program's context what the program does, if no call runs."""
        if not self._engines.any_bounded or program.home is None or program.running:
            return
        memory = self._engines[program.home].memory
        if program.program_id not in memory:
            return
        if program.waiting:
            memory.wait(program.program_id, self._policy.rank(program, now), program.index)
        else:
            memory.rest(program.program_id, now)

    def must_yield(self, record: CallRecord, levels: int, now: float) -> bool:
        """Return whether a running call should make way for a waiting one of its tenant.

        Args:
            record: A call that has a slot.
            levels: How many levels the other must be before it; 0 for never.
            now: Time in seconds.
        """
        if not levels or not record.call.preemptible or not len(self._waiting):
            return False
        assert record.engine_id is not None, "it has a slot"
        engine = self._engines[record.engine_id]
        if engine.preempting:  # one at a time, this call included
            return False
        turn = self._waiting.next_for(engine.engine_id, now)
        if turn is None or turn.ticket.call.tenant != record.call.tenant:
            return False
        own = self._policy.rank(record.program, now)[0]
        own += self._policy.place(record.call, record.program, record.charged_s)[0]
        first = self._calls[turn.ticket.call_id]
        theirs = self._policy.rank(first.program, now)[0] + turn.ticket.place[0]
        return theirs + levels <= own

    # Steps

    def _promote_due(self, now: float) -> None:
        while (program := self._guard.pop_due(now)) is not None:
            self._guard.reset(program, now)
            program.promoted_left = program.waiting
            self._promotions += 1
            self._waiting.promote(program, self._promotions)

    def _bind(self, call: Call, program: Program, now: float) -> tuple[tuple[str, ...], bool]:
        """Return the engines that a call is to wait for, and whether its context is there."""
        if len(call.engines) == 1:
            return call.engines, program.program_id in self._engines[call.engines[0]].memory
        if self._engines.probes_due(call, now):
            return call.engines, False
        sound = self._engines.sound(call, now)
        if self._engines.any_bounded:
            for engine in sound:
                if program.program_id in engine.memory:
                    return (engine.engine_id,), True
        if len(sound) > 1:
            bound = self._balancer.bind(call, program, sound)
            if len(bound) == 1:
                return (bound[0].engine_id,), False
        # Those that are down included: one of them may be up again by then.
        return call.engines, False

    def _turn(self, engine: EngineLoad, now: float) -> Turn | None:
        share = max(1, int(self._boosted_share * engine.limit))
        guarded = engine.memory.bounded or engine.pauses or self._engines.any_down
        return self._waiting.next_for(
            engine.engine_id,
            now,
            boost=engine.boosted < share,
            admits=self._gate(engine, now) if guarded else None,
        )

    def _gate(self, engine: EngineLoad, now: float) -> Callable[[Pool, Ticket], bool]:
        """Return a test of whether the engine may serve the first call of a pool."""

        def admits(pool: Pool, ticket: Ticket) -> bool:
            if not self._engines.may_serve(engine, pool.engines, now):
                return False
            account = ticket.call.account_at(engine.engine_id)
            return engine.rest_s(account, now) <= 0 and self._fits(
                engine, self._calls[ticket.call_id], now
            )

        return admits

    def _fits(self, engine: EngineLoad, record: CallRecord, now: float) -> bool:
        """Return whether the engine's memory has, or can make, room for a call."""
        memory = engine.memory
        if not memory.bounded or record.call.program_id in memory:
            return True
        ready_s = memory.ready_s(
            record.context_tokens(),
            self._policy.rank(record.program, now)[0],
            now,
            idle=not engine.in_flight,
        )
        if ready_s > now:
            engine.memory_retry_s = min(engine.memory_retry_s, ready_s)
        return ready_s <= now

    def _make_room(self, engine: EngineLoad, record: CallRecord, now: float) -> None:
        """Pause programs for a call that gets a slot; what they have waiting may go anywhere."""
        paused = engine.memory.make_room(
            record.call.program_id,
            record.context_tokens(),
            self._policy.rank(record.program, now)[0],
            now,
            idle=not engine.in_flight,
        )
        for program_id in paused:
            for ticket in self._waiting.resident(engine.engine_id, program_id):
                self.rebind(self._calls[ticket.call_id], now)

    def _taken_over(self, engine: EngineLoad, now: float) -> Turn | None:
        """Return a call bound to another engine that this one, which is idle, may take over."""
        if self._engines.is_down(engine, now):
            return None
        busy = [home for home in self._engines if home.bound and home is not engine]
        for home in sorted(busy, key=lambda each: (-each.delay_s, each.index)):
            turn = self._waiting.next_for(home.engine_id, now, boost=False)
            if turn is None or len(turn.ticket.engines) != 1 or turn.ticket.resident:
                continue
            record = self._calls[turn.ticket.call_id]
            if engine not in self._engines.with_room(record.call, record.call.engines, now):
                continue
            may_go = self._balancer.may_move(record.call, record.program, home)
            if may_go and self._fits(engine, record, now):
                return turn
        return None

    def _candidates(self, record: CallRecord, engine: EngineLoad, now: float) -> list[EngineLoad]:
        """Return the engines that can take a call whose turn has come, `engine` being one."""
        engine_ids, engines = record.ticket.engines, self._engines
        if engine.engine_id not in engine_ids or len(engine_ids) == 1:
            return [engine]
        free = engines.with_room(record.call, engine_ids, now)
        if not (engines.any_bounded or engines.any_down):
            return free
        return [
            each
            for each in free
            if each is engine
            or (engines.may_serve(each, engine_ids, now) and self._fits(each, record, now))
        ]

    def _choose(self, record: CallRecord, candidates: list[EngineLoad], now: float) -> EngineLoad:
        """Return the one that serves a call: one that must be tried first, else the balancer's."""
        if len(candidates) == 1:
            return candidates[0]
        if self._engines.any_down:
            for each in candidates:
                if self._engines.due_for_a_probe(each, now):
                    return each
        return self._balancer.choose(record.call, record.program, candidates)
