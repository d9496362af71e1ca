"""From `x[i]` to what it gives, and what assigning and deleting it does."""

from __future__ import annotations

import ast
import collections
import enum
import os
from typing import Any

from langgraph_parallel.effects import union
from langgraph_parallel.inference.code.datamodel import find, is_a, is_users
from langgraph_parallel.inference.door.environment import change_environment, look_at_environment
from langgraph_parallel.inference.door.filling import change, put_at, store_unknown
from langgraph_parallel.inference.door.injected import injected_part
from langgraph_parallel.inference.door.state_keys import from_state, store_in_state, use_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import (
    constants_of,
    holding,
    is_scalar,
    strings_of,
)
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.memory import part_of_item
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Cell,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.objects.held import MAPPINGS, held_item, place_of
from langgraph_parallel.inference.objects.named_tuples import any_part
from langgraph_parallel.inference.objects.objects import (
    Typed,
    call_method,
    is_container,
    is_instance,
    look_at_object,
    look_behind,
)
from langgraph_parallel.inference.objects.special_methods import run_special
from langgraph_parallel.locations import Location


def get_item(
    frame: Frame, value: Value, index: Value, node: ast.AST, *, is_slice: bool = False
) -> Value:
    """Return what `value[index]` may be."""
    part = _slice_of if is_slice else item_of
    return join(*(part(frame, atom, index, node) for atom in value))


def item_of(frame: Frame, atom: Atom, index: Value, node: ast.AST) -> Value:
    """Return what `atom[index]` may be."""
    given = frozenset({atom})
    if isinstance(atom, State):
        return _item_of_state(frame, index, node)
    if isinstance(atom, Const):
        return _item_of_constant(frame, atom, index)
    if isinstance(atom, Injected):
        return injected_part(frame, atom, strings_of(index), node)
    if isinstance(atom, Cell):
        return cell_item(frame, atom, index, node)
    if isinstance(atom, Live):
        return _item_of_live(frame, atom, index, node)
    if isinstance(atom, (Made, Object)):
        return _item_of_object(frame, atom, index, node)
    if isinstance(atom, Opaque) and not atom.tame:
        return unknown(frame, "takes an item of an unknown type", join(given, index), node)
    if isinstance(atom, (Data, Opaque)):
        return _item_of_data(frame, atom, index, node)
    return opaque(frame.escape(given, "subscript", frame.where(node)))


def _slice_of(frame: Frame, atom: Atom, index: Value, node: ast.AST) -> Value:
    """Return what a slice of `atom` may be: a new container, where it is one itself."""
    if isinstance(atom, Cell):
        atom.looked = True
        if not is_scalar(index):
            frame.use(index, node)
        loose = opaque(union(atom.roots, frame.recorder.leaked)) if atom.open else NOTHING
        return holding(join(atom.everything(), loose), atom.roots, plain=atom.kind == "list")
    if isinstance(atom, Data):
        item_of(frame, atom, index, node)
        return frozenset({atom})
    found = item_of(frame, atom, index, node)
    is_sequence = is_container(atom) and not is_a(atom.obj, dict)
    return holding(found, frozenset({WORLD})) if is_sequence else found


def _item_of_state(frame: Frame, index: Value, node: ast.AST) -> Value:
    if "__getitem__" in frame.recorder.shape.own_code:
        use_state(frame, node)
    return from_state(frame, index, node)


def _item_of_live(frame: Frame, atom: Live, index: Value, node: ast.AST) -> Value:
    if is_container(atom):
        return _item_of_container(frame, atom.obj, index, node)
    if atom.obj is os.environ:
        look_at_environment(frame, index, node)
        return SCALAR
    if is_a(atom.obj, type):
        return _item_of_class(frame, atom.obj, index, node)
    return _item_of_object(frame, atom, index, node)


def _item_of_object(frame: Frame, atom: Typed, index: Value, node: ast.AST) -> Value:
    if (part := any_part(frame, atom, frame.where(node))) is not None and is_scalar(index):
        return part
    found = run_special(frame, atom, "__getitem__", (index,), node)
    look_at_object(frame, atom, frame.where(node))
    if isinstance(atom, Made):
        atom.cell.looked = True
        if find(atom.cls, "__getitem__") is not None:
            found = join(found, atom.cell.rest)
    return found or opaque(roots_of(frozenset({atom})))


def _item_of_data(frame: Frame, atom: Data | Opaque, index: Value, node: ast.AST) -> Value:
    given = frozenset({atom})
    look_behind(frame, atom, node)
    if not is_scalar(index):
        frame.use(index, node)
    return given if isinstance(atom, Data) and atom.scalar else frame.part_of(given)


def _item_of_constant(frame: Frame, atom: Const, index: Value) -> Value:
    if not isinstance(atom.value, tuple):
        return SCALAR
    places = constants_of(index)
    if places and all(
        isinstance(p, int) and -len(atom.value) <= p < len(atom.value) for p in places
    ):
        return join(*(frame.live(atom.value[p]) for p in places))
    return join(*(frame.live(part) for part in atom.value), SCALAR)


