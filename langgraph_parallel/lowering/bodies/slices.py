"""From the statements of a block to the part of them that leads to some calls.

The slice of a call is what its arguments are made of, and whatever decides whether it is made.
Only statements without any effect but such calls may be in it; of the others, the names that they
bind or may change are *lost*: nobody ahead knows what they hold.

    docs = state["docs"]                  kept
    prompt = f"..."                       kept
    print(prompt)                         left out
    answer = llm.invoke(prompt)           kept: the call itself
    out.append(answer)                    left out; `out` is lost
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from langgraph_parallel.effects import ALL, External
from langgraph_parallel.inference.machine.watch import PLACE, Part
from langgraph_parallel.locations import meeting
from langgraph_parallel.lowering.bodies.kept import FILLING, JUMPS, Block, Kept
from langgraph_parallel.lowering.bodies.knowledge import Knowledge
from langgraph_parallel.lowering.bodies.names import (
    COMPREHENSIONS,
    blocks_of,
    loads,
    own_nodes,
    stores,
)
from langgraph_parallel.lowering.bodies.sites import Site

_FRESH: Final = (ast.List, ast.Dict, ast.Set, ast.JoinedStr, ast.Constant, *COMPREHENSIONS)
"""Expressions that make an object which nobody else has."""


class _CutError(Exception):
    """Ends a slice: nobody ahead can tell how it goes on."""


@dataclass(slots=True, eq=False)
class Slicer:
    """Takes statements into slices."""

    known: Knowledge
    _fresh: set[str] = field(default_factory=set)
    """Names that hold an object made in the slice itself."""

    def slice(self, body: Sequence[ast.stmt], lost: set[str]) -> Block:
        """Return what can be run ahead of a block, and add to the names that are lost after it."""
        kept: Block = []
        lost |= self.known.hidden
        for statement in body:
            before = set(lost)
            try:
                found = self._take(statement, lost)
            except _CutError:
                kept.extend(self.calls_in(statement, before))
                self._lose(statement, lost)
                break
            if found is not None:
                kept.append(found)
            else:
                kept.extend(self.calls_in(statement, before))
        return kept

    def calls_in(self, statement: ast.stmt, lost: Collection[str]) -> Block:
        """Return the calls that a statement certainly makes, where nothing else of it is kept."""
        heads = _heads(statement)
        parts = [n for head in heads for n in _certain(head)]
        found = [self.known.sites[n] for n in parts if n in self.known.sites]
        outer = [s for s in found if not any(s.call in _inside(other.call) for other in found)]
        kept = []
        for site in outer:
            if loads(site.call).isdisjoint(lost) and self._is_apart(statement, heads, site):
                value = site.awaited or site.call
                kept.append(Kept(ast.copy_location(ast.Expr(value), statement)))
        return kept

    def _is_apart(self, statement: ast.stmt, heads: list[ast.expr], site: Site) -> bool:
        """Tell whether all effects of a statement come from something beside one call in it."""
        whole = self.known.watch.parts.get(statement)
        if whole is None or whole.does(PLACE) or meeting(self.known.changes, whole.looks_at):
            return False
        own = set(own_nodes(site.call))
        others = [n for head in heads for n in own_nodes(head) if n not in own]
        beside = Part()
        for node in (*others, *_targets(statement), *_blocks(statement)):
            beside.add(self.known.watch.parts.get(node, Part()))
        inner = [*self.sites_in(site.call)]
        for one in inner:
            beside.add(one.part)
        is_calm = all(
            isinstance(n, ast.Call) is False or n in self.known.sites or self._is_calm(n, n)
            for n in own
        )
        mutates = beside.mutates is ALL or (
            whole.mutates is not ALL and whole.mutates <= beside.mutates
        )
        return (
            is_calm
            and mutates
            and whole.external <= beside.external
            and whole.changes <= beside.changes
        )

    def can_run(self, part: ast.expr, lost: Collection[str]) -> bool:
        """Tell whether an expression may be evaluated ahead."""
        if not loads(part).isdisjoint({*lost, *self.known.hidden}):
            return False
        return self._is_calm(part, part) and self.known.dirtied(part) <= self._fresh

    def sites_in(self, part: ast.AST) -> list[Site]:
        """Return the calls that may start early in a part."""
        return [self.known.sites[n] for n in own_nodes(part) if n in self.known.sites]

    # -- one statement -----------------------------------------------------------------------------

    def _take(self, statement: ast.stmt, lost: set[str]) -> Kept | None:
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
            return self._simple(statement, lost)
        if isinstance(statement, ast.If):
            return self._if(statement, lost)
        if isinstance(statement, ast.For):
            return self._for(statement, lost)
        if isinstance(statement, ast.Try):
            return self._try(statement, lost)
        if isinstance(statement, ast.Return):
            return self._return(statement, lost)
        if isinstance(statement, (ast.Continue, ast.Break)):
            return Kept(statement)
        if isinstance(statement, (ast.Pass, ast.Assert)):
            return None
        if _may_jump(statement):
            raise _CutError
        self._lose(statement, lost)
        return None

    def _lose(self, statement: ast.AST, lost: set[str]) -> None:
        names = stores(statement) | self.known.dirtied(statement)
        self._fresh -= names
        lost |= names

    def _simple(
        self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr, lost: set[str]
    ) -> Kept | None:
        names = stores(statement)
        reads = loads(statement)
        if isinstance(statement, ast.AugAssign):
            reads |= names
        if not reads.isdisjoint(lost) or not self._is_calm(statement, statement):
            self._lose(statement, lost)
            return None
        if not self._keeps_to_itself(statement):
            self._lose(statement, lost)
            return None
        lost -= names - self.known.hidden
        value = statement.value
        if isinstance(statement, ast.Assign) and isinstance(value, _FRESH):
            self._fresh |= names
        elif not isinstance(statement, ast.AugAssign):
            self._fresh -= names
        return Kept(statement)

    def _keeps_to_itself(self, statement: ast.stmt) -> bool:
        """Tell whether a statement changes nothing in place but what the slice has made."""
        changed = self.known.dirtied(statement)
        if isinstance(statement, ast.Expr) and not self.sites_in(statement):
            return changed <= self._fresh and self._fills_own(statement)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        parts = [part for target in targets for part in ast.walk(target)]
        return changed <= self._fresh and not any(isinstance(n, ast.Attribute) for n in parts)

    def _fills_own(self, statement: ast.Expr) -> bool:
        call = statement.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return False
        base = call.func.value
        is_own = isinstance(base, ast.Name) and base.id in self._fresh
        return is_own and call.func.attr in FILLING

    def _is_calm(self, part: ast.AST, noted: ast.AST) -> bool:
        """Tell whether a part does nothing that anybody could see, but for calls that may start."""
        found = self.known.watch.parts.get(noted)
        if found is None:
            if any(isinstance(n, ast.Call) for n in own_nodes(part)):
                return False
            found = Part()
        if found.does(PLACE) or any(map(_is_apart_from_calls, own_nodes(part))):
            return False
        sites = self.sites_in(part)
        awaits = {id(site.awaited) for site in sites}
        if any(isinstance(n, ast.Await) and id(n) not in awaits for n in own_nodes(part)):
            return False
        allowed: set[External] = set().union(*(site.part.external for site in sites))
        changes = set().union(*(site.part.changes for site in sites))
        quiet = found.external <= allowed and found.changes <= changes
        quiet = quiet and not meeting(self.known.changes, found.looks_at)
        return quiet and not found.mutates and found.control <= {"raise"}

    # -- compound statements -----------------------------------------------------------------------

    def _if(self, statement: ast.If, lost: set[str]) -> Kept | None:
        if not self.can_run(statement.test, lost):
            self._leave_out(statement, lost)
            return None
        other = set(lost)
        fresh = set(self._fresh)
        body = self.slice(statement.body, lost)
        self._fresh, fresh = fresh, self._fresh
        orelse = self.slice(statement.orelse, other)
        self._fresh &= fresh
        lost |= other
        kept = Kept(statement, {"body": body, "orelse": orelse})
        return kept if body or orelse or self.sites_in(statement.test) else None

    def _leave_out(self, statement: ast.stmt, lost: set[str]) -> None:
        if _may_jump(statement):
            raise _CutError
        self._lose(statement, lost)

    def _for(self, statement: ast.For, lost: set[str]) -> Kept | None:
        names = stores(statement.target)
        if statement.orelse or not self.can_run(statement.iter, lost):
            self._leave_out(statement, lost)
            return None
        while True:
            inside = lost - names
            body = self.slice(statement.body, inside)
            # What a turn leaves out, the next one does not know either.
            carried = inside - lost - names
            if not carried:
                break
            lost |= carried
        if _jumps_unseen(statement.body, body):
            self._leave_out(statement, lost)
            return None
        lost |= names  # what the last turn has left in them is not followed
        return Kept(statement, {"body": body}) if body else None

    def _try(self, statement: ast.Try, lost: set[str]) -> Kept | None:
        body = self.slice([*statement.body, *statement.orelse, *statement.finalbody], lost)
        for handler in statement.handlers:
            names = stores(handler) | self.known.dirtied(handler)
            lost |= names
        return Kept(statement, {"body": body}, inline=True) if body else None

    def _return(self, statement: ast.Return, lost: set[str]) -> Kept | None:
        value = statement.value
        if value is not None and self.sites_in(value) and self.can_run(value, lost):
            return Kept(statement)
        return Kept(ast.copy_location(ast.Return(), statement))


def _is_apart_from_calls(node: ast.AST) -> bool:
    """Tell whether a part hands values out, or waits for what is no call."""
    return isinstance(node, (ast.Yield, ast.YieldFrom)) or (
        isinstance(node, ast.comprehension) and bool(node.is_async)
    )


def _heads(statement: ast.stmt) -> list[ast.expr]:
    """Return what a statement evaluates before any block of it."""
    if isinstance(statement, (ast.If, ast.While)):
        return [statement.test] if isinstance(statement, ast.If) else []
    found: list[ast.expr] = []
    for name in ("value", "iter", "exc", "test"):
        part = getattr(statement, name, None)
        if isinstance(part, ast.expr):
            found.append(part)
    return found


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, (ast.AnnAssign, ast.For)) else []


def _blocks(statement: ast.stmt) -> list[ast.stmt]:
    return [part for block in blocks_of(statement) for part in block]


def _certain(part: ast.AST) -> Iterator[ast.AST]:
    """Yield what is evaluated whenever a part is."""
    yield part
    if isinstance(part, (ast.Lambda, *COMPREHENSIONS)):
        return
    children: Iterable[ast.AST] = ast.iter_child_nodes(part)
    if isinstance(part, ast.IfExp):
        children = [part.test]
    elif isinstance(part, ast.BoolOp):
        children = part.values[:1]
    elif isinstance(part, ast.Compare):
        children = [part.left, part.comparators[0]]
    for child in children:
        yield from _certain(child)


def _inside(call: ast.Call) -> set[ast.AST]:
    return set(own_nodes(call)) - {call}


def _may_jump(statement: ast.AST) -> bool:
    """Tell whether a statement holds a jump out of the block that it stands in."""
    return any(isinstance(n, (*JUMPS, ast.Raise)) for n in own_nodes(statement))


def _jumps_unseen(body: Sequence[ast.stmt], kept: Block) -> bool:
    """Tell whether a body has jumps that are not kept."""
    return _count(body) != sum(map(_kept_jumps, kept))


def _count(body: Sequence[ast.stmt]) -> int:
    return sum(isinstance(n, (*JUMPS, ast.Raise)) for part in body for n in own_nodes(part))


def _kept_jumps(kept: Kept) -> int:
    inner = sum(_kept_jumps(part) for block in kept.blocks.values() for part in block)
    return inner + isinstance(kept.statement, JUMPS)
