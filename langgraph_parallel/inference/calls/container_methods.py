"""From a method of a container, made in this call or live, to what it gives and changes."""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.effects import union
from langgraph_parallel.inference.calls.builtin_iteration import run_key
from langgraph_parallel.inference.calls.data_methods import dunder_method, use_hashed
from langgraph_parallel.inference.calls.known import run_callbacks
from langgraph_parallel.inference.calls.tables import MUTATING_METHODS
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.door.filling import (
    add_to,
    cell_at,
    change,
    collected,
    fill_cell,
    put_at,
)
from langgraph_parallel.inference.door.items import cell_item
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import compare, unary
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of, holding, is_scalar
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Cell,
    Live,
    Value,
    join,
    opaque,
)
from langgraph_parallel.inference.objects.held import (
    MAPPINGS,
    held_item,
    held_items,
    held_keys,
    place_of,
)


def cell_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    """Return what a method of a container made in this call gives."""
    if name.startswith("__"):
        return dunder_method(frame, cell, name, given)
    if cell.kind == "list":
        return _list_method(frame, cell, name, given)
    return _dict_method(frame, cell, name, given)


_PUTS: Final = frozenset({"append", "appendleft", "add", "insert"})
_PUTS_ALL: Final = frozenset({"extend", "update", "extendleft"})
_TAKES: Final = frozenset({"send", "throw", "__next__", "asend"})
_QUIET: Final = frozenset({"clear", "reverse", "close", "aclose"})
_MAKES: Final = frozenset({"copy", "union", "intersection", "difference", "symmetric_difference"})
_COMPARES: Final = frozenset({"issubset", "issuperset", "isdisjoint"})


def _list_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    node = given.node
    whole = frozenset({cell})
    use_hashed(frame, name, given)
    if name in _PUTS | _PUTS_ALL:
        return _add_arguments(frame, cell, name, given)
    if name in ("pop", "popleft", "rotate"):
        frame.use(given.all, node)
        return cell_item(frame, cell, SCALAR, node)
    if name == "sort":
        keyed = run_key(frame, given, iterate(frame, whole, node))
        compare(frame, "__lt__", keyed, keyed, node)
        return NONE
    if name in ("index", "count", "remove", "discard"):
        frame.use(whole, node)
        return join(SCALAR, NONE)
    if name in _QUIET:
        return NONE
    if name in _MAKES:
        return _made_of(frame, whole, name, given)
    if name in _COMPARES:
        frame.use(join(whole, given.all), node)
        return SCALAR
    if name in _TAKES:
        return cell_item(frame, cell, SCALAR, node)
    change(frame, cell, f".{name}()", node, given.all)
    return unknown(frame, f"calls .{name}()", join(whole, given.all), node)


def _add_arguments(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    if name == "insert" and given.positional:
        unary(frame, "__index__", given.positional[0], given.node)
    value = join(*given.positional[1:] if name == "insert" else given.positional)
    value = join(value, given.unpacked)
    if name in _PUTS_ALL:
        value = iterate(frame, value, given.node)
    add_to(frame, cell, value, given.node)
    return NONE


def _made_of(frame: Frame, whole: Value, name: str, given: Arguments) -> Value:
    """Return the container that a method makes of this one and of its arguments."""
    node = given.node
    made = frame.recorder.cells.setdefault((id(node), "copy"), Cell("list"))
    parts = join(iterate(frame, whole, node), iterate(frame, given.all, node))
    frame.use(parts if name != "copy" else NOTHING, node)
    add_to(frame, made, parts, node)
    return frozenset({made})


def _dict_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    node = given.node
    whole = frozenset({cell})
    if name == "update":
        fill_cell(frame, cell, given)
        return NONE
    if name == "setdefault" and given.positional:
        default = given.positional[1] if len(given.positional) > 1 else NONE
        put_at(frame, cell, given.positional[0], default, node)
        return join(default, cell_item(frame, cell, given.positional[0], node))
    if name == "copy":
        copy = cell_at(frame, node)
        frame.recorder.grown |= copy.merge(cell)
        return frozenset({copy})
    if name in ("get", "pop") and given.positional:
        found = cell_item(frame, cell, given.positional[0], node)
        rest = join(*given.positional[1:], given.unpacked, *given.named.values())
        return join(found, rest, NONE)
    if name in ("items", "keys", "values", "popitem", "clear"):
        if cell.spread:
            frame.use(whole, node)
        loose = opaque(union(cell.roots, frame.recorder.leaked)) if cell.shared else NOTHING
        keys = iterate(frame, whole, node)
        parts = join(cell.everything(), loose)
        if name == "items" or name == "popitem":
            parts = holding(join(keys, parts), cell.roots)
            if name == "popitem":
                return parts
        return holding(keys if name == "keys" else parts, cell.roots)
    change(frame, cell, f".{name}()", node, given.all)
    return unknown(frame, f"calls .{name}()", join(whole, given.all), node)


def container_method(frame: Frame, obj: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live built-in container gives."""
    where, node = frame.where(given.node), given.node
    if name in MUTATING_METHODS:
        run_callbacks(frame, given)
        if name in ("sort", "remove", "discard", "add"):
            frame.use(frozenset({Live(obj)}), node)
        use_hashed(frame, name, given)
        frame.escape(given.all, f"stored by .{name}()", where)
        for place in _changed_places(frame, obj, name, given):
            frame.recorder.change(place, where, _stored_by(name, given))
        if name in ("pop", "popleft", "popitem", "setdefault"):
            return join(held_items(frame, obj, where), *given.positional[1:], NONE)
        return NONE
    if is_a(obj, dict):
        return _mapping_method(frame, obj, name, given)
    if name in _COMPARES | {"index", "count"}:
        frame.use(join(frozenset({Live(obj)}), given.all), node)
        return SCALAR
    if name in _MAKES:
        frame.use(given.all, node)
        parts = join(held_items(frame, obj, where), iterate(frame, given.all, node))
        return holding(parts, frozenset({WORLD}))
    return None


def _stored_by(name: str, given: Arguments) -> Value:
    if name in ("sort", "remove", "discard", "pop", "popleft", "clear", "reverse", "rotate"):
        return SCALAR
    return given.all


def _changed_places(frame: Frame, obj: Any, name: str, given: Arguments) -> list[Any]:
    keyed = type(obj) in MAPPINGS and name in ("pop", "setdefault") and given.positional
    keys = constants_of(given.positional[0]) if keyed else None
    if keys is None:
        return [place_of(frame, obj)]
    return [place_of(frame, obj, f"[{key!r}]") for key in keys]


def _mapping_method(frame: Frame, obj: Any, name: str, given: Arguments) -> Value | None:
    where, node = frame.where(given.node), given.node
    if name == "get" and given.positional:
        if not is_scalar(given.positional[0]):
            frame.use(given.positional[0], node)
        found = held_item(frame, obj, constants_of(given.positional[0]), where)
        return join(found, *given.positional[1:], *given.named.values(), NONE)
    if name == "keys":
        return collected(frame, node, held_keys(frame, obj, where))
    if name in ("values", "items", "copy", "most_common", "elements"):
        parts = held_items(frame, obj, where)
        if name == "values":
            return holding(parts, frozenset({WORLD}))
        both = join(parts, held_keys(frame, obj, where))
        pair = holding(both, frozenset({WORLD}))
        return holding(parts if name == "copy" else pair, frozenset({WORLD}))
    return None
