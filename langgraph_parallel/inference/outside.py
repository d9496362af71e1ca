"""Calls that leave the code at hand: by the table, as a callback, or unknown."""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass
from typing import Any

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.access import consume
from langgraph_parallel.inference.containers import elements, merge_into, put_keys
from langgraph_parallel.inference.external import describe_call, is_runnable
from langgraph_parallel.inference.frame import Frame
from langgraph_parallel.inference.functions import call_closure, call_live
from langgraph_parallel.inference.source import is_library
from langgraph_parallel.inference.tables import Known
from langgraph_parallel.inference.values import (
    GIVEN,
    NOTHING,
    SCALAR,
    WORLD,
    Cell,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Value,
    const,
    fresh,
    is_deep,
    join,
    opaque,
    roots_of,
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The evaluated arguments of one call."""

    node: ast.Call
    positional: tuple[Value, ...]
    named: dict[str, Value]
    unpacked: Value
    """What `*args` and `**kwargs` may hold, together."""

    @property
    def all(self) -> Value:
        """Everything that is passed."""
        return join(*self.positional, *self.named.values(), self.unpacked)


def unknown_call(frame: Frame, what: str, arguments: Arguments) -> Value:
    """Apply a call of which nothing is known."""
    where = frame.where(arguments.node)
    reached = frame.escape(arguments.all, f"passed to {what}", where)
    frame.recorder.contact("unknown", f"calls {what}, which is not known", where)
    reached = union(reached, frame.recorder.leaked)
    if frame.recorder.trusts_calls:
        return opaque(union(reached, frozenset({WORLD})))
    if reached is ALL:
        frame.recorder.mutates = ALL
    else:
        frame.recorder.mutates = union(frame.recorder.mutates, reached - {WORLD, GIVEN})
    return opaque(union(reached, frozenset({WORLD})))


def apply_known(frame: Frame, known: Known, what: str, arguments: Arguments) -> Value:
    """Apply an entry of the table: it reads its arguments whole and changes none of them."""
    where = frame.where(arguments.node)
    run_callbacks(frame, what, arguments)
    if known.result not in ("scalar", "message"):
        # The result may be, or hold, one of the arguments.
        frame.escape(without_callbacks(arguments.all), f"passed to {what}", where)
    used = consume(frame, arguments.all, arguments.node)
    frame.escape(without_callbacks(used), f"passed to {what}", where)
    if "file" in arguments.named:
        frame.recorder.contact("unknown", f"{what} writes to a file object", where)
    for kind in known.external:
        frame.recorder.contact(kind, f"{what} is a {kind} call", where)
    if known.result == "scalar":
        return SCALAR
    if known.result == "message":
        return frozenset({Data(roots_of(used), plain=True)})
    if known.result == "fresh":
        return fresh(roots_of(used), deep=is_deep(used))
    if known.result == "elements":
        return elements(frame, used, arguments.node)
    return opaque(roots_of(used))


def without_callbacks(value: Value) -> Value:
    """Drop inner functions, which are analyzed as callbacks, and `config`, which is passed on."""
    return frozenset(atom for atom in value if not isinstance(atom, (Closure, Injected)))


def run_callbacks(frame: Frame, what: str, arguments: Arguments) -> None:
    """Analyze the functions among the arguments as if they were called with any of the rest."""
    passed = without_callbacks(arguments.all)
    anything = opaque(union(roots_of(passed), frame.recorder.leaked))
    called = _callables(what, arguments)
    for atom in join(arguments.all, called):
        if isinstance(atom, Closure):
            frame.recorder.call_later(atom, anything)
            call_closure(frame, atom, (), {}, anything)
        elif isinstance(atom, Live) and callable(atom.obj):
            _run_live_callback(frame, atom.obj, anything, arguments)
        elif atom in called and not isinstance(atom, (Const, Live)):
            unknown_call(frame, f"a function passed to {what}", arguments)


def _callables(what: str, arguments: Arguments) -> Value:
    """Return the arguments that a known callee calls."""
    named = [v for k, v in arguments.named.items() if k in ("key", "default", "object_hook", "cls")]
    name = what.rpartition(".")[2].strip("()")
    first = {"map": 0, "filter": 0, "reduce": 0, "sub": 1, "subn": 1}.get(name)
    if first is not None and len(arguments.positional) > first:
        callee = arguments.positional[first]
        scalar = all(isinstance(a, Const) or (isinstance(a, Data) and a.scalar) for a in callee)
        named += [] if scalar else [callee]
    return join(*named, arguments.unpacked if first is not None else NOTHING)


def _run_live_callback(frame: Frame, obj: Any, anything: Value, arguments: Arguments) -> None:
    if is_runnable(obj) or isinstance(obj, type) or describe_call(obj) is not None:
        return
    function, receiver = user_function(obj)
    given = () if receiver is None else (receiver,)
    if function is None or call_live(frame, function, given, {}, anything) is None:
        unknown_call(frame, "a function passed as an argument", arguments)


def user_function(obj: Any) -> tuple[types.FunctionType | None, Value | None]:
    """Return the user's function behind a live callable, and its bound first argument."""
    receiver = None
    if isinstance(obj, types.MethodType):
        receiver, obj = frozenset({Live(obj.__self__)}), obj.__func__
    is_function = isinstance(obj, types.FunctionType)
    return (
        (obj, receiver)
        if is_function and not is_library(obj.__code__.co_filename)
        else (None, None)
    )


def write_stream(frame: Frame, arguments: Arguments) -> Value:
    """Write to the custom stream, whose events of one superstep have no order to keep."""
    frame.escape(arguments.all, "streamed", frame.where(arguments.node))
    frame.recorder.note("writes to the custom stream", frame.where(arguments.node))
    return const(None)


def fill_cell(frame: Frame, cell: Cell, arguments: Arguments) -> None:
    """Copy the arguments of `dict(...)` or `.update(...)` into a dictionary."""
    for value in (*arguments.positional, arguments.unpacked):
        merge_into(frame, cell, value, arguments.node)
    for name, value in arguments.named.items():
        put_keys(frame, cell, const(name), value)
