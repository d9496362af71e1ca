"""Putting things into what a node holds: containers made in the call, and whatever is changed."""

from __future__ import annotations

import ast
from typing import Any

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.door.injected import whole_injected
from langgraph_parallel.inference.door.iteration import iterate, spread_mapping
from langgraph_parallel.inference.door.state_keys import is_own_value
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of, is_scalar, strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    WORLD,
    Atom,
    Cell,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    const,
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.objects.held import MAPPINGS, held_item, held_items, place_of
from langgraph_parallel.inference.objects.objects import change_object
from langgraph_parallel.locations import ANY_ITEM, Location


def is_immutable(atom: Atom) -> bool:
    """Tell whether an atom is certainly immutable and without parts."""
    return isinstance(atom, Const) or (isinstance(atom, Data) and atom.scalar)


def look_at_items(frame: Frame, obj: Any, index: Value, node: ast.AST) -> None:
    """Record a look at some keys of a live mapping."""
    keys = constants_of(index)
    where = frame.where(node)
    if keys is None:
        frame.recorder.look(place_of(frame, obj), where)
        return
    for key in keys:
        frame.recorder.look(place_of(frame, obj, f"[{key!r}]"), where)


def add_to(frame: Frame, cell: Cell, value: Value, node: ast.AST) -> None:
    """Put a value at an unknown place of a container made in this call."""
    if cell.open:
        frame.escape(value, "put into a container", frame.where(node))
        frame.leak(value)
        change_open(frame, cell, value, node)
    frame.recorder.grown |= cell.add(value)


def put_at(
    frame: Frame,
    cell: Cell,
    index: Value,
    value: Value,
    node: ast.AST,
    source: ast.expr | None = None,
) -> None:
    """Put a value into a dictionary made in this call.

    Args:
        frame: Where it is done.
        cell: The dictionary.
        index: Where it is put.
        value: What is put there.
        node: The place in the code.
        source: The expression that gave the value; None when that is not known.
    """
    keys = strings_of(index)
    if cell.shared:
        frame.escape(value, "put into a dictionary", frame.where(node))
        frame.leak(value)
        change_open(frame, cell, value, node)
    if keys is None or cell.kind == "list":
        if cell.kind == "dict":
            frame.recorder.grown |= cell.add_index(index)
        if not is_scalar(index):
            frame.use(index, node)
            _keep_key(frame, cell, index)
        if cell.kind == "dict" and not _are_no_strings(index):
            frame.recorder.grown |= cell.add_keys()
        frame.recorder.grown |= cell.add(value)
        return
    for key in keys:
        own = len(keys) == 1 and is_own_value(frame, source, key)
        frame.recorder.grown |= cell.put(key, value, own=own)


def _keep_key(frame: Frame, cell: Cell, index: Value) -> None:
    """Let whoever goes over the keys of a dictionary find an object among them."""
    known = all(isinstance(a, (Const, Data)) or (isinstance(a, Opaque) and a.tame) for a in index)
    before = cell.roots
    cell.roots = union(union(before, roots_of(index)), frozenset(() if known else (WORLD,)))
    frame.recorder.grown |= cell.looked and cell.roots != before


def _are_no_strings(index: Value) -> bool:
    return bool(index) and all(isinstance(a, Const) and not isinstance(a.value, str) for a in index)


def change_open(frame: Frame, cell: Cell, value: Value, node: ast.AST) -> None:
    """A container that others may hold is changed: they see it."""
    roots = cell.roots
    if roots is ALL or any(key.startswith("\0") for key in roots) or cell.kind != "dict":
        frame.recorder.change(ANY_ITEM, frame.where(node), value)


def merge_into(frame: Frame, cell: Cell, atom: Atom, node: ast.AST) -> None:
    """Copy every entry of a mapping into a dictionary made in this call."""
    if isinstance(atom, Cell) and atom.kind == "dict":
        frame.recorder.grown |= cell.merge(atom)
        return
    if isinstance(atom, State) and not frame.recorder.shape.attributes:
        frame.recorder.grown |= cell.copy_state()
        return
    if isinstance(atom, State):
        frame.recorder.read_all("unpacked", frame.where(node))
        items: Value = opaque(ALL)
    elif isinstance(atom, Live) and type(atom.obj) in MAPPINGS:
        items = held_items(frame, atom.obj, frame.where(node))
        if _merge_live(frame, cell, atom.obj, node):
            return
    elif isinstance(atom, Const):
        return
    elif isinstance(atom, Injected):
        # A copy: what stands in it is the caller's, it is not.
        items = whole_injected(frame, atom, node)
        frame.recorder.grown |= cell.add_keys()
        frame.recorder.grown |= cell.add(items)
        return
    else:
        items = spread_mapping(frame, frozenset({atom}), node)
    frame.recorder.grown |= cell.loosen()
    frame.recorder.grown |= cell.add(items)


