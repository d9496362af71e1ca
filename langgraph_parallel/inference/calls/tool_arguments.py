"""From a tool's function to what it is called with.

@tool
def note(text: str, runtime: ToolRuntime, store: Annotated[BaseStore, InjectedStore()]) -> str:
    ...                          `text` is the model's; the rest is filled in, as for a node
"""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any, get_args

from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.machine.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Injected,
    Value,
    roots_of,
    tame,
)


def takes_state(body: Any) -> bool:
    """Tell whether a tool's function is handed the state of the graph that runs it."""
    return any(_is_state(hint) or _is_runtime(hint) for hint in hints_of(_function(body)).values())


def arguments_of_tool(body: Any, anything: Value, node: ast.AST) -> Arguments:
    """Return what a tool's function is called with: what is filled in by LangGraph, and the rest.

    Args:
        body: The function.
        anything: What a model may give.
        node: The place.
    """
    function = _function(body)
    code = getattr(function, "__code__", None)
    hints = hints_of(function)
    filled = {name: _filled(hint, anything) for name, hint in hints.items()}
    # What LangChain fills in for its own functions is no business of a model.
    is_own = code is None or not is_library(code.co_filename)
    if code is None or (is_own and not any(filled.values())):
        return Arguments(node, unpacked=anything)
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[1 if is_a(body, types.MethodType) else 0 : count]
    names = tuple(name for name in names if is_own or name != "callbacks")
    named = {name: filled.get(name) or anything for name in names}
    rest = anything if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) else NOTHING
    return Arguments(node, named=named, unpacked=rest)


def _function(body: Any) -> Any:
    return body.__func__ if is_a(body, types.MethodType) else body


def _filled(hint: Any, anything: Value) -> Value:
    """Return what LangGraph fills in for a parameter of a tool; empty when the model gives it."""
    if _is_state(hint):
        return tame(roots_of(anything))
    promised = value_of_annotation(hint, roots_of(anything))
    return promised if any(isinstance(atom, Injected) for atom in promised) else NOTHING


def _is_state(hint: Any) -> bool:
    marks = get_args(hint)[1:]
    return any("InjectedState" in (getattr(m, "__name__", ""), type(m).__name__) for m in marks)


def _is_runtime(hint: Any) -> bool:
    return Injected("tool_runtime") in value_of_annotation(hint, frozenset())
