"""From regions and their schedules to fan-out and fan-in made of ordinary edges.

    P -> a -> b -> c -> X        with a, b independent and c reading both
    P -> {a, b};  [a, b] -> c -> X

A node that waits for several gets one waiting edge (`add_edge([...], node)`), which fires once when
all have run; plain edges from each would start it once for each. Beside it stands one plain edge
from a node of the superstep before, which fires together with it: so a thread that pauses before
the node is due under the same trigger as in the original graph, and the original can resume it. No
node is added, renamed or wrapped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from langgraph_parallel.ordering.dependence import Schedule
from langgraph_parallel.reading.model import END, Graph, Region


def rewire(graph: Graph, orders: Iterable[tuple[Region, Schedule]]) -> Graph:
    """Return a graph with other edges in some regions.

    Args:
        graph: The graph before; the edges of the regions are those of chains.
        orders: For each region the order to bring about, by index into its nodes.
    """
    edges = _Edges(graph)
    for region, schedule in orders:
        edges.rewire(region.nodes, schedule)
    return replace(graph, edges=frozenset(edges.plain), joins=frozenset(edges.joins))


class _Edges:
    """The edges under construction."""

    def __init__(self, graph: Graph) -> None:
        self.plain = set(graph.edges)
        self.joins = set(graph.joins)

    def rewire(self, nodes: Sequence[str], schedule: Schedule) -> None:
        """Rewrite the edges of one region."""
        self.plain.difference_update(itertools.pairwise(nodes))
        first, last = nodes[0], nodes[-1]
        roots = [nodes[i] for i, before in enumerate(schedule.predecessors) if not before]
        self._share_entry(first, [root for root in roots if root != first])
        levels = schedule.levels
        for index, before in enumerate(schedule.predecessors):
            if before:
                latest = max(before, key=lambda p: (levels[p], p))
                self._connect([nodes[p] for p in before], nodes[index], nodes[latest])
        sinks = schedule.sinks
        slowest = nodes[max(sinks, key=lambda p: (levels[p], p))]
        targets = sorted(v for u, v in self.plain if u == last and v not in nodes)
        for target in targets:
            self.plain.discard((last, target))
            self._connect([nodes[i] for i in sinks], target, slowest)

    def _share_entry(self, first: str, others: Sequence[str]) -> None:
        """Start `others` wherever `first` is started."""
        for source, target in list(self.plain):
            if target == first:
                self.plain.update((source, other) for other in others)
        for sources, target in list(self.joins):
            if target == first:
                self.joins.update((sources, other) for other in others)

    def _connect(self, sources: Sequence[str], target: str, last: str) -> None:
        """Start `target` once all of `sources` have run; `last` is in the last superstep."""
        if target == END:
            self.plain.update((source, END) for source in sources)
            return
        self.plain.add((last, target))
        if len(sources) > 1:
            self.joins.add((tuple(sources), target))
