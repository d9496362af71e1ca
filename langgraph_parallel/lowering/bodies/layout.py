"""From a function to the groups of its calls that start ahead, and where; and why not more.

A *group* is a slice with the calls in it, each of which may need the one before. In a *loop* every
turn starts its groups anew, all turns together; in a *row* of statements a group starts as soon as
what it needs is there, and nothing is left that it must not pass.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Final

from langgraph_parallel.inference.code.source import Source, find_source
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.lowering.bodies.groups import Group, Grouping
from langgraph_parallel.lowering.bodies.knowledge import filling_in, hidden_in
from langgraph_parallel.lowering.bodies.loops import Loops
from langgraph_parallel.lowering.bodies.names import own_nodes, yields
from langgraph_parallel.lowering.bodies.rows import Rows
from langgraph_parallel.lowering.bodies.sites import Held, Site, find_sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is started ahead in one function."""

    function: FunctionType
    source: Source
    sites: tuple[Site, ...] = ()
    groups: tuple[Group, ...] = ()
    held: tuple[Held, ...] = ()
    """Calls that keep their place, and why."""
    follows: frozenset[ast.Call] = frozenset()
    """Calls of functions that may have groups of their own."""


_UNREWRITABLE: Final = frozenset(
    {"locals", "vars", "dir", "eval", "exec", "globals", "super", "__class__", "breakpoint"}
)
"""Names by which a function may see its own variables, or how it was compiled."""


def lay_out(function: FunctionType, watch: Watch) -> Layout:
    """Return which calls of a function are started ahead, and why not others."""
    source = find_source(function)
    if source is None:
        lost = Held(text=function.__name__, line=0, reason="its source code is not available")
        nowhere = Source(_NOTHING, function.__code__.co_filename)
        return Layout(function=function, source=nowhere, held=(lost,))
    hidden = hidden_in(source, watch)
    sites, held = find_sites(source, watch, hidden, filling_in(watch))
    why = _unrewritable(source) if sites else ""
    if why or not sites:
        return Layout(
            function=function,
            source=source,
            sites=sites,
            held=(*held, *(_hold(site, why) for site in sites)),
            follows=_followed(source, watch, frozenset()) if not why else frozenset(),
        )
    grouping = Grouping(source, watch, sites, function)
    assert isinstance(source.node, (ast.FunctionDef, ast.AsyncFunctionDef))
    Loops(grouping).find(source.node.body)
    Rows(grouping).find(source.node.body)
    return Layout(
        function=function,
        source=source,
        sites=sites,
        groups=tuple(grouping.groups),
        held=(*held, *grouping.held()),
        follows=_followed(
            source, watch, frozenset(s.call for g in grouping.groups for s in g.sites)
        ),
    )


_NOTHING: Final = ast.Lambda(
    ast.arguments([], [], None, [], [], None, []), ast.Constant(None), lineno=0, col_offset=0
)


def _hold(site: Site, reason: str) -> Held:
    return Held(text=site.text, line=site.line, reason=reason)


def _unrewritable(source: Source) -> str:
    """Return why a function stays as it is, or nothing."""
    node = source.node
    if isinstance(node, ast.Lambda):
        return "a lambda is one expression"
    if any(map(yields, node.body)):
        return "its function is a generator, which runs as it is asked"
    if getattr(node, "type_params", None):
        return "its function has type parameters"
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in _UNREWRITABLE:
            return f"its function uses {part.id}"
        name = getattr(part, "attr", None) or getattr(part, "id", "")
        if isinstance(name, str) and name.startswith("__") and not name.endswith("__"):
            return f"{name} is a private name of its class"
        if isinstance(name, str) and name in ("_getframe", "currentframe"):
            return "its function looks at its own frame"
    return ""


def _followed(source: Source, watch: Watch, sites: frozenset[ast.Call]) -> frozenset[ast.Call]:
    """Return the calls that keep their place and run functions which reach the world."""
    body = source.node.body
    parts: Sequence[ast.AST] = [body] if isinstance(body, ast.expr) else body
    names = {function.__name__ for function in watch.followed.values()}
    return frozenset(
        node
        for part in parts
        for node in own_nodes(part)
        if isinstance(node, ast.Call) and node not in sites
        if isinstance(node.func, (ast.Name, ast.Attribute))
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in names
        if node in watch.parts and watch.parts[node].external
    )
