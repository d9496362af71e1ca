"""Sub-graphs after the pass, and their place in the graph around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel.reading.model import Graph
from langgraph_parallel.report.report import ParallelReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A sub-graph after the pass."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    """The node's new runnable; the old one where nothing was gained."""
    model: Graph
    """The same as a model."""
    report: ParallelReport
    is_new: bool
    """Whether `graph` is another one than before."""


def place_inside(builder: StateGraph[Any, Any, Any, Any], inside: Mapping[str, Inside]) -> None:
    """Put sub-graphs into a private builder, by node name."""
    for host, part in inside.items():
        builder.nodes[host].runnable = part.graph


def with_inside(graph: Graph, inside: Mapping[str, Inside]) -> Graph:
    """Return the model of a graph that holds these sub-graphs."""
    nodes = dict(graph.nodes)
    for host, part in inside.items():
        nodes[host] = replace(nodes[host], runnable=part.graph, inner=part.model)
    return replace(graph, nodes=nodes)
