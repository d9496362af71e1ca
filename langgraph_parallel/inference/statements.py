"""What each kind of statement does to the variables and to the state."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import importlib.util
import sys
import typing
from typing import Any, Final

import typing_extensions
from pydantic import BaseModel

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.builtin_calls import iterate_classes
from langgraph_parallel.inference.containers import bind_target, iterate_over, unpack
from langgraph_parallel.inference.datamodel import find, is_a
from langgraph_parallel.inference.door import (
    augment,
    compare,
    from_state,
    iterate,
    merge_into,
    truth,
)
from langgraph_parallel.inference.expressions import OPERATORS, chained, condition
from langgraph_parallel.inference.frame import (
    Arguments,
    Env,
    Frame,
    GiveUpError,
    join_envs,
    statement,
    unknown,
)
from langgraph_parallel.inference.functions import collected
from langgraph_parallel.inference.parts import (
    delete_attribute,
    delete_item,
    enter,
    get_attribute,
    get_item,
    leave,
    set_attribute,
    set_item,
    store_in_state,
)
from langgraph_parallel.inference.values import (
    NOTHING,
    STATE,
    WORLD,
    Cell,
    Live,
    Made,
    Object,
    State,
    Value,
    join,
    opaque,
    tame,
)

_MOST_ROUNDS: Final = 12
"""Rounds of a loop before its variables must be stable; a chain of n copies needs n rounds."""


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
    frame.recorder.leave("raise", "raises", frame.where(node))
    frame.remember()
    frame.env = None


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
    """Bind a class of fields only, such as the schema of an answer; others are not understood."""
    for part in (*node.bases, *node.decorator_list, *(k.value for k in node.keywords)):
        for atom in frame.evaluate(part):
            if not (isinstance(atom, Live) and _makes_fields(atom.obj)):
                msg = f"the class {node.name} is made in the node"
                raise GiveUpError(msg)
    if not all(map(_is_field, node.body)):
        msg = f"the class {node.name} is made in the node, with code of its own"
        raise GiveUpError(msg)
    for field in node.body:
        if isinstance(field, (ast.AnnAssign, ast.Assign)) and field.value is not None:
            frame.use(frame.evaluate(field.value), field)
    frame.bind(node.name, tame())


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


# -- assignment ----------------------------------------------------------------------------------


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
        store(frame, node.target, frame.evaluate(node.value))


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
    piped = chained(frame, old, added, node) if isinstance(node.op, ast.BitOr) else None
    if piped is not None:
        result = piped
    else:
        if State() in old and isinstance(node.op, ast.BitOr):
            where = frame.where(node)
            store_in_state(frame, opaque(ALL), added, where)
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


# -- flow ----------------------------------------------------------------------------------------


@statement(ast.If)
def _if(frame: Frame, node: ast.If) -> None:
    condition(frame, node.test)
    before = dict(frame.env or {})
    frame.run(node.body)
    after_body, frame.env = frame.env, before
    frame.run(node.orelse)
    frame.env = join_envs(after_body, frame.env)


@statement(ast.For, ast.AsyncFor)
def _for(frame: Frame, node: ast.For | ast.AsyncFor) -> None:
    def head() -> None:
        store(
            frame,
            node.target,
            iterate_over(frame, node.iter, is_async=isinstance(node, ast.AsyncFor)),
        )

    _loop(frame, node, head)


@statement(ast.While)
def _while(frame: Frame, node: ast.While) -> None:
    def head() -> None:
        condition(frame, node.test)

    _loop(frame, node, head)


def _loop(frame: Frame, node: ast.For | ast.AsyncFor | ast.While, head: Any) -> None:
    """Run a loop until its variables no longer change, then everything that can follow it."""
    entry: Env = dict(frame.env or {})
    for _ in range(_MOST_ROUNDS):
        frame.env = dict(entry)
        frame.loops.append([])
        head()
        frame.run(node.body)
        jumps = frame.loops.pop()
        again = join_envs(entry, frame.env, *jumps)
        if again is None or again == entry:
            break
        entry = again
    else:
        msg = "a loop does not settle"
        raise GiveUpError(msg)
    frame.env = dict(entry)
    head()  # the loop ends in its head, whose last evaluation may bind too
    frame.env = join_envs(frame.env, entry)
    frame.run(node.orelse)
    frame.env = join_envs(frame.env, *jumps)


@statement(ast.Break, ast.Continue)
def _jump(frame: Frame, node: ast.Break | ast.Continue) -> None:
    del node
    if frame.env is not None:
        frame.loops[-1].append(dict(frame.env))
    frame.env = None


def _caught(kinds: Value) -> Value:
    """Return the exception that a handler binds; what it holds may come from anywhere."""
    classes = [
        atom.obj
        for atom in iterate_classes(kinds)
        if isinstance(atom, Live) and is_a(atom.obj, type)
    ]
    return join(*(frozenset({Object(cls, ALL)}) for cls in classes or [BaseException]))


@statement(ast.Try, ast.TryStar)
def _try(frame: Frame, node: ast.Try | ast.TryStar) -> None:
    may_raise: list[Env] = [dict(frame.env or {})]
    frame.snapshots.append(may_raise)
    frame.weak += 1
    frame.run(node.body)
    frame.run(node.orelse)
    frame.weak -= 1
    frame.snapshots.pop()
    ends = [frame.env]
    for handler in node.handlers:
        frame.env = join_envs(*may_raise)
        kinds = frame.evaluate(handler.type) if handler.type is not None else NOTHING
        if handler.name:
            frame.bind(handler.name, join(_caught(kinds), frame.recorder.raised))
        frame.run(handler.body)
        ends.append(frame.env)
    if node.finalbody:
        # It also runs on the way out, after a `return`, `break` or error: check that flow too.
        out = join_envs(*may_raise, *(end for end in ends if end is not None))
        frame.env = out
        frame.run(node.finalbody)
        leaves = frame.env is None
        frame.env = None if leaves else join_envs(*ends)
        if frame.env is not None:
            frame.weak += 1
            frame.run(node.finalbody)
            frame.weak -= 1
    else:
        frame.env = join_envs(*ends)


@statement(ast.With, ast.AsyncWith)
def _with(frame: Frame, node: ast.With | ast.AsyncWith) -> None:
    is_async = isinstance(node, ast.AsyncWith)
    before = dict(frame.env or {})
    managers = []
    for item in node.items:
        manager = frame.evaluate(item.context_expr)
        managers.append(manager)
        given = enter(frame, manager, item.context_expr, is_async=is_async)
        if item.optional_vars is not None:
            store(frame, item.optional_vars, given)
    snapshots: list[Env] = [before]
    frame.snapshots.append(snapshots)
    frame.weak += 1
    frame.run(node.body)
    frame.weak -= 1
    frame.snapshots.pop()
    ends = frame.env
    frame.env = join_envs(ends, *snapshots)
    for manager in reversed(managers):
        truth(frame, leave(frame, manager, node, is_async=is_async), node)
    if frame.env is not None:
        frame.env = join_envs(frame.env, ends)  # the manager may swallow an error


@statement(ast.Match)
def _match(frame: Frame, node: ast.Match) -> None:
    subject = frame.evaluate(node.subject)
    before = dict(frame.env or {})
    ends: list[Env | None] = []
    for case in node.cases:
        frame.env = dict(before)
        match_pattern(frame, case.pattern, subject)
        if case.guard is not None:
            condition(frame, case.guard)
        # Names stay bound when the guard, or a later part of the pattern, fails.
        before = join_envs(before, frame.env) or before
        frame.run(case.body)
        ends.append(frame.env)
    frame.env = join_envs(before, *ends)


def match_pattern(frame: Frame, pattern: ast.pattern, subject: Value) -> None:
    """Bind the names of a pattern; what it looks at in the subject is looked at."""
    rule = _PATTERNS.get(type(pattern))
    if rule is None:
        msg = f"{type(pattern).__name__} is not understood"
        raise GiveUpError(msg)
    rule(frame, pattern, subject)


def _match_as(frame: Frame, pattern: ast.MatchAs, subject: Value) -> None:
    if pattern.pattern is not None:
        match_pattern(frame, pattern.pattern, subject)
    if pattern.name is not None:
        frame.bind(pattern.name, subject)


def _match_or(frame: Frame, pattern: ast.MatchOr, subject: Value) -> None:
    frame.weak += 1
    for part in pattern.patterns:
        match_pattern(frame, part, subject)
    frame.weak -= 1


def _match_value(frame: Frame, pattern: ast.MatchValue, subject: Value) -> None:
    compare(frame, "__eq__", subject, frame.evaluate(pattern.value), pattern)


def _match_singleton(frame: Frame, pattern: ast.MatchSingleton, subject: Value) -> None:
    del frame, pattern, subject  # `is None`: there is only one


def _match_sequence(frame: Frame, pattern: ast.MatchSequence, subject: Value) -> None:
    parts = iterate(frame, subject, pattern)
    for atom in subject:
        if isinstance(atom, (Live, Object)):
            frame.use(frozenset({atom}), pattern)  # its length and items
    for part in pattern.patterns:
        match_pattern(frame, part, parts)


def _match_star(frame: Frame, pattern: ast.MatchStar, subject: Value) -> None:
    if pattern.name is not None:
        frame.bind(pattern.name, collected(frame, pattern, subject))


def _match_mapping(frame: Frame, pattern: ast.MatchMapping, subject: Value) -> None:
    for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
        index = frame.evaluate(key)
        found = join(*(_matched(frame, atom, index, pattern) for atom in subject))
        match_pattern(frame, inner, found)
    if pattern.rest is not None:
        cell = frame.recorder.cells.setdefault(id(pattern), Cell())
        for atom in subject:
            merge_into(frame, cell, atom, pattern)
            if isinstance(atom, State):
                from_state(frame, opaque(), pattern)
        frame.bind(pattern.rest, frozenset({cell}))


def _matched(frame: Frame, atom: Any, index: Value, pattern: ast.pattern) -> Value:
    if isinstance(atom, State):
        return from_state(frame, index, pattern)
    if isinstance(atom, (Live, Made, Object)):
        frame.use(frozenset({atom}), pattern)  # `keys`, `get`
    return get_item(frame, frozenset({atom}), index, pattern)


def _match_class(frame: Frame, pattern: ast.MatchClass, subject: Value) -> None:
    classes = frame.evaluate(pattern.cls)
    frame.call(frozenset({Live(isinstance)}), Arguments(pattern, (subject, classes)))
    names = list(pattern.kwd_attrs)
    places: list[str] = []
    for atom in classes:
        if isinstance(atom, Live) and is_a(atom.obj, type):
            found = find(atom.obj, "__match_args__")
            places += list(found[1]) if found and is_a(found[1], tuple) else []
        else:
            unknown(frame, "matches an unknown class", join(classes, subject), pattern)
    for index, part in enumerate(pattern.patterns):
        if index < len(places):
            match_pattern(frame, part, get_attribute(frame, subject, places[index], pattern))
        else:
            match_pattern(frame, part, subject)  # `str(x)` and the like match the subject itself
    for name, part in zip(names, pattern.kwd_patterns, strict=True):
        match_pattern(frame, part, get_attribute(frame, subject, name, pattern))


_PATTERNS: Final[dict[type[ast.pattern], Any]] = {
    ast.MatchAs: _match_as,
    ast.MatchOr: _match_or,
    ast.MatchValue: _match_value,
    ast.MatchSingleton: _match_singleton,
    ast.MatchSequence: _match_sequence,
    ast.MatchStar: _match_star,
    ast.MatchMapping: _match_mapping,
    ast.MatchClass: _match_class,
}
"""The rule for each kind of pattern."""


# -- imports -------------------------------------------------------------------------------------


@statement(ast.Import)
def _import(frame: Frame, node: ast.Import) -> None:
    for alias in node.names:
        name = alias.name if alias.asname else alias.name.split(".")[0]
        bound = alias.asname or name
        frame.bind(bound, _module(frame, name, node))


@statement(ast.ImportFrom)
def _import_from(frame: Frame, node: ast.ImportFrom) -> None:
    package = frame.namespace.get("__package__") or ""
    try:
        relative = "." * node.level + (node.module or "")
        name = importlib.util.resolve_name(relative, package)
    except (ImportError, ValueError):
        name = ""
    module = sys.modules.get(name)
    for alias in node.names:
        if alias.name == "*":
            msg = "it imports *"
            raise GiveUpError(msg)
        known = module is not None and alias.name in vars(module)
        value = frame.live(vars(module)[alias.name]) if known else _module(frame, "", node)
        frame.bind(alias.asname or alias.name, value)


def _module(frame: Frame, name: str, node: ast.stmt) -> Value:
    module = sys.modules.get(name)
    if module is not None:
        return frozenset({Live(module)})
    frame.recorder.contact("unknown", "imports a module not loaded yet", frame.where(node))
    return opaque(frozenset({WORLD}))
