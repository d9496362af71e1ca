"""Engine loads: slots, limits, memory and health of one engine, as the core keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_rsm.core.engines.admission import Pause, RateLimit
from langgraph_rsm.core.engines.health import EngineHealth
from langgraph_rsm.core.engines.window import AdaptiveWindow, Answer
from langgraph_rsm.core.engines.working_set import WorkingSet
from langgraph_rsm.core.events import UNBOUNDED, EngineLimits

if TYPE_CHECKING:
    from langgraph_rsm.core.events import EngineObserved, Failed, Finished

_USUAL_SEATS = 256
"""Of an engine that says nothing: what vLLM's server takes by default. Only shares of it matter."""
_SERVICE_LEARNING_RATIO = 0.05
"""Weight of the latest call in an engine's average duration."""


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
    bound: int = 0
    """Waiting calls that wait for this engine alone."""
    boosted: int = 0
    """Calls in flight that got their slot because they were overdue or promoted."""
    preempting: int = 0
    """Calls in flight that have been asked to give their slot back."""
    service_s: float = 1.0
    """Average duration of its calls."""
    heard_s: float = float("-inf")
    """Time of its latest answer."""
    seen: EngineObserved | None = None
    """What it last said of itself; None if nothing yet."""
    window: AdaptiveWindow | None = None
    """None when `capacity` alone bounds the calls in flight."""
    requests: RateLimit | None = None
    tokens: RateLimit | None = None
    pauses: dict[str, Pause] = field(default_factory=dict)
    """Of each account that was refused for its rate."""
    large_until_s: float = float("-inf")
    """Until when the first in line is too large for what the rate limit has left."""
    memory: WorkingSet = field(default_factory=WorkingSet)
    memory_retry_s: float = float("inf")
    """When a program that did not fit should be looked at again."""
    health: EngineHealth = field(default_factory=EngineHealth)

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, rate limits aside."""
        return self.capacity if self.window is None else min(self.capacity, self.window.limit)

    @property
    def has_slot(self) -> bool:
        """Whether a slot is free."""
        return len(self.in_flight) < self.limit

    @property
    def utilization_ratio(self) -> float:
        """Share of the slots in use, 0 to 1; 1 for a closed engine."""
        return len(self.in_flight) / self.seats if self.capacity else 1.0

    @property
    def seats(self) -> int:
        """Calls that it is believed to take at once; a guess where nobody said so."""
        if self.capacity < UNBOUNDED:
            return self.capacity
        return min(self.limit, max(_USUAL_SEATS, len(self.in_flight)))

    @property
    def delay_s(self) -> float:
        """Estimated wait of a call that would be bound to the engine now."""
        limit = self.limit
        if not self.bound and len(self.in_flight) < limit:
            return 0.0
        return (self.bound + 1) * self.service_s / max(1, limit)

    def has_room(self, now: float, account: str | None = None) -> bool:
        """Whether a call may start now, unless it is too large for what a rate limit has left.

        Args:
            now: Time in seconds.
            account: Whose call; None leaves out whether the engine rests for somebody.
        """
        capacity, window = self.capacity, self.window
        limit = capacity if window is None else min(capacity, window.limit)
        if len(self.in_flight) >= limit:
            return False
        if self.large_until_s > now:
            return False
        if account is not None and self.pauses and self.rest_s(account, now) > 0:
            return False
        return self.requests is None or self.requests.ready_s(1, now) <= now

    def rest_s(self, account: str, now: float) -> float:
        """Return for how long the engine must not be asked by an account; 0 if it may be."""
        pause = self.pauses.get(account)
        return 0.0 if pause is None else pause.open_s(now, idle=not self.in_flight) - now

    def asked_rest_s(self, account: str, now: float) -> float:
        """Return for how long the engine asked to be left alone; 0 if it is to be tried now."""
        if self.rest_s(account, now) <= 0:
            return 0.0
        return self.pauses[account].said_until_s - now

    def ready_s(self, tokens: int, now: float) -> float:
        """Return when the rate limits let a call of this many tokens start; `now` or later."""
        at_s = max(now, self.large_until_s)
        if self.requests is not None:
            at_s = max(at_s, self.requests.ready_s(1, now))
        if self.tokens is not None:
            at_s = max(at_s, self.tokens.ready_s(tokens, now))
        return at_s

    def resize(self, capacity: int, limits: EngineLimits | None, now: float) -> None:
        """Change the capacity; calls beyond it keep their slots until they end."""
        self.capacity = capacity
        self.ceiling = max(capacity, len(self.in_flight))
        if self.window is not None:
            self.window.ceiling = max(1, capacity)
        if limits is None:
            return
        self.large_until_s = float("-inf")
        self.requests = _rate(self.requests, limits.requests_per_minute, now)
        self.tokens = _rate(self.tokens, limits.tokens_per_minute, now)
        self.memory = WorkingSet(limits.kv_tokens)

    def inherit(self, other: EngineLoad) -> None:
        """Know of the engine what another process knew; not of its calls."""
        self.service_s, self.window, self.health = other.service_s, other.window, other.health
        self.pauses = other.pauses

    def take(self, call_id: str, tokens: int) -> None:
        """Give a slot to a call, beyond the capacity if there is no room."""
        self.in_flight.add(call_id)
        self.ceiling = max(self.ceiling, len(self.in_flight))
        if self.requests is not None:
            self.requests.take(1)
        if self.tokens is not None:
            self.tokens.take(tokens)

    def release(self, call_id: str) -> None:
        """Take the slot of a call back."""
        self.in_flight.remove(call_id)
        self.ceiling = max(self.capacity, len(self.in_flight))

    def settle(self, *, reserved_tokens: int, used_tokens: int | None) -> None:
        """Replace the tokens that a call reserved by what it used; None leaves the reservation."""
        if self.tokens is not None and used_tokens is not None:
            self.tokens.take(used_tokens - reserved_tokens)
            self.large_until_s = float("-inf")  # look anew at who is first

    def learn(self, event: Finished, service_s: float) -> None:
        """Take note of an answer and of how long the call had a slot."""
        self.service_s += _SERVICE_LEARNING_RATIO * (service_s - self.service_s)
        self.heard_s = event.now
        if self.window is None:
            return
        tokens = event.tokens
        answer = Answer(
            in_flight=len(self.in_flight) + 1,
            service_s=service_s,
            usual_s=self.service_s,
            ttft_s=event.ttft_s,
            uncached_tokens=None if tokens is None else tokens.input_tokens - tokens.cached_tokens,
            output_tokens=None if tokens is None else tokens.output_tokens,
        )
        self.window.answered(event.now, answer)

    def refused(self, event: Failed, account: str) -> None:
        """Take note that the engine refused a call of an account for its rate."""
        self.pauses.setdefault(account, Pause()).refused(event.now, event.retry_after_s)
        if self.window is not None:
            self.window.refused(
                event.now, recovery_s=self.service_s, in_flight=len(self.in_flight) + 1
            )

    def observe(self, event: EngineObserved) -> None:
        """Believe what the engine says of itself."""
        headers, now = event.headers, event.now
        if headers is None:
            self.seen = event
        waiting, in_flight = event.waiting, len(self.in_flight)
        if waiting is None and event.running is not None and event.seats is not None:
            waiting = max(0, in_flight - event.seats) if event.running >= event.seats else 0
        if waiting is not None and self.window is not None:
            self.window.told(now, waiting=waiting, running=event.running, in_flight=in_flight)
        if headers is None:
            return
        for limit, remaining, reset_s in (
            (self.requests, headers.remaining_requests, headers.reset_requests_s),
            (self.tokens, headers.remaining_tokens, headers.reset_tokens_s),
        ):
            if remaining is None:
                continue
            if limit is not None:
                limit.observe(remaining, now)
            elif remaining <= 0 and reset_s is not None:
                self.pauses.setdefault("", Pause()).refused(now, reset_s)


def _rate(old: RateLimit | None, per_minute: float | None, now: float) -> RateLimit | None:
    if per_minute is None:
        return None
    return old if old is not None and old.per_minute == per_minute else RateLimit(per_minute, now)
