"""`parallelize`: read, infer, order, lower, report.

    user's graph --reading--> Graph, effects, regions --ordering--> schedules
                 <--lowering-- Graph with other edges <-----------------'
                               report <-- of all of them

Each step is a function of the one before; the user's graph is only read, and a private clone is
rewritten.
"""

from __future__ import annotations

import functools
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
from langgraph_parallel.lowering.bodies.place import find_bodies, with_bodies
from langgraph_parallel.lowering.builder import as_rewritten
from langgraph_parallel.lowering.exact.builder import as_exact_builder
from langgraph_parallel.lowering.exact.graph import compile_exact
from langgraph_parallel.lowering.exact.lower import LoweredExact, lower_exact
from langgraph_parallel.lowering.guard import (
    ReportedBuilder,
    ReportedGraph,
    compile_guarded,
)
from langgraph_parallel.lowering.inside import Inside
from langgraph_parallel.lowering.kept import keep
from langgraph_parallel.lowering.record import Rewrite
from langgraph_parallel.lowering.rewrite import LoweredFanout, lower_fanout, record_rewrite
from langgraph_parallel.ordering.dependence import build_schedule, build_steps
from langgraph_parallel.reading.course import Course, find_course
from langgraph_parallel.reading.declared import check_edges
from langgraph_parallel.reading.functional import is_without_edges, refuse
from langgraph_parallel.reading.model import Refusal, Region
from langgraph_parallel.reading.regions import GraphView, read_graph
from langgraph_parallel.reading.request import (
    Request,
    durations_of,
    read_request,
    refine,
    request_inside,
)
from langgraph_parallel.reading.subgraphs import find_subgraphs, split_names
from langgraph_parallel.reading.trace import Recording
from langgraph_parallel.report.bodies import BodyReport
from langgraph_parallel.report.costs import costs_of
from langgraph_parallel.report.critical_path import Chain, Timeline
from langgraph_parallel.report.inside import (
    bodies_inside,
    costs_inside,
    durations_inside,
    effects_inside,
    refusals_inside,
    regions_inside,
)
from langgraph_parallel.report.mermaid import draw_mermaid
from langgraph_parallel.report.region import RegionReport
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
        early = _start_early(request)
        if isinstance(graph, StateGraph):
            return as_exact_builder(early)
        return compile_exact(early, _compiled(graph))
    if isinstance(graph, StateGraph):
        lowered, rewrite = _fan_out(request, frozenset())
        return as_rewritten(lowered.builder, rewrite, lambda pins: _rewritten(request, pins))
    lowered, rewrite = _fan_out(request, request.graph.pauses)
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
        return _start_early(request).rewrite.report
    return _fan_out(request, request.graph.pauses)[1].report


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


def _read(request: Request, declared: Mapping[str, Effects], pins: frozenset[str]) -> GraphView:
    return read_graph(
        request.graph,
        declared,
        pins,
        trusts_calls=request.config.unknown_calls == "independent",
        refine=lambda found: refine(request, found),
    )


def _courses(
    request: Request,
    view: GraphView,
    costs: Mapping[str, float],
    gains: Mapping[str, float],
) -> tuple[Course, ...]:
    """Return the runs that predictions are about: those that were recorded, else the longest."""
    seen = request.recording.courses() if request.recording is not None else ()
    names = {name for course in seen for row in course.rows for name in row.nodes}
    if seen and names <= view.graph.nodes.keys():
        return seen
    return (find_course(view, costs, gains),)


def _keeps_own_thread(graph: Any) -> tuple[Refusal, ...]:
    return _KEEPS_OWN_THREAD if getattr(graph, "checkpointer", None) is True else ()


def _is_timed(graph: Any) -> tuple[Refusal, ...]:
    return _IS_TIMED if getattr(graph, "step_timeout", None) is not None else ()


def _is_made(graph: Any) -> tuple[Refusal, ...]:
    return _IS_MADE if hasattr(graph, "parallel_rewrite") else ()


