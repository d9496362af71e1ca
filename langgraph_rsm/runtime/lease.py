"""Leases: from asking for a slot to giving it back, for threads and for coroutines.

A waiter is how the scheduler reaches a caller that waits: a thread blocks on a lock, a coroutine on
a future of its own event loop that is completed with `call_soon_threadsafe`. Nothing polls.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from langgraph_rsm.core.events import Cancelled, Failed, Fault, Finished
from langgraph_rsm.errors import QueueTimeoutError
from langgraph_rsm.identity.forks import generation
from langgraph_rsm.runtime.faults import fault_of, retry_after_s
from langgraph_rsm.telemetry.recorder import Ending

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from langgraph_rsm.core.call import Call, TokenUsage
    from langgraph_rsm.runtime.engine import Engine

_CANCELLATIONS = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)
"""Exceptions that mean "the caller left", not "the engine failed"."""

_NOTHING_TO_TELL = Ending()

_held: ContextVar[tuple[weakref.ref[Lease], ...]] = ContextVar("langgraph_rsm_held", default=())
"""Leases begun in this context, newest last; weak, so that an abandoned one can still vanish."""


class Lessor(Protocol):
    """Who gives slots and takes them back: a `Scheduler`, as far as leases know it."""

    clock: Callable[[], float]
    """Monotonic clock in seconds."""

    def _submit(
        self,
        call: Call,
        waiter: SyncWaiter | AsyncWaiter,
        *,
        may_wait: bool,
        place: int | None,
        timeout_s: float | None,
    ) -> None:
        """Queue a call; its waiter is resolved when it has a slot."""

    def _begin(self, call: Call, engine_id: str) -> Lease:
        """Begin a call that has a slot."""

    def _first_token(self, lease: Lease) -> None:
        """Take note of a first chunk."""

    def _end(self, call_id: str, kind: type[Finished | Failed | Cancelled], how: Ending) -> None:
        """End a call unless it has ended already; also a call that still waits."""

    def _orphan(self, call_id: str) -> None:
        """Cancel a call whose caller vanished; safe in a finalizer, whatever this thread is at."""


class Lease:
    """A slot on an engine, held until the end of the call; made by a scheduler only."""

    __slots__ = (
        "__weakref__",
        "_last_chunk_s",
        "_scheduler",
        "call",
        "chunks",
        "engine",
        "engine_id",
        "generation",
        "level",
        "longest_gap_s",
        "open",
        "place",
        "started_s",
        "tokens",
        "ttft_s",
    )

    def __init__(
        self,
        *,
        scheduler: Lessor,
        call: Call,
        engine: Engine,
        engine_id: str,
        started_s: float,
        place: int,
        level: int = 0,
    ) -> None:
        self._scheduler = scheduler
        self.call = call
        self.engine = engine
        """The engine that was chosen for the call."""
        self.engine_id = engine_id
        """Its id, looked up once: `engine.engine_id` may have to be derived."""
        self.started_s = started_s
        """When the call began, in seconds of the scheduler's clock."""
        self.place = place
        """Position of the call in the order of all submissions."""
        self.level = level
        """Queue that the call came from, 0 first."""
        self.open = True
        """Whether the slot is still held."""
        self.ttft_s: float | None = None
        """Seconds from start to first token; None before it came."""
        self.tokens: TokenUsage | None = None
        """Set it before the end to have it in the record of the call."""
        self.chunks = 0
        """Chunks of the answer so far; 0 for an answer that is not streamed."""
        self.longest_gap_s: float | None = None
        """Longest time between two chunks; None before the second."""
        self.generation = generation()
        """Of the process that holds it: a forked child does not."""
        self._last_chunk_s = started_s

    def chunk(self) -> None:
        """Tell that a chunk arrived; the first one is the first token."""
        self.chunks += 1
        if self.ttft_s is None:
            self._scheduler._first_token(self)
            self._last_chunk_s = self.started_s + (self.ttft_s or 0.0)
            return
        now = self._scheduler.clock()
        self.longest_gap_s = max(self.longest_gap_s or 0.0, now - self._last_chunk_s)
        self._last_chunk_s = now

    def first_token(self) -> None:
        """Tell that the first chunk arrived; later calls change nothing."""
        if self.ttft_s is None:
            self._scheduler._first_token(self)

    @property
    def mean_gap_s(self) -> float | None:
        """Mean time between chunks, in seconds; None before the second."""
        if self.chunks < 2 or self.ttft_s is None:
            return None
        return (self._last_chunk_s - self.started_s - self.ttft_s) / (self.chunks - 1)

    def end(self, error: BaseException | None = None) -> None:
        """Give the slot back; only the first call counts.

        Args:
            error: What ended the call early; None when the answer is complete.
        """
        self.open = False
        if error is None and self.ttft_s is None:  # the usual answer, whole and at once
            how = Ending(tokens=self.tokens) if self.tokens is not None else _NOTHING_TO_TELL
            self._scheduler._end(self.call.call_id, Finished, how)
            return
        kind: type[Finished | Failed | Cancelled] = Finished
        if error is not None:
            kind = Cancelled if isinstance(error, _CANCELLATIONS) else Failed
        how = Ending(
            ttft_s=self.ttft_s,
            tokens=self.tokens,
            error_type=type(error).__name__ if kind is Failed else None,
            fault=Fault.CALL if error is None else fault_of(error),
            retry_after_s=None if error is None else retry_after_s(error),
            chunks=self.chunks,
            mean_gap_s=self.mean_gap_s,
            longest_gap_s=self.longest_gap_s,
        )
        self._scheduler._end(self.call.call_id, kind, how)

    def __del__(self) -> None:
        # The net under every other path: an async generator whose loop is gone is never resumed,
        # so its frame, and with it this lease, just disappears.
        if self.open:
            self._scheduler._orphan(self.call.call_id)


