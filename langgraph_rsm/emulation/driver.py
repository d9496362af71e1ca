"""Run an engine model in real time: one asyncio task turns durations into waiting.

Deadlines are absolute (end of the previous iteration plus duration), so the inaccuracy of timers
does not add up. When the event loop falls behind by more than `MAX_LAG_S`, the engine is
re-anchored to the present and the lost time is counted, instead of being caught up in a burst
that no real engine would show.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from langgraph_rsm.emulation.engine_model import EngineModel
from langgraph_rsm.emulation.errors import EmulationError, OverloadedError
from langgraph_rsm.emulation.metrics import LatencyMetrics
from langgraph_rsm.emulation.profiles import EngineProfile
from langgraph_rsm.emulation.request import Admission, EngineRequest, Finished

MAX_LAG_S = 0.25
"""Bound on the burst after a pause of the event loop; below what a human reader notices."""


class Ticket:
    """The progress of one request, written by the driver and read by one handler."""

    __slots__ = (
        "_every_token",
        "_wake",
        "admitted_s",
        "emitted",
        "error",
        "finished",
        "request_id",
        "submitted_s",
    )

    def __init__(self, request_id: str, *, submitted_s: float, every_token: bool) -> None:
        self.request_id = request_id
        self.submitted_s = submitted_s
        self.admitted_s: float | None = None
        self.emitted = 0
        self.finished: Finished | None = None
        self.error: EmulationError | None = None
        self._every_token = every_token
        self._wake = asyncio.Event()

    def add_token(self) -> None:
        """Count one more token, and wake the handler if it streams."""
        self.emitted += 1
        if self._every_token:
            self._wake.set()

    def close(
        self, *, finished: Finished | None = None, error: EmulationError | None = None
    ) -> None:
        """End the request and wake the handler."""
        self.finished = finished
        self.error = error
        self._wake.set()

    async def wait(self) -> Finished | None:
        """Wait for news; tokens that arrive while the handler is busy come as one piece of news.

        Returns:
            The final record, or None while the request runs.

        Raises:
            EmulationError: When the engine gave up the request.
        """
        await self._wake.wait()
        self._wake.clear()
        if self.error is not None:
            raise self.error
        return self.finished


class EngineDriver:
    """An engine model that runs in real time on the current event loop.

    Args:
        profile: The engine.
        max_queue: Most requests that may wait; one more is refused.
        clock: Monotonic clock in seconds; None means that of the running event loop.
    """

    def __init__(
        self,
        profile: EngineProfile,
        *,
        max_queue: int = 4096,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.model = EngineModel(profile)
        self.latencies = LatencyMetrics()
        self.lag_s = 0.0
        """Time lost by falling behind, in seconds."""
        self._max_queue = max_queue
        self._clock = clock
        self._ids = itertools.count()
        self._tickets: dict[str, Ticket] = {}
        self._work = asyncio.Event()
        self._failure: EmulationError | None = None

    def now_s(self) -> float:
        """Return the time on the driver's clock, in seconds."""
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def next_id(self) -> str:
        """Return a request id that was not used before."""
        return str(next(self._ids))

    def submit(self, request: EngineRequest, *, every_token: bool) -> Ticket:
        """Start a request.

        Args:
            request: What to generate.
            every_token: Whether `Ticket.wait` returns at every token or only at the end.

        Raises:
            RequestRejectedError: When the engine can never run it.
            OverloadedError: When the queue is full or the engine has stopped.
        """
        if self._failure is not None:
            raise self._failure
        if len(self._tickets) - self.model.running >= self._max_queue:
            msg = f"{self._max_queue} requests wait already; retry later or raise --max-queue"
            raise OverloadedError(msg, headers={"retry-after": "1"})
        now_s = self.now_s()
        self.model.submit(request, now_s)
        ticket = Ticket(request.request_id, submitted_s=now_s, every_token=every_token)
        self._tickets[request.request_id] = ticket
        self._work.set()
        return ticket

    def abort(self, ticket: Ticket) -> None:
        """Drop a request and free its seat; does nothing when it has ended."""
        if self._tickets.pop(ticket.request_id, None) is not None:
            ticket.finished = self.model.abort(ticket.request_id)

    async def run(self) -> None:
        """Drive the model until cancelled; then every open request ends with an error."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                await self._run_busy_period()
        except BaseException as exc:
            cause = "is stopping" if isinstance(exc, asyncio.CancelledError) else f"failed: {exc!r}"
            self._fail(OverloadedError(f"the embedded engine {cause}"))
            raise

    async def _run_busy_period(self) -> None:
        deadline_s = self.now_s()
        while (iteration := self.model.begin_iteration()) is not None:
            for admission in iteration.admitted:
                self._note_admission(admission)
            deadline_s = self._bound_lag(deadline_s + iteration.duration_s)
            await self._sleep_until(deadline_s)
            self._deliver()

    def _bound_lag(self, deadline_s: float) -> float:
        lag_s = self.now_s() - deadline_s
        if lag_s <= MAX_LAG_S:
            return deadline_s
        self.lag_s += lag_s
        return deadline_s + lag_s

    async def _sleep_until(self, deadline_s: float) -> None:
        # Also without delay the handlers must get their turn.
        await asyncio.sleep(max(0.0, deadline_s - self.now_s()))

    def _note_admission(self, admission: Admission) -> None:
        ticket = self._tickets[admission.request_id]
        if ticket.admitted_s is None:
            ticket.admitted_s = self.now_s()
            self.latencies.queue_time.observe(ticket.admitted_s - ticket.submitted_s)

    def _deliver(self) -> None:
        outcome = self.model.end_iteration()
        now_s = self.now_s()
        tickets = self._tickets
        for request_id in outcome.first_tokens:
            self.latencies.time_to_first_token.observe(now_s - tickets[request_id].submitted_s)
        for request_id in outcome.emitted:
            tickets[request_id].add_token()
        for finished in outcome.finished:
            ticket = tickets.pop(finished.request_id)
            self.latencies.end_to_end.observe(now_s - ticket.submitted_s)
            ticket.close(finished=finished)

    def _fail(self, error: EmulationError) -> None:
        self._failure = error
        for ticket in self._tickets.values():
            ticket.close(error=error)
        self._tickets.clear()