_IS_MADE: Final = (
    Refusal(
        rule="parallelized",
        nodes=(),
        reason="it went through parallelize() already; its own report is `.parallel_report`.",
    ),
)
_IS_TIMED: Final = (
    Refusal(
        rule="step-timeout",
        nodes=(),
        reason="its step_timeout counts a superstep, and nodes that share one may take longer.",
        remedy="Give its nodes a timeout of their own instead.",
    ),
)
_KEEPS_OWN_THREAD: Final = (
    Refusal(
        rule="own-thread",
        nodes=(),
        reason="it is compiled with checkpointer=True and keeps threads of its own.",
    ),
)


# -- inside of nodes -------------------------------------------------------------------------------


def _bodies(
    request: Request, view: GraphView, inside: Mapping[str, ParallelReport]
) -> tuple[StateGraph[Any, Any, Any, Any], dict[str, tuple[BodyReport, ...]]]:
    """Return the builder whose nodes start calls ahead, and what is said of these calls."""
    if not request.inside or not view.effects:
        return request.builder, {}
    found = find_bodies(view.graph, request.config)
    told = {
        name: tuple(replace(body, seen=_seen(request, name)) for body in bodies)
        for name, bodies in found.report.items()
    }
    return with_bodies(request.builder, found), {**told, **bodies_inside(inside)}


def _seen(request: Request, name: str) -> dict[int, float] | None:
    """Return how often each line of a node called in a recorded run of it, on average."""
    recording = request.recording
    if recording is None or not recording.runs.get(name):
        return None
    found: dict[int, float] = {}
    for site, times in recording.calls.get(name, {}).items():
        line = site.rpartition(":")[2]
        if line.isdigit():
            found[int(line)] = found.get(int(line), 0.0) + times / recording.runs[name]
    return found


# -- fan-out ---------------------------------------------------------------------------------------


def _rewritten(
    request: Request, pins: frozenset[str]
) -> tuple[StateGraph[Any, Any, Any, Any], Rewrite]:
    lowered, rewrite = _fan_out(request, pins)
    return lowered.builder, rewrite


def _fan_out(request: Request, pins: frozenset[str]) -> tuple[LoweredFanout, Rewrite]:
    """Return a rewritten clone of the request's graph, and the record of it.

    Args:
        request: The graph, and what the user says of it.
        pins: Nodes that must keep their superstep.
    """
    kept = _keeps_own_thread(request.source) + _is_timed(request.source)
    own_effects, inner_effects = split_names(request.effects, request.graph)
    view = _read(request, own_effects, pins)
    inside = {} if kept else _fan_out_inside(request, inner_effects)
    reports = {host: part.report for host, part in inside.items()}
    builder, bodies = _bodies(request, view, reports)
    durations = {**durations_inside(reports), **durations_of(request)}
    costs = costs_of(durations, view.effects)
    parts = () if kept else tuple(_order(request, view, r, costs) for r in view.regions)
    lowered = lower_fanout(builder, request.graph, parts, inside)
    drawn = {host for host, report in reports.items() if report.is_parallel}
    report = ParallelReport(
        regions=(*parts, *regions_inside(reports, durations)),
        refusals=view.refusals + refusals_inside(reports) + kept + _is_made(request.source),
        effects={**view.effects, **effects_inside(reports)},
        before=draw_mermaid(request.graph, drawn) if view.effects else "",
        after=draw_mermaid(lowered.graph, drawn) if view.effects else "",
        unit="s" if durations_of(request) else "calls",
        costs={**costs, **costs_inside(reports, durations)},
        timeline=Timeline(
            courses=_courses(request, view, costs, {p.region.nodes[0]: p.gain for p in parts}),
            chains={p.region.nodes[0]: Chain.of(p) for p in parts},
            inside={host: report.timeline for host, report in reports.items()},
        ),
        bodies=bodies,
        what_if=lambda effects: (
            _fan_out(replace(request, effects=effects, inside=False), pins)[1].report
        ),
    )
    return lowered, record_rewrite(
        request.source, lowered, report, view.relied_on, sees_steps=view.sees_steps
    )


