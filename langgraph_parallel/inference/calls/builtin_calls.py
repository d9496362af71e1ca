"""From a built-in function to its rule: the operations that it is."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from langgraph_parallel.inference.calls.builtin_inspection import INSPECTIONS
from langgraph_parallel.inference.calls.builtin_iteration import ITERATIONS
from langgraph_parallel.inference.calls.builtin_operators import OPERATIONS, Rule
from langgraph_parallel.inference.calls.handlers import write_to_stream
from langgraph_parallel.inference.calls.iterator_calls import ITERATORS, chain_flat
from langgraph_parallel.inference.door.environment import environment_method
from langgraph_parallel.inference.door.filling import cell_at, fill_cell
from langgraph_parallel.inference.door.operators import unary
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Cell,
    Closure,
    Live,
    Made,
    Value,
    fresh,
    join,
    tame,
)
from langgraph_parallel.locations import SCREEN


def _print(frame: Frame, given: Arguments) -> Value:
    for value in (*given.positional, given.unpacked):
        unary(frame, "__str__", value, given.node)
    frame.recorder.change(SCREEN, frame.where(given.node))
    file = given.named.get("file", NONE)
    streams = frozenset({Live(sys.stdout)}) if file >= NONE else NOTHING
    for atom in join(file - NONE, streams):
        if not (isinstance(atom, Live) and write_to_stream(frame, atom.obj, given.node)):
            unknown(frame, "prints to a file object", frozenset({atom}), given.node)
    return NONE


def _getenv(frame: Frame, given: Arguments) -> Value:
    return environment_method(frame, "get", given)


def _dict(frame: Frame, given: Arguments) -> Value:
    cell = cell_at(frame, given.node)
    fill_cell(frame, cell, given)
    return frozenset({cell})


def _default_dict(frame: Frame, given: Arguments) -> Value:
    """Return a dictionary that calls its factory for every key that is looked up in vain."""
    factory = join(*given.positional[:1]) - NONE
    key = (id(given.node), collections.defaultdict)
    cell = frame.recorder.cells.setdefault(key, Cell())
    made = frame.call(factory, Arguments(given.node)) if factory else NOTHING
    fill_cell(frame, cell, given.rest())
    if made:
        for atom in factory:
            if isinstance(atom, Closure):
                frame.recorder.call_later(atom, NOTHING)
        frame.recorder.grown |= cell.add(made)
        frame.recorder.grown |= cell.add_index(SCALAR)
        frame.recorder.grown |= cell.add_keys()
    return frozenset({cell})


def _null_context(frame: Frame, given: Arguments) -> Value:
    """Return what gives what it was given when it is entered, and is left without a trace."""
    cell = frame.recorder.cells.setdefault((id(given.node), contextlib.nullcontext), Cell("object"))
    frame.recorder.grown |= cell.put("enter_result", given.all or NONE)
    return frozenset({Made(contextlib.nullcontext, cell)})


def _dir(frame: Frame, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    return fresh(plain=True)


def _used(result: Value) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        frame.use(given.all, given.node)
        return result

    return rule


def _untouched(result: Value) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        del frame, given
        return result

    return rule


RULES: Final[Mapping[int, tuple[Any, Rule]]] = {
    id(function): (function, rule)
    for function, rule in (
        *OPERATIONS,
        *ITERATIONS,
        *ITERATORS,
        *INSPECTIONS,
        *((print, _print), (dict, _dict), (dir, _dir), (callable, _untouched(SCALAR))),
        *((ord, _used(SCALAR)), (range, _used(fresh(plain=True))), (slice, _used(SCALAR))),
        (os.getenv, _getenv),
        (collections.defaultdict, _default_dict),
        (contextlib.nullcontext, _null_context),
        *((memoryview, _used(SCALAR)), (object, _untouched(tame()))),
    )
}
"""The rule for each built-in, by the identity of the function; the function is kept with it."""


def rule_of(obj: Any) -> Rule | None:
    """Return the rule for calling a built-in function or class; None when it has none here."""
    if getattr(obj, "__self__", None) is itertools.chain:
        return chain_flat  # a method of a class is another object each time
    found = RULES.get(id(obj))
    return found[1] if found is not None and found[0] is obj else None
