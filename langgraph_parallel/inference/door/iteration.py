"""From what is iterated over, unpacked or awaited to what it gives."""

from __future__ import annotations

import ast
import enum
import itertools
import os
from typing import Any, Final

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.code.datamodel import (
    ITERATORS,
    find,
    is_a,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.door.injected import whole_injected
from langgraph_parallel.inference.door.state_keys import use_state
from langgraph_parallel.inference.machine.frame import Frame, unknown
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
from langgraph_parallel.inference.objects.held import held_items, held_keys, place_of
from langgraph_parallel.inference.objects.named_tuples import any_part
from langgraph_parallel.inference.objects.objects import (
    Typed,
    call_method,
    change_object,
    class_of,
    family_of_object,
    is_container,
    is_instance,
    look_at_object,
    look_behind,
    result_of,
)
from langgraph_parallel.inference.objects.special_methods import run_special
from langgraph_parallel.locations import ANYWHERE, world


def _world(*values: Value) -> Value:
    return opaque(union(roots_of(join(*values)), frozenset({WORLD})))


def spread_mapping(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Return what the entries of an unpacked mapping may be: `{**x}`, `f(**x)`, `dict(x)`."""
    total: Value = NOTHING
    for atom in value:
        total = join(total, _entries_of(frame, atom, node))
    return total


def _entries_of(frame: Frame, atom: Atom, node: ast.AST) -> Value:
    given = frozenset({atom})
    if is_instance(atom):
        return _entries_of_instance(frame, atom, node)
    if isinstance(atom, State):
        use_state(frame, node)
        return opaque(ALL)
    if isinstance(atom, Opaque) and not atom.tame:
        return unknown(frame, "unpacks an unknown type", given, node)
    if isinstance(atom, Live):
        return held_items(frame, atom.obj, frame.where(node))
    if isinstance(atom, Cell):
        return _entries_of_cell(frame, atom, node)
    if isinstance(atom, Const):
        return NOTHING
    if isinstance(atom, Injected):
        return whole_injected(frame, atom, node)
    if isinstance(atom, (Data, Opaque)):
        look_behind(frame, atom, node)
        return frame.part_of(given)
    return opaque(frame.escape(given, "unpacked", frame.where(node)))


def _entries_of_instance(frame: Frame, atom: Typed, node: ast.AST) -> Value:
    if isinstance(atom, Live) and atom.obj is os.environ:
        return iterate(frame, frozenset({atom}), node)
    hook = find(class_of(atom), "keys")
    given = frozenset({atom})
    if hook is not None and is_users(hook[1]):
        keys = iterate(frame, call_method(frame, atom, hook[1], (), node), node)
    else:
        keys = iterate(frame, given, node)
    if isinstance(atom, Live) and is_a(atom.obj, dict):
        frame.recorder.look(place_of(frame, atom.obj), frame.where(node))
    got = run_special(frame, atom, "__getitem__", (keys or SCALAR,), node)
    return got or opaque(roots_of(given))


def _entries_of_cell(frame: Frame, cell: Cell, node: ast.AST) -> Value:
    copied: Value = NOTHING
    if cell.spread:
        use_state(frame, node)
        copied = opaque(ALL)
    return join(copied, cell.everything(), opaque(cell.roots) if cell.shared else NOTHING)


def iterate(frame: Frame, value: Value, node: ast.AST, *, is_async: bool = False) -> Value:
    """Return what iterating over a value gives."""
    return join(*(_iterate(frame, atom, node, is_async=is_async) for atom in value))


def _iterate(frame: Frame, atom: Atom, node: ast.AST, *, is_async: bool) -> Value:
    given = frozenset({atom})
    where = frame.where(node)
    if isinstance(atom, Const):
        return _iterate_constant(frame, atom)
    if isinstance(atom, State):
        frame.recorder.read_all("iterated over", where)
        return opaque(ALL)
    if isinstance(atom, Cell):
        return _iterate_cell(frame, atom, node)
    if is_container(atom):
        parts = held_keys if is_a(atom.obj, dict) else held_items
        return parts(frame, atom.obj, where)
    if isinstance(atom, (Live, Made, Object)):
        return _iterate_typed(frame, atom, node, is_async=is_async)
    if isinstance(atom, Opaque):
        return _iterate_opaque(frame, atom, node)
    if isinstance(atom, Injected):
        # The names alone tell nothing: what stands behind them is asked for by item.
        return SCALAR if atom.name in _MAPPINGS else whole_injected(frame, atom, node)
    if isinstance(atom, Data):
        look_behind(frame, atom, node)
        return SCALAR if atom.scalar else frame.part_of(given)
    return opaque(frame.escape(given, "iterated over", where))


_MAPPINGS: Final = frozenset({"config", "settings"})


def _iterate_constant(frame: Frame, atom: Const) -> Value:
    if isinstance(atom.value, (tuple, frozenset)):
        return join(*(frame.live(part) for part in atom.value))
    return SCALAR


def _iterate_opaque(frame: Frame, atom: Opaque, node: ast.AST) -> Value:
    given = frozenset({atom})
    if atom.spent and atom.roots:
        frame.recorder.mutate(atom.roots, "may use up an iterator", frame.where(node))
    if not atom.tame:
        return unknown(frame, "iterates over an object of unknown type", given, node)
    return frame.part_of(given)


def _iterate_cell(frame: Frame, cell: Cell, node: ast.AST) -> Value:
    if cell.spread:
        use_state(frame, node)
    others = cell.shared or (cell.open and cell.kind != "dict")
    unknown_parts = opaque(union(cell.roots, frame.recorder.leaked)) if others else NOTHING
    if cell.kind == "dict":
        cell.looked = True
        keys = join(cell.index, *(frame.live(key) for key in cell.values))
        loose = cell.shared or cell.spread or (cell.rest and not cell.index)
        return join(keys, SCALAR if loose else NOTHING, unknown_parts)
    return join(cell.everything(), unknown_parts)


def _iterate_typed(
    frame: Frame, atom: Typed, node: ast.AST, *, is_async: bool, depth: int = 0
) -> Value:
    where = frame.where(node)
    if family_of_object(atom) is not None:
        return run_special(frame, atom, "__iter__", (), node)
    if isinstance(atom, Live) and type(atom.obj) in (*ITERATORS, itertools.count):
        frame.recorder.change(place_of(frame, atom.obj), where, SCALAR)
        frame.recorder.look(ANYWHERE, where)
        return SCALAR if type(atom.obj).__name__ == "count" else _world()
    if isinstance(atom, Live) and (listed := _listed(frame, atom.obj, where)) is not None:
        return listed
    if not is_async and (part := any_part(frame, atom, where)) is not None:
        return part
    first, then = ("__aiter__", "__anext__") if is_async else ("__iter__", "__next__")
    made = run_special(frame, atom, first, (), node)
    look_at_object(frame, atom, where)
    total: Value = NOTHING
    for iterator in made | frozenset({atom}):
        if is_instance(iterator):
            if find(class_of(iterator), then) is None:
                continue
            run_special(frame, iterator, "__length_hint__", (), node)
            if isinstance(iterator, Live) and not user_defined(class_of(iterator)):
                return unknown(frame, "moves an iterator on", frozenset({iterator}), node)
            total = join(total, run_special(frame, iterator, then, (), node))
        elif iterator is not atom and depth < 3:
            total = join(total, _iterate(frame, iterator, node, is_async=is_async))
    return total or join(made, opaque(roots_of(frozenset({atom}))))


def _listed(frame: Frame, obj: Any, where: str) -> Value | None:
    """Return what iterating over an enumeration or the environment gives; None for all else."""
    if user_defined(type(obj)):
        return None
    if is_a(obj, enum.EnumMeta):
        return join(*(frame.live(member) for member in obj._member_map_.values()))
    if obj is os.environ:
        frame.recorder.look(world("environment"), where)
        return SCALAR
    return None


def await_value(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Return what awaiting a value gives; what a call gives is already what it gives in the end."""
    kept: list[Value] = []
    for atom in value:
        if (result := result_of(atom)) is not None:
            kept.append(result)
        elif is_instance(atom):
            special = find(class_of(atom), "__await__")
            if special is None:
                kept.append(frozenset({atom}))  # an object that a coroutine has given
                continue
            run_special(frame, atom, "__await__", (), node)
            change_object(frame, atom, None, frame.where(node), NOTHING)
            kept.append(_world(frozenset({atom})))
        elif isinstance(atom, Opaque) and not atom.tame and (atom.roots is ALL or atom.roots):
            kept.append(unknown(frame, "awaits an unknown type", frozenset({atom}), node))
        else:
            kept.append(frozenset({atom}))
    return join(*kept)