def _merge_live(frame: Frame, cell: Cell, obj: Any, node: ast.AST) -> bool:
    keys = list(obj)
    known = all(isinstance(key, str) for key in keys) and len(keys) <= 64
    if not known or frame.recorder.memory.content(place_of(frame, obj)) != "seen":
        return False
    for key in keys:
        value = held_item(frame, obj, frozenset({key}), frame.where(node))
        frame.recorder.grown |= cell.put(key, value)
    return bool(keys)


def change(
    frame: Frame,
    atom: Atom,
    what: str,
    node: ast.AST,
    value: Value,
    place: Location = ANY_ITEM,
) -> None:
    """Record that something is changed in place, and what may be put into it.

    Args:
        frame: Where it is changed.
        atom: The thing.
        what: How it is changed.
        node: The place in the code.
        value: What may be put into it.
        place: Which part of it, should it be an object outside the state.
    """
    where = frame.where(node)
    if is_immutable(atom) or (isinstance(atom, Data) and atom.own):
        return
    if isinstance(atom, (Data, Opaque)):
        roots = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(roots, what, where, value, place)
    elif isinstance(atom, Live):
        frame.recorder.change(place_of(frame, atom.obj), where, value)
    elif isinstance(atom, (Made, Object)):
        change_object(frame, atom, None, where, value)
    elif isinstance(atom, Cell):
        if atom.open:
            change_open(frame, atom, value, node)
        frame.recorder.grown |= atom.loosen()
    elif not isinstance(atom, Closure):
        frame.escape(frozenset({atom}), what, where)
        frame.recorder.contact("unknown", f"{what} of something not known", where)


def store_unknown(
    frame: Frame,
    atom: Opaque,
    new: Value,
    what: str,
    node: ast.AST,
    place: Location = ANY_ITEM,
) -> None:
    """Put something into an object of which nothing is known, or delete a part of it.

    Args:
        frame: Where it is done.
        atom: The object.
        new: What is put into it; empty for a deletion.
        what: What is done, as a report says it.
        node: The place in the code.
        place: Which part of it, should it be an object outside the state.
    """
    frame.escape(new, "stored", frame.where(node))
    frame.leak(new)
    change(frame, atom, what, node, new, place)
    unknown(frame, f"{what} to an object of unknown type", frozenset({atom}), node)


def fill_cell(frame: Frame, cell: Cell, given: Arguments) -> None:
    """Copy the arguments of `dict(...)` or `.update(...)` into a dictionary."""
    for atom in (*join(*given.positional), *given.unpacked):
        if isinstance(atom, Cell) and atom.kind == "list":
            pairs = iterate(frame, iterate(frame, frozenset({atom}), given.node), given.node)
            frame.recorder.grown |= cell.add(pairs)
            frame.recorder.grown |= cell.loosen()
        else:
            merge_into(frame, cell, atom, given.node)
    for name, value in given.named.items():
        put_at(frame, cell, const(name), value, given.node, _keyword(given.node, name))


def _keyword(node: ast.AST, name: str) -> ast.expr | None:
    """Return the expression that a call passes by a name; None where it is not written there."""
    keywords = node.keywords if isinstance(node, ast.Call) else ()
    return next((keyword.value for keyword in keywords if keyword.arg == name), None)


def cell_at(frame: Frame, node: ast.AST) -> Cell:
    """Return the dictionary that the place `node` builds."""
    return frame.recorder.cells.setdefault(id(node), Cell())


def collected(frame: Frame, node: ast.AST, parts: Value) -> Value:
    """Return a new list, tuple or set that holds `parts`."""
    cell = frame.recorder.cells.setdefault(id(node), Cell("list"))
    frame.recorder.grown |= cell.add(parts)
    if cell.open:
        frame.leak(parts)
        frame.escape(parts, "put into a container", frame.where(node))
    return frozenset({cell})
