"""Load balancers: which engine serves a call when several of its engines have a free slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from langgraph_rsm.config import BalancerName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.events import Call
    from langgraph_rsm.process_table import Program


@dataclass(slots=True, kw_only=True)
class EngineLoad:
    """Slots of one engine; the core changes them, a balancer only reads."""

    engine_id: str
    index: int
    """Order of registration, from 0; breaks ties."""
    capacity: int
    """Most calls in flight; 0 when the engine takes no new calls."""
    in_flight: set[str] = field(default_factory=set)
    """Ids of the calls that hold a slot; above `capacity` only after it was lowered."""
    ceiling: int = 0
    """Most calls that may hold a slot now: `capacity`, or more while calls from before it was
    lowered, or calls that could not wait, are in flight."""

    @property
    def has_room(self) -> bool:
        """Whether another call may start now."""
        return len(self.in_flight) < self.capacity

    @property
    def utilization_ratio(self) -> float:
        """Share of the slots in use, 0 to 1; 1 for a closed engine."""
        return len(self.in_flight) / self.capacity if self.capacity else 1.0

    def resize(self, capacity: int) -> None:
        """Change the capacity; calls beyond it keep their slots until they end."""
        self.capacity = capacity
        self.ceiling = max(capacity, len(self.in_flight))

    def take(self, call_id: str) -> None:
        """Give a slot to a call, beyond the capacity if there is no room."""
        self.in_flight.add(call_id)
        self.ceiling = max(self.ceiling, len(self.in_flight))

    def release(self, call_id: str) -> None:
        """Take the slot of a call back."""
        self.in_flight.remove(call_id)
        self.ceiling = max(self.capacity, len(self.in_flight))


class Balancer(Protocol):
    """Choice of an engine for a call that is about to start."""

    def choose(self, call: Call, program: Program, engines: Sequence[EngineLoad]) -> EngineLoad:
        """Return one of `engines`.

        Args:
            call: The call that got its turn.
            program: Its program's entry, with the engines used before; to be read only.
            engines: The call's engines that have room, in the call's order; all its engines for a
                call that may not wait. Never empty.
        """


class LeastUsed:
    """Choose the engine with the smallest share of its slots in use; ties by registration."""

    def choose(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> EngineLoad:
        """Return the least used engine; O(engines)."""
        return min(engines, key=lambda engine: (engine.utilization_ratio, engine.index))


class RoundRobin:
    """Choose the engine after the one chosen last, in order of registration."""

    def __init__(self) -> None:
        self._last = -1

    def choose(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> EngineLoad:
        """Return the next engine in turn; O(engines)."""
        last = self._last
        chosen = min(engines, key=lambda engine: (engine.index <= last, engine.index))
        self._last = chosen.index
        return chosen


def create_balancer(config: SchedulerConfig) -> Balancer:
    """Make the balancer that `config.balancer` names."""
    if config.balancer is BalancerName.ROUND_ROBIN:
        return RoundRobin()
    return LeastUsed()
