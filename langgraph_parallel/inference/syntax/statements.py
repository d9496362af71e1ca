"""From simple statements and assignments to what they do to the variables and to the state."""

from __future__ import annotations

import ast
import dataclasses
import enum
import typing
from typing import Any

import typing_extensions
from pydantic import BaseModel

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.calls.chains import chained
from langgraph_parallel.inference.calls.functions import parameter_defaults
from langgraph_parallel.inference.calls.states import store_all
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.door.attributes import (
    delete_attribute,
    get_attribute,
    set_attribute,
)
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.items import delete_item, get_item, set_item
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import augment
from langgraph_parallel.inference.door.state_keys import store_in_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, statement, unknown
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    STATE,
    WORLD,
    Closure,
    Live,
    Opaque,
    State,
    Value,
    join,
    opaque,
    tame,
)
from langgraph_parallel.inference.machine.watch import PLACE
from langgraph_parallel.inference.objects.objects import is_instance
from langgraph_parallel.inference.objects.special_methods import run_special
from langgraph_parallel.inference.syntax.containers import bind_target, unpack
from langgraph_parallel.inference.syntax.expressions import OPERATORS, condition


@statement(ast.Pass, ast.Global, ast.Nonlocal)
def _pass(frame: Frame, node: ast.stmt) -> None:
    del frame, node  # which names are global or of an outer function, `scopes` has read


@statement(ast.Expr)
def _expression(frame: Frame, node: ast.Expr) -> None:
    frame.evaluate(node.value)


@statement(ast.Return)
def _return(frame: Frame, node: ast.Return) -> None:
    frame.returns.append(frame.evaluate(node.value))
    frame.remember()
    frame.env = None


@statement(ast.Raise)
def _raise(frame: Frame, node: ast.Raise) -> None:
    for part in (node.exc, node.cause):
        if part is None:
            continue
        for atom in frame.evaluate(part):
            made: Value = frozenset({atom})
            if isinstance(atom, Live) and is_a(atom.obj, type):
                made = frame.call(made, Arguments(part))  # `raise Error` makes one
            raised = join(frame.recorder.raised, made)
            frame.recorder.grown |= raised != frame.recorder.raised
            frame.recorder.raised = raised
    if node.exc is None and not _is_handling(frame.source.node, node):
        what = "raises again what its caller handles"
        frame.recorder.note(what, frame.where(node), PLACE)
    frame.recorder.leave("raise", "raises", frame.where(node))
    frame.remember()
    frame.env = None


def _is_handling(function: ast.AST, node: ast.Raise) -> bool:
    """Tell whether a statement stands in a handler of its own function."""
    handlers = (part for part in ast.walk(function) if isinstance(part, ast.ExceptHandler))
    return any(node is part for handler in handlers for part in ast.walk(handler))


@statement(ast.Assert)
def _assert(frame: Frame, node: ast.Assert) -> None:
    condition(frame, node.test)
    if node.msg is not None:
        frame.weak += 1
        frame.evaluate(node.msg)
        frame.weak -= 1
    frame.recorder.leave("raise", "asserts", frame.where(node))


@statement(ast.ClassDef)
def _class(frame: Frame, node: ast.ClassDef) -> None:
    """Bind a class of fields only, such as the schema of an answer; of others nothing is known."""
    parts = (*node.bases, *node.decorator_list, *(k.value for k in node.keywords))
    atoms = [atom for part in parts for atom in frame.evaluate(part)]
    made = all(isinstance(atom, Live) and _makes_fields(atom.obj) for atom in atoms)
    for part in node.body:
        _class_part(frame, part, node.name)
    if made and all(map(_is_field, node.body)):
        frame.bind(node.name, tame())
        return
    # Its methods may run at any time, on anything, and see all variables around the class.
    what = f"makes the class {node.name}"
    frame.bind(node.name, unknown(frame, what, frozenset({*atoms, Opaque(ALL)}), node))


def _class_part(frame: Frame, part: ast.stmt, name: str) -> None:
    """Run one statement in the body of a class."""
    if isinstance(part, (ast.AnnAssign, ast.Assign)):
        value = frame.evaluate(part.value) if part.value is not None else NOTHING
        for atom in filter(is_instance, value):
            run_special(frame, atom, "__set_name__", (tame(), SCALAR), part)
        frame.escape(frame.use(value, part), f"kept in the class {name}", frame.where(part))
    elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        decorated = join(*map(frame.evaluate, part.decorator_list))
        method: Value = frozenset({Closure(part, parameter_defaults(frame, part.args), frame)})
        frame.escape(join(decorated, method), f"kept in the class {name}", frame.where(part))
    elif not _is_field(part):
        msg = f"the class {name} is made in the node, with code of its own"
        raise GiveUpError(msg)


def _makes_fields(obj: Any) -> bool:
    """Tell whether a base class or decorator makes a class of nothing but fields."""
    if obj in (dataclasses.dataclass, typing.TypedDict, typing_extensions.TypedDict, object):
        return True
    if obj in (typing.NamedTuple, typing_extensions.NamedTuple):
        return True
    return is_a(obj, type) and (obj is BaseModel or (issubclass(obj, enum.Enum) and not len(obj)))


