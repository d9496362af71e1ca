"""From looking at all of something to what that looks at and runs, by the kind of thing."""

from __future__ import annotations

import ast
import types
from typing import Any, Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.code.datamodel import find, is_a
from langgraph_parallel.inference.door.injected import whole_injected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.state_keys import use_values
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame, unknown, used
from langgraph_parallel.inference.machine.values import (
    WORLD,
    Cell,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    Routed,
    Value,
    roots_of,
)
from langgraph_parallel.inference.objects.held import CONTAINERS, held_items, held_keys
from langgraph_parallel.inference.objects.objects import Typed, class_of, look_behind
from langgraph_parallel.inference.objects.special_methods import use_object
from langgraph_parallel.locations import ANYWHERE

_FUNCTIONS: Final = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    *(types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType),
)


@used(Cell)
def _use_cell(frame: Frame, cell: Cell, node: ast.AST) -> Value:
    if cell.spread:
        use_values(frame, node)
    key = ("cell", id(cell))
    if not frame.recorder.follows(key):
        frame.recorder.trail.append(key)
        frame.use(cell.everything(), node)
        frame.recorder.trail.pop()
    given = frozenset({cell})
    return frozenset({Data(roots_of(given), deep=is_deep(given))})


@used(Opaque)
def _use_opaque(frame: Frame, atom: Opaque, node: ast.AST) -> Value:
    given = frozenset({atom})
    if not atom.tame:
        unknown(frame, "looks at an object of unknown type", given, node)
    elif atom.roots is ALL or WORLD in atom.roots:
        frame.recorder.look(ANYWHERE, frame.where(node))
    return given


@used(Data)
def _use_data(frame: Frame, atom: Data, node: ast.AST) -> Value:
    given = frozenset({atom})
    look_behind(frame, atom, node)
    if not atom.deep:
        frame.use(frame.part_of(given), node)
    return given


@used(Injected)
def _use_injected(frame: Frame, atom: Injected, node: ast.AST) -> Value:
    if atom.name == "config":
        return frame.use(whole_injected(frame, atom, node), node)
    if atom.name in ("context", "settings", "metadata", "engine"):
        return whole_injected(frame, atom, node)
    return frozenset({atom})


@used(Routed)
def _use_command(frame: Frame, atom: Routed, node: ast.AST) -> Value:
    given = frozenset({atom})
    frame.escape(given, "used", frame.where(node))
    return given


@used(Live, Made, Object)
def _use_typed(frame: Frame, atom: Typed, node: ast.AST) -> Value:
    given = frozenset({atom})
    if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        _use_container(frame, atom.obj, node)
        return given
    if isinstance(atom, Live) and is_a(atom.obj, _FUNCTIONS):
        return given
    if find(class_of(atom), "__next__") is not None:
        iterate(frame, given, node)  # whoever is given an iterator may use it up
    use_object(frame, atom, node)
    return given


def _use_container(frame: Frame, obj: Any, node: ast.AST) -> None:
    key = ("live", id(obj))
    if frame.recorder.follows(key) or len(frame.recorder.trail) > _MOST_NESTED:
        return
    frame.recorder.trail.append(key)
    if is_a(obj, dict):
        frame.use(held_keys(frame, obj, frame.where(node)), node)
    frame.use(held_items(frame, obj, frame.where(node)), node)
    frame.recorder.trail.pop()


_MOST_NESTED: Final = 200
