"""Scheduled classes: a model class whose calls are scheduled and that is otherwise the same class.

`scheduled_class(ChatOpenAI)` is a subclass that overrides nothing but the methods in which a model
talks to its server. So `isinstance` checks, serialization, configurable fields, structured output
and whatever a provider overrides stay exactly the provider's. The subclass bears the name of its
parent, since LangChain derives tracing and serialization ids from it; a dump therefore loads as the
plain class.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr

from langgraph_rsm.errors import ConfigError
from langgraph_rsm.models.rebase import exchange_models
from langgraph_rsm.runtime.attempt import accepts_run_manager, with_ready_signature
from langgraph_rsm.runtime.calls import Route, ScheduledCall
from langgraph_rsm.runtime.clients import turn_retries_off
from langgraph_rsm.runtime.engine import Engine, account_of, named_engine_id, require_capacity
from langgraph_rsm.runtime.nesting import ainside_each, inside, inside_each, is_inside
from langgraph_rsm.runtime.registry import find_scheduler
from langgraph_rsm.runtime.scheduler import Scheduler

T = TypeVar("T", bound=Runnable[Any, Any])
M = TypeVar("M", bound=BaseChatModel)

_EVENT_HOOKS = ("_stream_chat_model_events", "_astream_chat_model_events")


def exchange_for_scheduled(model: T, scheduler: Scheduler, capacity: int | None) -> T:
    """Return a model, or what is composed of models, with every model scheduled.

    Raises:
        ConfigError: There is no model in it, or it is scheduled already.
    """
    require_capacity(capacity, "schedule")
    done = exchange_models(model, lambda one: _scheduled_copy(one, scheduler, capacity))
    if done is model:
        msg = (
            f"schedule({type(model).__name__}) found no chat model to schedule in it; pass the "
            "model itself, and bind or compose afterwards"
        )
        raise ConfigError(msg)
    return cast("T", done)


@cache
def scheduled_class(kind: type[M]) -> type[M]:
    """Return the subclass of a chat model class whose calls are scheduled.

    Its constructor takes two more keyword arguments: `scheduler`, a `Scheduler` or the name of one
    (None: the process-global one), and `capacity`, as of `Engine`.

    Raises:
        ConfigError: It is not a class of chat models, or is scheduled already.
    """
    given: Any = kind
    if not (isinstance(given, type) and issubclass(given, BaseChatModel)):
        msg = f"scheduled_class({kind!r}) needs a class of chat models such as ChatOpenAI"
        raise ConfigError(msg)
    if getattr(kind, "is_scheduled", False):
        msg = f"{kind.__name__} is scheduled already; a call would need two slots"
        raise ConfigError(msg)
    members = {**_identity_of(kind), **_fields(), **_calls_of(kind)}
    metaclass: Any = type(kind)
    return cast("type[M]", metaclass(kind.__name__, (kind,), members))


def _scheduled_copy(model: BaseChatModel, scheduler: Scheduler, capacity: int | None) -> Any:
    if getattr(type(model), "is_scheduled", False):
        msg = f"this {type(model).__name__} is scheduled already; a call would need two slots"
        raise ConfigError(msg)
    state = model.__getstate__()
    own = {"scheduler": scheduler, "capacity": capacity}
    state["__dict__"] = {**state["__dict__"], **own}
    return _restore(type(model), state)


def _restore(kind: type[BaseChatModel], state: dict[str, Any]) -> BaseChatModel:
    """Return a scheduled model of the state that a plain or scheduled one had."""
    # No constructor: it would validate, and so rebuild clients that exist.
    scheduled: Any = scheduled_class(kind)
    model: BaseChatModel = scheduled.__new__(scheduled)
    private = dict(state.get("__pydantic_private__") or {})
    private.setdefault("_engine_key", uuid.uuid4().hex[:8])
    model.__setstate__({**state, "__pydantic_private__": private})
    turn_retries_off(model)
    return model


# Members of a scheduled class


def _identity_of(kind: type[BaseChatModel]) -> dict[str, Any]:
    return {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": f"{kind.__name__} whose calls wait for a slot of a shared scheduler.",
        "__reduce__": lambda self: (_restore, (kind, self.__getstate__())),
    }


def _fields() -> dict[str, Any]:
    return {
        "__annotations__": {
            "scheduler": Any,
            "capacity": int | None,
            "_engine_key": str,
            "is_scheduled": ClassVar[bool],
        },
        "scheduler": Field(default=None, exclude=True, repr=False),
        "capacity": Field(default=None, exclude=True, repr=False, ge=1),
        "_engine_key": PrivateAttr(default_factory=lambda: uuid.uuid4().hex[:8]),
        "is_scheduled": True,
    }


def _route(model: Any) -> Route:
    """Return where the calls of a scheduled model go, as its fields say at this moment."""
    scheduler = find_scheduler(model.scheduler)
    # A model that names neither server nor model is an engine of its own; its copies share it.
    engine_id = named_engine_id(model) or f"{type(model).__name__}#{model._engine_key}"
    if not scheduler.knows(engine_id, capacity=model.capacity):
        plain = _plain_view(model)
        scheduler.register(Engine(plain, capacity=model.capacity, name=engine_id))
    turn_retries_off(model)
    accounts = {engine_id: account_of(model)}
    return Route(scheduler=scheduler, models={engine_id: model}, accounts=accounts)


def _plain_view(model: BaseChatModel) -> BaseChatModel:
    kind: Any = type(model).__mro__[1]
    view: BaseChatModel = kind.__new__(kind)
    view.__setstate__(model.__getstate__())
    return view


def _calls_of(kind: type[BaseChatModel]) -> dict[str, Callable[..., Any]]:
    """Return overrides of exactly those methods that the class has: LangChain looks which exist."""
    overrides: dict[str, Callable[..., Any]] = {"_generate": _generate_of(kind)}
    if kind._agenerate is not BaseChatModel._agenerate:  # else it calls `_generate` in a thread
        overrides["_agenerate"] = _agenerate_of(kind)
    if kind._stream is not BaseChatModel._stream:
        overrides["_stream"] = _stream_of(kind, "_stream")
    if kind._astream is not BaseChatModel._astream:  # else it calls `_stream` in a thread
        overrides["_astream"] = _astream_of(kind, "_astream")
    for hook, make in zip(_EVENT_HOOKS, (_stream_of, _astream_of), strict=True):
        if hasattr(kind, hook):
            overrides[hook] = make(kind, hook)
    return overrides


def _generate_of(kind: type[Any]) -> Callable[..., ChatResult]:
    plain = kind._generate
    passes = accepts_run_manager(plain)

    @with_ready_signature
    def _generate(
        self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        def ask(_: Any, options: dict[str, Any]) -> ChatResult:
            if passes:
                options = {**options, "run_manager": run_manager}
            with inside(self):
                return cast("ChatResult", plain(self, messages, stop=stop, **options))

        if is_inside(self):
            return ask(self, kwargs)
        return ScheduledCall(_route(self), messages, run_manager, kwargs).generate(ask)

    return _generate


def _agenerate_of(kind: type[Any]) -> Callable[..., Any]:
    plain = kind._agenerate
    passes = accepts_run_manager(plain)

    @with_ready_signature
    async def _agenerate(
        self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        async def ask(_: Any, options: dict[str, Any]) -> ChatResult:
            if passes:
                options = {**options, "run_manager": run_manager}
            with inside(self):
                return cast("ChatResult", await plain(self, messages, stop=stop, **options))

        if is_inside(self):
            return await ask(self, kwargs)
        return await ScheduledCall(_route(self), messages, run_manager, kwargs).agenerate(ask)

    return _agenerate


def _stream_of(kind: type[Any], method: str) -> Callable[..., Iterator[Any]]:
    plain = getattr(kind, method)

    def _stream(
        self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        if run_manager is not None:
            kwargs["run_manager"] = run_manager
        if is_inside(self):
            return cast("Iterator[Any]", plain(self, messages, stop=stop, **kwargs))
        return ScheduledCall(_route(self), messages, run_manager, kwargs).stream(
            lambda _, options: inside_each(
                self, lambda: plain(self, messages, stop=stop, **options)
            )
        )

    return _stream


def _astream_of(kind: type[Any], method: str) -> Callable[..., AsyncIterator[Any]]:
    plain = getattr(kind, method)

    def _astream(
        self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        if run_manager is not None:
            kwargs["run_manager"] = run_manager

        def ask(_: Any, options: dict[str, Any]) -> AsyncIterator[Any]:
            return ainside_each(self, lambda: plain(self, messages, stop=stop, **options))

        if is_inside(self):
            return cast("AsyncIterator[Any]", plain(self, messages, stop=stop, **kwargs))
        return ScheduledCall(_route(self), messages, run_manager, kwargs).astream(ask)

    return _astream
