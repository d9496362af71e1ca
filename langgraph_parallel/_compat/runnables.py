"""The object that LangGraph makes of a node's function, which it does not document."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final

from langchain_core.runnables.config import ContextThreadPoolExecutor, run_in_executor

from langgraph_parallel._compat.edges import follows_original
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
        after: Returns the result to show for what was remembered and for the function's own one. It
            is not asked in a run that follows the original edges.
    """
    function = runnable.func if runnable.func is not None else runnable.afunc

    @functools.wraps(function)
    async def amended_async(state: Any, *args: Any, **kwargs: Any) -> Any:
        remembered = before(state)
        result = await function(state, *args, **kwargs)
        return result if follows_original() else after(remembered, result)

    @functools.wraps(function)
    def amended_sync(state: Any, *args: Any, **kwargs: Any) -> Any:
        remembered = before(state)
        result = function(state, *args, **kwargs)
        return result if follows_original() else after(remembered, result)

    wrapper = amended_sync if runnable.func is not None else amended_async
    wrapped = coerce_to_runnable(wrapper, name=runnable.name, trace=runnable.trace)
    wrapped.tags, wrapped.recurse = runnable.tags, runnable.recurse  # type: ignore[attr-defined]
    return wrapped


def on_own_thread(runnable: Any) -> Any | None:
    """Return a node's runnable whose sync function has a thread of its own in async runs.

    An event loop lends sync functions some 6 threads on a small machine. What waits for something
    that needs one of these must not hold another one.

    Returns:
        None where it is not LangGraph that puts the function on a thread.
    """
    bridge: Any = getattr(runnable, "afunc", None)
    is_bridge = isinstance(bridge, functools.partial) and bridge.func is run_in_executor
    if type(runnable) is not RunnableCallable or not is_bridge:
        return None
    function: Callable[..., Any] = bridge.args[1]

    @functools.wraps(function)
    async def run_apart(*args: Any, **kwargs: Any) -> Any:
        return await run_in_executor(_threads_of(os.getpid()), function, *args, **kwargs)

    copied = copy.copy(runnable)
    copied.afunc = run_apart
    return copied


@functools.cache
def _threads_of(_process_id: int) -> Executor:
    """Return the threads of this process; a copy of a process has none of those of the first."""
    return ContextThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="langgraph-parallel")


_MOST_THREADS: Final = 512
"""Nodes that wait at a time; further ones wait for those, which need no thread from here."""


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