class Waiter:
    """What a caller that waits is told."""

    __slots__ = ("engine_id", "not_before_s", "refusal")

    def __init__(self) -> None:
        self.engine_id: str | None = None
        self.not_before_s: float | None = None
        """When it may begin; None for at once."""
        self.refusal: Exception | None = None
        """Why it will never get a slot; None as long as it may."""

    @property
    def told(self) -> bool:
        """Whether there is an answer."""
        return self.engine_id is not None or self.refusal is not None

    def answer(self) -> str | None:
        """Return the engine, None if none came in time, or raise the refusal."""
        if self.refusal is not None:
            raise self.refusal
        return self.engine_id


class SyncWaiter(Waiter):
    """A thread that waits for its slot.

    Most calls find a slot at once, so nothing to wait on is made before it is needed. Whoever waits
    makes it first and looks for the engine then; whoever resolves does it the other way round: one
    of the two always sees what the other did. The same holds for `AsyncWaiter`.
    """

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        super().__init__()
        self._gate: threading.Lock | None = None

    def resolve(self, engine_id: str | None) -> bool:
        """Wake the thread up, with an engine or a refusal; always reaches it."""
        self.engine_id = engine_id
        if self._gate is not None:
            self._gate.release()
        return True

    def wait(self, timeout_s: float | None) -> str | None:
        """Block until a slot is assigned; returns its engine, or None after `timeout_s`."""
        if not self.told:
            gate = threading.Lock()
            gate.acquire()
            self._gate = gate
            if not self.told:
                bound_s = -1 if timeout_s is None else min(timeout_s, threading.TIMEOUT_MAX)
                gate.acquire(timeout=bound_s)
        return self.answer()


