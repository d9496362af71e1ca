"""From a region and its schedule to fan-out and fan-in made of ordinary edges.

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
from collections.abc import Sequence
from typing import Any

from langgraph.graph import END, StateGraph

from langgraph_parallel.ordering.dependence import Schedule
from langgraph_parallel.reading.regions import Region


def lower_region(
    builder: StateGraph[Any, Any, Any, Any], region: Region, schedule: Schedule
) -> None:
    """Rewrite the edges of one region in place.

    Args:
        builder: A private clone of the user's graph.
        region: The straight run; its edges must still be those of the chain.
        schedule: The order to bring about, by index into `region.nodes`.
    """
    nodes = region.nodes
    builder.edges.difference_update(itertools.pairwise(nodes))
    first, last = nodes[0], nodes[-1]
    roots = [nodes[i] for i, before in enumerate(schedule.predecessors) if not before]
    _share_entry(builder, first, [root for root in roots if root != first])
    levels = schedule.levels
    for index, before in enumerate(schedule.predecessors):
        if before:
            latest = max(before, key=lambda p: (levels[p], p))
            _connect(builder, [nodes[p] for p in before], nodes[index], nodes[latest])
    sinks = schedule.sinks
    slowest = nodes[max(sinks, key=lambda p: (levels[p], p))]
    targets = sorted(v for u, v in builder.edges if u == last and v not in nodes)
    for target in targets:
        builder.edges.discard((last, target))
        _connect(builder, [nodes[i] for i in sinks], target, slowest)


def _share_entry(
    builder: StateGraph[Any, Any, Any, Any], first: str, others: Sequence[str]
) -> None:
    """Start `others` wherever `first` is started."""
    for source, target in list(builder.edges):
        if target == first:
            builder.edges.update((source, other) for other in others)
    for sources, target in list(builder.waiting_edges):
        if target == first:
            builder.waiting_edges.update((sources, other) for other in others)


def _connect(
    builder: StateGraph[Any, Any, Any, Any], sources: Sequence[str], target: str, last: str
) -> None:
    """Start `target` once all of `sources` have run, of which `last` is in the last superstep."""
    if target == END:
        builder.edges.update((source, END) for source in sources)
        return
    builder.edges.add((last, target))
    if len(sources) > 1:
        builder.waiting_edges.add((tuple(sources), target))
