"""Process table: what each live program has asked for and has been given.

The fields follow Autellix (arXiv 2502.13965, section 4) with two choices of its open points made
here. A program waits while *at least one* of its calls waits (the union of the intervals, by the
clock on the wall), so a fan-out of ten does not look ten times as starved. And engine time counts
as service however the call ended: a failed or cancelled request held a slot too.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.events import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSnapshot:
    """State of a program at one moment; all times in seconds of the scheduler's clock."""

    program_id: str
    tenant: str
    weight: float
    arrived_s: float
    """Arrival of its first call."""
    attained_s: float
    """Engine time of all its ended calls together."""
    critical_path_s: float
    """Engine time along the longest observed chain of its calls."""
    wait_s: float
    """Time during which at least one of its calls waited."""
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
    """A live entry; only the process table changes it."""

    program_id: str
    tenant: str
    weight: float
    arrived_s: float
    last_arrival_s: float
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
    engines: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)

    @property
    def active(self) -> int:
        """Calls waiting or running."""
        return self.waiting + self.running

    def wait_s(self, now: float) -> float:
        """Return the waiting time up to `now`, the open interval included."""
        return self.closed_wait_s + (now - self.waiting_since_s if self.waiting else 0.0)

    def snapshot(self, now: float) -> ProgramSnapshot:
        """Return an immutable copy as of `now`."""
        return ProgramSnapshot(
            program_id=self.program_id,
            tenant=self.tenant,
            weight=self.weight,
            arrived_s=self.arrived_s,
            attained_s=self.attained_s,
            critical_path_s=self.critical_path_s,
            wait_s=self.wait_s(now),
            waiting=self.waiting,
            running=self.running,
            finished=self.finished,
            engines=tuple(self.engines.most_common()),
            threads=tuple(sorted(self.threads)),
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
        # Ordered by the moment of becoming idle, so that the stale ones are in front.
        self._idle: OrderedDict[str, float] = OrderedDict()

    def admit(self, call: Call, now: float) -> Program:
        """Count the arrival of a waiting call; its first call creates a program."""
        program = self._programs.get(call.program_id)
        if program is None:
            program = self._programs[call.program_id] = Program(
                program_id=call.program_id,
                tenant=call.tenant,
                weight=call.weight,
                arrived_s=now,
                last_arrival_s=now,
            )
        self._idle.pop(call.program_id, None)
        if not program.waiting:
            program.waiting_since_s = now
        program.waiting += 1
        program.last_arrival_s = now
        program.threads[call.thread_id] += 1
        return program

    def dispatch(self, call: Call, engine_id: str, now: float) -> None:
        """Count a call that left the queue for an engine."""
        program = self._programs[call.program_id]
        self._stop_waiting(program, now)
        program.running += 1
        program.engines[engine_id] += 1

    def abandon(self, call: Call, now: float) -> Program | None:
        """Count a call that was cancelled while it waited; returns the program if that ends it."""
        program = self._programs[call.program_id]
        self._stop_waiting(program, now)
        return self._leave(program, call, now)

    def complete(
        self, call: Call, *, service_s: float, path_s: float, now: float
    ) -> Program | None:
        """Count a call that gave its slot back.

        Args:
            call: The call.
            service_s: Engine time it had, in seconds.
            path_s: Length of the chain of calls that ends with it, in seconds.
            now: Time in seconds.

        Returns:
            The program if its run is over and this was its last call, else None.
        """
        program = self._programs[call.program_id]
        program.running -= 1
        program.attained_s += service_s
        program.critical_path_s = max(program.critical_path_s, path_s)
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
        if not self._idle:
            return None
        program_id, since_s = next(iter(self._idle.items()))
        return self._remove(program_id) if now - since_s > self._ttl_s else None

    def get(self, program_id: str) -> Program | None:
        """Return the entry of a program; None if it is not known (any more)."""
        return self._programs.get(program_id)

    def _stop_waiting(self, program: Program, now: float) -> None:
        program.waiting -= 1
        if not program.waiting:
            program.closed_wait_s += now - program.waiting_since_s

    def _leave(self, program: Program, call: Call, now: float) -> Program | None:
        program.finished += 1
        program.last_completion_s = now
        program.threads[call.thread_id] -= 1
        if not program.threads[call.thread_id]:
            del program.threads[call.thread_id]
        if program.active:
            return None
        if program.ended:
            return self._remove(program.program_id)
        self._idle[program.program_id] = now
        return None

    def _remove(self, program_id: str) -> Program:
        self._idle.pop(program_id, None)
        return self._programs.pop(program_id)

    def __len__(self) -> int:
        return len(self._programs)

    def __iter__(self) -> Iterator[Program]:
        return iter(self._programs.values())