class AsyncWaiter(Waiter):
    """A coroutine that waits for its slot on its own event loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] | None = None

    def resolve(self, engine_id: str | None) -> bool:
        """Wake the coroutine up from any thread; False if its loop is closed."""
        self.engine_id = engine_id
        if self._future is None:
            return not self._loop.is_closed()
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed, its coroutine will never run again
            return False
        return True

    async def wait(self, timeout_s: float | None) -> str | None:
        """Wait until a slot is assigned; returns its engine, or None after `timeout_s`."""
        if not self.told:
            self._future = future = self._loop.create_future()
            if not self.told:
                await (future if timeout_s is None else asyncio.wait((future,), timeout=timeout_s))
        return self.answer()

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class Slot:
    """Context manager of one call: `with` blocks the thread, `async with` suspends the task.

    Entering waits for a slot and gives the `Lease`; leaving ends the call exactly once, as failed
    or cancelled when an exception passes.
    """

    __slots__ = ("_call", "_lease", "_place", "_scheduler", "_timeout_s")

    def __init__(
        self, scheduler: Lessor, call: Call, *, timeout_s: float | None, place: int | None
    ) -> None:
        self._scheduler = scheduler
        self._place = place
        self._call = call
        self._timeout_s = timeout_s
        self._lease: Lease | None = None

    def __enter__(self) -> Lease:
        waiter = SyncWaiter()
        # A thread that runs an event loop would stop the very coroutines whose slots it waits for.
        may_wait = not _holds_a_lease() and asyncio._get_running_loop() is None
        try:
            self._submit(waiter, may_wait=may_wait)
            engine_id = waiter.wait(self._timeout_s)
            if (rest_s := self._rest_s(waiter)) > 0:  # waiting for a clock can always end
                time.sleep(rest_s)
            return self._begin(engine_id, waiter)
        except BaseException:  # KeyboardInterrupt while blocked, too
            self._scheduler._end(self._call.call_id, Cancelled, _NOTHING_TO_TELL)
            raise

    async def __aenter__(self) -> Lease:
        waiter = AsyncWaiter()
        try:
            self._submit(waiter, may_wait=not _holds_a_lease())
            engine_id = await waiter.wait(self._timeout_s)
            if (rest_s := self._rest_s(waiter)) > 0:
                await asyncio.sleep(rest_s)
            return self._begin(engine_id, waiter)
        except BaseException:
            self._scheduler._end(self._call.call_id, Cancelled, _NOTHING_TO_TELL)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            self._lease.end(error)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            self._lease.end(error)

    def _submit(self, waiter: SyncWaiter | AsyncWaiter, *, may_wait: bool) -> None:
        self._scheduler._submit(
            self._call, waiter, may_wait=may_wait, place=self._place, timeout_s=self._timeout_s
        )

    def _rest_s(self, waiter: Waiter) -> float:
        """Return seconds until the engine may be asked, or until that is too late."""
        if waiter.not_before_s is None:
            return 0.0
        rest_s = waiter.not_before_s - self._scheduler.clock()
        return rest_s if self._timeout_s is None else min(rest_s, self._timeout_s)

    def _begin(self, engine_id: str | None, waiter: Waiter) -> Lease:
        at_s = waiter.not_before_s
        if at_s is not None and self._timeout_s is not None:
            # A timer may ring a little early, see `asyncio.BaseEventLoop._run_once`.
            early_s = at_s - self._scheduler.clock()
            engine_id = engine_id if early_s < 0.01 else None
        if engine_id is None:
            raise QueueTimeoutError(
                call_id=self._call.call_id,
                timeout_s=self._timeout_s or 0.0,
                engines=self._call.engines,
            )
        self._lease = lease = self._scheduler._begin(self._call, engine_id)
        _held.set((*_leases_open(), weakref.ref(lease)))
        return lease


def _holds_a_lease() -> bool:
    """Tell whether this context has a call open, such as a stream that it is reading.

    Its slot comes back only when the caller goes on, so the caller must not wait for one.
    """
    return bool(_leases_open())


def _leases_open() -> list[weakref.ref[Lease]]:
    here = generation()
    return [
        ref
        for ref in _held.get()
        if (lease := ref()) is not None and lease.open and lease.generation == here
    ]
