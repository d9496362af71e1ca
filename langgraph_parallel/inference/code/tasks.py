"""From functions to a task of LangGraph's functional API that they may call.

A task runs on a thread of its own while its node waits, and what it gives is kept and shown by the
run itself. Whoever runs such a node beside others, or early, has to know. The analysis comes across
each task that is called; code whose effects are declared is looked through by name.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from langgraph_parallel.effects import TASK_CALL, Effects, Evidence
from langgraph_parallel.inference.code.callables import functions_of
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.source import is_library

_MOST_FUNCTIONS: Final = 200
"""Functions that are looked through for one node."""


def with_tasks(runnable: Any, declared: Effects) -> Effects:
    """Return declared effects of a node with a note of a task that it may call."""
    return with_tasks_of(functions_of(runnable) or (), declared)


def with_tasks_of(functions: Iterable[Callable[..., Any]], declared: Effects) -> Effects:
    """Return declared effects of some functions with a note of a task that they may call."""
    task = find_task(functions)
    if not task:
        return declared
    note = Evidence(what=f"may call the task {task!r}", effect=TASK_CALL)
    return replace(declared, evidence=(*declared.evidence, note))


def task_called(found: Effects) -> str:
    """Return what is known of a task that a node calls; an empty string when it calls none."""
    return next((note.what for note in found.evidence if note.effect == TASK_CALL), "")


def find_task(functions: Iterable[Callable[..., Any]]) -> str:
    """Return the name of a task that functions may call; an empty string when none is found."""
    kinds = framework().tasks
    pending: list[Any] = list(functions) if kinds else []
    seen: set[int] = set()
    while pending and len(seen) < _MOST_FUNCTIONS:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if is_a(found, kinds):
            return str(getattr(found.func, "__name__", "?"))
        pending.extend(_used_by(found))
    return ""


def _used_by(found: Any) -> Iterator[Any]:
    """Yield the objects that calling something uses by name, as far as that is seen."""
    if is_a(found, functools.partial):
        yield found.func
    elif is_a(found, types.MethodType):
        yield found.__func__
        if is_a(found.__func__, types.FunctionType):
            held = getattr(found.__self__, "__dict__", {})
            yield from (held[name] for name in _names_in(found.__func__.__code__) if name in held)
    elif is_a(found, types.FunctionType) and not is_library(found.__code__.co_filename):
        yield from _used_by_function(found)


def _used_by_function(function: types.FunctionType) -> Iterator[Any]:
    names = _names_in(function.__code__)
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield value
        if is_a(value, types.ModuleType):
            yield from (vars(value)[inner] for inner in names & vars(value).keys())
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    if wrapped := function.__dict__.get("__wrapped__"):
        yield wrapped


def _names_in(code: types.CodeType) -> set[str]:
    """Return the names that a function and those defined in it use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names
