"""The object that LangGraph makes of a node's function, which it does not document."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
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
    """Return the nodes whose update can be amended by `amend`."""
    return frozenset(
        name
        for name, runnable in runnables.items()
        if type(runnable) is RunnableCallable and _takes_state(runnable)
    )


def _takes_state(runnable: Any) -> bool:
    return not runnable.explode_args and not runnable.kwargs


def amend(runnable: Any, before: Callable[[Any], Any], after: Callable[[Any, Any], Any]) -> Any:
    """Return a node's runnable whose result is amended before LangGraph sees it.

    The function is wrapped with `functools.wraps`: name, signature and identity stay what LangGraph
    looks at.

    Args:
        runnable: The node.
        before: What to remember of the state, of which the function may make anything.
        after: Returns the result to show for what was remembered and for the function's own one.
    """
    function = runnable.func if runnable.func is not None else runnable.afunc

    @functools.wraps(function)
    async def amended_async(state: Any, *args: Any, **kwargs: Any) -> Any:
        remembered = before(state)
        return after(remembered, await function(state, *args, **kwargs))

    @functools.wraps(function)
    def amended_sync(state: Any, *args: Any, **kwargs: Any) -> Any:
        remembered = before(state)
        return after(remembered, function(state, *args, **kwargs))

    wrapper = amended_sync if runnable.func is not None else amended_async
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
    return SUPPORTED and is_plain and _takes_state(runnable)


def runs_in_executor(runnable: Any) -> bool:
    """Tell whether the async form of a node only runs its sync function on a thread."""
    return runnable.func is not None


def copy_runnable(runnable: Any, kind: type) -> Any:
    """Return a copy of a node's runnable as an instance of `kind`, a subclass of its class."""
    made = copy.copy(runnable)
    made.__class__ = kind
    return made
