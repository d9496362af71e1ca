"""`parallelize`: read, infer, order, lower, report.

    user's graph --reading--> Graph, effects, regions --ordering--> schedules
                 <--lowering-- Graph with other edges <-----------------'
                               report <-- of all of them

Each step is a function of the one before; the user's graph is only read, and a private clone is
rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.typing import ContextT, InputT, OutputT, StateT

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.llm import Analyzer
from langgraph_parallel.lowering.builder import as_rewritten
from langgraph_parallel.lowering.exact.builder import as_exact_builder
from langgraph_parallel.lowering.exact.graph import compile_exact
from langgraph_parallel.lowering.guard import (
    ReportedBuilder,
    ReportedGraph,
    compile_guarded,
)
from langgraph_parallel.lowering.kept import keep
from langgraph_parallel.passes import fan_out, rewritten, start_early
from langgraph_parallel.reading.declared import check_edges
from langgraph_parallel.reading.functional import is_without_edges, refuse
from langgraph_parallel.reading.request import (
    read_request,
)
from langgraph_parallel.reading.trace import Recording
from langgraph_parallel.report.report import ParallelReport

Mode: TypeAlias = Literal["fanout", "exact"]
_MODES: Final = ("fanout", "exact")
_PregelT = TypeVar("_PregelT", bound=Pregel[Any, Any, Any, Any])


@overload
def parallelize(
    graph: StateGraph[StateT, ContextT, InputT, OutputT],
    *,
    mode: Mode = ...,
    effects: Mapping[str, Effects] | None = ...,
    resources: Mapping[str, int] | None = ...,
    config: ParallelConfig | None = ...,
    recording: Recording | None = ...,
    analyzers: Sequence[Analyzer] = ...,
    trust_llm: bool = ...,
    inside: bool = ...,
) -> ReportedBuilder[StateT, ContextT, InputT, OutputT]: ...
@overload
def parallelize(
    graph: CompiledStateGraph[StateT, ContextT, InputT, OutputT],
    *,
    mode: Mode = ...,
    effects: Mapping[str, Effects] | None = ...,
    resources: Mapping[str, int] | None = ...,
    config: ParallelConfig | None = ...,
    recording: Recording | None = ...,
    analyzers: Sequence[Analyzer] = ...,
    trust_llm: bool = ...,
    inside: bool = ...,
) -> ReportedGraph[StateT, ContextT, InputT, OutputT]: ...
@overload
def parallelize(
    graph: _PregelT,
    *,
    mode: Mode = ...,
    effects: Mapping[str, Effects] | None = ...,
    resources: Mapping[str, int] | None = ...,
    config: ParallelConfig | None = ...,
    recording: Recording | None = ...,
    analyzers: Sequence[Analyzer] = ...,
    trust_llm: bool = ...,
    inside: bool = ...,
) -> _PregelT: ...
def parallelize(
    graph: StateGraph[Any, Any, Any, Any] | Pregel[Any, Any, Any, Any],
    *,
    mode: Mode = "fanout",
    effects: Mapping[str, Effects] | None = None,
    resources: Mapping[str, int] | None = None,
    config: ParallelConfig | None = None,
    recording: Recording | None = None,
    analyzers: Sequence[Analyzer] = (),
    trust_llm: bool = False,
    inside: bool = False,
) -> Any:
    """Return a graph that gives the same answers with independent nodes side by side.

    Args:
        graph: A `StateGraph` or a compiled one; it is not changed. One made by `@entrypoint` is
            refused: the report says why, and which of its tasks could be started together.
        mode: `fanout` turns straight runs of nodes into fan-out and fan-in of ordinary edges.
            `exact` leaves the graph as it is and starts nodes early, in the background; their
            results are committed in order, if what they read is what they would read then.
        effects: Effects of nodes by name; they replace what the analysis finds.
        resources: How many nodes may use a named resource at a time (>= 1).
        config: Further choices; the defaults change no answer.
        recording: What runs of this graph did, from `record`: it may add to effects, never remove,
            and its durations make the prediction.
        analyzers: Asked about nodes whose code could not be read, such as `LLMAnalyzer(model)`.
            What they propose stands in the report as evidence and changes nothing.
        trust_llm: Let a proposal stand for an unreadable node after all.
        inside: Let independent calls inside of a node run together, too: turns of loops, and calls
            in a row, that ask a model or read something. The function runs as it is written and
            takes their answers in program order.

    Returns:
        A new graph of the same kind, with every compile and post-compile setting kept. Its
        `.parallel_report` says what was done and why not more, `.original` is `graph`. Where there
        is nothing to gain it has the same topology.

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph, or `effects` or `mode` name
            something unknown.
    """
    _check_mode(mode)
    if is_without_edges(graph):
        return keep(graph, _refused(graph))
    request = read_request(graph, effects, resources, config)
    request = replace(
        request, recording=recording, analyzers=tuple(analyzers), trust_llm=trust_llm, inside=inside
    )
    if mode == "exact":
        early = start_early(request)
        if isinstance(graph, StateGraph):
            return as_exact_builder(early)
        return compile_exact(early, _compiled(graph))
    if isinstance(graph, StateGraph):
        lowered, rewrite = fan_out(request, frozenset())
        return as_rewritten(lowered.builder, rewrite, lambda pins: rewritten(request, pins))
    lowered, rewrite = fan_out(request, request.graph.pauses)
    return compile_guarded(lowered.builder, _compiled(graph), rewrite)


def explain(
    graph: StateGraph[Any, Any, Any, Any] | Pregel[Any, Any, Any, Any],
    *,
    mode: Mode = "fanout",
    effects: Mapping[str, Effects] | None = None,
    resources: Mapping[str, int] | None = None,
    config: ParallelConfig | None = None,
    recording: Recording | None = None,
    analyzers: Sequence[Analyzer] = (),
    trust_llm: bool = False,
    inside: bool = False,
) -> ParallelReport:
    """Return what `parallelize` would do with a graph, and why, without building anything.

    Args:
        graph: A `StateGraph` or a compiled one; it is not changed.
        mode: The mode of `parallelize`.
        effects: Effects of nodes by name; they replace what the analysis finds.
        resources: How many nodes may use a named resource at a time (>= 1).
        config: Further choices.
        recording: What runs of this graph did, see `parallelize`.
        analyzers: Asked about nodes whose code could not be read, see `parallelize`.
        trust_llm: Let a proposal stand for an unreadable node.
        inside: Tell of calls inside of nodes, too.

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph or an edge of it leads nowhere, or
            if `effects` or `mode` name something unknown.
    """
    _check_mode(mode)
    if is_without_edges(graph):
        return _refused(graph)
    request = read_request(graph, effects, resources, config)
    check_edges(request.graph)
    request = replace(
        request, recording=recording, analyzers=tuple(analyzers), trust_llm=trust_llm, inside=inside
    )
    if mode == "exact":
        return start_early(request).rewrite.report
    return fan_out(request, request.graph.pauses)[1].report


def _compiled(graph: Any) -> CompiledStateGraph[Any, Any, Any, Any]:
    assert isinstance(graph, CompiledStateGraph)  # `read_request` has seen that it is
    return graph


def _refused(graph: Any) -> ParallelReport:
    """Return the report on a graph that has no nodes and edges to rewrite."""
    return ParallelReport(
        regions=(), refusals=refuse(graph), effects={}, before="", after="", unit="calls"
    )


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        msg = f"mode={mode!r} is not known; use one of {', '.join(map(repr, _MODES))}."
        raise AnalysisError(msg)
