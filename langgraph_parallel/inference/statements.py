"""What each kind of statement does to the variables and to the state."""

from __future__ import annotations

import ast
import copy
import importlib.util
import sys
from typing import Any, Final

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.access import consume, read_keys, store_in_state, truth
from langgraph_parallel.inference.containers import bind_target, elements, iterate, put_keys
from langgraph_parallel.inference.frame import Env, Frame, GiveUpError, join_envs, statement
from langgraph_parallel.inference.values import (
    NOTHING,
    WORLD,
    Cell,
    Chain,
    Const,
    Data,
    Live,
    Opaque,
    State,
    Value,
    const,
    fresh,
    join,
    opaque,
    roots_of,
)

_MOST_ROUNDS: Final = 12
"""Rounds of a loop before its variables must be stable; a chain of n copies needs n rounds."""


@statement(ast.Pass)
def _pass(frame: Frame, node: ast.Pass) -> None:
    del frame, node


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
        if part is not None:
            frame.evaluate(part)
    frame.recorder.leave("raise", "raises", frame.where(node))
    frame.remember()
    frame.env = None


@statement(ast.Assert)
def _assert(frame: Frame, node: ast.Assert) -> None:
    truth(frame, node.test)
    if node.msg is not None:
        frame.evaluate(node.msg)
    frame.recorder.leave("raise", "asserts", frame.where(node))


@statement(ast.Global, ast.Nonlocal)
def _outer_name(_frame: Frame, node: ast.Global | ast.Nonlocal) -> None:
    msg = f"it rebinds {node.names[0]!r} outside itself"
    raise GiveUpError(msg)


# -- assignment ----------------------------------------------------------------------------------


@statement(ast.Assign)
def _assign(frame: Frame, node: ast.Assign) -> None:
    value = frame.evaluate(node.value)
    for target in node.targets:
        store(frame, target, value)


@statement(ast.AnnAssign)
def _annotated(frame: Frame, node: ast.AnnAssign) -> None:
    if node.value is not None:
        store(frame, node.target, frame.evaluate(node.value))


@statement(ast.AugAssign)
def _augmented(frame: Frame, node: ast.AugAssign) -> None:
    reader: Any = copy.copy(node.target)
    reader.ctx = ast.Load()
    old, added = frame.evaluate(reader), frame.evaluate(node.value)
    cells = [atom for atom in old if isinstance(atom, Cell)]
    if cells and isinstance(node.op, ast.BitOr):
        call = ast.Call(ast.Attribute(reader, "update", ast.Load()), [node.value], [])
        frame.evaluate(ast.fix_missing_locations(ast.copy_location(call, node)))
        return
    frame.leak(added)
    for atom in old:
        _change(frame, atom, "augmented assignment", node)
    operands = join(consume(frame, old, node), consume(frame, added, node))
    scalar = all(isinstance(a, Const) or (isinstance(a, Data) and a.scalar) for a in operands)
    plain = all(isinstance(a, Const) or (isinstance(a, Data) and a.plain) for a in operands)
    result = fresh(roots_of(operands), plain=plain, deep=False)
    own = all(isinstance(a, Const) or (isinstance(a, Data) and (a.own or a.scalar)) for a in old)
    if scalar:
        result = frozenset({Data(scalar=True, plain=True)})
    elif not own:
        result = opaque(roots_of(operands))
    store(frame, node.target, result)


@statement(ast.Delete)
def _delete(frame: Frame, node: ast.Delete) -> None:
    for target in node.targets:
        if isinstance(target, ast.Name):
            continue  # a later use fails at run time; keeping the old value is an upper bound
        if not isinstance(target, (ast.Subscript, ast.Attribute)):
            msg = "a deletion is not understood"
            raise GiveUpError(msg)
        if isinstance(target, ast.Subscript):
            index = frame.evaluate(target.slice)
        else:
            index = const(target.attr)
        for atom in frame.evaluate(target.value):
            if isinstance(atom, State):
                read_keys(frame, index, target)  # it fails when the key has no value
                continue
            _change(frame, atom, "del", target)


def store(frame: Frame, target: ast.expr, value: Value) -> None:
    """Assign to a name, a tuple of names, an element or an attribute."""
    if isinstance(target, ast.Subscript):
        base, index = frame.evaluate(target.value), frame.evaluate(target.slice)
        for atom in base:
            _store_part(frame, atom, index, value, target)
    elif isinstance(target, ast.Attribute):
        for atom in frame.evaluate(target.value):
            _store_part(frame, atom, const(target.attr), value, target)
    elif isinstance(target, (ast.Tuple, ast.List)) and any(
        isinstance(e, (ast.Subscript, ast.Attribute)) for e in target.elts
    ):
        parts = elements(frame, value, target)
        for element in target.elts:
            store(frame, element, parts)
    else:
        bind_target(frame, target, value)


