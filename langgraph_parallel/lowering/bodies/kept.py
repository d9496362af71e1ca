"""Statements of a slice, and what some calls need of them."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from langgraph_parallel.lowering.bodies.names import loads, own_nodes, stores
from langgraph_parallel.lowering.bodies.sites import Site

FILLING: Final = frozenset({"append", "extend", "insert", "update", "add", "setdefault"})
"""Methods that put something into a container."""


@dataclass(slots=True, eq=False)
class Kept:
    """A statement of a slice, with what is kept of its blocks."""

    statement: ast.stmt
    blocks: dict[str, list[Kept]] = field(default_factory=dict)
    """By field of the statement; of a `try` whose handlers are not kept, only its body."""
    inline: bool = False
    """Whether only what is in its blocks is kept: a `try` without its handlers."""


JUMPS: Final = (ast.Continue, ast.Break, ast.Return)
Block: TypeAlias = list[Kept]


def needed_for(block: Block, chosen: Collection[Site]) -> tuple[Block, set[str]]:
    """Return what some calls need of a slice, and the names that must be known before it."""
    return _needed(block, {site.call for site in chosen}, set(), follows=False)


def _needed(
    block: Block, wanted: set[ast.Call], needs: set[str], *, follows: bool
) -> tuple[Block, set[str]]:
    """Return what is needed of a block.

    Args:
        block: What can be run ahead of it.
        wanted: The calls.
        needs: Names that are needed after it.
        follows: Whether something is kept that comes after it, which its jumps may skip.
    """
    kept: Block = []
    needs = set(needs)
    for part in reversed(block):
        found = _needed_part(part, wanted, needs, follows=follows or bool(kept))
        if found is not None:
            kept.insert(0, found)
    return kept, needs


def _needed_part(
    part: Kept, wanted: set[ast.Call], needs: set[str], *, follows: bool
) -> Kept | None:
    """Return what is needed of a statement, and change the needs to those before it."""
    statement = part.statement
    if part.blocks:
        return _needed_blocks(part, wanted, needs, follows=follows)
    has_site = any(n in wanted for n in own_nodes(statement))
    if isinstance(statement, JUMPS):
        if has_site:
            needs |= loads(statement)
        return part if follows or has_site else None
    binds = stores(statement)
    if not has_site and needs.isdisjoint(binds | _filled(statement)):
        return None
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        needs -= binds
    needs |= loads(statement) | (binds if isinstance(statement, ast.AugAssign) else frozenset())
    return part


def _filled(statement: ast.stmt) -> frozenset[str]:
    """Return the names whose objects a kept statement fills, which the slice itself has made."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        base, fills = call.func.value, call.func.attr in FILLING
        return frozenset({base.id}) if fills and isinstance(base, ast.Name) else frozenset()
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return frozenset(
        part.value.id
        for target in targets
        for part in ast.walk(target)
        if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name)
    )


def _needed_blocks(
    part: Kept, wanted: set[ast.Call], needs: set[str], *, follows: bool
) -> Kept | None:
    statement = part.statement
    if part.inline:
        body, found = _needed(part.blocks["body"], wanted, needs, follows=follows)
        needs |= found
        return Kept(statement, {"body": body}, inline=True) if body else None
    assert isinstance(statement, (ast.For, ast.If))
    loops = isinstance(statement, ast.For)
    blocks, before = {}, set(needs)
    for name, block in part.blocks.items():
        after = set(needs)
        while True:
            kept, found = _needed(block, wanted, after, follows=follows or loops)
            if not loops or found <= after:
                break
            after |= found  # the next turn needs what this one leaves
        blocks[name] = kept
        before |= found
    head = statement.iter if isinstance(statement, ast.For) else statement.test
    if not any(blocks.values()) and not any(n in wanted for n in own_nodes(head)):
        return None
    if isinstance(statement, ast.For):
        before -= stores(statement.target)
    needs |= before | loads(head)
    return Kept(statement, blocks)


def holds(block: Block, site: Site) -> bool:
    """Tell whether a call is made in a block of a slice."""
    return any(
        site.call in own_nodes(part.statement)
        if not part.blocks
        else site.call in own_nodes(_head(part))
        or any(holds(b, site) for b in part.blocks.values())
        for part in block
    )


def _head(part: Kept) -> ast.AST:
    """Return what a compound statement evaluates before its blocks."""
    if part.inline:
        return ast.Pass()
    statement = part.statement
    return statement.iter if isinstance(statement, ast.For) else statement.test  # type: ignore[attr-defined]
