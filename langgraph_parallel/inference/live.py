"""Calling a live object: what means something to the analysis, then the table, then its code."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from typing import Any, Final

from langgraph.types import Command, Overwrite, Send, interrupt
from typing_extensions import is_typeddict

from langgraph_parallel.effects import ALL, Effects, declared_effects
from langgraph_parallel.inference.access import attribute_of, consume
from langgraph_parallel.inference.containers import cell_at, elements
from langgraph_parallel.inference.external import describe_call, external_of_class, yields_of
from langgraph_parallel.inference.frame import Frame, GiveUpError
from langgraph_parallel.inference.framework import framework
from langgraph_parallel.inference.functions import call_live
from langgraph_parallel.inference.http_clients import fetch, make_client
from langgraph_parallel.inference.outside import (
    Arguments,
    apply_known,
    fill_cell,
    run_callbacks,
    unknown_call,
    user_function,
)
from langgraph_parallel.inference.values import (
    NOTHING,
    SCALAR,
    WORLD,
    Chain,
    Const,
    Injected,
    Routed,
    State,
    Value,
    const,
    constants_of,
    fresh,
    is_deep,
    join,
    opaque,
    roots_of,
)

_NEVER: Final = frozenset(
    {
        *(eval, exec, globals, locals, vars, setattr, delattr, __import__, super),
        *(sys._getframe, inspect.currentframe, inspect.stack, inspect.trace),
    }
)
"""Calls that reach names, attributes or frames in a way that no argument shows."""


def call_live_object(frame: Frame, obj: Any, arguments: Arguments) -> Value:
    """Return what calling the live object `obj` gives."""
    where = frame.where(arguments.node)
    special = _special(frame, obj, arguments, where)
    if special is not None:
        return special
    fetched = fetch(frame, obj, arguments)
    if fetched is not None:
        return fetched
    known = describe_call(obj)
    if known is not None:
        return apply_known(frame, known, ast.unparse(arguments.node.func), arguments)
    if isinstance(obj, type):
        client = make_client(frame, obj, arguments)
        if client is not None:
            return client
        external = external_of_class(obj)
        if external is not None:
            frame.escape(arguments.all, "passed on", where)
            return frozenset({Chain(external, yields_of(obj))})
    function, receiver = user_function(obj)
    declared = declared_effects(function)
    if declared is not None:
        return _call_declared(frame, declared, obj.__name__, arguments)
    if function is not None:
        positional = arguments.positional if receiver is None else (receiver, *arguments.positional)
        given = call_live(frame, function, positional, arguments.named, arguments.unpacked)
        if given is not None:
            return given
    return unknown_call(frame, ast.unparse(arguments.node.func), arguments)


def _call_declared(frame: Frame, declared: Effects, name: str, arguments: Arguments) -> Value:
    """Return what a helper gives that its author declared with `@effects`."""
    where = frame.where(arguments.node)
    given = arguments.all
    takes_state = State() in given
    if takes_state:
        if declared.reads is ALL:
            frame.recorder.read_all(f"passed to {name}()", where)
        for key in declared.reads if declared.reads is not ALL else ():
            frame.recorder.read(key, where)
        given = given - {State()}
    reached = frame.escape(consume(frame, given, arguments.node), f"passed to {name}()", where)
    if declared.mutates:
        frame.recorder.mutate(reached, f"{name}() was declared to", where)
    for contact in sorted(declared.external):
        frame.recorder.contact(contact, f"{name}() was declared a {contact} call", where)
    for control in sorted(declared.control):
        what = f"{name}() was declared to {control}"
        frame.recorder.leave(control, what, where, declared.goto)
    frame.recorder.resources |= declared.resources
    if not takes_state or declared.goto:
        return opaque(reached)
    update = cell_at(frame, arguments.node)  # it works like a node: it gives an update
    update.open = declared.writes is ALL
    for key in declared.writes if declared.writes is not ALL else ():
        update.put(key, SCALAR if key in declared.folds else opaque(reached))
    return frozenset({update, Const(None, type(None))})


def _special(frame: Frame, obj: Any, arguments: Arguments, where: str) -> Value | None:
    """Handle the calls that mean something to the analysis itself."""
    if any(obj is forbidden for forbidden in _NEVER):
        msg = f"it calls {obj.__name__}()"
        raise GiveUpError(msg)
    if isinstance(obj, types.FunctionType) and obj in framework().getters:
        return frozenset({Injected(framework().getters[obj])})
    if obj is interrupt:
        frame.escape(arguments.all, "interrupt", where)
        frame.recorder.leave("interrupt", "calls interrupt()", where)
        return opaque(frozenset({WORLD}))
    if obj is Command:
        return _command(arguments)
    if obj is Send:
        frame.escape(arguments.all, "sent", where)
        frame.recorder.leave("send", "builds a Send", where, ALL)
        return opaque(roots_of(arguments.all))
    if obj is Overwrite:
        frame.escape(arguments.all, "overwritten", where)
        return opaque(roots_of(arguments.all))
    return _special_builtin(frame, obj, arguments)


def _special_builtin(frame: Frame, obj: Any, arguments: Arguments) -> Value | None:
    """Handle the built-ins whose result depends on more than the kind of their arguments."""
    if obj is next and arguments.node.args and isinstance(arguments.node.args[0], ast.GeneratorExp):
        # Nobody else holds this iterator, so moving it on shows nowhere.
        first, *default = arguments.positional
        return join(elements(frame, first, arguments.node), *default)
    if obj is getattr and len(arguments.positional) > 1:
        return _getattr(frame, arguments)
    if obj is dict or is_typeddict(obj):
        cell = cell_at(frame, arguments.node)
        fill_cell(frame, cell, arguments)
        return frozenset({cell})
    if obj in (list, tuple, set, sorted, enumerate, reversed) and arguments.positional:
        return _copy_elements(frame, obj, arguments)
    return None


def _copy_elements(frame: Frame, obj: Any, arguments: Arguments) -> Value | None:
    constants = constants_of(arguments.positional[0])
    if obj is tuple and constants and all(isinstance(c, tuple) for c in constants):
        return arguments.positional[0]
    run_callbacks(frame, obj.__name__, arguments)
    parts = elements(frame, arguments.positional[0], arguments.node)
    frame.escape(arguments.all, "its elements are copied", frame.where(arguments.node))
    frame.leak(parts)
    return fresh(roots_of(parts), plain=obj is not dict, deep=is_deep(parts))


def _getattr(frame: Frame, arguments: Arguments) -> Value:
    base, name, *default = arguments.positional
    names = constants_of(name)
    if names is None or State() not in base:
        if State() in base:
            frame.recorder.read_all("getattr()", frame.where(arguments.node))
        return (
            unknown_call(frame, "getattr", arguments)
            if names is None
            else join(
                *(
                    attribute_of(frame, atom, str(n), arguments.node)
                    for atom in base
                    for n in names
                ),
                *default,
            )
        )
    parts = [attribute_of(frame, a, str(n), arguments.node) for a in base for n in names]
    return join(*parts, *default)


def _command(arguments: Arguments) -> Value:
    if arguments.positional or arguments.unpacked:
        msg = "a Command is built in a way not understood"
        raise GiveUpError(msg)
    named = dict(arguments.named)
    update = named.pop("update", const(None))
    goto = named.pop("goto", NOTHING)
    return frozenset({Routed(update, goto, bool(named))})
