"""Calls that mean something to the analysis itself: `Command`, `interrupt`, `eval`, `open`."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import sys
import types
from typing import Any, Final

from langchain_core.runnables import ensure_config
from langgraph.types import Command, Overwrite, Send, interrupt
from typing_extensions import is_typeddict

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.calls.files import open_file
from langgraph_parallel.inference.calls.middleware import go_on
from langgraph_parallel.inference.calls.states import copies_plainly, replaced_state
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.door.filling import cell_at, collected, fill_cell, merge_into
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    STATE,
    WORLD,
    Atom,
    Cell,
    Const,
    Injected,
    Live,
    Made,
    Object,
    Routed,
    Value,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.objects import class_of
from langgraph_parallel.locations import Location

_NEVER: Final = frozenset(
    {
        *(exec, globals),
        *(sys._getframe, inspect.currentframe, inspect.stack, inspect.trace),
    }
)
"""Calls that reach names, attributes or frames in a way that no argument shows."""
_LOOKS_AROUND: Final = (eval, locals, vars, exec)
"""Calls that are handed all variables of the function that they stand in."""
_LOADS: Final = (__import__, compile)


def special_call(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Handle the calls that mean something to the analysis itself."""
    where = frame.where(given.node)
    if obj is go_on:
        return _go_on(frame, given)
    run = _run_text(frame, obj, given)
    if run is not None:
        return run
    asked = _ask_for_settings(frame, obj, given)
    if asked is not None:
        return asked
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
    return _made_of_state(frame, obj, given)


def _made_of_state(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return a dict with a schema, or a copy of a state of a class with fields."""
    if is_typeddict(obj):
        cell = cell_at(frame, given.node)
        fill_cell(frame, cell, given)
        for atom in given.mappings:
            merge_into(frame, cell, atom, given.node)
        return frozenset({cell})
    if not any(obj is known for known in _COPIES) or given.positional != (STATE,):
        return None
    odd = given.unpacked or (given.named and obj is not dataclasses.replace)
    return None if odd or not copies_plainly(frame) else replaced_state(frame, given)


_COPIES: Final = (copy.copy, copy.deepcopy, dataclasses.replace)


def _run_text(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Do anything to all variables in reach: what `eval`, `exec` and `locals` may be used for."""
    is_apart = obj is exec and _has_own_names(given)
    is_known = is_apart or (obj is exec and _assigns_to_itself(given))
    if not is_known and any(obj is forbidden for forbidden in _NEVER):
        any_name = Location(frame.namespace, None, "a global", "name")
        frame.recorder.memory.store(any_name, "unknown")
        msg = f"it calls {obj.__name__}()"
        raise GiveUpError(msg)
    if any(obj is known for known in _LOADS):
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    if not any(obj is known for known in _LOOKS_AROUND):
        return None
    around = join(*(frame.env or {}).values()) if not is_apart else NOTHING
    return unknown(frame, f"calls {given.callee}", join(given.all, around), given.node)


def _has_own_names(given: Arguments) -> bool:
    """Tell whether `exec` keeps the names that it assigns in a dict made in this call."""
    names = given.positional[1] if len(given.positional) > 1 else NOTHING
    return bool(names) and all(isinstance(atom, Cell) for atom in names) and not given.unpacked


def _assigns_to_itself(given: Arguments) -> bool:
    """Tell whether `exec` is given no names: inside of a function what it assigns is dropped.

    It may still do what any unknown call may; a text that is known to say `global` does more.
    """
    texts = constants_of(given.positional[0]) if given.positional else None
    alone = len(given.positional) == 1 and not given.named and not given.unpacked
    return alone and not any("global" in str(text) for text in texts or ())


def _ask_for_settings(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return what gives the settings of a run, or the names of those that a class has."""
    if is_a(obj, types.FunctionType) and obj in framework().getters:
        return frozenset({Injected(framework().getters[obj])})
    if obj is ensure_config and given.all and all(map(_is_config, given.all)):
        return frozenset({Injected("config")})
    if obj is dataclasses.fields and (found := _fields_of(given)) is not None:
        return collected(frame, given.node, join(*map(frame.live, found)))
    return None


def _is_config(atom: Atom) -> bool:
    """Tell whether something is the `config` of the node, or none at all."""
    return atom in (Injected("config"), Const(None, type(None)))


def _fields_of(given: Arguments) -> tuple[Any, ...] | None:
    """Return the fields of the one dataclass that is given; None when it is not known."""
    atom = next(iter(given.all), None)
    if len(given.all) != 1 or not isinstance(atom, (Live, Made, Object)):
        return None
    cls = atom.obj if isinstance(atom, Live) else class_of(atom)
    return dataclasses.fields(cls) if is_a(cls, type) and dataclasses.is_dataclass(cls) else None


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
