"""The object that LangGraph makes of a node's function, which it does not document."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

from langgraph_parallel._compat.tasks import SUPPORTED

try:
    from langgraph._internal._runnable import RunnableCallable as RunnableCallable
    from langgraph._internal._runnable import coerce_to_runnable as coerce_to_runnable
except ImportError:  # pragma: no cover - a later LangGraph may move it
    RunnableCallable = object  # type: ignore[assignment, misc]


def is_async_only(runnable: Any) -> bool:
    """Tell whether a node can only be run by `ainvoke`."""
    return getattr(runnable, "func", True) is None


def find_projectable(runnables: Mapping[str, Any]) -> frozenset[str]:
    """Return the nodes whose update can be cut down by `project`."""
    return frozenset(
        name
        for name, runnable in runnables.items()
        if type(runnable) is RunnableCallable and _takes_state(runnable)
    )


def _takes_state(runnable: Any) -> bool:
    return not runnable.explode_args and not runnable.kwargs


def project(runnable: Any, kept: frozenset[str]) -> Any:
    """Return a node's runnable without the keys that it only gives back.

    The function is wrapped with `functools.wraps`: name, signature and identity stay what LangGraph
    looks at.
    """
    function = runnable.func if runnable.func is not None else runnable.afunc

    def cut(update: Any) -> Any:
        if not isinstance(update, dict):
            return update
        return {key: value for key, value in update.items() if key not in kept}

    @functools.wraps(function)
    async def project_async(*args: Any, **kwargs: Any) -> Any:
        return cut(await function(*args, **kwargs))

    @functools.wraps(function)
    def project_sync(*args: Any, **kwargs: Any) -> Any:
        return cut(function(*args, **kwargs))

    wrapper = project_sync if runnable.func is not None else project_async
    wrapped = coerce_to_runnable(wrapper, name=runnable.name, trace=runnable.trace)
    wrapped.tags, wrapped.recurse = runnable.tags, runnable.recurse  # type: ignore[attr-defined]
    return wrapped


def traced(runnable: Any) -> Any:
    """Return a node's runnable with a trace of its own, wherever it is called.

    LangGraph's `messages` stream shows the messages that a run with the name of the node returns.
    """
    if type(runnable) is not RunnableCallable:
        return runnable
    copied = copy.copy(runnable)
    copied.trace = True
    return copied


def find_plain(runnables: Mapping[str, Any]) -> frozenset[str]:
    """Return the nodes that are one function, which LangGraph calls with the state."""
    return frozenset(name for name, runnable in runnables.items() if _is_plain(runnable))


def _is_plain(runnable: Any) -> bool:
    kind = type(runnable)
    is_plain = kind is RunnableCallable or getattr(kind, "stands_for_function", False)
    return SUPPORTED and (is_plain or is_tool_node(runnable)) and _takes_state(runnable)


def is_tool_node(runnable: Any) -> bool:
    """Tell whether a node is LangGraph's own `ToolNode`, which is one function: its method.

    One that hands a runtime to a tool shows it which task it is.
    """
    kind = type(runnable)
    if f"{kind.__module__}.{kind.__qualname__}" != "langgraph.prebuilt.tool_node.ToolNode":
        return False
    function = getattr(getattr(runnable, "func", None), "__func__", None)
    asked = getattr(runnable, "_injected_args", None)
    if not issubclass(kind, RunnableCallable) or not isinstance(asked, dict):
        return False
    shows_task = any(getattr(part, "runtime", True) for part in asked.values())
    return function is vars(kind).get("_func", kind) and not shows_task


def runs_in_executor(runnable: Any) -> bool:
    """Tell whether the async form of a node only runs its sync function on a thread."""
    return runnable.func is not None


def copy_runnable(runnable: Any, kind: type) -> Any:
    """Return a copy of a node's runnable as an instance of `kind`, a subclass of its class."""
    made = copy.copy(runnable)
    made.__class__ = kind
    return made
