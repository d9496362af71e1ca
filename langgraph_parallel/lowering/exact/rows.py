"""From a graph to its foreseeable runs: which nodes follow, superstep by superstep, until a router.

    START -> a -> {b, c};  b -> d;  [c, d] -> e -?-> f, g

    from START:  a | b c | d | e        from f:  f        from g:  g

Rows hold the nodes of one superstep each. They are a forecast for starting nodes early, not a
claim: what is committed is checked when the superstep comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from langgraph_parallel.effects import ALL
from langgraph_parallel.locations import ordered_places
from langgraph_parallel.reading.model import END, START
from langgraph_parallel.reading.regions import GraphView

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The rows from one place where a run can start or be routed to."""

    rows: Rows
    choices: frozenset[str]
    """The nodes that the routers at its end choose one from; empty when there are no routers, or
    when they may choose any node or several."""
    is_alone: bool
    """Whether no other branch of the graph can run beside it."""
    is_sent: bool
    """Whether only routers that may `Send` lead to its first row."""


def forecast(view: GraphView) -> Iterator[Forecast]:
    """Yield the rows from every place where a run can start or be routed to."""
    ways = _Ways(view)
    for entry in ways.entries():
        rows = ways.rows(entry)
        yield Forecast(
            rows=rows,
            choices=ways.choices,
            is_alone=ways.is_alone(entry),
            is_sent=ways.is_sent(entry),
        )


class _Ways:
    """The edges of a graph, by where they start."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._nodes = view.graph.nodes
        self._plain: dict[str, list[str]] = {}
        for source, target in view.graph.edges:
            self._plain.setdefault(source, []).append(target)
        self._joins: dict[str, list[tuple[frozenset[str], str]]] = {}
        for sources, target in view.graph.joins:
            for source in sources:
                self._joins.setdefault(source, []).append((frozenset(sources), target))
        self._targets = {
            name: found for name in (START, *self._nodes) if (found := self._routes(name))
        }
        self.choices: frozenset[str] = frozenset()

    def _routes(self, name: str) -> frozenset[str]:
        """Return where routers at a node may go."""
        found: set[str] = set()
        for route in self._view.routes.get(name, ()):
            found |= set(self._nodes) if route.targets is ALL else route.targets
        known = self._view.effects.get(name)
        if known is not None and known.control & {"goto", "send"}:
            found |= set(self._nodes) if known.goto is ALL else known.goto
        return frozenset(found)

    def entries(self) -> Iterator[frozenset[str]]:
        """Yield the sets of nodes with which a foreseeable run may begin."""
        first = frozenset(self._plain.get(START, ())) - {END}
        if first:
            yield first
        routed = set().union(*self._targets.values()) if self._targets else set()
        for name in self._nodes:
            if name in routed and {name} != first:
                yield frozenset({name})

    def is_sent(self, entry: frozenset[str]) -> bool:
        """Tell whether every way to an entry is by a router that may `Send`."""
        if entry <= set(self._plain.get(START, ())):
            return False
        for name in self._targets:
            for route in self._view.routes.get(name, ()):
                if route.is_single and (route.targets is ALL or entry & route.targets):
                    return False
            known = self._view.effects.get(name)
            if known is None or "goto" not in known.control or "send" in known.control:
                continue
            if known.goto is ALL or entry & known.goto:
                return False
        return True

    def is_alone(self, entry: frozenset[str]) -> bool:
        """Tell whether nothing but the start of a run leads to an entry, and nowhere else."""
        led_to = set().union(*self._targets.values()) if self._targets else set()
        for source, targets in self._plain.items():
            led_to |= set(targets) if source != START else set()
        led_to |= {target for joins in self._joins.values() for _, target in joins}
        return START not in self._targets and not entry & led_to

    def rows(self, entry: Iterable[str]) -> Rows:
        """Return the rows from an entry to the first router, loop or end."""
        rows: list[tuple[str, ...]] = []
        seen: set[str] = set()
        waiting: dict[tuple[frozenset[str], str], set[str]] = {}
        row = self._known(entry)
        self.choices = frozenset()
        while row and not seen & row:
            rows.append(tuple(sorted(row)))
            seen |= row
            routers = [name for name in row if name in self._targets]
            if routers:
                every = set().union(*(self._targets[name] for name in routers))
                if len(every) < len(self._nodes) and self._are_plain(routers):
                    self.choices = self._known(every)
                break
            row = self._next(row, waiting)
        return tuple(rows)

    def _are_plain(self, routers: Iterable[str]) -> bool:
        """Tell whether the functions of these conditional edges do nothing but choose one."""
        for name in routers:
            for route in self._view.routes.get(name, ()):
                found = route.effects
                if (
                    not route.is_single
                    or not found.certain
                    or found.mutates
                    or ordered_places(found.changes)
                ):
                    return False
                if found.external - {"model", "read"}:
                    return False
        return True

    def _known(self, names: Iterable[str]) -> frozenset[str]:
        nodes = self._nodes
        return frozenset(name for name in names if name in nodes and not nodes[name].is_deferred)

    def _next(
        self, row: frozenset[str], waiting: dict[tuple[frozenset[str], str], set[str]]
    ) -> frozenset[str]:
        following: set[str] = set()
        for name in row:
            following.update(self._plain.get(name, ()))
            for join in self._joins.get(name, ()):
                arrived = waiting.setdefault(join, set())
                arrived.add(name)
                if arrived == join[0]:
                    following.add(join[1])
                    del waiting[join]
        return self._known(following)
