"""From a call to what it does, by the kind of thing that is called."""

from __future__ import annotations

import ast
import types
from dataclasses import replace

from typing_extensions import is_typeddict

from langgraph_parallel.inference.calls.formatting import fill_in, takes_entries
from langgraph_parallel.inference.calls.function_calls import call_function
from langgraph_parallel.inference.calls.known import use_callee
from langgraph_parallel.inference.calls.methods import method_of
from langgraph_parallel.inference.calls.object_methods import call_builtin_method
from langgraph_parallel.inference.calls.states import state_method
from langgraph_parallel.inference.calls.super_calls import is_super, super_method
from langgraph_parallel.inference.calls.writing import write_stream
from langgraph_parallel.inference.code.datamodel import is_users
from langgraph_parallel.inference.door.iteration import spread_mapping
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, call_unknown, called, expression
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    STATE,
    Bound,
    Cell,
    Injected,
    Live,
    Method,
    Opaque,
    State,
    Value,
    join,
)


@expression(ast.Call)
def _call(frame: Frame, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute):
        if is_super(node.func.value):
            given = arguments_of(frame, node)
            with frame.watched(node):
                return super_method(frame, node.func.attr, given)
        base = frame.evaluate(node.func.value)
        by_name = takes_entries(base, node.func.attr)
        given = arguments_of(frame, node, takes_state=by_name)
        with frame.watched(node, base):
            filled = fill_in(frame, base, node.func.attr, given) if by_name else None
            if filled is not None:
                return filled
            given = with_entries(frame, given)
            return join(*(method_of(frame, atom, node.func.attr, given) for atom in base))
    callee = frame.evaluate(node.func)
    is_dict = all(isinstance(atom, Live) and is_typeddict(atom.obj) for atom in callee)
    given = arguments_of(frame, node, takes_entries=is_dict)
    with frame.watched(node):
        return frame.call(callee, given)


def arguments_of(
    frame: Frame, node: ast.Call, *, takes_entries: bool = False, takes_state: bool = False
) -> Arguments:
    """Evaluate the arguments of a call, in order.

    Args:
        frame: Where it is called.
        node: The call.
        takes_entries: Whether what is called keeps the entries of a mapping and looks at none.
        takes_state: Whether it may look at some entries of the state only.
    """
    positional, unpacked, mappings = [], NOTHING, NOTHING
    for argument in node.args:
        value = frame.evaluate(argument)
        if isinstance(argument, ast.Starred) or unpacked:
            unpacked = join(unpacked, value)
        else:
            positional.append(value)
    named = {}
    for keyword in node.keywords:
        value = frame.evaluate(keyword.value)
        if keyword.arg is not None:
            named[keyword.arg] = value
            continue
        if takes_entries and all(isinstance(atom, (State, Cell)) for atom in value):
            mappings = join(mappings, value)
            continue
        if takes_state and value == STATE:
            mappings = STATE
            continue
        entries = spread_mapping(frame, value, node)
        named_part = _known_entries(value)
        if named_part is not None:
            named.update(named_part)
        else:
            unpacked = join(unpacked, entries)
    return Arguments(node, tuple(positional), named, unpacked, mappings)


def with_entries(frame: Frame, given: Arguments) -> Arguments:
    """Return arguments among which all entries of a mapping are, that was passed as such."""
    if not given.mappings:
        return given
    entries = spread_mapping(frame, given.mappings, given.node)
    return replace(given, unpacked=join(given.unpacked, entries), mappings=NOTHING)


def _known_entries(value: Value) -> dict[str, Value] | None:
    """Return the entries of a mapping made in this call, when all of them are known."""
    if len(value) != 1:
        return None
    atom = next(iter(value))
    if not isinstance(atom, Cell) or atom.kind != "dict":
        return None
    atom.looked = True
    return None if atom.open or atom.spread or atom.rest else dict(atom.values)


@called(Bound)
def _call_state_method(frame: Frame, atom: Bound, given: Arguments) -> Value:
    return state_method(frame, atom.method, given)


@called(Injected)
def _call_injected(frame: Frame, atom: Injected, given: Arguments) -> Value:
    is_writer = atom.name in ("writer", "stream_writer")
    return write_stream(frame, given) if is_writer else call_unknown(frame, atom, given)


@called(Opaque)
def _call_opaque(frame: Frame, atom: Opaque, given: Arguments) -> Value:
    if atom.tame and not atom.roots:
        return use_callee(frame, given)
    return call_unknown(frame, atom, given)


@called(Method)
def _call_bound(frame: Frame, atom: Method, given: Arguments) -> Value:
    function = atom.function
    if isinstance(function, types.FunctionType) and is_users(function):
        return call_function(frame, function, given.after(frozenset({atom.receiver})))
    name = getattr(function, "__name__", "")
    return call_builtin_method(frame, atom.receiver, name, given)
