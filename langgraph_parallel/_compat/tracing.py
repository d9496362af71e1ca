"""How LangChain finds the handlers and the config of a run; each name is probed."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import Context
from typing import Any

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config


def call_in_context(context: Context, config: RunnableConfig) -> None:
    """Make `config` the one that LangChain finds in a context, and switch its own tracing off."""
    context.run(var_child_runnable_config.set, config)
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


def hook_handlers() -> list[Any]:
    """Return the handlers that LangChain adds to every run of this context by itself."""
    try:
        from langchain_core.tracers.context import _configure_hooks
    except ImportError:  # pragma: no cover - a later release may move it
        return []
    return [handler for hook in _configure_hooks if (handler := hook[0].get()) is not None]


def streaming_bases(handlers: Iterable[Any]) -> tuple[type, ...]:
    """Return the marker classes by which a model tells that some handler wants its tokens."""
    try:
        from langchain_core.tracers._streaming import (
            _StreamingCallbackHandler,
            _V2StreamingCallbackHandler,
        )
    except ImportError:  # pragma: no cover - a later release may move them
        return ()
    found = list(handlers)
    bases: list[type] = []
    if any(_StreamingCallbackHandler in type(h).__mro__ for h in found):
        bases.append(_StreamingCallbackHandler)
    if any(isinstance(h, _V2StreamingCallbackHandler) for h in found):
        bases.append(_V2StreamingCallbackHandler)
    return tuple(bases)
