"""What a call does: which of the rules applies to the thing that is called."""

from __future__ import annotations

import ast
from typing import Any

from langgraph_parallel.inference.access import attribute_of
from langgraph_parallel.inference.frame import Frame, expression
from langgraph_parallel.inference.functions import call_closure
from langgraph_parallel.inference.live import call_live_object
from langgraph_parallel.inference.methods import (
    cell_method,
    chain_method,
    data_method,
    injected_method,
    live_method,
    state_method,
)
from langgraph_parallel.inference.outside import Arguments, unknown_call, write_stream
from langgraph_parallel.inference.values import (
    NOTHING,
    Bound,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Opaque,
    State,
    Value,
    join,
    opaque,
    roots_of,
)


@expression(ast.Call)
def _call(frame: Frame, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute):
        base = frame.evaluate(node.func.value)
        arguments = _arguments(frame, node)
        parts = [_method(frame, atom, node.func.attr, arguments) for atom in base]
    else:
        callee = frame.evaluate(node.func)
        arguments = _arguments(frame, node)
        parts = [_apply(frame, atom, arguments) for atom in callee]
    return join(*parts)


def _arguments(frame: Frame, node: ast.Call) -> Arguments:
    positional, unpacked = [], NOTHING
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
        else:
            frame.escape(value, "unpacked into a call", frame.where(node))
            unpacked = join(unpacked, opaque(roots_of(value)))
    return Arguments(node, tuple(positional), named, unpacked)


def _method(frame: Frame, atom: Any, method: str, arguments: Arguments) -> Value:
    """Return what `atom.method(...)` gives."""
    if isinstance(atom, State):
        return _apply_all(frame, attribute_of(frame, atom, method, arguments.node), arguments)
    if isinstance(atom, (Data, Opaque, Const)):
        return data_method(frame, atom, method, arguments)
    if isinstance(atom, Cell):
        return cell_method(frame, atom, method, arguments)
    if isinstance(atom, Chain):
        return chain_method(frame, atom, method, arguments)
    if isinstance(atom, Injected):
        return injected_method(frame, atom, method, arguments)
    if isinstance(atom, Live):
        return live_method(frame, atom.obj, method, arguments)
    return unknown_call(frame, f".{method}()", arguments)


def _apply_all(frame: Frame, callee: Value, arguments: Arguments) -> Value:
    return join(*(_apply(frame, atom, arguments) for atom in callee))


def _apply(frame: Frame, atom: Any, arguments: Arguments) -> Value:
    """Return what calling `atom` gives."""
    if isinstance(atom, Bound):
        return state_method(frame, atom.method, arguments)
    if isinstance(atom, Closure):
        return call_closure(frame, atom, arguments.positional, arguments.named, arguments.unpacked)
    if isinstance(atom, Injected) and atom.name in ("writer", "stream_writer"):
        return write_stream(frame, arguments)
    if isinstance(atom, Live):
        return call_live_object(frame, atom.obj, arguments)
    return unknown_call(frame, ast.unparse(arguments.node.func), arguments)
