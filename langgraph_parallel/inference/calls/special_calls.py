"""Calls that mean something to the analysis itself: `Command`, `interrupt`, `eval`, `open`."""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any, Final

from langgraph.types import Command, Overwrite, Send, interrupt
from typing_extensions import is_typeddict

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.calls.files import open_file
from langgraph_parallel.inference.calls.middleware import go_on
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.door.filling import cell_at, fill_cell
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Injected,
    Routed,
    Value,
    opaque,
    roots_of,
    tame,
)

_NEVER: Final = frozenset(
    {
        *(eval, exec, globals, locals, vars, __import__, compile),
        *(sys._getframe, inspect.currentframe, inspect.stack, inspect.trace),
    }
)
"""Calls that reach names, attributes or frames in a way that no argument shows."""


def special_call(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Handle the calls that mean something to the analysis itself."""
    where = frame.where(given.node)
    if obj is go_on:
        return _go_on(frame, given)
    if any(obj is forbidden for forbidden in _NEVER):
        msg = f"it calls {obj.__name__}()"
        raise GiveUpError(msg)
    if is_a(obj, types.FunctionType) and obj in framework().getters:
        return frozenset({Injected(framework().getters[obj])})
    if obj is interrupt:
        frame.escape(given.all, "interrupt", where)
        frame.recorder.leave("interrupt", "calls interrupt()", where)
        return opaque(frozenset({WORLD}))
    if obj is Command:
        return _command(given)
    if obj is Send:
        frame.escape(given.all, "sent", where)
        frame.recorder.leave("send", "builds a Send", where, ALL)
        return opaque(roots_of(given.all))
    if obj is Overwrite:
        frame.escape(given.all, "overwritten", where)
        return opaque(roots_of(given.all))
    if obj is open:
        return open_file(frame, given)
    return _typed_dict_or_input(frame, obj, given)


def _typed_dict_or_input(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    where = frame.where(given.node)
    if obj is input:
        frame.recorder.contact("write", "asks a person by input()", where)
        return SCALAR
    if is_typeddict(obj):
        cell = cell_at(frame, given.node)
        fill_cell(frame, cell, given)
        return frozenset({cell})
    return None


def _go_on(frame: Frame, given: Arguments) -> Value:
    """Run what an agent runs anyway, which a hook of its author goes on to."""
    where = frame.where(given.node)
    frame.recorder.contact("model", "goes on with an agent's call", where)
    passed = frozenset(atom for atom in given.all if not isinstance(atom, Injected))
    frame.escape(passed, "passed on", where)
    return tame()


def _command(given: Arguments) -> Value:
    if given.positional or given.unpacked:
        msg = "a Command is built in a way not understood"
        raise GiveUpError(msg)
    named = dict(given.named)
    update = named.pop("update", NONE)
    goto = named.pop("goto", NOTHING)
    return frozenset({Routed(update, goto, bool(named))})
