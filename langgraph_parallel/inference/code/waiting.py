"""From a call that starts work of its own to whether its function certainly waits for that work.

    await loop.run_in_executor(None, f)          in the same expression
    task = asyncio.create_task(g())              in a later statement of the same block, or of one
    ...                                          around it, which no jump in between leaves out
    await task

What is not waited for may end after the node, and so later than anybody who comes after it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

Waits: TypeAlias = Callable[[ast.Call], bool]
"""Tells whether awaiting a call waits for all that it is given: `gather(*tasks)`."""

_DISPLAYS: Final = (
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Starred),
    *(ast.ListComp, ast.SetComp, ast.DictComp),
)
"""Expressions that hold what stands in them."""
_BLOCKS: Final = ("body", "orelse", "finalbody")
_JUMPS: Final = (ast.Return, ast.Break, ast.Continue)
_LATER: Final = (
    *(ast.Lambda, ast.IfExp, ast.BoolOp, ast.GeneratorExp),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.FunctionDef, ast.AsyncFunctionDef),
)
"""What may run a part of it later, never, or several times."""


def is_context(function: ast.AST, call: ast.AST) -> bool:
    """Tell whether a call stands in the head of a `with`, whose end waits for what it gives."""
    return isinstance(_parents(function).get(call), ast.withitem)


def goes_over_all(function: ast.AST, call: ast.AST) -> bool:
    """Tell whether a loop goes over all that a call gives, and awaits each of them."""
    loop = _parents(function).get(call)
    return isinstance(loop, ast.For) and loop.iter is call and _awaits_each(loop)


def takes_result(function: ast.AST, call: ast.AST) -> bool:
    """Tell whether `.result()` without a deadline follows right after a call."""
    parents = _parents(function)
    attribute = parents.get(call)
    taken = parents.get(attribute) if attribute is not None else None
    return (
        isinstance(attribute, ast.Attribute)
        and attribute.attr == "result"
        and isinstance(taken, ast.Call)
        and taken.func is attribute
        and not taken.args
        and not taken.keywords
    )


def is_awaited(function: ast.AST, call: ast.AST, waits: Waits) -> bool:
    """Tell whether a function certainly awaits what a call of it gives.

    Args:
        function: The function in which the call stands.
        call: The call.
        waits: Tells which calls wait for what they are given.
    """
    parents = _parents(function)
    part, holder = call, parents.get(call)
    while isinstance(holder, (*_DISPLAYS, ast.Call, ast.comprehension)):
        if isinstance(holder, ast.Call) and not (part in holder.args and waits(holder)):
            return _is_kept(holder, part) and _later(holder, parents, _owner(holder), waits)
        part, holder = holder, parents.get(holder)
    if isinstance(holder, ast.Await):
        return True
    is_named = isinstance(holder, ast.Assign) and len(holder.targets) == 1
    target = holder.targets[0] if is_named and isinstance(holder, ast.Assign) else None
    return isinstance(target, ast.Name) and _later(part, parents, target.id, waits)


def _is_kept(call: ast.Call, part: ast.AST) -> bool:
    """Tell whether a call only keeps something in a list or set: `tasks.append(part)`."""
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("append", "add")
        and bool(_owner(call))
        and call.args == [part]
    )


def _owner(call: ast.Call) -> str:
    """Return the variable whose method is called; empty when it is none."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return owner.id if isinstance(owner, ast.Name) else ""


def _later(part: ast.AST, parents: Mapping[ast.AST, ast.AST], name: str, waits: Waits) -> bool:
    """Tell whether a statement after the one around `part` waits for the variable `name`."""
    statement: ast.AST | None = part
    while statement is not None:
        while not isinstance(statement, ast.stmt):
            statement = parents.get(statement)
            if statement is None:
                return False
        around = parents.get(statement)
        for block in (getattr(around, field, None) for field in _BLOCKS):
            if isinstance(block, list) and statement in block:
                outcome = _block_waits(block[block.index(statement) + 1 :], name, waits)
                if outcome is not None:
                    return outcome
        if isinstance(around, (ast.Try, ast.FunctionDef, ast.AsyncFunctionDef)):
            return False
        statement = around
    return False


def _block_waits(block: list[ast.stmt], name: str, waits: Waits) -> bool | None:
    """Tell whether statements wait for a variable; None when they go on without it."""
    for statement in block:
        if _waits_for(statement, name, waits):
            return True
        if any(isinstance(part, _JUMPS) for part in ast.walk(statement)):
            return False
        if any(_is_name(part, name) and _is_stored(part) for part in ast.walk(statement)):
            return False
    return None


def _waits_for(statement: ast.stmt, name: str, waits: Waits) -> bool:
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return _block_waits(statement.body, name, waits) is True
    if isinstance(statement, ast.Try):
        return _waits_for(statement.body[0], name, waits)
    if isinstance(statement, ast.For):
        return _goes_over(statement.iter, name) and _awaits_each(statement)
    if isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)):
        return any(_awaits(part, name, waits) for part in _certain_parts(statement))
    return False


def _awaits(part: ast.AST, name: str, waits: Waits) -> bool:
    """Tell whether an expression waits for a variable, or for each part of it."""
    if isinstance(part, ast.ListComp):
        first = part.generators[0]
        is_each = len(part.generators) == 1 and not first.ifs and _goes_over(first.iter, name)
        return is_each and isinstance(part.elt, ast.Await) and _same(part.elt.value, first.target)
    if not isinstance(part, ast.Await):
        return False
    if _is_name(part.value, name):
        return True
    if not isinstance(part.value, ast.Call) or not waits(part.value):
        return False
    given = (a.value if isinstance(a, ast.Starred) else a for a in part.value.args)
    return any(_is_name(argument, name) for argument in given)


def _awaits_each(loop: ast.For) -> bool:
    if any(isinstance(part, _JUMPS) for part in ast.walk(loop)):
        return False
    parts = (part for statement in loop.body for part in _certain_parts(statement))
    return any(isinstance(part, ast.Await) and _same(part.value, loop.target) for part in parts)


def _goes_over(iterated: ast.expr, name: str) -> bool:
    return _is_name(iterated, name)


def _certain_parts(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield the expressions of a simple statement that are certainly evaluated."""
    if isinstance(statement, (ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.With)):
        return
    pending = list(ast.iter_child_nodes(statement))
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, _LATER):
            pending += ast.iter_child_nodes(part)


def _is_name(part: ast.AST, name: str) -> bool:
    return isinstance(part, ast.Name) and part.id == name


def _is_stored(part: ast.AST) -> bool:
    return isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)


def _same(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id


@functools.lru_cache(maxsize=256)
def _parents(function: ast.AST) -> Mapping[ast.AST, ast.AST]:
    return {part: whole for whole in ast.walk(function) for part in ast.iter_child_nodes(whole)}
