"""From what was seen of a function, and of those it calls, to forms that start calls ahead."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FunctionType

from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.lowering.bodies.ahead import Ahead
from langgraph_parallel.lowering.bodies.body import DEFAULT_CALLS, Body, GroupCode
from langgraph_parallel.lowering.bodies.groups import Group
from langgraph_parallel.lowering.bodies.kept import Block
from langgraph_parallel.lowering.bodies.layout import Layout, lay_out
from langgraph_parallel.lowering.bodies.names import own_nodes
from langgraph_parallel.lowering.bodies.rewrite import rewrite
from langgraph_parallel.lowering.bodies.seen import see
from langgraph_parallel.report.bodies import BodyRuntime


@dataclass(slots=True, kw_only=True)
class Built:
    """The functions that were rewritten for one of them, which is called from outside."""

    layouts: tuple[Layout, ...] = ()
    """Of every function that was looked at: the one itself first, then those that it calls."""
    inner: dict[FunctionType, FunctionType] = field(default_factory=dict)
    """By original, the new forms."""
    runtimes: dict[FunctionType, BodyRuntime] = field(default_factory=dict)
    """By original, what was run ahead so far."""


def build(
    function: FunctionType, watch: Watch, *, most: int = DEFAULT_CALLS, live: bool = False
) -> Built:
    """Return the new forms of a function and of those that it calls.

    Args:
        function: The function.
        watch: What was seen of it.
        most: Calls of one run of a function that are made at a time (>= 1).
        live: Let streams see what is done ahead at once.
    """
    others = [one for one in watch.followed.values() if one is not function]
    layouts = tuple(lay_out(one, watch) for one in (function, *others))
    built = Built(layouts=layouts)
    if not any(layout.groups for layout in layouts):
        return built
    reaching = _reaching(layouts)
    seen = see(watch.followed.values(), watch)
    for layout in layouts:
        if layout.function not in reaching:
            continue
        body = Body(inner=built.inner, most=most, live=live, seen=seen)
        try:
            made = rewrite(layout, functools.partial(Ahead, body))
        except SyntaxError:  # what stands in a coroutine need not stand elsewhere
            continue
        body.groups = tuple(
            _code(layout, group, run) for group, run in zip(layout.groups, made.slices, strict=True)
        )
        built.inner[layout.function] = made.function
        built.runtimes[layout.function] = body.runtime
    return built


def _reaching(layouts: tuple[Layout, ...]) -> set[FunctionType]:
    """Return the functions that start something, or call one that may."""
    found = {layout.function for layout in layouts if layout.groups}
    while True:
        names = {function.__name__ for function in found}
        more = {
            layout.function
            for layout in layouts
            if any(_called(call) in names for call in layout.follows)
        }
        if more <= found:
            return found
        found |= more


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _code(layout: Layout, group: Group, run: FunctionType) -> GroupCode:
    is_loop = group.kind == "loop"
    homes = [other.number for other in layout.groups if other.home is group.home]
    parts = list(_statements(group.block))
    return GroupCode(
        run=run,
        sites=tuple(site.number for site in group.sites),
        home=homes[0] if is_loop else group.number,
        is_loop=is_loop,
        is_async=any(site.awaited for site in group.sites),
        needs=group.needs,
        steps=group.steps,
        keys={name: keys for name in group.needs if (keys := _keys_of(name, parts)) is not None},
        repeats=any(isinstance(n, (ast.For, *_COMPS)) for part in parts for n in own_nodes(part)),
    )


_COMPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _statements(block: Block) -> Iterator[ast.AST]:
    """Yield what of a slice is evaluated."""
    for part in block:
        statement = part.statement
        if not part.blocks:
            yield statement
        elif not part.inline:
            yield statement.iter if isinstance(statement, ast.For) else statement.test  # type: ignore[attr-defined]
            if isinstance(statement, ast.For):
                yield ast.For(statement.target, statement.iter, [], [])
        for inner in part.blocks.values():
            yield from _statements(inner)


def _keys_of(name: str, parts: list[ast.AST]) -> frozenset[str] | None:
    """Return the keys by which items of a variable are looked at, if nothing else of it is."""
    keys: set[str] = set()
    uses = 0
    for part in parts:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id == name:
                uses += 1
            key = _key_of(name, node)
            if key is not None:
                keys.add(key)
                uses -= 1
    return frozenset(keys) if keys and not uses else None


def _key_of(name: str, node: ast.AST) -> str | None:
    """Return the key of `name["key"]` or `name.get("key", ...)`; None for anything else."""
    index: ast.AST | None = None
    base: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        base, index = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        base, index = (node.func.value, node.args[0]) if node.func.attr == "get" else (None, None)
    is_own = isinstance(base, ast.Name) and base.id == name
    if is_own and isinstance(index, ast.Constant) and isinstance(index.value, str):
        return index.value
    return None
