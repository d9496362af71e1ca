"""Runs: programs and calls under way in a simulation, and the agenda of what happens to them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph_rsm.simulation.programs import ProgramSpec


@dataclass(slots=True)
class Run:
    """A program under way."""

    spec: ProgramSpec
    missing: list[int]
    """Parents that have not answered, per call."""
    children: list[list[int]]
    left: int
    remaining_s: float
    tools_s: list[float]
    """Delays along the latest chain up to and including each call."""
    waited_s: float = 0.0

    @classmethod
    def begin(cls, program: ProgramSpec, remaining_s: float) -> Run:
        """Return the run of a program of which no call has been made."""
        calls = program.calls
        children: list[list[int]] = [[] for _ in calls]
        for index, call in enumerate(calls):
            for parent in call.parents:
                children[parent].append(index)
        return cls(
            spec=program,
            missing=[len(call.parents) for call in calls],
            children=children,
            left=len(calls),
            remaining_s=remaining_s,
            tools_s=[call.delay_s for call in calls],
        )

    def answered(self, index: int) -> list[int]:
        """Take note of an answer; returns the calls, by index, that nothing else keeps waiting."""
        self.left -= 1
        ready = []
        for child in self.children[index]:
            self.missing[child] -= 1
            if not self.missing[child]:
                self.tools_s[child] += self.tools_s[index]
                ready.append(child)
        return ready


@dataclass(slots=True)
class LiveCall:
    """A call that has been submitted."""

    run: Run
    index: int
    arrived_s: float
    queued_s: float
    """When it began to wait last."""
    engine_id: str = ""
    generated: int = 0
    cached_tokens: int = 0
    started_s: float = -1.0
    ttft_s: float = -1.0


@dataclass(slots=True)
class Agenda:
    """What happens when; ties in the order of entry."""

    heap: list[tuple[float, int, Callable[[float, Any], None], Any]] = field(default_factory=list)
    entered: int = 0

    def add(self, at_s: float, what: Callable[[float, Any], None], subject: Any) -> None:
        """Have `what` called with the time and the subject when it comes."""
        self.entered += 1
        heapq.heappush(self.heap, (at_s, self.entered, what, subject))
