"""Timeline: a hook that remembers the latest calls as spans on the slots of their engines."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_rsm.telemetry.records import (
    CallDispatched,
    CallFinished,
    CallSubmitted,
    FirstToken,
    Outcome,
)

if TYPE_CHECKING:
    from langgraph_rsm.core.call import TokenUsage
    from langgraph_rsm.telemetry.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One ended call; all times in seconds of the scheduler's clock."""

    call_id: str
    program_id: str
    thread_id: str
    call_site: str
    tenant: str
    engine_id: str | None
    """None, as `lane`, for a call that never had a slot."""
    lane: int | None
    """Slot of the engine, from 0; the lowest that was free."""
    level: int
    outcome: Outcome
    submitted_s: float
    dispatched_s: float | None
    first_token_s: float | None
    """None when the answer was not streamed."""
    finished_s: float
    tokens: TokenUsage | None
    graph: str = ""
    """Fingerprint of the graph that the program ran; empty when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthSample:
    """A change of the number of waiting calls."""

    at_s: float
    level: int
    waiting: int
    """Calls waiting in this level from now on."""


@dataclass(slots=True)
class _Open:
    """A call that has not ended."""

    submitted_s: float
    dispatched_s: float | None = None
    first_token_s: float | None = None
    lane: int | None = None


@dataclass(slots=True)
class _Lanes:
    """Slots of one engine, handed out lowest first."""

    freed: list[int] = field(default_factory=list)
    opened: int = 0

    def take(self) -> int:
        if self.freed:
            return heapq.heappop(self.freed)
        self.opened += 1
        return self.opened - 1

    def release(self, lane: int) -> None:
        heapq.heappush(self.freed, lane)


class Timeline:
    """Hook that keeps spans: `Scheduler(hooks=[timeline])`, then `write_trace(timeline, path)`.

    Args:
        maxlen: Spans and depth samples kept, each; older ones fall out. 100 000 spans take about
            40 MiB.
    """

    def __init__(self, maxlen: int = 100_000) -> None:
        self._spans: deque[Span] = deque(maxlen=maxlen)
        self._depths: deque[DepthSample] = deque(maxlen=maxlen)
        self._waiting: dict[int, int] = {}
        self._open: dict[str, _Open] = {}
        self._lanes: dict[str, _Lanes] = {}

    def __call__(self, record: Record, /) -> None:
        """Take note of a record."""
        if isinstance(record, CallSubmitted):
            self._open[record.call.call_id] = _Open(submitted_s=record.at_s)
            self._count(record, 1)
        elif isinstance(record, CallDispatched):
            self._dispatched(record)
        elif isinstance(record, FirstToken):
            if (call := self._open.get(record.call.call_id)) is not None:
                call.first_token_s = record.at_s
        elif isinstance(record, CallFinished):
            self._finished(record)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Ended calls in the order of their ends; empty before the first."""
        return tuple(self._spans)

    @property
    def depths(self) -> tuple[DepthSample, ...]:
        """Changes of the queue depths in the order of time."""
        return tuple(self._depths)

    def _dispatched(self, record: CallDispatched) -> None:
        call = self._open.get(record.call.call_id)
        if call is None:  # the hook was added while the call waited
            return
        call.dispatched_s = record.at_s
        call.lane = self._lanes.setdefault(record.engine_id, _Lanes()).take()
        self._count(record, -1)

    def _finished(self, record: CallFinished) -> None:
        opened = self._open.pop(record.call.call_id, None)
        if opened is None:
            return
        if opened.lane is None:
            self._count(record, -1)
        elif record.engine_id is not None:
            self._lanes[record.engine_id].release(opened.lane)
        call = record.call
        self._spans.append(
            Span(
                call_id=call.call_id,
                program_id=call.program_id,
                thread_id=call.thread_id,
                call_site=call.call_site,
                tenant=call.tenant,
                engine_id=record.engine_id,
                lane=opened.lane,
                level=record.level,
                outcome=record.outcome,
                submitted_s=opened.submitted_s,
                dispatched_s=opened.dispatched_s,
                first_token_s=opened.first_token_s,
                finished_s=record.at_s,
                tokens=record.tokens,
                graph=call.graph,
            )
        )

    def _count(self, record: CallSubmitted | CallDispatched | CallFinished, change: int) -> None:
        waiting = self._waiting.get(record.level, 0) + change
        self._waiting[record.level] = waiting
        self._depths.append(DepthSample(at_s=record.at_s, level=record.level, waiting=waiting))
