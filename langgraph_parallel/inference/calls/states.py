"""Methods of the state that the node received."""

from __future__ import annotations

from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.door.filling import cell_at
from langgraph_parallel.inference.door.state_keys import from_state, store_in_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NONE,
    STATE,
    Atom,
    Cell,
    Const,
    Value,
    const,
    join,
    opaque,
)


def state_method(frame: Frame, method: str, given: Arguments) -> Value:
    """Return what a method of the state gives."""
    where = frame.where(given.node)
    if method in ("get", "pop", "setdefault") and given.positional:
        value = from_state(frame, given.positional[0], given.node)
        default = join(*given.positional[1:], given.unpacked, *given.named.values())
        if method == "setdefault":
            store_in_state(frame, given.positional[0], default, where)
        if method == "pop" and len(given.positional) > 1:
            return join(value, default)
        return join(value, default or NONE)
    if method == "update":
        store_all(frame, given.positional, given, where)
        return NONE
    if method == "copy" and not frame.recorder.shape.attributes:
        cell = cell_at(frame, given.node)
        frame.recorder.grown |= cell.copy_state()
        return frozenset({cell})
    if method in ("copy", "model_copy"):
        return _copy(frame, method, given)
    frame.recorder.read_all(f".{method}()", where)
    return opaque(ALL)


def store_all(frame: Frame, mappings: tuple[Value, ...], given: Arguments, where: str) -> None:
    """Store the entries of mappings, and what is passed by name, in the state."""
    known = [atom for value in mappings for atom in value]
    if given.unpacked or not all(map(_has_known_keys, known)):
        store_in_state(frame, opaque(ALL), given.all, where)
        return
    for atom in known:
        for key, value in atom.values.items() if isinstance(atom, Cell) else ():
            store_in_state(frame, const(key), value, where)
    for name, value in given.named.items():
        store_in_state(frame, const(name), value, where)


def _has_known_keys(atom: Atom) -> bool:
    if not isinstance(atom, Cell):
        return atom == Const(None, type(None))
    atom.looked = True
    return atom.kind == "dict" and not (atom.open or atom.spread or atom.rest)


_COPYING: Final = frozenset({"__copy__", "__deepcopy__", "__getstate__", "__setstate__"}) | {
    *("__reduce__", "__reduce_ex__", "__replace__", "__init__", "__new__", "__post_init__"),
}
"""Names by which a state's class takes a hand in being copied."""


def _copy(frame: Frame, method: str, given: Arguments) -> Value:
    """Copy a state that is an object; what is stored in a copy is told from nothing in it."""
    options = dict(given.named)
    update = options.pop("update", NONE)
    options.pop("deep", None)
    if given.positional or given.unpacked or options or not copies_plainly(frame):
        where = frame.where(given.node)
        frame.recorder.read_all(f".{method}()", where)
        store_in_state(frame, opaque(ALL), given.all, where)
        return STATE
    store_all(frame, (update,), Arguments(given.node), frame.where(given.node))
    return STATE


def copies_plainly(frame: Frame) -> bool:
    """Tell whether copying the state runs no code of its class."""
    shape = frame.recorder.shape
    return shape.attributes and not shape.own_code & _COPYING


def replaced_state(frame: Frame, given: Arguments) -> Value:
    """Return a copy of a state with other values of the fields that are passed by name."""
    store_all(frame, (), given, frame.where(given.node))
    return STATE
