"""From a library's object that is used to the code of the user's on it, which is run with it."""

from __future__ import annotations

import ast
import types
from typing import Any

from langchain_core.embeddings import Embeddings

from langgraph_parallel.inference.calls.handlers import call_hook
from langgraph_parallel.inference.calls.known import run_callbacks
from langgraph_parallel.inference.code.datamodel import (
    find,
    instance_dict,
    is_a,
    is_constant,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    Cell,
    Live,
    Made,
    Object,
    Value,
    tame,
)
from langgraph_parallel.inference.objects.held import CONTAINERS, place_of
from langgraph_parallel.inference.objects.objects import Typed, class_of
from langgraph_parallel.inference.objects.plugged import behind

_NOT_RUN = frozenset({"__init__", "__new__", "__init_subclass__", "__set_name__", "__del__"})


def run_plugged(frame: Frame, obj: Any, node: ast.AST) -> bool:
    """Run what the user has hung on a live object of a library, and look at what it is made of.

    Returns:
        False when too much hangs on it to say anything.
    """
    found = behind(obj)
    if found is None:
        return False
    where = frame.where(node)
    for part in found.kept:
        frame.recorder.look(place_of(frame, part), where, by_name=part is not obj)
    for model in found.models:
        frame.recorder.look(place_of(frame, model), where, by_name=True)
        frame.recorder.resources |= {type(model).__name__}
    for part in found.code:
        if is_a(part, types.FunctionType):
            frame.call(frozenset({Live(part)}), Arguments(node, unpacked=tame()))
        else:
            run_methods(frame, Live(part), node)
    return True


def change_kept(frame: Frame, obj: Any, node: ast.AST) -> None:
    """Change what a live store of a library is made of, but for the model that it asks."""
    found = behind(obj, without=(Embeddings,))
    where = frame.where(node)
    for part in found.kept if found is not None else ():
        frame.recorder.look(place_of(frame, part), where)
        if type(part) in CONTAINERS:
            frame.recorder.change(place_of(frame, part), where, tame())
            continue
        for name, held in instance_dict(part).items():
            if type(held) in CONTAINERS or is_constant(held):
                frame.recorder.change(place_of(frame, part, f".{name}"), where, tame())
            elif not is_a(held, (Embeddings, type)) and not callable(held):
                frame.recorder.change(place_of(frame, held), where, tame())


def run_methods(frame: Frame, atom: Typed, node: ast.AST) -> None:
    """Run every method of the user's that an object has: a library may call any of them."""
    key = ("methods", id(class_of(atom)), id(atom.obj) if isinstance(atom, Live) else 0)
    if frame.recorder.follows(key):
        return
    frame.recorder.trail.append(key)
    try:
        for name in sorted(user_defined(class_of(atom)) - _NOT_RUN):
            found = find(class_of(atom), name)
            if found is not None and is_users(found[1]) and not is_a(found[1], property):
                call_hook(frame, atom, found[1], node)
    finally:
        frame.recorder.trail.pop()


def run_given(frame: Frame, given: Arguments) -> bool:
    """Run what the user hangs on an object of a library by passing it; as `run_plugged`."""
    run_callbacks(frame, given)
    return _run_value(frame, given.all, given.node, 0)


def _run_value(frame: Frame, value: Value, node: ast.AST, depth: int) -> bool:
    understood = True
    for atom in value:
        if isinstance(atom, Cell):
            nested = depth >= _DEEPEST or _run_value(frame, atom.everything(), node, depth + 1)
            understood = understood and nested
        elif isinstance(atom, (Live, Made, Object)) and user_defined(class_of(atom)):
            run_methods(frame, atom, node)
        elif isinstance(atom, Live) and not is_a(atom.obj, (type, types.FunctionType)):
            understood = run_plugged(frame, atom.obj, node) and understood
    return understood


_DEEPEST = 3
