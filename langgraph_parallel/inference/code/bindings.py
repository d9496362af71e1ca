"""From a name in a function to the expressions that it may be bound to, where they are all seen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from langgraph_parallel.inference.code.scopes import own_parts, scope_of
from langgraph_parallel.inference.code.source import FunctionNode


@lru_cache(maxsize=1024)
def bindings_of(node: FunctionNode) -> dict[str, tuple[ast.expr, ...] | None]:
    """Return what each variable of a function is assigned; None for one bound in another way.

    Parameters are bound by the caller: they are among the names, with None, only where the function
    itself binds them anew.
    """
    found: dict[str, tuple[ast.expr, ...] | None] = {}
    plain: set[int] = set()
    for part in own_parts(node):
        for target, value in _assignments(part):
            plain.add(id(target))
            found[target.id] = (*(found.get(target.id) or ()), value)
    for part in own_parts(node):
        for name in _bound_otherwise(part, plain):
            found[name] = None
    return found | dict.fromkeys(scope_of(node).outer)


def _assignments(part: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Yield the names that a statement or a walrus assigns one value to, each with its value."""
    if isinstance(part, ast.Assign):
        for target in part.targets:
            yield from _pairs(target, part.value)
    elif isinstance(part, (ast.AnnAssign, ast.NamedExpr)) and part.value is not None:
        yield from _pairs(part.target, part.value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.Name, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        starred = any(isinstance(e, ast.Starred) for e in (*target.elts, *value.elts))
        if not starred and len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                yield from _pairs(one, other)


def _bound_otherwise(part: ast.AST, plain: set[int]) -> Iterator[str]:
    if isinstance(part, ast.Name):
        if not isinstance(part.ctx, ast.Load) and id(part) not in plain:
            yield part.id
    elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield part.name
        # An inner function may bind the name by `nonlocal`.
        for inner in ast.walk(part):
            if isinstance(inner, ast.Nonlocal):
                yield from inner.names
    elif isinstance(part, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        # Its variables are of another scope, but are called alike there.
        names = (n for n in ast.walk(part) if isinstance(n, ast.Name))
        yield from (n.id for n in names if not isinstance(n.ctx, ast.Load))
    elif isinstance(part, ast.alias):
        yield (part.asname or part.name).split(".")[0]
    elif isinstance(part, ast.MatchMapping) and part.rest:
        yield part.rest
    elif isinstance(part, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and part.name:
        yield part.name