def _fan_out_inside(
    request: Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Rewrite every sub-graph that is a node of the request's graph, as a graph on its own."""
    inside = {}
    for host in find_subgraphs(request.graph):
        inner = request_inside(request, host, effects[host])
        lowered, rewrite = _fan_out(inner, inner.graph.pauses)
        made, model = inner.source, request.graph.nodes[host].inner
        if rewrite.report.is_parallel or rewrite.report.is_parallel_inside:
            made, model = compile_guarded(lowered.builder, made, rewrite), lowered.graph
        assert model is not None
        is_new = made is not inner.source
        inside[host] = Inside(graph=made, model=model, report=rewrite.report, is_new=is_new)
    return inside


def _order(
    request: Request, view: GraphView, region: Region, costs: Mapping[str, float]
) -> RegionReport:
    """Return the earliest superstep of each node of a region, and why it is not earlier."""
    effects, graph = view.effects_in(region), view.graph
    steps = build_steps(
        region.nodes,
        effects,
        graph.plain | graph.folding,
        graph.folding,
        trust_unknown_calls=request.config.unknown_calls == "independent",
        taking_turns=graph.taking_turns,
    )
    if region.routed:
        steps = (*steps[:-1], replace(steps[-1], closes=True))
    return RegionReport(
        region=region,
        steps=steps,
        schedule=build_schedule(steps, request.resources),
        effects=effects,
        costs={name: costs[name] for name in region.nodes},
    )


# -- early starts ----------------------------------------------------------------------------------


def _start_early(request: Request) -> LoweredExact:
    """Return what `mode="exact"` makes of the request's graph, and of the graphs inside of it."""
    own_effects, inner_effects = split_names(request.effects, request.graph)
    timed = _is_timed(request.source)
    inside = {} if timed else _start_early_inside(request, inner_effects)
    view = _read(request, own_effects, frozenset())
    reports = {host: part.report for host, part in inside.items()}
    builder, bodies = _bodies(request, view, reports)
    return lower_exact(
        request.source,
        builder,
        replace(view, refusals=timed + view.refusals),
        inside,
        durations={**durations_inside(reports), **durations_of(request)},
        unit="s" if durations_of(request) else "calls",
        courses=functools.partial(_courses, request, view),
        what_if=functools.partial(_start_early_if, request),
        freed=request.freed,
        limits=request.resources,
        config=request.config,
        bodies=bodies,
    )


def _start_early_if(
    request: Request,
    effects: Mapping[str, Effects] | None,
    *,
    freed: frozenset[str] = frozenset(),
    trusting: bool = False,
) -> ParallelReport:
    """Return the report on early starts if something else were known of the graph.

    Args:
        request: What is known.
        effects: Other effects of nodes; None leaves those of the request.
        freed: Nodes that may start early whatever they are.
        trusting: Take calls that are not known to be without effects.
    """
    config = request.config
    if trusting:
        config = config.model_copy(update={"unknown_calls": "independent"})
    given = request.effects if effects is None else effects
    changed = replace(request, effects=given, config=config, freed=freed, inside=False)
    return _start_early(changed).rewrite.report


def _start_early_inside(
    request: Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Let nodes inside of sub-graphs start early, each sub-graph as a graph on its own."""
    inside = {}
    for host, model in find_subgraphs(request.graph).items():
        inner = request_inside(request, host, effects[host])
        lowered = _start_early(inner)
        report, made = lowered.rewrite.report, inner.source
        if inner.graph.own_thread:
            kept = report.refusals + _KEEPS_OWN_THREAD
            timeline = report.timeline.unchanged()
            report = replace(report, regions=(), refusals=kept, runtime=None, timeline=timeline)
        elif lowered.has_starts or report.is_parallel_inside:
            made = compile_exact(lowered, made)
        is_new = made is not inner.source
        inside[host] = Inside(graph=made, model=model, report=report, is_new=is_new)
    return inside
