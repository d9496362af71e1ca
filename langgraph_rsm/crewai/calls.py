"""From a model of CrewAI to the same object whose calls are scheduled.

CrewAI looks at its models in many ways: `isinstance`, usage counters on the object, settings keyed
by `id(llm)`, methods that only some classes have. A wrapper breaks most of them, so the object
stays and gets a dynamic subclass of its own class that overrides `call` and `acall` alone.
"""

from __future__ import annotations

import functools
import threading
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph_rsm.core.call import Call
from langgraph_rsm.errors import ConfigError
from langgraph_rsm.identity.forks import share_lock
from langgraph_rsm.identity.programs import current_scope, hold_program, release_program
from langgraph_rsm.runtime.engine import Engine, derive_engine_id
from langgraph_rsm.runtime.nesting import inside, is_inside
from langgraph_rsm.runtime.registry import find_scheduler

if TYPE_CHECKING:
    from langgraph_rsm.runtime.lease import Slot
    from langgraph_rsm.runtime.scheduler import Scheduler

C = TypeVar("C")


def schedule_llm(
    llm: C, *, scheduler: Scheduler | str | None = None, capacity: int | None = None
) -> C:
    """Schedule a CrewAI model, in place; one done before is left alone.

    Args:
        llm: A `crewai.LLM`, or another `BaseLLM`.
        scheduler: Shared with all models whose calls compete, or its name (see `get_scheduler`);
            None takes the process-global one.
        capacity: Most calls in flight at its endpoint; None as for `Engine`.

    Returns:
        The same model.

    Raises:
        ConfigError: It is not a CrewAI model.
    """
    from crewai.llms.base_llm import BaseLLM

    if not isinstance(llm, BaseLLM):
        msg = f"schedule_llm({type(llm).__name__}) needs a CrewAI model such as LLM('openai/...')"
        raise ConfigError(msg)
    _follow_kickoffs()
    if not getattr(type(llm), "is_scheduled", False):
        # Beside pydantic's fields: dumps and comparisons of the model stay what they are.
        object.__setattr__(llm, "_rsm_scheduler", find_scheduler(scheduler))
        object.__setattr__(llm, "_rsm_capacity", capacity)
        kind: Any = type(llm)
        llm.__class__ = _scheduled_llm_class(kind)
    return llm


