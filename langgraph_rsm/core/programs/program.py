"""Programs: what each live one has asked for and has been given.

The fields follow Autellix (arXiv 2502.13965, section 4) with two choices of its open points made
here. A program waits while *at least one* of its calls waits (the union of the intervals, by the
clock on the wall), so a fan-out of ten does not look ten times as starved. And engine time counts
as service however the call ended: a failed or cancelled request held a slot too.

Service is measured in seconds, of time or of cost (see `ServiceMeter`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from langgraph_rsm.core.snapshots import ProgramSnapshot, ProgramState

if TYPE_CHECKING:
    from collections import OrderedDict

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.track import Track


class QueueOfProgram(Protocol):
    """Where calls of one program wait, as far as the program's rank and promotion concern it."""

    def rerank(self) -> None:
        """Move to where the rank of the program puts it now."""

    def promote(self, number: int) -> None:
        """Stand among the promoted ones, in the order of `number`."""

    def demote(self) -> None:
        """Be like any other again after a promotion."""


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
    queues: tuple[QueueOfProgram, ...] = ()
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
    """Wait and service that fade, as of this time; see `core.queueing.fairness`."""
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
