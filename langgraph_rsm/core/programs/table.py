"""Process table: what each live program has asked for and has been given.

The fields follow Autellix (arXiv 2502.13965, section 4) with two choices of its open points made
here. A program waits while *at least one* of its calls waits (the union of the intervals, by the
clock on the wall), so a fan-out of ten does not look ten times as starved. And engine time counts
as service however the call ended: a failed or cancelled request held a slot too.

Service is measured in seconds, of time or of cost (see `langgraph_rsm.service`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.core.events import Call
    from langgraph_rsm.core.programs.history import Track
    from langgraph_rsm.core.queueing.queues import ProgramQueue

_REMEMBERED_PATHS = 256
"""Ended calls of a program whose path is kept for later calls that name them as parents."""

_MAX_GRAPHS = 1024
"""Graphs whose programs' contexts are remembered; a bound of memory."""
_LEARNING_RATIO = 0.05
"""Weight of the latest program in the average of its graph."""


class ProgramState(StrEnum):
    """What a program is doing."""

    REASONING = "reasoning"
    """It has calls waiting or running."""
    ACTING = "acting"
    """It has none: its tools, its code or a person are at work."""
    DONE = "done"
    """Its run is over; the entry goes with the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSnapshot:
    """State of a program at one moment; all times in seconds of the scheduler's clock."""

    program_id: str
    tenant: str
    weight: float
    arrived_s: float
    """Arrival of its first call."""
    state: ProgramState
    attained_s: float
    """Service of all its calls together, as far as it is known."""
    critical_path_s: float
    """Service along the longest observed chain of its calls."""
    wait_s: float
    """Time during which at least one of its calls waited."""
    context_tokens: int
    """Length of its latest call, prompt and answer; 0 when unknown."""
    home: str | None
    """Engine that served its latest call, whose cache is likely to hold its context."""
    waiting: int
    running: int
    finished: int
    """Calls that ended in any way."""
    engines: tuple[tuple[str, int], ...]
    """Engines used and how many of its calls each served, most used first."""
    threads: tuple[str, ...]
    """Branches with a call waiting or running, sorted."""
    last_arrival_s: float
    last_completion_s: float | None
    """End of its latest call; None while none has ended."""


@dataclass(slots=True, kw_only=True)
class Program:
    """A live entry; the process table and the core change it, policies and balancers read it."""

    program_id: str
    tenant: str
    weight: float
    """Share as declared by its first call: its own, or that of a named tenant."""
    index: int
    """Order of arrival, from 0; breaks ties."""
    arrived_s: float
    last_arrival_s: float
    graph: str = ""
    attained_s: float = 0.0
    critical_path_s: float = 0.0
    closed_wait_s: float = 0.0
    """Waiting time of closed intervals; the open one began at `waiting_since_s`."""
    waiting_since_s: float = 0.0
    waiting: int = 0
    running: int = 0
    finished: int = 0
    last_completion_s: float | None = None
    ended: bool = False
    """Whether its run is over, so that the entry goes with the last active call."""
    context_tokens: int = 0
    expected_tokens: int = 0
    """Length that contexts of programs of its graph had at their end, on average; 0 when unknown.
    A context comes in for good, so it is to fit when it has grown."""
    home: str | None = None
    engines: dict[str, int] | None = None
    """Calls that each engine served; None before the first."""
    branches: dict[str, int] | None = None
    """Calls waiting or running of each thread but the main one; None before there is any."""
    paths: OrderedDict[str, float] | None = None
    """Length of the chain of calls that ends with each ended call; None before a call named its
    parents."""
    open_calls: int = 0
    """Calls whose service runs by the clock now, since `open_since_s / open_calls` on average."""
    open_since_s: float = 0.0
    """Sum, over these calls, of the time up to which their service is in `attained_s`."""
    rank: tuple[float, float] = (0, 0)
    """Rank by which its waiting calls are queued."""
    queues: tuple[ProgramQueue, ...] = ()
    """Where its calls wait: one for each set of engines that they wait for."""
    level: int | None = None
    """Level that a policy gave it last; for policies with hysteresis."""
    turn: int = -1
    """Latest round in which it has a call; for `round_robin`."""
    oracle_s: float | None = None
    """Total service it will have had at its end, as a simulation told."""
    track: Track | None = None
    """Where it is in the history of its graph; None if nobody learns."""
    recent_wait_s: float = 0.0
    recent_service_s: float = 0.0
    recent_at_s: float = 0.0
    """Wait and service that fade, as of this time; see `langgraph_rsm.core.queueing.fairness`."""
    promoted_left: int = 0
    """Calls that still go first because of a promotion."""

    @property
    def active(self) -> int:
        """Calls waiting or running."""
        return self.waiting + self.running

    @property
    def share(self) -> float:
        """Share relative to other programs; 1 where the tenant has the share."""
        return self.weight if self.tenant == "default" else 1.0

    @property
    def state(self) -> ProgramState:
        """What the program is doing."""
        if self.ended:
            return ProgramState.DONE
        return ProgramState.REASONING if self.active else ProgramState.ACTING

    def service_s(self, now: float) -> float:
        """Return the service up to `now`, that of running calls included."""
        return self.attained_s + self.open_calls * now - self.open_since_s

    def wait_s(self, now: float) -> float:
        """Return the waiting time up to `now`, the open interval included."""
        return self.closed_wait_s + (now - self.waiting_since_s if self.waiting else 0.0)

    def path_before_s(self, call: Call) -> float:
        """Return the longest chain of calls that ends where a call begins.

        With parents it is the longest chain that ends with one of them; without, the longest chain
        of the program so far, as Autellix practices it.
        """
        if call.parents:
            paths = self.paths
            known = [] if paths is None else [paths[key] for key in call.parents if key in paths]
            if known:
                return max(known)
        return self.critical_path_s

    def threads(self) -> tuple[str, ...]:
        """Return the threads with a call waiting or running, sorted; the main one is empty."""
        branches = self.branches or {}
        main = ("",) if sum(branches.values()) < self.active else ()
        return (*main, *sorted(branches))

    def snapshot(self, now: float) -> ProgramSnapshot:
        """Return an immutable copy as of `now`."""
        engines = sorted((self.engines or {}).items(), key=lambda item: -item[1])
        return ProgramSnapshot(
            program_id=self.program_id,
            tenant=self.tenant,
            weight=self.weight,
            arrived_s=self.arrived_s,
            state=self.state,
            attained_s=self.attained_s,
            critical_path_s=self.critical_path_s,
            wait_s=self.wait_s(now),
            context_tokens=self.context_tokens,
            home=self.home,
            waiting=self.waiting,
            running=self.running,
            finished=self.finished,
            engines=tuple(engines),
            threads=self.threads(),
            last_arrival_s=self.last_arrival_s,
            last_completion_s=self.last_completion_s,
        )


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
