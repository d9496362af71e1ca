"""The object that LangGraph makes of a node's function, which it does not document."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import types
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import (
    RunnableBinding,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
)
from langchain_core.runnables.config import ContextThreadPoolExecutor, run_in_executor
from langchain_core.runnables.passthrough import RunnableAssign
from langchain_core.runnables.utils import accepts_run_manager

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


def with_functions(runnable: Any, new: Mapping[Any, Any]) -> Any:
    """Return a node's runnable that runs new forms of some functions; itself where it runs none.

    Args:
        runnable: The node.
        new: The new forms, by function.
    """
    kind = type(runnable)
    if kind is not RunnableCallable and kind is not RunnableLambda:
        return runnable
    copied = copy.copy(runnable)
    changed = False
    for name in ("func", "afunc"):
        old = getattr(runnable, name, None)
        made = _with_function(old, new)
        if made is not old:
            setattr(copied, name, made)
            changed = True
    return copied if changed else runnable


def _with_function(function: Any, new: Mapping[Any, Any]) -> Any:
    if isinstance(function, types.FunctionType):
        return new.get(function, function)
    if isinstance(function, types.MethodType):
        made = _with_function(function.__func__, new)
        same = made is function.__func__
        return function if same else types.MethodType(made, function.__self__)
    if isinstance(function, functools.partial):
        parts = [_with_function(part, new) for part in (function.func, *function.args)]
        if parts == [function.func, *function.args]:
            return function
        return functools.partial(parts[0], *parts[1:], **function.keywords)
    return function


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
    """Return the nodes that are one function, which is called with the state."""
    return frozenset(name for name, runnable in runnables.items() if _is_plain(runnable))


def _is_plain(runnable: Any) -> bool:
    kind = type(runnable)
    if kind is RunnableLambda or getattr(kind, "stands_for_lambda", False):
        return SUPPORTED and _is_plain_lambda(runnable)
    if is_chain(runnable):
        return SUPPORTED
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


def kind_of(runnable: Any) -> Any:
    """Return the class of a runnable, without the types that it may be made for."""
    kind = type(runnable)
    generic = getattr(kind, "__pydantic_generic_metadata__", None) or {}
    return generic.get("origin") or kind


def is_chain(runnable: Any) -> bool:
    """Tell whether a node is a sequence, or runnables side by side, of LangChain's own kinds."""
    kind = kind_of(runnable)
    if getattr(kind, "stands_for_chain", False):
        return True
    kinds = (RunnableSequence, RunnableParallel, RunnableBinding)
    return kind in kinds and _is_of_known_parts(runnable) and not _takes_whole_state(runnable)


def _takes_whole_state(runnable: Any) -> bool:
    """Tell whether what is handed the node's state gives all of it on."""
    kind = kind_of(runnable)
    if kind is RunnableSequence:
        return _takes_whole_state(runnable.first)
    if kind is RunnableParallel:
        return any(map(_takes_whole_state, runnable.steps__.values()))
    if isinstance(runnable, RunnableBinding):
        return _takes_whole_state(runnable.bound)
    return kind in (RunnablePassthrough, RunnableAssign)


def _is_of_known_parts(runnable: Any) -> bool:
    kind = kind_of(runnable)
    if kind is RunnableSequence:
        return all(map(_is_of_known_parts, runnable.steps))
    if kind is RunnableParallel:
        return all(map(_is_of_known_parts, runnable.steps__.values()))
    if kind is RunnableLambda:
        return _is_plain_lambda(runnable)
    if kind is RunnableAssign:
        return _is_of_known_parts(runnable.mapper)
    if isinstance(runnable, RunnableBinding):
        return not runnable.config_factories and _is_of_known_parts(runnable.bound)
    return kind in (RunnablePassthrough, RunnablePick) or isinstance(runnable, _PARTS)


_PARTS = (BaseLanguageModel, BasePromptTemplate, BaseOutputParser)


def _is_plain_lambda(runnable: Any) -> bool:
    """Tell whether a `RunnableLambda` has one function, which returns its result and is alone."""
    functions = [f for n in ("func", "afunc") if (f := getattr(runnable, n, None)) is not None]
    return len(functions) == 1 and not any(
        inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f) or accepts_run_manager(f)
        for f in functions
    )


def runs_in_executor(runnable: Any) -> bool:
    """Tell whether the async form of a node only runs its sync function on a thread."""
    return getattr(runnable, "func", None) is not None


def copy_runnable(runnable: Any, kind: type) -> Any:
    """Return a copy of a node's runnable as an instance of `kind`, a subclass of its class."""
    made = copy.copy(runnable)
    made.__class__ = kind
    return made
