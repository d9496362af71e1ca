"""Rows of statements in which calls start before those in front of them have ended."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from langgraph_parallel.locations import meeting, ordered_places
from langgraph_parallel.lowering.bodies.groups import Group, Grouping
from langgraph_parallel.lowering.bodies.kept import Block, holds, needed_for
from langgraph_parallel.lowering.bodies.names import blocks_of, leaving, own_nodes, stores
from langgraph_parallel.lowering.bodies.sites import Site, fence_of, met
from langgraph_parallel.lowering.bodies.slices import Slicer


class Rows:
    """Finds the calls of a function that can start before their turn comes."""

    def __init__(self, grouping: Grouping) -> None:
        self._all = grouping

    def find(self, body: Sequence[ast.stmt]) -> None:
        """Find the groups of a block and of the blocks in it."""
        self._row(body)
        for statement in body:
            for inner in blocks_of(statement):
                self.find(inner)

    def _row(self, body: Sequence[ast.stmt]) -> None:
        """Let calls of a block start before those in front of them have ended."""
        hosts = [(i, site) for i, part in enumerate(body) for site in self._all.open_sites(part)]
        if sum(self._reaches(part) for part in body) < 2 and len(hosts) < 2:
            return
        found: list[tuple[int, int, tuple[Site, ...], Block, set[str]]] = []
        for index, site in hosts:
            if any(site in chosen for _, _, chosen, _, _ in found):
                continue
            taken = {s for _, _, chosen, _, _ in found if len(chosen) > 1 for s in chosen}
            taken |= self._all.covered
            start, block, needs = self._walk_back(body, index, site, taken)
            joined = [
                chosen for _, _, chosen, _, _ in found if any(holds(block, s) for s in chosen)
            ]
            if len(joined) > 1:
                # What brings several answers together starts when they are there.
                apart = taken.union(*joined)
                start, block, needs = self._walk_back(body, index, site, apart)
            if block:
                chosen = tuple(s for s in self._all.sites if holds(block, s))
                found = [entry for entry in found if not set(entry[2]) <= set(chosen)]
                found.append((start, index, chosen, block, needs))
        for start, index, chosen, block, needs in found:
            if not self._overlaps(body[start : index + 1], chosen):
                first, *rest = chosen
                default = "nothing that is waited for stands in front of it"
                self._all.note([first], default)
                self._all.note(rest, f"it needs the answer of line {first.line}")
                continue
            group = Group(
                number=len(self._all.groups),
                sites=chosen,
                block=block,
                needs=frozenset(needs) & self._all.variables,
                kind="row",
                home=body[start],
            )
            self._all.add(group)

    def _reaches(self, part: ast.AST) -> bool:
        found = self._all.watch.parts.get(part)
        return found is not None and bool(found.external)

    def _overlaps(self, body: Sequence[ast.stmt], chosen: Sequence[Site]) -> bool:
        """Tell whether a call of another group runs in some statements."""
        own = {site.call for site in chosen}
        return any(
            isinstance(node, ast.Call) and node not in own and self._reaches(node)
            for part in body
            for node in own_nodes(part)
            if not any(node is not call and node in own_nodes(call) for call in own)
        )

    def _walk_back(
        self, body: Sequence[ast.stmt], index: int, site: Site, taken: set[Site]
    ) -> tuple[int, Block, set[str]]:
        """Return where a call of a block may start, the slice from there on, and what it needs.

        Args:
            body: The block.
            index: The statement that the call stands in.
            site: The call.
            taken: Calls whose groups take no more: what needs them starts after them.
        """
        why = fence_of(body[index], self._all.watch)
        if why:
            self._all.note([site], f"a call must not pass line {body[index].lineno}: {why}")
            return index, [], set()
        slicer = self._all.slicer()
        block = self._lone(slicer, body[index], site, set())
        whole, needs = needed_for(block, [site])
        if any(holds(whole, other) for other in taken):
            self._all.note([site], "it needs the answer of a call that starts on its own")
            return index, [], set()
        if not holds(whole, site) or met(self._all.watch.parts.get(body[index]), site):
            self._all.note([site], "what decides on it, or is in its arguments, has effects")
            return index, [], set()
        start = index
        while start > 0:
            before = body[start - 1]
            why = self._why_not_past(before, site)
            if why:
                self._all.note([site], why)
                break
            if self._changes_for(before, whole):
                self._all.note([site], f"line {before.lineno} changes what its arguments look at")
                break
            touched = stores(before) | self._all.known.dirtied(before)
            if touched & needs:
                again, lost = self._all.slicer(), set[str]()
                more = again.slice(list(body[start - 1 : index]), lost)
                more += self._lone(again, body[index], site, lost)
                longer, wider = needed_for(more, [site])
                held = holds(longer, site) and _starts_with(longer, before)
                if not held or any(holds(longer, other) for other in taken):
                    self._all.note([site], f"it needs what line {before.lineno} does first")
                    break
                whole, needs = longer, wider
            start -= 1
        return start, whole, needs

    def _changes_for(self, statement: ast.stmt, block: Block) -> bool:
        """Tell whether a statement changes a place that a slice looks at."""
        found = self._all.watch.parts.get(statement)
        own = [self._all.watch.parts.get(part.statement) for part in block]
        hosts = [self._all.watch.parts.get(n) for part in block for n in own_nodes(part.statement)]
        looks = {place for part in (*own, *hosts) if part is not None for place in part.looks_at}
        return found is not None and bool(meeting(ordered_places(found.changes), looks))

    def _lone(self, slicer: Slicer, statement: ast.stmt, site: Site, lost: set[str]) -> Block:
        """Return a call without what else its statement does; all of that where it needs it."""
        alone = [part for part in slicer.calls_in(statement, lost) if holds([part], site)]
        return alone or slicer.slice([statement], lost)

    def _why_not_past(self, statement: ast.stmt, site: Site) -> str:
        jump = leaving(statement)
        if jump is not None:
            return f"line {jump.lineno} may {type(jump).__name__.lower()} before it"
        why = fence_of(statement, self._all.watch)
        if why:
            return f"it must not pass line {statement.lineno}: {why}"
        places = met(self._all.watch.parts.get(statement), site)
        return f"line {statement.lineno} changes {places[0]}" if places else ""


def _starts_with(block: Block, statement: ast.stmt) -> bool:
    return any(part.statement is statement for part in block)
