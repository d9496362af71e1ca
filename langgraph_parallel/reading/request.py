"""From the arguments of one call of `parallelize` or `explain` to a checked request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.llm import Analyzer, apply_proposal
from langgraph_parallel.reading.nodes import shape_of
from langgraph_parallel.reading.trace import Recording, widen


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of one call, checked."""

    builder: StateGraph[Any, Any, Any, Any]
    source: Any
    effects: Mapping[str, Effects]
    resources: Mapping[str, int]
    config: ParallelConfig
    recording: Recording | None
    analyzers: tuple[Analyzer, ...]
    trust_llm: bool


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
    if isinstance(graph, StateGraph):
        builder = graph
    elif isinstance(graph, CompiledStateGraph):
        builder = graph.builder
    else:
        msg = (
            f"parallelize() takes a StateGraph or the result of its compile(), not "
            f"{type(graph).__name__!r}. A graph made by @entrypoint, a RemoteGraph and a plain "
            "Pregel have no nodes and edges to rewrite."
        )
        raise AnalysisError(msg)
    limits = dict(resources or {})
    if bad := [name for name, limit in limits.items() if limit < 1]:
        msg = f"resources[{bad[0]!r}] must be at least 1."
        raise AnalysisError(msg)
    return Request(
        builder=clone_builder(builder),
        source=graph,
        effects=dict(effects or {}),
        resources=limits,
        config=config or ParallelConfig(),
        recording=None,
        analyzers=(),
        trust_llm=False,
    )


def refine(request: Request, name: str, found: Effects) -> Effects:
    """Add what analyzers propose for an unreadable node, then what a recording saw of it."""
    if name not in request.effects:
        spec = request.builder.nodes[name]
        keys = shape_of(request.builder, spec.input_schema).keys
        for analyzer in request.analyzers:
            proposal = analyzer.propose(spec.runnable, keys, found)
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


def costs_of(
    durations: Mapping[str, float], names: tuple[str, ...], effects: Mapping[str, Effects]
) -> dict[str, float]:
    """Return the predicted duration of each node: as given, else one unit for each outside call."""
    calls = {name for name in names if effects[name].external} or set(names)
    return {name: durations.get(name, float(name in calls)) for name in names}
