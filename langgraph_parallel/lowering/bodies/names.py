"""From statements to the names that they read, bind and may change in place."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator
from typing import Final

from langgraph_parallel.inference.calls.tables import READING_METHODS
from langgraph_parallel.inference.code.source import FunctionNode

SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)


def own_nodes(part: ast.AST) -> Iterator[ast.AST]:
    """Yield a part and everything in it that runs with it: not the bodies of inner functions."""
    yield part
    if not isinstance(part, SCOPES):
        for child in ast.iter_child_nodes(part):
            yield from own_nodes(child)


def loads(part: ast.AST) -> frozenset[str]:
    """Return the names that a part reads, those in inner functions included, but for their own."""
    return frozenset(_loads(part))


def _loads(part: ast.AST) -> Iterator[str]:
    if isinstance(part, ast.Name):
        if isinstance(part.ctx, ast.Load):
            yield part.id
        return
    own: frozenset[str] = frozenset()
    if isinstance(part, COMPREHENSIONS):
        own = frozenset().union(*(stores(generator.target) for generator in part.generators))
    elif isinstance(part, ast.Lambda):
        every = [*part.args.posonlyargs, *part.args.args, *part.args.kwonlyargs]
        own = frozenset(a.arg for a in (*every, part.args.vararg, part.args.kwarg) if a)
    for child in ast.iter_child_nodes(part):
        for name in _loads(child):
            if name not in own:
                yield name


def stores(part: ast.AST) -> frozenset[str]:
    """Return the names that a part binds or deletes in the scope that it stands in."""
    return frozenset(_stores(part))


def _stores(part: ast.AST) -> Iterator[str]:
    if isinstance(part, ast.Lambda):
        return
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield part.name
        return
    if isinstance(part, COMPREHENSIONS):
        # Its variables are its own, but for those of a walrus.
        yield from (w.target.id for w in ast.walk(part) if isinstance(w, ast.NamedExpr))
        return
    if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
        yield part.id
    elif isinstance(part, ast.alias):
        yield (part.asname or part.name).split(".")[0]
    elif isinstance(part, (ast.Global, ast.Nonlocal)):
        yield from part.names
    elif isinstance(part, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)):
        name = part.rest if isinstance(part, ast.MatchMapping) else part.name
        yield from (name,) if name else ()
    for child in ast.iter_child_nodes(part):
        yield from _stores(child)


def dirtied(part: ast.AST, known: Collection[ast.AST] = ()) -> frozenset[str]:
    """Return the names whose objects a part may change in place.

    Args:
        part: The part.
        known: Calls that change none of their arguments.
    """
    return frozenset(name for node in own_nodes(part) for name in _dirtied_by(node, known))


def _dirtied_by(node: ast.AST, known: Collection[ast.AST]) -> Iterator[str]:
    if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
        yield from _root(node)
    elif isinstance(node, ast.AugAssign):
        yield from _root(node.target)
    elif isinstance(node, ast.Call) and node not in known:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr not in READING_METHODS:
                yield from _root(node.func.value)
        elif isinstance(node.func, ast.Name) and node.func.id in _CHANGING:
            yield from _root(node.args[0]) if node.args else ()
        elif isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id):
            for argument in (*node.args, *(k.value for k in node.keywords)):
                yield from _root(argument)


_CHANGING: Final = frozenset({"setattr", "delattr", "next", "anext"})
"""Built-in functions that change their first argument."""


def _root(node: ast.AST) -> Iterator[str]:
    """Yield the name of the object that a part of it belongs to."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def aliases(function: FunctionNode) -> dict[str, frozenset[str]]:
    """Return, for names that may stand for one object, all of these names."""
    groups: dict[str, set[str]] = {}
    body = function.body
    parts: list[ast.AST] = [body] if isinstance(body, ast.expr) else [*body]
    for node in (node for part in parts for node in own_nodes(part)):
        if not isinstance(node, ast.Assign):
            continue
        sources = {name for value in _choices(node.value) for name in _root(value)}
        targets = {name for target in node.targets for name in _root(target)}
        if not sources or not targets:
            continue
        joined = sources | targets
        for name in list(joined):
            joined |= groups.get(name, set())
        for name in joined:
            groups[name] = joined
    return {name: frozenset(group) for name, group in groups.items()}


def _choices(value: ast.expr) -> Iterator[ast.expr]:
    """Yield what an expression may be, where it is one of some others."""
    if isinstance(value, ast.IfExp):
        yield from _choices(value.body)
        yield from _choices(value.orelse)
    elif isinstance(value, ast.BoolOp):
        for part in value.values:
            yield from _choices(part)
    else:
        yield value


def leaving(part: ast.AST, *, breaks: bool = True, continues: bool = True) -> ast.stmt | None:
    """Return a statement by which the flow may leave a part early; None if there is none.

    What only runs when something has failed, a handler, does not count.

    Args:
        part: The part.
        breaks: Whether a `break` leaves it: it stands in no loop of its own.
        continues: Whether a `continue` leaves it.
    """
    if isinstance(part, (ast.Return, ast.Raise)):
        return part
    if isinstance(part, ast.Break):
        return part if breaks else None
    if isinstance(part, ast.Continue):
        return part if continues else None
    if isinstance(part, (*SCOPES, ast.ExceptHandler)):
        return None
    for field, child in _children(part):
        inside = isinstance(part, LOOPS) and field == "body"
        found = leaving(child, breaks=breaks and not inside, continues=continues and not inside)
        if found is not None:
            return found
    return None


def _children(part: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(part):
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST):
                yield name, child


def yields(part: ast.AST) -> bool:
    """Tell whether a part hands values to whoever runs the function."""
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(part))


def blocks_of(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of a compound statement."""
    if isinstance(statement, SCOPES):
        return
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if block:
            yield block
    for handler in getattr(statement, "handlers", ()):
        yield handler.body
    for case in getattr(statement, "cases", ()):
        yield case.body
