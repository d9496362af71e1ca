"""From `x.name` to what it gives, and what assigning and deleting it does."""

from __future__ import annotations

import ast
import enum
import os
from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.door.filling import change, store_unknown
from langgraph_parallel.inference.door.injected import injected_part
from langgraph_parallel.inference.door.state_keys import from_state, store_in_state
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    Atom,
    Bound,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    State,
    Value,
    const,
    join,
    opaque,
    tame,
)
from langgraph_parallel.inference.objects.any_class import attribute_of_any
from langgraph_parallel.inference.objects.object_attributes import (
    delete_attr,
    load_attr,
    store_attr,
)
from langgraph_parallel.inference.objects.objects import look_behind
from langgraph_parallel.locations import any_attribute

STATE_METHODS: Final = frozenset(
    {
        *("get", "keys", "values", "items", "copy", "pop", "setdefault", "update", "popitem"),
        *("clear", "model_dump", "model_dump_json", "dict", "json", "model_copy"),
    }
)
"""Methods of a state that mean something to the analysis."""


def get_attribute(frame: Frame, value: Value, name: str, node: ast.AST) -> Value:
    """Return what `value.name` may be."""
    return join(*(attribute_of(frame, atom, name, node) for atom in value))


def attribute_of(frame: Frame, atom: Atom, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be."""
    given = frozenset({atom})
    if isinstance(atom, State):
        return _state_attribute(frame, name, node)
    if isinstance(atom, Live) and atom.obj is os.environ:
        return frozenset({Method(Object(type(os.environ)), getattr(os.environ, name, None))})
    if isinstance(atom, (Live, Made, Object)):
        return load_attr(frame, atom, name, node)
    if isinstance(atom, Injected):
        return injected_part(frame, atom, frozenset({name}), node)
    if isinstance(atom, Opaque) and not atom.tame:
        found = attribute_of_any(frame, atom, name, node)
        what = f"looks up .{name} of an unknown type"
        return unknown(frame, what, given, node) if found is None else found
    if isinstance(atom, (Data, Opaque)):
        look_behind(frame, atom, node)
        return SCALAR if isinstance(atom, Data) and atom.scalar else frame.part_of(given)
    if isinstance(atom, Const):
        return _attribute_of_constant(frame, atom, name, node)
    if isinstance(atom, Chain):
        return tame()
    if isinstance(atom, (Closure, Method)):
        return opaque()
    return opaque(frame.escape(given, f"attribute {name}", frame.where(node)))


def _attribute_of_constant(frame: Frame, atom: Const, name: str, node: ast.AST) -> Value:
    if isinstance(atom.value, enum.Enum) and name in ("value", "name"):
        return frame.live(getattr(atom.value, name))
    if isinstance(atom.value, enum.Enum):
        return load_attr(frame, Live(atom.value), name, node)
    return SCALAR


def _state_attribute(frame: Frame, name: str, node: ast.AST) -> Value:
    shape = frame.recorder.shape
    runs_code = bool(shape.own_code & {name, "__getattribute__"})
    if shape.attributes and name in shape.keys and not runs_code:
        return frame.recorder.read(name, frame.where(node))
    if name in STATE_METHODS and not runs_code:
        return frozenset({Bound(name)})
    frame.recorder.read_all(f"attribute {name!r} of the state", frame.where(node))
    frame.recorder.contact("unknown", f"attribute {name!r} of the state", frame.where(node))
    return opaque(ALL)


def set_attribute(frame: Frame, value: Value, name: str, new: Value, node: ast.AST) -> None:
    """Assign `value.name`."""
    for atom in value:
        if isinstance(atom, State):
            store_in_state(frame, const(name), new, frame.where(node))
        elif isinstance(atom, (Live, Made, Object)):
            store_attr(frame, atom, name, new, node)
        elif isinstance(atom, Const) and isinstance(atom.value, enum.Enum):
            store_attr(frame, Live(atom.value), name, new, node)
        elif isinstance(atom, Opaque) and not atom.tame:
            store_unknown(frame, atom, new, "assignment", node, any_attribute(name))
        elif isinstance(atom, (Closure, Chain)):
            frame.escape(new, f"kept in .{name}", frame.where(node))
            frame.leak(new)
        else:
            frame.escape(new, f"kept in .{name}", frame.where(node))
            frame.leak(new)
            change(frame, atom, "assignment", node, new, any_attribute(name))


def delete_attribute(frame: Frame, value: Value, name: str, node: ast.AST) -> None:
    """Delete `value.name`."""
    for atom in value:
        if isinstance(atom, State):
            from_state(frame, const(name), node)  # it fails when the key has no value
        elif isinstance(atom, (Live, Made, Object)):
            delete_attr(frame, atom, name, node)
        elif isinstance(atom, Opaque) and not atom.tame:
            store_unknown(frame, atom, NOTHING, "deletion", node, any_attribute(name))
        else:
            change(frame, atom, "del", node, NOTHING, any_attribute(name))
