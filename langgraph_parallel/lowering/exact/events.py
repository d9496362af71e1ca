"""Holds back what an early run tells the world, and tells it in the node's own superstep.

Model calls, chains and tools inside an early run report to callback handlers, and the node may
write to the custom stream. All of it is kept in order. When the result is committed it is told to
the handlers that the node's own run has, as if it happened then; when not, it never happened.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.runnables.config import RunnableConfig

from langgraph_parallel._compat.tasks import runtime_of
from langgraph_parallel._compat.tracing import (
    default_hook_handlers,
    follows_tools,
    streaming_marks,
    takes_chunks,
    with_hook_handlers,
)
from langgraph_parallel.lowering.exact.view import EarlyState, plain

_IGNORED_BY: Final = {
    "on_llm_start": "ignore_llm",
    "on_chat_model_start": "ignore_chat_model",
    "on_llm_new_token": "ignore_llm",
    "on_stream_event": "ignore_llm",
    "on_llm_end": "ignore_llm",
    "on_llm_error": "ignore_llm",
    "on_chain_start": "ignore_chain",
    "on_chain_end": "ignore_chain",
    "on_chain_error": "ignore_chain",
    "on_tool_start": "ignore_agent",
    "on_tool_end": "ignore_agent",
    "on_tool_error": "ignore_agent",
    "on_agent_action": "ignore_agent",
    "on_agent_finish": "ignore_agent",
    "on_retriever_start": "ignore_retriever",
    "on_retriever_end": "ignore_retriever",
    "on_retriever_error": "ignore_retriever",
    "on_text": None,
    "on_retry": "ignore_retry",
    "on_custom_event": "ignore_custom_event",
}
"""Every event of LangChain, with the attribute by which a handler declines it."""


class HeldEvents:
    """The events of one early run, in order.

    Args:
        parent_run_id: The run that the early run's children are given as parent; their own parent
            takes its place when they are told.
        check: Raises where the run has been given up, so that it goes no further.
        refuse: Gives the run up from inside, and raises.
        live: Let streams see their events at once; tracers see them later all the same.
    """

    def __init__(
        self,
        parent_run_id: UUID | None,
        check: Callable[[], None],
        refuse: Callable[[str], NoReturn],
        *,
        live: bool = False,
    ) -> None:
        self.parent_run_id = parent_run_id
        self.check = check
        self.refuse = refuse
        self.live = live
        self.streams: list[Any] = []
        """Handlers that see events at once."""
        self.write_live: Callable[[Any], None] | None = None
        """Writes to the custom stream at once."""
        self._events: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._lock = threading.Lock()

    def hold(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        """Keep one event."""
        self.check()
        if self.streams:
            args = tuple(map(plain, args))
            handle_event(self.streams, name, _IGNORED_BY[name], *args, **kwargs)
        args = tuple(map(_kept, args))
        with self._lock:
            self._events.append((name, args, kwargs))

    def write(self, part: Any) -> None:
        """Keep one part of the custom stream."""
        self.check()
        if self.write_live is not None:
            self.write_live(part)
        else:
            with self._lock:
                self._events.append(("", (plain(part),), {}))

    def settle(self, restore: Callable[[Any], Any], real: Any) -> None:
        """Put the real parts of the state into what was written, in place of copies.

        Args:
            restore: Returns what holds real parts for what holds copies.
            real: The real state, for events that show the state itself.
        """
        self._events = [
            (name, tuple(real if arg is _STATE else arg for arg in args), kwargs)
            if name
            else ("", (restore(*args),), {})
            for name, args, kwargs in self._events
        ]

    def tell(self, config: RunnableConfig, own: OwnRun) -> None:
        """Tell every event to the handlers of the node's own run."""
        handlers = own.handlers(self.streams)
        for name, args, kwargs in self._events:
            if not name:
                _write(config, *args)
            elif handlers:
                handle_event(handlers, name, _IGNORED_BY[name], *args, **own.adopt(kwargs, self))

    async def atell(self, config: RunnableConfig, own: OwnRun) -> None:
        """Tell every event to the handlers of the node's own run."""
        handlers = own.handlers(self.streams)
        for name, args, kwargs in self._events:
            if not name:
                _write(config, *args)
            elif handlers:
                kwargs = own.adopt(kwargs, self)
                await ahandle_event(handlers, name, _IGNORED_BY[name], *args, **kwargs)


