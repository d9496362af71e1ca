"""From branches, loops, `try` and `with` to the variables that may hold after them."""

from __future__ import annotations

import ast
from typing import Any, Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.calls.builtin_inspection import iterate_classes
from langgraph_parallel.inference.code.datamodel import find, is_a
from langgraph_parallel.inference.door.contexts import enter, leave
from langgraph_parallel.inference.door.operators import truth
from langgraph_parallel.inference.machine.frame import Env, Frame, join_envs, statement
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import NOTHING, Atom, Live, Object, Value, join
from langgraph_parallel.inference.syntax.containers import iterate_over
from langgraph_parallel.inference.syntax.expressions import condition
from langgraph_parallel.inference.syntax.fills import fill_once
from langgraph_parallel.inference.syntax.statements import store

_MOST_ROUNDS: Final = 12
"""Rounds of a loop before its variables must be stable; a chain of n copies needs n rounds."""


@statement(ast.If)
def _if(frame: Frame, node: ast.If) -> None:
    if fill_once(frame, node):
        return
    with frame.watched(node.test):
        condition(frame, node.test)
    outcome = _settled(frame, node.test)
    if outcome is not None:
        frame.run(node.body if outcome else node.orelse)
        return
    before = dict(frame.env or {})
    frame.run(node.body)
    after_body, frame.env = frame.env, before
    frame.run(node.orelse)
    frame.env = join_envs(after_body, frame.env)


def _settled(frame: Frame, test: ast.expr) -> bool | None:
    """Return how `x is None`, or `x`, comes out for an object seen in a place; None: not known.

    A global that is filled once, and is filled now, is not filled again as long as no node assigns
    it; that it was seen there is an assumption, which whatever a node stores is compared with.
    """
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _settled(frame, test.operand)
        return None if inner is None else not inner
    if isinstance(test, (ast.Name, ast.Attribute)):
        found = frame.evaluate(test)
        return True if found and all(map(_is_always_true, found)) else None
    if not isinstance(test, ast.Compare) or not isinstance(test.left, (ast.Name, ast.Attribute)):
        return None
    operator, other = test.ops[0], test.comparators[0]
    is_none = isinstance(other, ast.Constant) and other.value is None and len(test.ops) == 1
    if not is_none or not isinstance(operator, (ast.Is, ast.IsNot)):
        return None
    found = frame.evaluate(test.left)
    if found and all(isinstance(atom, Live) for atom in found):
        return isinstance(operator, ast.IsNot)
    return None


def _is_always_true(atom: Atom) -> bool:
    """Tell whether an atom is a live object that no class of it gives another truth."""
    if not isinstance(atom, Live):
        return False
    return all(find(type(atom.obj), name) is None for name in ("__bool__", "__len__"))


@statement(ast.For, ast.AsyncFor)
def _for(frame: Frame, node: ast.For | ast.AsyncFor) -> None:
    def head() -> None:
        with frame.watched(node.iter):
            found = iterate_over(frame, node.iter, is_async=isinstance(node, ast.AsyncFor))
            store(frame, node.target, found)

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