def _store_part(frame: Frame, atom: Any, index: Value, value: Value, node: ast.expr) -> None:
    if isinstance(atom, State):
        store_in_state(frame, index, value, frame.where(node))
        return
    if isinstance(atom, Cell):
        put_keys(frame, atom, index, value)
        return
    frame.escape(value, "stored", frame.where(node))
    frame.leak(value)
    if isinstance(atom, Live) and isinstance(atom.obj, (type, type(sys))):
        msg = f"it assigns an attribute of {atom.obj.__name__}"
        raise GiveUpError(msg)
    _change(frame, atom, "assignment", node)


def _change(frame: Frame, atom: Any, what: str, node: ast.AST) -> None:
    """Record that an object is changed in place."""
    where = frame.where(node)
    if isinstance(atom, Const) or (isinstance(atom, Data) and (atom.own or atom.scalar)):
        return
    if isinstance(atom, (Data, Opaque)):
        frame.recorder.mutate(union(atom.roots, frame.recorder.leaked), what, where)
    elif isinstance(atom, Live):
        frame.recorder.mutate(frozenset({WORLD}), what, where)
    elif isinstance(atom, Cell):
        atom.open = True
    else:
        frame.escape(frozenset({atom}), what, where)
        frame.recorder.contact("unknown", f"{what} of something not known", where)


# -- flow ----------------------------------------------------------------------------------------


@statement(ast.If)
def _if(frame: Frame, node: ast.If) -> None:
    truth(frame, node.test)
    before = dict(frame.env or {})
    frame.run(node.body)
    after_body, frame.env = frame.env, before
    frame.run(node.orelse)
    frame.env = join_envs(after_body, frame.env)


@statement(ast.For, ast.AsyncFor)
def _for(frame: Frame, node: ast.For | ast.AsyncFor) -> None:
    def head() -> None:
        bind_target(frame, node.target, iterate(frame, node.iter))

    _loop(frame, node, head)


@statement(ast.While)
def _while(frame: Frame, node: ast.While) -> None:
    def head() -> None:
        truth(frame, node.test)

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


@statement(ast.Try)
def _try(frame: Frame, node: ast.Try) -> None:
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
        if handler.type is not None:
            frame.evaluate(handler.type)
        if handler.name:
            frame.bind(handler.name, opaque(ALL))
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
    before = dict(frame.env or {})
    for item in node.items:
        manager = frame.evaluate(item.context_expr)
        if all(isinstance(a, Chain) and a.yields in ("response", "data") for a in manager):
            # An HTTP client or response gives itself, and is closed at the end.
            if item.optional_vars is not None:
                bind_target(frame, item.optional_vars, manager)
            continue
        frame.recorder.contact("unknown", "enters a context manager", frame.where(node))
        roots = frame.escape(manager, "a context manager", frame.where(node))
        if item.optional_vars is not None:
            bind_target(frame, item.optional_vars, opaque(union(roots, frozenset({WORLD}))))
    snapshots: list[Env] = [before]
    frame.snapshots.append(snapshots)
    frame.weak += 1
    frame.run(node.body)
    frame.weak -= 1
    frame.snapshots.pop()
    frame.env = join_envs(frame.env, *snapshots)  # the manager may swallow an error


@statement(ast.Match)
def _match(frame: Frame, node: ast.Match) -> None:
    subject = frame.evaluate(node.subject)
    before = dict(frame.env or {})
    ends: list[Env | None] = []
    for case in node.cases:
        frame.env = dict(before)
        _pattern(frame, case.pattern, subject)
        if case.guard is not None:
            truth(frame, case.guard)
        # Names stay bound when the guard, or a later part of the pattern, fails.
        before = join_envs(before, frame.env) or before
        frame.run(case.body)
        ends.append(frame.env)
    frame.env = join_envs(before, *ends)


def _pattern(frame: Frame, pattern: ast.pattern, subject: Value) -> None:
    """Bind the names of a pattern; what it looks at in the state is read."""
    if isinstance(pattern, ast.MatchAs):
        if pattern.pattern is not None:
            _pattern(frame, pattern.pattern, subject)
        if pattern.name is not None:
            frame.bind(pattern.name, subject)
        return
    if isinstance(pattern, ast.MatchMapping) and pattern.rest is None:
        for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
            _pattern(frame, inner, _matched(frame, subject, key, pattern))
        return
    whole = consume(frame, subject, pattern)
    part = join(frame.part_of(whole), opaque(roots_of(whole)))
    for piece in ast.walk(pattern):
        name = getattr(piece, "name", None) or getattr(piece, "rest", None)
        if isinstance(name, str):
            frame.bind(name, part)
        if isinstance(piece, ast.expr):
            frame.evaluate(piece)


def _matched(frame: Frame, subject: Value, key: ast.expr, node: ast.pattern) -> Value:
    index = frame.evaluate(key)
    parts = [
        read_keys(frame, index, node)
        if isinstance(atom, State)
        else frame.part_of(consume(frame, frozenset({atom}), node))
        for atom in subject
    ]
    return join(NOTHING, *parts)


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
