"""From the arguments of one call of `parallelize` or `explain` to a checked request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.llm import Analyzer, apply_proposal
from langgraph_parallel.reading.graph import read_builder
from langgraph_parallel.reading.model import Graph
from langgraph_parallel.reading.subgraphs import split_names
from langgraph_parallel.reading.trace import Recording, widen


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of one call, checked."""

    graph: Graph
    builder: StateGraph[Any, Any, Any, Any]
    """A private clone of what `graph` was read from, for `lowering`; nobody else looks into it."""
    source: Any
    """What the user gave."""
    effects: Mapping[str, Effects]
    resources: Mapping[str, int]
    config: ParallelConfig
    recording: Recording | None
    analyzers: tuple[Analyzer, ...]
    trust_llm: bool
    inside: bool = False
    """Whether calls inside of nodes are looked at."""
    freed: frozenset[str] = frozenset()
    """Nodes that start early whatever they are, to see what that would save."""


def read_request(
    graph: Any,
    effects: Mapping[str, Effects] | None,
    resources: Mapping[str, int] | None,
    config: ParallelConfig | None,
) -> Request:
    """Check the arguments.

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph, or a limit is below 1.
    """
    if not isinstance(graph, (StateGraph, CompiledStateGraph)):
        msg = (
            f"parallelize() takes a StateGraph or the result of its compile(), not "
            f"{type(graph).__name__!r}. A RemoteGraph has no nodes and edges to rewrite: call it "
            "where the graph itself is."
        )
        raise AnalysisError(msg)
    limits = dict(resources or {})
    if bad := [name for name, limit in limits.items() if limit < 1]:
        msg = f"resources[{bad[0]!r}] must be at least 1."
        raise AnalysisError(msg)
    compiled = None if isinstance(graph, StateGraph) else graph
    builder = clone_builder(graph if isinstance(graph, StateGraph) else graph.builder)
    return Request(
        graph=read_builder(builder, compiled),
        builder=builder,
        source=graph,
        effects=dict(effects or {}),
        resources=limits,
        config=config or ParallelConfig(),
        recording=None,
        analyzers=(),
        trust_llm=False,
    )


def request_inside(request: Request, host: str, effects: Mapping[str, Effects]) -> Request:
    """Return the request for the sub-graph that is the node `host`.

    Args:
        request: That for the graph around it.
        host: The node.
        effects: Effects of its nodes, by their names in the sub-graph.
    """
    compiled = request.graph.nodes[host].runnable
    _, durations = split_names(request.config.durations, request.graph)
    builder = clone_builder(compiled.builder)
    return replace(
        request,
        graph=read_builder(builder, compiled),
        builder=builder,
        source=compiled,
        effects=effects,
        resources={},  # it counts as one user, also where the graph around it allows several
        config=request.config.model_copy(update={"durations": durations[host]}),
        recording=request.recording and request.recording.inside(host),
        freed=frozenset(split_names(dict.fromkeys(request.freed), request.graph)[1][host]),
    )


def refine(request: Request, effects: Mapping[str, Effects]) -> dict[str, Effects]:
    """Add what analyzers propose for unreadable nodes, then what a recording saw of them."""
    return {name: _refine_node(request, name, found) for name, found in effects.items()}


def _refine_node(request: Request, name: str, found: Effects) -> Effects:
    if name not in request.effects:
        node = request.graph.nodes[name]
        for analyzer in request.analyzers:
            proposal = analyzer.propose(node.runnable, node.shape.keys, found)
            if proposal is not None:
                found = apply_proposal(found, proposal, trust=request.trust_llm)
                break
    seen = request.recording
    if seen is not None and (name in seen.runs or name in seen.unobserved):
        found = widen(found, seen.effects(name))
    return found


def durations_of(request: Request) -> Mapping[str, float]:
    """Return the seconds that nodes take: as given, else as recorded."""
    recorded = request.recording.durations if request.recording is not None else {}
    return {**recorded, **request.config.durations}
