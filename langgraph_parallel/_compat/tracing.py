"""How LangChain finds the handlers and the config of a run; each name is probed."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Any

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config


def call_in_context(context: Context, config: RunnableConfig) -> None:
    """Make `config` the one that LangChain finds in a context, without handlers from elsewhere."""
    context.run(var_child_runnable_config.set, config)
    context.run(drop_hook_handlers)
    context.run(_stop_tracing)


def _stop_tracing() -> None:
    """Keep a tracer that the environment asks for from being added to the model's own handlers."""
    try:
        from langchain_core.tracers.context import tracing_v2_callback_var
        from langsmith.run_helpers import _set_tracing_context
    except ImportError:  # pragma: no cover - a later release may move them
        return
    tracing_v2_callback_var.set(None)
    _set_tracing_context({"parent": None, "enabled": False})


def with_hook_handlers(handlers: Iterable[Any]) -> list[Any]:
    """Return handlers, and those that LangChain adds by itself to every run in this context."""
    found = list(handlers)
    for var, kind in _context_hooks():
        if not any(h is var.get() or (kind and isinstance(h, kind)) for h in found):
            found.append(var.get())
    return found


def drop_hook_handlers() -> None:
    """Let LangChain, from now on, add no handlers of this context to the runs that it sees."""
    for var, _ in _context_hooks():
        var.set(None)


def _context_hooks() -> list[tuple[Any, type | None]]:
    """Return the variables through which this context adds a handler, with its class.

    Not those whose default adds it: such a handler watches the whole process, early runs included.
    """
    here = copy_context()
    return [(var, kind) for var, _, kind, _ in _hooks() if here.get(var) is not None]


def default_hook_handlers() -> list[Any]:
    """Return the handlers that LangChain adds by itself in every context."""
    here = copy_context()
    found = [var.get() for var, *_ in _hooks() if var not in here]
    return [handler for handler in found if handler is not None]


def adds_handlers_anywhere() -> bool:
    """Tell whether a setting of the process makes LangChain add handlers in every context."""
    try:
        from langchain_core.globals import get_debug
        from langchain_core.utils.env import env_var_is_set
    except ImportError:  # pragma: no cover - a later release may move them
        return False
    by_name = (env_var_is_set(name) for _, _, kind, name in _hooks() if name and kind)
    return bool(get_debug()) or any(by_name)


def _hooks() -> list[Any]:
    try:
        from langchain_core.tracers.context import _configure_hooks
    except ImportError:  # pragma: no cover - a later release may move it
        return []
    return _configure_hooks


def streaming_marks(handlers: Iterable[Any]) -> tuple[type, ...]:
    """Return the marks by which a model tells that some handler wants its tokens.

    Being without a mark matters as much: with one, an `invoke` of a model is sent as a stream. The
    first mark is a protocol, which whoever has its methods bears.
    """
    try:
        from langchain_core.tracers._streaming import (
            _StreamingCallbackHandler,
            _V2StreamingCallbackHandler,
        )
    except ImportError:  # pragma: no cover - a later release may move them
        return ()
    found = list(handlers)
    marks = (_StreamingCallbackHandler, _V2StreamingCallbackHandler)
    return tuple(mark for mark in marks if any(isinstance(h, mark) for h in found))


def takes_chunks(handler: Any) -> bool:
    """Tell whether a handler looks at the chunks of streams that chains make inside of a node.

    That of LangGraph's own streams passes them on unseen.
    """
    return bool(streaming_marks([handler])) and not type(handler).__module__.startswith(
        "langgraph."
    )


def follows_tools(handler: Any) -> bool:
    """Tell whether a handler gives running tools something to write to: `stream_mode="tools"`."""
    return type(handler).__module__ == "langgraph.pregel._tools"
