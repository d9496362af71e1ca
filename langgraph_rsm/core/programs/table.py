"""Process table: the programs that are live, from their first call to their end or long silence."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from langgraph_rsm.core.programs.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.core.call import Call

_REMEMBERED_PATHS = 256
"""Ended calls of a program whose path is kept for later calls that name them as parents."""

_MAX_GRAPHS = 1024
"""Graphs whose programs' contexts are remembered; a bound of memory."""
_LEARNING_RATIO = 0.05
"""Weight of the latest program in the average of its graph."""


class ProcessTable:
    """Programs by id. Every update is O(1), forgetting stale programs included.

    Args:
        ttl_s: Seconds without an active call after which a program is stale.
    """

    def __init__(self, *, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._programs: dict[str, Program] = {}
        self._count = 0
        self.fresh_until_s = -math.inf
        """No program is stale up to then."""
        self._final_tokens: dict[str, float] = {}
        # Ordered by the moment of becoming idle, so that the stale ones are in front.
        self._idle: OrderedDict[str, float] = OrderedDict()

    def admit(self, call: Call, now: float) -> Program:
        """Count the arrival of a waiting call; its first call creates a program."""
        program = self._programs.get(call.program_id)
        if program is None:
            program = self._programs[call.program_id] = self._create(call, now)
        self._idle.pop(call.program_id, None)
        program.last_arrival_s = now
        if call.thread_id:
            if program.branches is None:
                program.branches = {}
            program.branches[call.thread_id] = program.branches.get(call.thread_id, 0) + 1
        if call.graph and not program.graph:
            program.graph = call.graph
        if call.parents and program.paths is None:
            program.paths = OrderedDict[str, float]()
        if call.oracle_remaining_s is not None and program.oracle_s is None:
            program.oracle_s = program.attained_s + call.oracle_remaining_s
        self._start_waiting(program, now)
        return program

    def dispatch(self, program: Program, engine_id: str, now: float) -> None:
        """Count a call that left the queue for an engine."""
        self._stop_waiting(program, now)
        program.running += 1
        program.home = engine_id
        if program.engines is None:
            program.engines = {}
        program.engines[engine_id] = program.engines.get(engine_id, 0) + 1

    def requeue(self, program: Program, now: float) -> None:
        """Count a call that left its engine to wait again."""
        program.running -= 1
        self._start_waiting(program, now)

    def abandon(self, call: Call, now: float) -> Program | None:
        """Count a call that was cancelled while it waited; returns the program if that ends it."""
        program = self._programs[call.program_id]
        self._stop_waiting(program, now)
        return self._leave(program, call, now)

    def complete(self, call: Call, *, path_s: float, now: float) -> Program | None:
        """Count a call that gave its slot back for good.

        Args:
            call: The call.
            path_s: Length of the chain of calls that ends with it, in seconds.
            now: Time in seconds.

        Returns:
            The program if its run is over and this was its last call, else None.
        """
        program = self._programs[call.program_id]
        program.running -= 1
        if path_s > program.critical_path_s:
            program.critical_path_s = path_s
        if program.paths is not None:
            program.paths[call.call_id] = path_s
            if len(program.paths) > _REMEMBERED_PATHS:
                program.paths.popitem(last=False)
        return self._leave(program, call, now)

    def end(self, program_id: str) -> Program | None:
        """Mark a run as over; returns the program if it had no active call, else None."""
        program = self._programs.get(program_id)
        if program is None:
            return None
        program.ended = True
        return None if program.active else self._remove(program_id)

    def expire(self, now: float) -> Program | None:
        """Forget the program idle for longest if it is stale; None if there is none."""
        program_id, since_s = next(iter(self._idle.items()), ("", now))
        if now - since_s > self._ttl_s:
            return self._remove(program_id)
        self.fresh_until_s = since_s + self._ttl_s
        return None

    def get(self, program_id: str) -> Program | None:
        """Return the entry of a program; None if it is not known (any more)."""
        return self._programs.get(program_id)

    def __getitem__(self, program_id: str) -> Program:
        return self._programs[program_id]

    def _create(self, call: Call, now: float) -> Program:
        self._count += 1
        return Program(
            program_id=call.program_id,
            tenant=call.tenant,
            weight=call.weight,
            index=self._count - 1,
            arrived_s=now,
            last_arrival_s=now,
            recent_at_s=now,
            expected_tokens=int(self._final_tokens.get(call.graph, 0.0)),
        )

    def _start_waiting(self, program: Program, now: float) -> None:
        if not program.waiting:
            program.waiting_since_s = now
        program.waiting += 1

    def _stop_waiting(self, program: Program, now: float) -> None:
        program.waiting -= 1
        if not program.waiting:
            program.closed_wait_s += now - program.waiting_since_s

    def _leave(self, program: Program, call: Call, now: float) -> Program | None:
        program.finished += 1
        program.last_completion_s = now
        if program.branches is not None and call.thread_id:
            program.branches[call.thread_id] -= 1
            if not program.branches[call.thread_id]:
                del program.branches[call.thread_id]
        if program.active:
            return None
        if program.ended:
            return self._remove(program.program_id)
        self._idle[program.program_id] = now
        return None

    def _remove(self, program_id: str) -> Program:
        self._idle.pop(program_id, None)
        program = self._programs.pop(program_id)
        tokens = program.context_tokens
        mean = self._final_tokens.get(program.graph)
        if mean is not None:
            self._final_tokens[program.graph] = mean + _LEARNING_RATIO * (tokens - mean)
        elif tokens and program.graph and len(self._final_tokens) < _MAX_GRAPHS:
            self._final_tokens[program.graph] = tokens
        return program

    def __len__(self) -> int:
        return len(self._programs)

    def __iter__(self) -> Iterator[Program]:
        return iter(self._programs.values())
