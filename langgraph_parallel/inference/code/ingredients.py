"""From a function that an agent library has made to the user's objects that it may run.

`create_agent(model, tools, middleware=[...])` makes a graph whose nodes are closures of the
library: what they hold is what its author has put in. Nothing of it is run here; what is held but
not known is one of the parts, too.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from langchain_core.messages import BaseMessage

from langgraph_parallel.inference.code.callables import is_bridge
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a, is_constant
from langgraph_parallel.inference.code.source import is_library

_AGENT_MODULES: Final = (
    "langchain.agents.factory",
    "langchain.agents.middleware.types",
    "langgraph.prebuilt.chat_agent_executor",
)
"""Modules that make the functions of an agent's nodes and edges."""
_MOST_PARTS: Final = 512


def is_agents_code(function: Any) -> bool:
    """Tell whether a function is one that an agent library has made."""
    while is_a(function, types.MethodType):
        function = function.__func__
    code = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and code.co_filename in _files()


def _files() -> frozenset[str]:
    found = (getattr(sys.modules.get(name), "__file__", None) for name in _AGENT_MODULES)
    return frozenset(file for file in found if isinstance(file, str))


def is_middleware(obj: Any) -> bool:
    """Tell whether an object is a middleware of an agent."""
    return is_middleware_class(type(obj))


def is_middleware_class(cls: type) -> bool:
    """Tell whether a class is one of middleware of an agent."""
    base = getattr(sys.modules.get("langchain.agents.middleware.types"), "AgentMiddleware", None)
    return isinstance(base, type) and issubclass(cls, base)


def ingredients_of(function: Any) -> list[Any]:
    """Return what a function of an agent library may run, and what it holds that is not known.

    Args:
        function: The function, or any part of an agent.

    Returns:
        Runnables, middleware, functions of the user's and classes, in the order in which they are
        found; each once.
    """
    found: dict[int, Any] = {}
    pending, seen = [function], set()
    while pending:
        part = pending.pop()
        if id(part) in seen or is_constant(part):
            continue
        seen.add(id(part))
        if len(seen) > _MOST_PARTS:
            return [*found.values(), _TOO_MANY]
        inner = _inside(part)
        if inner is None:
            found[id(part)] = part
        else:
            pending.extend(reversed(list(inner)))
    return list(found.values())


_TOO_MANY: Final = object()


def _inside(part: Any) -> Iterable[Any] | None:
    """Return what a part of an agent holds; None when it is itself something that is run."""
    if is_a(part, (list, tuple, set, frozenset)):
        return list(part)
    if is_a(part, dict):
        return list(dict.values(part))
    if is_a(part, BaseMessage) or _is_idle(part):
        return ()
    if is_a(part, functools.partial):
        return (part.func, *part.args, *part.keywords.values())
    if is_a(part, types.MethodType):
        is_own = is_middleware(part.__self__) and is_library(_file_of(part))
        return (part.__self__,) if is_own else None
    if is_a(part, types.FunctionType) and is_library(part.__code__.co_filename):
        return _held_by(part)
    if type(part).__module__.startswith("langchain.agents.") and not is_middleware(part):
        # Without the tool that stands for the form of an answer: it is shown, and not run.
        return [value for name, value in _fields_of(part) if name != "tool"]
    return None


def parts_of_middleware(obj: Any) -> list[Any]:
    """Return what a middleware of a library holds that it may run."""
    return ingredients_of([value for _, value in _fields_of(obj)])


def _fields_of(part: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(part):
        yield from ((f.name, getattr(part, f.name, None)) for f in dataclasses.fields(part))
    else:
        yield from instance_dict(part).items()


def _is_idle(part: Any) -> bool:
    """Tell whether something is a module, a type alias or a class of a library."""
    if is_a(part, type):
        return is_library(getattr(sys.modules.get(part.__module__), "__file__", None) or "<frozen")
    module = type(part).__module__
    return is_a(part, types.ModuleType) or module in ("typing", "types", "builtins._TypeVar")


def _file_of(method: types.MethodType) -> str:
    code = getattr(method.__func__, "__code__", None)
    return code.co_filename if isinstance(code, types.CodeType) else ""


def _held_by(function: types.FunctionType) -> Iterator[Any]:
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None and is_bridge(function):
        yield wrapped
        return
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
