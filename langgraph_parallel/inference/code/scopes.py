"""Python's scoping, read off the syntax tree of a function."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Final

from langgraph_parallel.inference.code.source import FunctionNode

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_parts(node: FunctionNode) -> Iterator[ast.AST]:
    """Yield the parts of a function that run in its own scope, comprehensions included."""
    pending: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, (*_SCOPES, *_COMPREHENSIONS)):
            pending.extend(ast.iter_child_nodes(part))


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of one function."""

    assigned: frozenset[str]
    """Names that it binds, but for those of another scope."""
    outer: frozenset[str]
    """Names that it declares `global` or `nonlocal`."""
    is_generator: bool
    """Whether calling it only makes a generator."""


@lru_cache(maxsize=4096)
def scope_of(node: FunctionNode) -> Scope:
    """Return the names of a function, by Python's scoping."""
    arguments = node.args
    names = {a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs}
    names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a}
    outer: set[str] = set()
    yields = False
    for part in own_parts(node):
        names |= _bound_by(part)
        if isinstance(part, _COMPREHENSIONS):
            # Only a walrus inside a comprehension binds a name of the function.
            names |= {w.target.id for w in ast.walk(part) if isinstance(w, ast.NamedExpr)}
        elif isinstance(part, (ast.Global, ast.Nonlocal)):
            outer.update(part.names)
        elif isinstance(part, (ast.Yield, ast.YieldFrom)):
            yields = True
    return Scope(frozenset(names - outer), frozenset(outer), yields)


def names_rebound(code: CodeType) -> frozenset[str] | None:
    """Return the global names that a function's own code assigns; None when it may be any."""
    if not _REACHES_NAMES.isdisjoint(code.co_names):
        return None
    found = {
        str(step.argval)
        for step in dis.get_instructions(code)
        if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
    }
    for part in code.co_consts:
        inner = names_rebound(part) if isinstance(part, CodeType) else frozenset()
        if inner is None:
            return None
        found |= inner
    return frozenset(found)


_REACHES_NAMES: Final = frozenset({"exec", "globals", "_getframe", "currentframe"})


def _bound_by(part: ast.AST) -> set[str] | frozenset[str]:
    if not isinstance(part, _BINDERS):
        return _NOTHING
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
    return _NOTHING


_NOTHING: Final[frozenset[str]] = frozenset()
_BINDERS: Final = (
    *(ast.Name, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.alias),
    *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
)
