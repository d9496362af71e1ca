"""From what stands for a function to the Python functions behind it."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableLambda

from langgraph_parallel.inference.code.framework import framework


def functions_of(runnable: Any) -> list[Callable[..., Any]] | None:
    """Return the user's functions that a node's runnable may run, or None when it has others."""
    kind = type(runnable)
    is_wrapper = any(kind is known for known in framework().wrappers)
    if is_wrapper or getattr(kind, "stands_for_function", False):
        own = [runnable.func, None if _runs_on_thread(runnable) else runnable.afunc]
        return [function for function in own if function is not None] or None
    if kind is RunnableLambda or getattr(kind, "stands_for_lambda", False):
        own = [getattr(runnable, name, None) for name in ("func", "afunc")]
        return [f for f in own if f is not None]
    if isinstance(runnable, Runnable) or not callable(runnable):
        return None
    return [runnable]


def _runs_on_thread(runnable: Any) -> bool:
    """Tell whether the async form of a function only runs the sync one on a thread."""
    parts = getattr(runnable.afunc, "args", ())
    is_partial = isinstance(runnable.afunc, functools.partial)
    return is_partial and any(part is runnable.func for part in parts)


def unwrap_callable(
    function: Callable[..., Any],
) -> tuple[types.FunctionType, tuple[Any, ...], dict[str, Any]] | None:
    """Return the Python function behind a callable, with the arguments already bound."""
    if isinstance(function, functools.partial):
        inner = unwrap_callable(function.func)
        if inner is None:
            return None
        code, args, keywords = inner
        return code, (*args, *function.args), {**keywords, **function.keywords}
    if isinstance(function, types.MethodType):
        inner = unwrap_callable(function.__func__)
        return inner and (inner[0], (function.__self__, *inner[1]), inner[2])
    if isinstance(function, types.FunctionType):
        return function, (), {}
    call = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(call, types.FunctionType):
        return call, (function,), {}
    return None


_BRIDGES: Final = frozenset(
    {"langsmith.run_helpers", "tenacity", "tenacity.asyncio", "langgraph_parallel.concurrent"}
)
"""Modules whose decorators run the function they wrap and tell a service of it, or run it again."""


def is_bridge(function: types.FunctionType) -> bool:
    """Tell whether a function only runs the one that it wraps, and tells a service of it."""
    for name in _BRIDGES:
        module = sys.modules.get(name)
        if (
            module is not None
            and getattr(module, "__file__", None) == function.__code__.co_filename
        ):
            return True
    return False
