"""Steps: a scheduler's arguments to checked ones, and the core's words to callers' and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from langgraph_rsm.config import PolicyName, SchedulerConfig
from langgraph_rsm.core.events import Cancelled, EngineObserved, Failed, Finished
from langgraph_rsm.errors import (
    ConfigError,
    EngineRestingError,
    QueueFullError,
    SchedulerError,
)

if TYPE_CHECKING:
    from langgraph_rsm.core.events import Reject
    from langgraph_rsm.runtime.servers import Reading, ServerFacts
    from langgraph_rsm.telemetry.recorder import Ending
    from langgraph_rsm.telemetry.records import Hook


def choose_config(policy: Any, config: Any) -> SchedulerConfig:
    """Return the settings that a scheduler's arguments mean, checked.

    Raises:
        ConfigError: One is of the wrong kind, or the policy's name is unknown.
    """
    if config is not None and not isinstance(config, SchedulerConfig):
        hint = "SchedulerConfig(**...)" if isinstance(config, Mapping) else "a SchedulerConfig"
        msg = f"Scheduler(config={config!r}) must be {hint}; leave it out for the defaults"
        raise ConfigError(msg)
    chosen: SchedulerConfig = config or SchedulerConfig()
    if policy is None or hasattr(policy, "rank"):
        return chosen
    if not isinstance(policy, str):
        msg = f"Scheduler(policy={policy!r}) must be a policy or its name: {', '.join(PolicyName)}"
        raise ConfigError(msg)
    if policy not in list(PolicyName):
        msg = f"unknown policy {policy!r}; known are {', '.join(PolicyName)}"
        raise ConfigError(msg)
    return chosen.model_copy(update={"policy": PolicyName(policy)})


def require_hooks(hooks: Any) -> tuple[Hook, ...]:
    """Return the observers, checked.

    Raises:
        ConfigError: One cannot be called, or they are no sequence.
    """
    if not isinstance(hooks, Iterable) or not all(map(callable, chosen := tuple(hooks))):
        msg = f"Scheduler(hooks={hooks!r}) must be a list of functions that take a record"
        raise ConfigError(msg)
    return chosen


def refusal_error(refusal: Reject) -> SchedulerError:
    """Return what a caller that is turned away is told."""
    call_id, reason, rest_s = refusal.call_id, refusal.reason, refusal.retry_after_s
    if rest_s is None:
        return QueueFullError(call_id=call_id, reason=reason)
    return EngineRestingError(call_id=call_id, reason=reason, retry_after_s=rest_s)


def observation(now: float, engine_id: str, facts: ServerFacts, reading: Reading) -> EngineObserved:
    """Return the event that tells the core what a server says of itself."""
    return EngineObserved(
        now=now,
        engine_id=engine_id,
        waiting=reading.waiting,
        running=reading.running,
        seats=facts.seats,
        kv_usage_ratio=reading.kv_usage_ratio,
        prefix_hit_ratio=reading.prefix_hit_ratio,
        server=facts.name,
    )


def end_event(
    kind: type[Finished | Failed | Cancelled], call_id: str, how: Ending, now: float
) -> Finished | Failed | Cancelled:
    """Return the event that tells the core of an end what it is to know."""
    if kind is Finished:
        return Finished(now=now, call_id=call_id, tokens=how.tokens, ttft_s=how.ttft_s)
    if kind is Failed:
        return Failed(
            now=now,
            call_id=call_id,
            tokens=how.tokens,
            fault=how.fault,
            retry_after_s=how.retry_after_s,
        )
    return Cancelled(now=now, call_id=call_id, tokens=how.tokens)
