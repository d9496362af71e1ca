"""Outcomes: what became of each call and program of a simulation, and of the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.simulation.engine import EngineTotals
    from langgraph_rsm.simulation.programs import ProgramSpec


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What became of one call."""

    program: ProgramSpec
    index: int
    """Which of the program's calls it is."""
    engine_id: str
    """The engine that gave the answer, or its last slice."""
    submitted_s: float
    started_s: float
    """When its first request was sent."""
    finished_s: float


@dataclass(frozen=True, slots=True)
class ProgramOutcome:
    """What became of one program."""

    program_id: str
    graph: str
    tenant: str
    arrived_s: float
    finished_s: float
    calls: int
    output_tokens: int
    tools_s: float
    """Delays along the chain of calls that ended last: time no scheduler can save."""
    waited_s: float
    """Time its calls spent in the scheduler's queues, all together."""

    @property
    def completion_s(self) -> float:
        """Time from arrival to the last answer."""
        return self.finished_s - self.arrived_s

    @property
    def s_per_token(self) -> float:
        """Program-level token latency: response time without tools, by generated token."""
        return (self.completion_s - self.tools_s) / self.output_tokens


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all programs, and what the engines did."""

    programs: tuple[ProgramOutcome, ...]
    """In the order of completion."""
    engines: tuple[EngineTotals, ...]
    makespan_s: float
    """From the first arrival to the last answer."""
    events: int
    """Events that the core handled."""