_STATE: Final = object()
"""Stands in a held event for the state that the node was handed, of which that reads nothing."""


def _kept(value: Any) -> Any:
    return _STATE if type(value) is EarlyState else plain(value)


def _write(config: RunnableConfig, part: Any) -> None:
    runtime = runtime_of(config)
    if runtime is not None:
        runtime.stream_writer(part)


class OwnRun:
    """The run of a node in its own superstep, as its children's events show it.

    Args:
        config: What LangGraph hands the node.
        early: Metadata that the early run's children carry.
    """

    def __init__(self, config: RunnableConfig, early: dict[str, Any]) -> None:
        self._manager: Any = config.get("callbacks")
        self._metadata = dict(config.get("metadata") or {})
        self._early = early
        self._namespaces = (
            str(early.get("langgraph_checkpoint_ns")),
            str(self._metadata.get("langgraph_checkpoint_ns")),
        )

    def handlers(self, streams: list[Any]) -> list[Any]:
        """Return the handlers to tell: a child's, but for those that have seen it all already."""
        inherited = getattr(self._manager, "inheritable_handlers", None) or []
        present = {id(handler) for handler in (*default_hook_handlers(), *streams)}
        return [h for h in with_hook_handlers(inherited) if id(h) not in present]

    def adopt(self, kwargs: dict[str, Any], held: HeldEvents) -> dict[str, Any]:
        """Return an event's keywords with this run's identity for the early run's."""
        own_id = getattr(self._manager, "parent_run_id", None)
        made = dict(kwargs)
        for key in ("run_id", "parent_run_id"):
            if held.parent_run_id is not None and made.get(key) == held.parent_run_id:
                made[key] = own_id
        if isinstance(made.get("metadata"), dict):
            made["metadata"] = dict(self._adopt_metadata(made["metadata"]))
        return made

    def _adopt_metadata(self, metadata: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        early, own = self._namespaces
        for key, value in metadata.items():
            if key in self._early and value == self._early[key]:
                if key in self._metadata:
                    yield key, self._metadata[key]
            elif isinstance(value, str) and early in value:
                yield key, value.replace(early, own)
            else:
                yield key, value


def make_recorder(held: HeldEvents, inherited: list[Any]) -> BaseCallbackHandler:
    """Return a handler that keeps every event, and that models take for one like `inherited`."""
    handlers = with_hook_handlers(inherited)
    marks = streaming_marks(handlers)
    kind = _recorder_class(
        marks, taps=any(map(takes_chunks, handlers)), tools=any(map(follows_tools, handlers))
    )
    recorder = kind()
    recorder.held = held
    if held.live:
        # Not those with coroutines, such as that of `astream_events`: they want the run's own loop.
        held.streams = [
            handler
            for handler in handlers
            if streaming_marks([handler])
            and not inspect.iscoroutinefunction(handler.on_chat_model_start)
        ]
    return recorder


class _Recorder(BaseCallbackHandler):
    run_inline = True
    """In the caller's thread and order."""
    raise_error = True
    held: HeldEvents


def _record(name: str) -> Callable[..., None]:
    def record(self: _Recorder, *args: Any, **kwargs: Any) -> None:
        self.held.hold(name, *args, **kwargs)

    return record


for _name in _IGNORED_BY:
    setattr(_Recorder, _name, _record(_name))


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(self: _Recorder, *_: Any, **__: Any) -> NoReturn:
        self.held.refuse(what)

    return refuse


@functools.cache
def _recorder_class(marks: tuple[type, ...], *, taps: bool, tools: bool) -> type[_Recorder]:
    """Return a recorder that bears some marks, and ends runs that need the handlers themselves."""
    own: dict[str, Any] = {}
    if taps:
        own |= dict.fromkeys(_TAPS, _refuse("a stream of which somebody sees every part"))
    elif marks:
        own |= dict.fromkeys(_TAPS, lambda _self, _run_id, output: output)
    if tools:
        own["on_tool_start"] = _refuse("a tool that may stream its output")
    return type("EarlyRecorder", (_Recorder, *marks), own)


_TAPS: Final = ("tap_output_iter", "tap_output_aiter")