@cache
def _scheduled_llm_class(kind: type[Any]) -> type[Any]:
    """Return the subclass of a CrewAI model class whose calls are scheduled."""

    def call(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
        if is_inside(self):
            return kind.call(self, messages, *args, **kwargs)
        with _slot(self, messages, args, kwargs), inside(self):
            return kind.call(self, messages, *args, **kwargs)

    async def acall(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
        if is_inside(self):
            return await kind.acall(self, messages, *args, **kwargs)
        async with _slot(self, messages, args, kwargs):
            with inside(self):
                return await kind.acall(self, messages, *args, **kwargs)

    members = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__annotations__": {},
        "call": call,
        "acall": acall,
    }
    metaclass: Any = type(kind)
    scheduled: type[Any] = metaclass(kind.__name__, (kind,), members)
    scheduled.is_scheduled = True
    return scheduled


def schedule_embedder(
    embedder: C, *, scheduler: Scheduler | str | None = None, capacity: int | None = None
) -> C:
    """Schedule a model that turns texts into vectors; the arguments are those of `schedule_llm`.

    Returns:
        The same object where its class can be exchanged, else a function in its place.
    """
    kind: Any = type(embedder)
    if getattr(kind, "is_scheduled", False) or getattr(embedder, "is_scheduled", False):
        return embedder
    settings = find_scheduler(scheduler), capacity
    engine_id = derive_engine_id(embedder)  # type: ignore[arg-type]
    is_function = isinstance(embedder, types.FunctionType | types.MethodType | functools.partial)
    call: Callable[..., Any] = embedder if is_function else kind.__call__  # type: ignore[assignment]

    @functools.wraps(call, updated=())
    def scheduled(*args: Any, **kwargs: Any) -> Any:
        if is_inside(embedder):
            return call(*args, **kwargs)
        slot = _embedding_slot(embedder, engine_id, settings, args)
        with slot, inside(embedder):
            return call(*args, **kwargs)

    if is_function:
        scheduled.is_scheduled = True  # type: ignore[attr-defined]
        return scheduled  # type: ignore[return-value]
    members = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    twin = type(kind)(
        kind.__name__, (kind,), {**members, "__annotations__": {}, "__call__": scheduled}
    )
    twin.is_scheduled = True
    try:
        embedder.__class__ = twin
    except TypeError:  # an object with a fixed layout
        return functools.partial(scheduled, embedder)  # type: ignore[return-value]
    return embedder


def _embedding_slot(
    embedder: Any,
    engine_id: str,
    settings: tuple[Scheduler, int | None],
    args: tuple[Any, ...],
) -> Slot:
    """Return the slot of a call that makes vectors; it belongs to whoever asks for them."""
    scheduler, capacity = settings
    if not scheduler.knows(engine_id):
        scheduler.register(_LlmEngine(embedder, capacity=capacity, name=engine_id))
    scope = current_scope()
    call = Call(
        program_id=scope.program_id if scope else f"call-{uuid.uuid4()}",
        engines=(engine_id,),
        call_site="embedder",
        tenant=scope.tenant if scope else "default",
        weight=scope.weight if scope else 1.0,
        prompt_tokens=len(str(args)) // 4,
    )
    return scheduler.slot(call, timeout_s=scheduler.config.queue_timeout_s)


@dataclass(frozen=True, slots=True)
class _LlmEngine(Engine):
    """The endpoint of a CrewAI model, which is no LangChain model and never called through this."""

    def __post_init__(self) -> None:
        """Accept any kind of model."""


def _slot(llm: Any, messages: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Slot:
    """Return the slot of a call, given what CrewAI tells `call` about its origin."""
    scheduler: Scheduler = llm._rsm_scheduler
    engine_id = derive_engine_id(llm)
    if not scheduler.knows(engine_id):
        scheduler.register(_LlmEngine(llm, capacity=llm._rsm_capacity, name=engine_id))
    # tools, callbacks, available_functions, from_task, from_agent: positions in CrewAI's signature
    task = options.get("from_task") or (args[3] if len(args) > 3 else None)
    agent = options.get("from_agent") or (args[4] if len(args) > 4 else None)
    scope = current_scope()
    call = Call(
        program_id=scope.program_id if scope else _program_of(agent),
        engines=(engine_id,),
        thread_id=str(getattr(task, "id", "")),
        call_site=str(getattr(task, "name", None) or getattr(agent, "role", "")),
        tenant=scope.tenant if scope else "default",
        weight=scope.weight if scope else 1.0,
        prompt_tokens=len(str(messages)) // 4,
    )
    return scheduler.slot(call, timeout_s=scheduler.config.queue_timeout_s)


_lock = threading.RLock()
share_lock(_lock)
_kickoffs: set[str] = set()
"""Programs that are held until their kickoff is over."""


def _program_of(agent: Any) -> str:
    kickoff = getattr(getattr(agent, "crew", None), "_kickoff_event_id", None)
    if kickoff is None:
        return f"call-{uuid.uuid4()}"  # forgotten after `program_ttl_s`
    program_id = f"crew-{kickoff}"
    with _lock:
        if program_id not in _kickoffs:
            _kickoffs.add(program_id)
            hold_program(program_id)
    return program_id


@cache
def _follow_kickoffs() -> None:
    """End programs with their kickoffs."""
    from crewai.events import crewai_event_bus
    from crewai.events.types.crew_events import CrewKickoffCompletedEvent, CrewKickoffFailedEvent

    def end(_source: Any, event: Any) -> None:
        program_id = f"crew-{event.started_event_id}"
        with _lock:
            if program_id not in _kickoffs:
                return
            _kickoffs.remove(program_id)
        release_program(program_id)

    for kind in (CrewKickoffCompletedEvent, CrewKickoffFailedEvent):
        crewai_event_bus.register_handler(kind, end)
