"""From a region and its schedule to fan-out and fan-in made of ordinary edges.

    P -> a -> b -> c -> X        with a, b independent and c reading both
    P -> {a, b};  [a, b] -> c -> X

A node that waits for several gets one waiting edge (`add_edge([...], node)`), which fires once when
all have run; plain edges would start it once for each. No node is added, renamed or wrapped.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from langgraph.graph import END, StateGraph

from langgraph_parallel.dependence import Schedule
from langgraph_parallel.graph import Region


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
    for index, before in enumerate(schedule.predecessors):
        if before:
            _connect(builder, [nodes[p] for p in before], nodes[index])
    targets = sorted(v for u, v in builder.edges if u == last and v not in nodes)
    for target in targets:
        builder.edges.discard((last, target))
        _connect(builder, [nodes[i] for i in schedule.sinks], target)


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


def _connect(builder: StateGraph[Any, Any, Any, Any], sources: Sequence[str], target: str) -> None:
    """Start `target` once all of `sources` have run."""
    if target == END:
        builder.edges.update((source, END) for source in sources)
    elif len(sources) == 1:
        builder.edges.add((sources[0], target))
    else:
        builder.waiting_edges.add((tuple(sources), target))
