"""Reading: the state, parts of values, attributes of live objects, injected parameters."""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.frame import Frame, expression
from langgraph_parallel.inference.values import (
    SCALAR,
    WORLD,
    Atom,
    Bound,
    Cell,
    Chain,
    Const,
    Data,
    Injected,
    Live,
    Opaque,
    State,
    Value,
    constants_of,
    data,
    join,
    opaque,
    strings_of,
)

_STATE_METHODS = frozenset(
    [
        "get",
        "keys",
        "values",
        "items",
        "copy",
        "pop",
        "setdefault",
        "update",
        "popitem",
        "clear",
        "model_dump",
        "model_dump_json",
        "dict",
        "json",
        "model_copy",
    ]
)


def consume(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Use the whole of `value` at once (print it, compare it, compute with it)."""
    kept: list[Atom] = []
    for atom in value:
        if isinstance(atom, State):
            frame.recorder.read_all("used as a whole", frame.where(node))
            kept.append(Opaque(ALL))
        elif isinstance(atom, Cell):
            kept.append(Data(atom.roots, deep=False))
        else:
            kept.append(atom)
    return frozenset(kept)


def read_keys(frame: Frame, index: Value, node: ast.AST) -> Value:
    """Read the state at `index`."""
    keys = strings_of(index)
    if keys is None:
        frame.recorder.read_all("the key is not a known string", frame.where(node))
        return opaque(ALL)
    return join(*(frame.recorder.read(key, frame.where(node)) for key in keys))


@expression(ast.Subscript)
def _subscript(frame: Frame, node: ast.Subscript) -> Value:
    base, index = frame.evaluate(node.value), frame.evaluate(node.slice)
    return join(*(_item(frame, atom, index, node) for atom in base))


def _item(frame: Frame, atom: Any, index: Value, node: ast.AST) -> Value:
    if isinstance(atom, State):
        return read_keys(frame, index, node)
    if isinstance(atom, Const):
        return SCALAR
    if isinstance(atom, Injected):
        return injected_part(frame, atom, strings_of(index), node)
    if isinstance(atom, (Data, Opaque)):
        return frame.part_of(frozenset({atom}))
    if isinstance(atom, Live):
        return live_item(frame, atom.obj)
    if isinstance(atom, Cell):
        return opaque(union(atom.roots, frame.recorder.leaked))
    return opaque(frame.escape(frozenset({atom}), "subscript", frame.where(node)))


def live_item(frame: Frame, obj: Any) -> Value:
    """Return an element of a live object; it may change between runs, so its value is not used."""
    frame.recorder.external.add("read")
    plain = type(obj) in (dict, list, tuple, set) and all(map(_is_text, _members(obj)))
    return data(frozenset({WORLD})) if plain else opaque(frozenset({WORLD}))


def _members(obj: Any) -> list[Any]:
    return list(obj.values()) if isinstance(obj, dict) else list(obj)


def _is_text(obj: Any) -> bool:
    return type(obj) in (str, int, float, bool)


@expression(ast.Attribute)
def _attribute(frame: Frame, node: ast.Attribute) -> Value:
    base = frame.evaluate(node.value)
    return join(*(attribute_of(frame, atom, node.attr, node) for atom in base))


def attribute_of(frame: Frame, atom: Any, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be."""
    if isinstance(atom, State):
        return _state_attribute(frame, name, node)
    if isinstance(atom, Live):
        return live_attribute(frame, atom.obj, name)
    if isinstance(atom, Injected):
        return injected_part(frame, atom, frozenset({name}), node)
    if isinstance(atom, (Data, Opaque)):
        return frame.part_of(frozenset({atom}))
    if isinstance(atom, Const):
        return SCALAR
    if isinstance(atom, Chain):
        return opaque(frozenset({WORLD}))
    return opaque(frame.escape(frozenset({atom}), f"attribute {name}", frame.where(node)))


def _state_attribute(frame: Frame, name: str, node: ast.AST) -> Value:
    shape = frame.recorder.shape
    if shape.attributes and name in shape.keys:
        return frame.recorder.read(name, frame.where(node))
    if name in _STATE_METHODS:
        return frozenset({Bound(name)})
    frame.recorder.read_all(f"attribute {name!r} of the state", frame.where(node))
    frame.recorder.contact("unknown", f"attribute {name!r} of the state", frame.where(node))
    return opaque(ALL)


def live_attribute(frame: Frame, obj: Any, name: str) -> Value:
    """Return an attribute of a live object without running any of the user's code."""
    if isinstance(obj, types.ModuleType):
        found = vars(obj).get(name, frame)
        return opaque(frozenset({WORLD})) if found is frame else frame.live(found)
    if "__getattribute__" in _overridden(type(obj)):
        return opaque(frozenset({WORLD}))
    try:
        static = inspect.getattr_static(obj, name)
    except AttributeError:
        return opaque(frozenset({WORLD}))
    kind = type(static)
    if kind in (types.FunctionType, classmethod, staticmethod) or inspect.isroutine(static):
        return frame.live(getattr(obj, name))
    if isinstance(static, property) or hasattr(kind, "__get__"):
        return opaque(frozenset({WORLD}))
    value = frame.live(static)
    if isinstance(obj, type) or constants_of(value) is None:
        return value
    # An attribute of an instance may be assigned between now and the run: no constant.
    return frozenset({Data(frozenset({WORLD}), scalar=True, plain=True)})


def _overridden(cls: type) -> set[str]:
    """Return the names that the user's classes among the bases of `cls` define."""
    return {name for base in cls.__mro__ if base is not object for name in vars(base)}


def injected_part(
    frame: Frame, atom: Injected, keys: frozenset[str] | None, node: ast.AST
) -> Value:
    """Return a part of `config` or `runtime`; the parts that reach into the engine are refused."""
    wanted = keys or frozenset({"?"})
    if atom.name == "config" and wanted <= {"configurable", "metadata", "tags", "get"}:
        return frozenset({Injected("settings")})
    if atom.name == "settings":
        private = keys is None or any(key.startswith("__") for key in keys)
        if not private:
            return data(frozenset({WORLD}))
    if atom.name == "runtime" and len(wanted) == 1:
        part = next(iter(wanted))
        if part == "context":
            return data(frozenset({WORLD}))
        if part in ("store", "stream_writer"):
            return frozenset({Injected(part)})
    frame.recorder.contact("unknown", f"{atom.name} used in a way not known", frame.where(node))
    frame.recorder.read_all(f"through {atom.name}", frame.where(node))
    return opaque(ALL)
