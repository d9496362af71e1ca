"""From what was seen of a function to what may share or change its variables."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from langgraph_parallel.inference.calls.functions import is_passive
from langgraph_parallel.inference.code.scopes import scope_of
from langgraph_parallel.inference.code.source import Source
from langgraph_parallel.inference.machine.values import (
    Cell,
    Chain,
    Const,
    Data,
    Live,
    Opaque,
)
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.locations import Location
from langgraph_parallel.lowering.bodies.names import SCOPES, aliases, dirtied, loads
from langgraph_parallel.lowering.bodies.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knowledge:
    """What is known of a function, of which slices are made."""

    watch: Watch
    sites: Mapping[ast.AST, Site]
    mutable: frozenset[str]
    """Variables whose objects may be changed in place."""
    aliases: Mapping[str, frozenset[str]]
    """For a variable, all those that may stand for the same object."""
    calm: frozenset[ast.AST]
    """Calls that change none of their arguments."""
    hidden: frozenset[str]
    """Variables that may hold functions made in the function, which share its variables."""
    shared: frozenset[str]
    """Variables that such functions use."""
    changes: frozenset[Location] = frozenset()
    """Places outside of the function that are changed while the slice runs ahead."""

    def dirtied(self, part: ast.AST) -> frozenset[str]:
        """Return the variables whose objects a part may change in place."""
        names = dirtied(part, self.calm) & self.mutable
        if not loads(part).isdisjoint(self.hidden):
            names |= self.shared
        more = (self.aliases.get(name, frozenset()) for name in names)
        return names.union(*more)


def know(
    source: Source, watch: Watch, function: FunctionType, sites: Mapping[ast.AST, Site]
) -> Knowledge:
    """Return what is known of a function."""
    return Knowledge(
        watch=watch,
        sites=sites,
        mutable=_mutable(source, watch),
        aliases=aliases(source.node),
        calm=frozenset(sites) | _calm_calls(source, watch, function),
        hidden=hidden_in(source, watch),
        shared=_shared(source),
    )


def _mutable(source: Source, watch: Watch) -> frozenset[str]:
    """Return the variables whose objects may be changed in place."""
    values = watch.values.get(source.node, {})
    return frozenset(
        name
        for name in scope_of(source.node).assigned
        if name not in values or not all(map(_is_fixed, values[name]))
    )


def _is_fixed(atom: Any) -> bool:
    """Tell whether nothing that a slice may do changes an object, or whoever does is known."""
    return isinstance(atom, (Const, Live, Chain)) or (isinstance(atom, Data) and atom.scalar)


def hidden_in(source: Source, watch: Watch) -> frozenset[str]:
    """Return the variables that may hold functions, or classes, made in the function."""
    own = source.node
    made = {
        node.name
        for node in ast.walk(own)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if node is not own
    }
    values = watch.values.get(own, {}).items()
    return frozenset(made.union(n for n, v in values if not is_passive(v, 0) or _is_used_up(v)))


def _is_used_up(value: Iterable[Any]) -> bool:
    """Tell whether going through a value may use it up."""
    return any(isinstance(atom, (Cell, Opaque)) and atom.spent for atom in value)


def _shared(source: Source) -> frozenset[str]:
    """Return the names that functions made in the function use."""
    inner = [n for n in ast.walk(source.node) if isinstance(n, SCOPES) and n is not source.node]
    parts = [part for node in inner for part in ast.walk(node)]
    return frozenset(part.id for part in parts if isinstance(part, ast.Name))


def _calm_calls(source: Source, watch: Watch, function: FunctionType) -> frozenset[ast.AST]:
    """Return the calls of the user's functions that change none of their arguments."""
    known = function.__globals__
    classes = {name for name, value in known.items() if isinstance(value, type)}
    filling = filling_in(watch)
    quiet = {f.__name__ for f in watch.followed.values()} - filling
    return frozenset(
        node
        for node in ast.walk(source.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in quiet or node.func.id in classes
    )


def filling_in(watch: Watch) -> frozenset[str]:
    """Return the names of followed functions that may change what they are handed."""
    return frozenset(
        function.__name__
        for node, function in watch.followed.items()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(_fills_a_parameter(node, part) for part in node.body)
    )


def _fills_a_parameter(node: ast.FunctionDef | ast.AsyncFunctionDef, part: ast.AST) -> bool:
    known = aliases(node)
    changed = dirtied(part)
    names = changed.union(*(known.get(name, frozenset()) for name in changed))
    own = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)} - {"self", "cls"}
    return not names.isdisjoint(own)
