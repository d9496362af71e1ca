"""From a graph to one whose nodes start their calls ahead, and to what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import StateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel._compat.runnables import with_functions
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.inference.code.callables import functions_of, unwrap_callable
from langgraph_parallel.inference.parts import watch_nodes
from langgraph_parallel.lowering.bodies.build import Built, build
from langgraph_parallel.lowering.bodies.told import told
from langgraph_parallel.reading.model import Graph
from langgraph_parallel.report.bodies import BodyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """The functions behind the nodes of a graph, after the pass over them."""

    built: Mapping[str, tuple[Built, ...]]
    """By node, of its functions; a node that could not be read has none."""

    @property
    def report(self) -> dict[str, tuple[BodyReport, ...]]:
        """Return what is said of each node that reaches the world."""
        found = {
            name: tuple(body for one in built for body in told(one))
            for name, built in self.built.items()
        }
        return {name: bodies for name, bodies in found.items() if bodies}


def find_bodies(graph: Graph, config: ParallelConfig) -> Bodies:
    """Return the new forms of the functions behind the nodes of a graph."""
    watches = watch_nodes(graph.nodes.values())
    built: dict[str, tuple[Built, ...]] = {}
    for name, node in graph.nodes.items():
        watch = watches.get(name)
        if watch is None or node.declared is not None:
            continue
        targets = map(unwrap_callable, functions_of(node.runnable) or ())
        built[name] = tuple(
            build(
                target[0],
                watch,
                most=config.max_inside_calls,
                live=config.early_events == "live",
            )
            for target in targets
            if target is not None
        )
    return Bodies(built=built)


def with_bodies(
    builder: StateGraph[Any, Any, Any, Any], bodies: Bodies
) -> StateGraph[Any, Any, Any, Any]:
    """Return a copy of a builder whose nodes run the new forms."""
    made = clone_builder(builder)
    for name, parts in bodies.built.items():
        new = {old: function for part in parts for old, function in part.inner.items()}
        if new and name in made.nodes:
            spec = made.nodes[name]
            made.nodes[name] = replace(spec, runnable=with_functions(spec.runnable, new))
    return made
