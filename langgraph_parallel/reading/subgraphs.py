"""Which nodes of a graph are graphs themselves, and what is said of the nodes inside of them.

    outer: START -> x -> inner -> END           outer: START -> x -> inner' -> END
    inner:   START -> a -> b -> END             inner':  START -> {a, b} -> END

A sub-graph is rewritten like a graph on its own, as deep as graphs are nested, and compiled with
the settings that it had. To the graph around it nothing changes: it reads, writes and touches what
it did. In the report its nodes are called `inner/a`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from langgraph_parallel.reading.model import Graph

_T = TypeVar("_T")


def find_subgraphs(graph: Graph) -> dict[str, Graph]:
    """Return the sub-graphs that are nodes of a graph, by node name.

    One that went through `parallelize` already stays what it is.
    """
    return {
        name: node.inner
        for name, node in graph.nodes.items()
        if node.inner is not None and not node.is_parallel
    }


def split_names(
    values: Mapping[str, _T], graph: Graph
) -> tuple[dict[str, _T], dict[str, dict[str, _T]]]:
    """Tell what is said of a graph's nodes from what is said of nodes inside of its sub-graphs.

    Returns:
        The entries of the graph itself, which may name something unknown; and by sub-graph, those
        of its nodes, without the sub-graph's name.
    """
    inside: dict[str, dict[str, _T]] = {name: {} for name in find_subgraphs(graph)}
    own = {}
    for name, value in values.items():
        host = next((h for h in inside if name.startswith(f"{h}/")), None)
        if name in graph.nodes or host is None:
            own[name] = value
        else:
            inside[host][name.removeprefix(f"{host}/")] = value
    return own, inside
