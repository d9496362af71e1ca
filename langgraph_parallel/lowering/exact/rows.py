"""From a graph to its foreseeable runs: which nodes follow, superstep by superstep, until a router.

    START -> a -> {b, c};  b -> d;  [c, d] -> e -?-> f, g

    from START:  a | b c | d | e        from f:  f        from g:  g

Rows hold the nodes of one superstep each. They are a forecast for starting nodes early, not a
claim: what is committed is checked when the superstep comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langgraph.graph import END, START, StateGraph

from langgraph_parallel.effects import ALL, Effects
from langgraph_parallel.inference.infer import router_effects
from langgraph_parallel.reading.nodes import branch_shape, branch_targets

Rows = tuple[tuple[str, ...], ...]


def forecast(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> Iterator[tuple[Rows, frozenset[str], bool]]:
    """Yield the rows from every place where a run can start or be routed to.

    Each comes with the nodes that the routers at its end may choose from, empty when there are no
    routers or when they may choose any node; and with whether no other branch of the graph can run
    beside it.
    """
    ways = _Ways(builder, effects)
    for entry in ways.entries():
        yield ways.rows(entry), ways.choices, ways.is_alone(entry)


class _Ways:
    """The edges of a graph, by where they start.

    Args:
        builder: The graph.
        effects: Effects of its nodes.
    """

    def __init__(
        self, builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
    ) -> None:
        self._builder = builder
        self._plain: dict[str, list[str]] = {}
        for source, target in builder.edges:
            self._plain.setdefault(source, []).append(target)
        self._joins: dict[str, list[tuple[frozenset[str], str]]] = {}
        for sources, target in builder.waiting_edges:
            for source in sources:
                self._joins.setdefault(source, []).append((frozenset(sources), target))
        self._targets = {
            name: found
            for name in (START, *builder.nodes)
            if (found := self._routes(name, effects))
        }
        self.choices: frozenset[str] = frozenset()

    def _routes(self, name: str, effects: Mapping[str, Effects]) -> frozenset[str]:
        """Return where routers at a node may go."""
        builder = self._builder
        found: set[str] = set()
        for branch in builder.branches.get(name, {}).values():
            names = branch_targets(builder, name, branch)
            ends = frozenset(branch.ends.values()) if branch.ends is not None else ALL
            names = names or ends
            found |= set(builder.nodes) if names is ALL else names
        known = effects.get(name)
        if known is not None and known.control & {"goto", "send"}:
            found |= set(builder.nodes) if known.goto is ALL else known.goto
        return frozenset(found)

    def entries(self) -> Iterator[frozenset[str]]:
        """Yield the sets of nodes with which a foreseeable run may begin."""
        first = frozenset(self._plain.get(START, ())) - {END}
        if first:
            yield first
        routed = set().union(*self._targets.values()) if self._targets else set()
        for name in self._builder.nodes:
            if name in routed and {name} != first:
                yield frozenset({name})

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
                if len(every) < len(self._builder.nodes) and self._are_plain(routers):
                    self.choices = self._known(every)
                break
            row = self._next(row, waiting)
        return tuple(rows)

    def _are_plain(self, routers: Iterable[str]) -> bool:
        """Tell whether the functions of these conditional edges do nothing but choose."""
        for name in routers:
            for branch in self._builder.branches.get(name, {}).values():
                found = router_effects(branch.path, branch_shape(self._builder, name, branch))
                if not found.certain or found.mutates or found.external - {"model", "read"}:
                    return False
        return True

    def _known(self, names: Iterable[str]) -> frozenset[str]:
        nodes = self._builder.nodes
        return frozenset(
            name for name in names if name in nodes and not getattr(nodes[name], "defer", False)
        )

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