def cell_item(frame: Frame, cell: Cell, index: Value, node: ast.AST) -> Value:
    """Return an element of a container built in this call."""
    cell.looked = True
    if not is_scalar(index):
        frame.use(index, node)
    loose = opaque(union(cell.roots, frame.recorder.leaked)) if cell.shared else NOTHING
    keys = strings_of(index)
    if keys is None:
        copied = from_state(frame, index, node) if cell.spread else NOTHING
        return join(cell.everything(), loose, copied)
    found = join(*(cell.values.get(key, NOTHING) for key in keys), cell.rest, loose)
    if cell.spread:
        # What is put after the copy may be put on one path only.
        untouched = not keys & cell.keys and not cell.open and not cell.rest
        copied = from_state(frame, index, node)
        return copied if untouched else join(copied, found)
    return found


def _item_of_container(frame: Frame, obj: Any, index: Value, node: ast.AST) -> Value:
    where = frame.where(node)
    if not is_scalar(index):
        frame.use(index, node)
    keys = constants_of(index)
    found = held_item(frame, obj, keys, where)
    if type(obj) is collections.defaultdict:
        part = part_of_item(next(iter(keys))) if keys and len(keys) == 1 else None
        made = frame.call(frame.live(obj.default_factory), Arguments(node))
        frame.recorder.change(place_of(frame, obj, part), where, made)
        return join(found, made)
    return join(found, SCALAR) if type(obj) is collections.Counter else found


def _item_of_class(frame: Frame, cls: type, index: Value, node: ast.AST) -> Value:
    """Return what `Class[index]` gives: by its metaclass, else by `__class_getitem__`."""
    if isinstance(cls, enum.EnumMeta):
        return join(*(frame.live(member) for member in cls._member_map_.values()))
    hook = find(type(cls), "__getitem__")
    if hook is not None and is_users(hook[1]):
        return call_method(frame, Live(cls), hook[1], (index,), node)
    own = find(cls, "__class_getitem__")
    if own is not None and is_users(own[1]):
        function = getattr(own[1], "__func__", own[1])
        given = (frozenset({Live(cls)}), index)
        return frame.call(frame.live(function), Arguments(node, given))
    return frozenset({Live(cls)})


def set_item(frame: Frame, value: Value, index: Value, new: Value, node: ast.AST) -> None:
    """Assign `value[index]`."""
    for atom in value:
        _set_item(frame, atom, index, new, node)


def _set_item(frame: Frame, atom: Atom, index: Value, new: Value, node: ast.AST) -> None:
    where = frame.where(node)
    if isinstance(atom, State):
        store_in_state(frame, index, new, where)
    elif isinstance(atom, Cell):
        put_at(frame, atom, index, new, node)
    elif isinstance(atom, Live):
        _set_item_of_live(frame, atom, index, new, node)
    elif isinstance(atom, (Made, Object)):
        _set_item_of_object(frame, atom, index, new, node)
    elif isinstance(atom, Opaque) and not atom.tame:
        frame.use(index, node)
        store_unknown(frame, atom, new, "assignment", node)
    else:
        frame.use(index, node)
        frame.escape(new, "stored", where)
        frame.leak(new)
        change(frame, atom, "assignment", node, new)


def _set_item_of_live(frame: Frame, atom: Live, index: Value, new: Value, node: ast.AST) -> None:
    if atom.obj is os.environ:
        change_environment(frame, index, node)
        return
    if not is_container(atom):
        _set_item_of_object(frame, atom, index, new, node)
        return
    if not is_scalar(index):
        frame.use(index, node)
    frame.escape(new, "stored", frame.where(node))
    for place in _places_of(frame, atom.obj, index):
        frame.recorder.change(place, frame.where(node), new)


def _set_item_of_object(frame: Frame, atom: Typed, index: Value, new: Value, node: ast.AST) -> None:
    done = run_special(frame, atom, "__setitem__", (index, new), node)
    if isinstance(atom, Made):
        frame.recorder.grown |= atom.cell.add(new)
    elif not done:
        change(frame, atom, "assignment", node, new)
    frame.escape(new, "stored", frame.where(node))


def _places_of(frame: Frame, obj: Any, index: Value) -> list[Location]:
    """Return the places that an assignment to `obj[index]` may change."""
    keys = constants_of(index) if type(obj) in MAPPINGS else None
    if keys is None:
        return [place_of(frame, obj)]
    return [place_of(frame, obj, part_of_item(key)) for key in keys]


def delete_item(frame: Frame, value: Value, index: Value, node: ast.AST) -> None:
    """Delete `value[index]`."""
    for atom in value:
        _delete_item(frame, atom, index, node)


def _delete_item(frame: Frame, atom: Atom, index: Value, node: ast.AST) -> None:
    if isinstance(atom, State):
        from_state(frame, index, node)  # it fails when the key has no value
    elif isinstance(atom, Live) and atom.obj is os.environ:
        change_environment(frame, index, node)
    elif is_container(atom):
        for place in _places_of(frame, atom.obj, index):
            frame.recorder.change(place, frame.where(node), SCALAR)
    elif isinstance(atom, Opaque) and not atom.tame:
        store_unknown(frame, atom, NOTHING, "deletion", node)
    elif is_instance(atom) and run_special(frame, atom, "__delitem__", (index,), node):
        return
    else:
        if isinstance(atom, Cell) and atom.spread:
            from_state(frame, index, node)
        change(frame, atom, "del", node, NOTHING)
