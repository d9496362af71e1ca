"""From `x.name` to what it gives, and what assigning and deleting it does."""

from __future__ import annotations

import ast
import enum
import os
from typing import Any, Final

from pydantic import BaseModel

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.code.datamodel import find, is_a, is_users
from langgraph_parallel.inference.code.sdk import has_plugged_code, part_below
from langgraph_parallel.inference.door.filling import change, store_unknown
from langgraph_parallel.inference.door.injected import injected_attribute
from langgraph_parallel.inference.door.state_keys import from_state, store_in_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    STATE,
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
from langgraph_parallel.inference.objects.object_attributes import (
    delete_attr,
    load_attr,
    store_attr,
)
from langgraph_parallel.inference.objects.objects import (
    Typed,
    class_of,
    is_as_seen,
    look_at_object,
    look_behind,
)
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
    if isinstance(atom, Live) and (known := _known_attribute(frame, atom.obj, name)) is not None:
        return known
    if isinstance(atom, (Live, Made, Object)):
        return _sdk_part(frame, atom, name, node) or load_attr(frame, atom, name, node)
    if isinstance(atom, Injected):
        return injected_attribute(frame, atom, name, node)
    if isinstance(atom, Opaque) and not atom.tame:
        return unknown(frame, f"looks up .{name} of an unknown type", given, node)
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


def _known_attribute(frame: Frame, obj: Any, name: str) -> Value | None:
    """Return an attribute of a live object that is no plain look-up, as far as it is known."""
    if obj is os.environ:
        return frozenset({Method(Object(type(os.environ)), getattr(os.environ, name, None))})
    if name == "model_fields" and _is_model(obj):
        return frame.live(obj.__pydantic_fields__)
    return None


def _is_model(obj: Any) -> bool:
    """Tell whether an object is a pydantic class that is as pydantic makes it."""
    if not (is_a(obj, type) and type(obj) is type(BaseModel) and issubclass(obj, BaseModel)):
        return False
    own = obj.__mro__[: obj.__mro__.index(BaseModel)]
    return not any("model_fields" in vars(base) for base in own)


def _sdk_part(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    """Return the resource of a model service that an attribute is; empty when it is none."""
    part = part_below(class_of(atom), name)
    if part is None or (isinstance(atom, Live) and has_plugged_code(atom.obj)):
        return NOTHING
    look_at_object(frame, atom, frame.where(node))
    return frozenset({Object(part)})


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
    found = own_member(frame, name, node)
    if isinstance(found, property) and is_users(found):
        return frame.call(frame.live(found.fget), Arguments(node, (STATE,)))
    frame.recorder.read_all(f"attribute {name!r} of the state", frame.where(node))
    frame.recorder.contact("unknown", f"attribute {name!r} of the state", frame.where(node))
    return opaque(ALL)


def own_member(frame: Frame, name: str, node: ast.AST) -> Any:
    """Return what the class of the state defines by a name that is no field; None when nothing."""
    shape = frame.recorder.shape
    if shape.cls is None or name in shape.keys or "__getattribute__" in shape.own_code:
        return None
    found = find(shape.cls, name)
    if found is None or not is_as_seen(frame, shape.cls, (name,), frame.where(node)):
        return None
    return found[1]


def set_attribute(frame: Frame, value: Value, name: str, new: Value, node: ast.AST) -> None:
    """Assign `value.name`."""
    for atom in value:
        if isinstance(atom, State):
            if frame.recorder.shape.own_code & {name, "__setattr__"}:
                unknown(frame, f"sets attribute {name!r} of the state", STATE | new, node)
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
