"""Python's scoping, read off the syntax tree of a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from langgraph_parallel.inference.source import FunctionNode

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _own_parts(node: FunctionNode) -> Iterator[ast.AST]:
    """Yield the parts of a function that run in its own scope, comprehensions included."""
    pending: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, (*_SCOPES, *_COMPREHENSIONS)):
            pending.extend(ast.iter_child_nodes(part))


@lru_cache(maxsize=4096)
def assigned_names(node: FunctionNode) -> frozenset[str]:
    """Return the names that a function binds, by Python's scoping."""
    arguments = node.args
    names = {a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs}
    names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a}
    for part in _own_parts(node):
        names |= _bound_by(part)
        if isinstance(part, _COMPREHENSIONS):
            # Only a walrus inside a comprehension binds a name of the function.
            names |= {w.target.id for w in ast.walk(part) if isinstance(w, ast.NamedExpr)}
    return frozenset(names)


@lru_cache(maxsize=4096)
def outer_names(node: FunctionNode) -> frozenset[str]:
    """Return the names that a function declares `global` or `nonlocal`."""
    names: set[str] = set()
    for part in _own_parts(node):
        if isinstance(part, (ast.Global, ast.Nonlocal)):
            names.update(part.names)
    return frozenset(names)


@lru_cache(maxsize=4096)
def is_generator(node: FunctionNode) -> bool:
    """Tell whether calling a function only makes a generator."""
    return any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in _own_parts(node))


def _bound_by(part: ast.AST) -> set[str]:
    if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
        return {part.id}
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {part.name}
    if isinstance(part, ast.alias):
        return {(part.asname or part.name).split(".")[0]}
    if isinstance(part, ast.ExceptHandler) and part.name:
        return {part.name}
    if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
        return {part.name}
    if isinstance(part, ast.MatchMapping) and part.rest:
        return {part.rest}
    return set()
