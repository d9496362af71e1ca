"""Groups of calls that start ahead, and those that are being found in one function."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, Literal, TypeAlias

from langgraph_parallel.inference.code.scopes import scope_of
from langgraph_parallel.inference.code.source import Source
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.locations import ordered_places
from langgraph_parallel.lowering.bodies.kept import Block
from langgraph_parallel.lowering.bodies.knowledge import know
from langgraph_parallel.lowering.bodies.names import own_nodes
from langgraph_parallel.lowering.bodies.sites import Held, Site
from langgraph_parallel.lowering.bodies.slices import Slicer

Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp
Loop: TypeAlias = ast.For | Comprehension


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Calls that are run ahead in one thread or task, and the slice that leads to them."""

    number: int
    sites: tuple[Site, ...]
    block: Block
    needs: frozenset[str]
    """Variables that it is handed, as they are when it starts."""
    kind: Literal["loop", "row"]
    home: Loop | ast.stmt
    """The loop whose turns start it; or the statement in front of which it starts."""
    steps: dict[str, int] = field(default_factory=dict)
    """Of a loop, counters among the needs, and by how much each turn raises them."""


class Grouping:
    """The groups of one function, as found so far."""

    def __init__(
        self, source: Source, watch: Watch, sites: tuple[Site, ...], function: FunctionType
    ) -> None:
        self.watch, self.sites = watch, sites
        self.groups: list[Group] = []
        self.covered: set[Site] = set()
        """Calls that are in some group."""
        self._why: dict[Site, str] = {}
        self._by_call: dict[Any, Site] = {site.call: site for site in sites}
        self.variables = scope_of(source.node).assigned
        self.known = know(source, watch, function, self._by_call)

    def held(self) -> Iterable[Held]:
        """Yield the calls that are in no group, and why."""
        for site in self.sites:
            if site not in self.covered:
                why = self._why.get(site, "nothing else is there to run beside it")
                yield Held(text=site.text, line=site.line, reason=why)

    def slicer(self, beside: Iterable[ast.AST] = ()) -> Slicer:
        """Return a slicer for what runs ahead beside some statements."""
        parts = (self.watch.parts.get(part) for part in beside)
        changes = frozenset(place for part in parts if part is not None for place in part.changes)
        return Slicer(replace(self.known, changes=ordered_places(changes)))

    def open_sites(self, part: ast.AST) -> list[Site]:
        """Return the calls of a part that are in no group yet."""
        return [
            self._by_call[n]
            for n in own_nodes(part)
            if n in self._by_call and self._by_call[n] not in self.covered
        ]

    def add(self, group: Group) -> None:
        """Add a group, if one thread or task can make all of its calls."""
        if len({site.awaited is None for site in group.sites}) > 1:
            # Whoever blocks on a task keeps it from ever coming to its end.
            self.note(group.sites, "it needs calls that block and others that are awaited")
            return
        self.groups.append(group)
        self.covered.update(group.sites)

    def note(self, sites: Iterable[Site], why: str) -> None:
        """Keep the first reason why calls could not be put into a group."""
        for site in sites:
            self._why.setdefault(site, why)