def _is_field(part: ast.stmt) -> bool:
    if isinstance(part, ast.Expr):
        return isinstance(part.value, ast.Constant)
    return isinstance(part, (ast.AnnAssign, ast.Assign, ast.Pass))


@statement(ast.Assign)
def _assign(frame: Frame, node: ast.Assign) -> None:
    if len(node.targets) == 1 and _is_pairwise(node.targets[0], node.value):
        target, value = node.targets[0], node.value
        assert isinstance(target, (ast.Tuple, ast.List))
        assert isinstance(value, (ast.Tuple, ast.List))
        parts = [frame.evaluate(part) for part in value.elts]
        for element, part in zip(target.elts, parts, strict=True):
            store(frame, element, part)
        return
    found = frame.evaluate(node.value)
    for target in node.targets:
        with frame.watched(target):
            store(frame, target, found)


def _is_pairwise(target: ast.expr, value: ast.expr) -> bool:
    """Tell whether `a, b = x, y` assigns part by part."""
    if not isinstance(target, (ast.Tuple, ast.List)) or not isinstance(
        value, (ast.Tuple, ast.List)
    ):
        return False
    starred = any(isinstance(e, ast.Starred) for e in (*target.elts, *value.elts))
    return not starred and len(target.elts) == len(value.elts)


@statement(ast.AnnAssign)
def _annotated(frame: Frame, node: ast.AnnAssign) -> None:
    if node.value is not None:
        found = frame.evaluate(node.value)
        with frame.watched(node.target):
            store(frame, node.target, found)


@statement(ast.AugAssign)
def _augmented(frame: Frame, node: ast.AugAssign) -> None:
    target = node.target
    base, index = NOTHING, NOTHING
    if isinstance(target, ast.Name):
        old = frame.lookup(target.id, target)
    elif isinstance(target, ast.Attribute):
        base = frame.evaluate(target.value)
        old = get_attribute(frame, base, target.attr, target)
    else:
        base, index = frame.evaluate(target.value), frame.evaluate(target.slice)
        old = get_item(frame, base, index, target, is_slice=isinstance(target.slice, ast.Slice))
    added = frame.evaluate(node.value)
    piped = chained(old, added) if isinstance(node.op, ast.BitOr) else None
    if piped is not None:
        result = piped
    elif old == STATE and isinstance(node.op, ast.BitOr) and not frame.recorder.shape.attributes:
        store_all(frame, (added,), Arguments(node), frame.where(node))
        result = STATE
    else:
        if State() in old and isinstance(node.op, ast.BitOr):
            store_in_state(frame, opaque(ALL), added, frame.where(node))
        kept = augment(frame, OPERATORS[type(node.op)], old - {State()}, added, node)
        result = join(kept, STATE if State() in old else NOTHING)
    if isinstance(target, ast.Name):
        frame.bind(target.id, result)
    elif isinstance(target, ast.Attribute):
        set_attribute(frame, base, target.attr, result, target)
    else:
        set_item(frame, base, index, result, target)


@statement(ast.Delete)
def _delete(frame: Frame, node: ast.Delete) -> None:
    for target in node.targets:
        _delete_target(frame, target)


def _delete_target(frame: Frame, target: ast.expr) -> None:
    if isinstance(target, ast.Name):
        if target.id in frame.outer_names:
            frame.bind(target.id, opaque(frozenset({WORLD})))
        return  # a later use fails at run time; keeping the old value is an upper bound
    if isinstance(target, (ast.Tuple, ast.List)):
        for part in target.elts:
            _delete_target(frame, part)
    elif isinstance(target, ast.Subscript):
        base = frame.evaluate(target.value)
        delete_item(frame, base, frame.evaluate(target.slice), target)
    elif isinstance(target, ast.Attribute):
        delete_attribute(frame, frame.evaluate(target.value), target.attr, target)
    else:
        msg = "a deletion is not understood"
        raise GiveUpError(msg)


def store(frame: Frame, target: ast.expr, value: Value) -> None:
    """Assign to a name, a tuple of targets, an element or an attribute."""
    if isinstance(target, ast.Subscript):
        base, index = frame.evaluate(target.value), frame.evaluate(target.slice)
        if isinstance(target.slice, ast.Slice):
            value = iterate(frame, value, target)
        set_item(frame, base, index, value, target)
    elif isinstance(target, ast.Attribute):
        set_attribute(frame, frame.evaluate(target.value), target.attr, value, target)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element, part in zip(target.elts, unpack(frame, value, target), strict=True):
            store(frame, element, part)
    elif isinstance(target, ast.Starred):
        store(frame, target.value, collected(frame, target, value))
    else:
        bind_target(frame, target, value)


def _type_alias(frame: Frame, node: Any) -> None:
    """Bind `type Name = ...`: what it stands for is only evaluated when somebody asks for it."""
    frame.bind(node.name.id, tame())


if hasattr(ast, "TypeAlias"):  # since Python 3.12
    statement(ast.TypeAlias)(_type_alias)
