"""`parallelize`: read, infer, order, lower, report.

Each step is a function of the one before; the user's graph is only read, and a private clone is
rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from langgraph.graph import END, StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import clone_builder, compile_like
from langgraph_parallel._compat.runnables import project
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.llm import Analyzer
from langgraph_parallel.lowering.builder import as_rewritten
from langgraph_parallel.lowering.exact.builder import as_exact_builder
from langgraph_parallel.lowering.exact.graph import as_exact
from langgraph_parallel.lowering.exact.lower import LoweredExact, lower_exact
from langgraph_parallel.lowering.fanout import lower_region
from langgraph_parallel.lowering.guard import Rewrite, fingerprint, guard
from langgraph_parallel.ordering.dependence import build_schedule, build_steps
from langgraph_parallel.reading.refusals import Refusal
from langgraph_parallel.reading.regions import GraphView, Region, read_graph
from langgraph_parallel.reading.request import Request, costs_of, durations_of, read_request, refine
from langgraph_parallel.reading.subgraphs import (
    Inside,
    durations_inside,
    effects_inside,
    find_subgraphs,
    refusals_inside,
    regions_inside,
    split_names,
)
from langgraph_parallel.reading.trace import Recording
from langgraph_parallel.report.mermaid import draw_mermaid
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.report import ParallelReport

GraphT = TypeVar("GraphT", StateGraph[Any, Any, Any, Any], CompiledStateGraph[Any, Any, Any, Any])
Mode: TypeAlias = Literal["fanout", "exact"]
_MODES: Final = ("fanout", "exact")


def parallelize(
    graph: GraphT,
    *,
    mode: Mode = "fanout",
    effects: Mapping[str, Effects] | None = None,
    resources: Mapping[str, int] | None = None,
    config: ParallelConfig | None = None,
    recording: Recording | None = None,
    analyzers: Sequence[Analyzer] = (),
    trust_llm: bool = False,
) -> GraphT:
    """Return a graph that gives the same answers with independent nodes side by side.

    Args:
        graph: A `StateGraph` or a compiled one; it is not changed.
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

    Returns:
        A new graph of the same kind, with every compile and post-compile setting kept. Its
        `.parallel_report` says what was done and why not more, `.original` is `graph`. Where there
        is nothing to gain it has the same topology.

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph, or `effects` or `mode` name
            something unknown.
    """
    _check_mode(mode)
    request = read_request(graph, effects, resources, config)
    request = replace(request, recording=recording, analyzers=tuple(analyzers), trust_llm=trust_llm)
    if mode == "exact":
        return cast("GraphT", _start_early(request, graph))
    if isinstance(graph, StateGraph):
        clone, rewrite = _rewrite(request, frozenset())
        return cast("GraphT", as_rewritten(clone, rewrite, lambda pins: _rewrite(request, pins)))
    clone, rewrite = _rewrite(request, _interrupts(graph), keep=graph.checkpointer is True)
    return cast("GraphT", guard(compile_like(clone, graph), rewrite, type(graph)))


def explain(
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
    *,
    mode: Mode = "fanout",
    effects: Mapping[str, Effects] | None = None,
    resources: Mapping[str, int] | None = None,
    config: ParallelConfig | None = None,
    recording: Recording | None = None,
    analyzers: Sequence[Analyzer] = (),
    trust_llm: bool = False,
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

    Raises:
        AnalysisError: If `graph` is not a LangGraph state graph, or `mode` is not known.
    """
    _check_mode(mode)
    request = read_request(graph, effects, resources, config)
    request = replace(request, recording=recording, analyzers=tuple(analyzers), trust_llm=trust_llm)
    if mode == "exact":
        return _lower(request).rewrite.report
    pins = frozenset() if isinstance(graph, StateGraph) else _interrupts(graph)
    return _rewrite(request, pins)[1].report


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        msg = f"mode={mode!r} is not known; use one of {', '.join(map(repr, _MODES))}."
        raise AnalysisError(msg)


def _start_early(
    request: Request,
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
) -> StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any]:
    """Return the graph of `mode="exact"`."""
    lowered = _lower(request)
    if isinstance(graph, StateGraph):
        return as_exact_builder(lowered)
    return as_exact(compile_like(lowered.builder, graph), lowered, type(graph))


def _lower(request: Request) -> LoweredExact:
    """Return what `mode="exact"` makes of the request's graph, and of the graphs inside of it."""
    own_effects, inner_effects = split_names(request.effects, request.builder)
    inside = _lower_inside(request, inner_effects)
    view = read_graph(
        request.builder,
        own_effects,
        frozenset(),
        trusts_calls=request.config.unknown_calls == "independent",
        refine=lambda name, found: refine(request, name, found),
    )
    durations = {**durations_inside(inside), **durations_of(request)}
    return lower_exact(
        request.source,
        request.builder,
        view,
        inside,
        durations=durations,
        unit="s" if durations_of(request) else "calls",
        limits=request.resources,
        config=request.config,
    )


def _lower_inside(
    request: Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Let nodes inside of sub-graphs start early, each sub-graph as a graph on its own."""
    inside = {}
    for host, graph in find_subgraphs(request.builder).items():
        lowered = _lower(_request_inside(request, host, graph, effects[host]))
        report = lowered.rewrite.report
        made = graph
        if graph.checkpointer is True:
            kept = report.refusals + _KEEPS_OWN_THREAD
            report = replace(report, regions=(), refusals=kept, runtime=None)
        elif report.regions:
            made = as_exact(compile_like(lowered.builder, graph), lowered, type(graph))
        inside[host] = Inside(graph=made, report=report)
    return inside


def _interrupts(graph: CompiledStateGraph[Any, Any, Any, Any]) -> frozenset[str]:
    named: set[str] = set()
    for nodes in (graph.interrupt_before_nodes, graph.interrupt_after_nodes):
        named |= {nodes} if isinstance(nodes, str) else set(nodes)
    return frozenset(named)


def _rewrite(
    request: Request, pins: frozenset[str], *, keep: bool = False
) -> tuple[StateGraph[Any, Any, Any, Any], Rewrite]:
    """Return a rewritten clone of the request's graph, and the record of it."""
    own_effects, inner_effects = split_names(request.effects, request.builder)
    view = read_graph(
        request.builder,
        own_effects,
        pins,
        trusts_calls=request.config.unknown_calls == "independent",
        refine=lambda name, found: refine(request, name, found),
    )
    inside = {} if keep else _rewrite_inside(request, inner_effects)
    durations = {**durations_inside(inside), **durations_of(request)}
    parts = () if keep else tuple(_order(request, view, r, durations) for r in view.regions)
    original = clone_builder(request.builder)
    for host, inner in inside.items():
        original.nodes[host].runnable = inner.graph
    clone = clone_builder(original)
    drawn = {host for host, inner in inside.items() if inner.report.is_parallel}
    for part in parts:
        if part.is_parallel:
            lower_region(clone, part.region, part.schedule)
            _project_copies(clone, part)
    report = ParallelReport(
        regions=(*parts, *regions_inside(inside, durations)),
        refusals=view.refusals + refusals_inside(inside) + (_KEEPS_OWN_THREAD if keep else ()),
        effects={**view.effects, **effects_inside(inside)},
        before=draw_mermaid(request.builder, drawn) if view.effects else "",
        after=draw_mermaid(clone, drawn) if view.effects else "",
        unit="s" if durations_of(request) else "calls",
        what_if=lambda effects: _rewrite(replace(request, effects=effects), pins)[1].report,
    )
    moved = [part for part in parts if part.is_parallel]
    rewrite = Rewrite(
        source=request.source,
        builder=original,
        report=report,
        moved=frozenset(name for part in moved for name in part.region.nodes),
        ends={
            frozenset(part.levels[-1]): part.region.nodes[-1]
            for part in moved
            if part.region.exit in (None, END)
        },
        cuts=dict(cut for part in moved for cut in _cuts(part)),
        width=max((len(level) for part in moved for level in part.levels), default=1),
        mark=fingerprint(clone),
    )
    return clone, rewrite


def _rewrite_inside(
    request: Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Rewrite every sub-graph that is a node of the request's graph, as a graph on its own."""
    inside = {}
    for host, graph in find_subgraphs(request.builder).items():
        inner = _request_inside(request, host, graph, effects[host])
        keep = graph.checkpointer is True
        clone, rewrite = _rewrite(inner, _interrupts(graph), keep=keep)
        parallel = rewrite.report.is_parallel
        made = guard(compile_like(clone, graph), rewrite, type(graph)) if parallel else graph
        inside[host] = Inside(graph=made, report=rewrite.report)
    return inside


def _request_inside(
    request: Request,
    host: str,
    graph: CompiledStateGraph[Any, Any, Any, Any],
    effects: Mapping[str, Effects],
) -> Request:
    """Return the request for a sub-graph that is the node `host`."""
    _, durations = split_names(request.config.durations, request.builder)
    return replace(
        request,
        builder=clone_builder(graph.builder),
        source=graph,
        effects=effects,
        resources={},  # it counts as one user, also where the graph around it allows several
        config=request.config.model_copy(update={"durations": durations[host]}),
        recording=None,
    )


_KEEPS_OWN_THREAD: Final = (
    Refusal(
        rule="own-thread",
        nodes=(),
        reason="it is compiled with checkpointer=True and keeps threads of its own.",
    ),
)


def _order(
    request: Request, view: GraphView, region: Region, durations: Mapping[str, float]
) -> RegionReport:
    effects = view.effects_in(region)
    steps = build_steps(
        region.nodes,
        effects,
        view.plain | view.folding,
        view.folding,
        trust_unknown_calls=request.config.unknown_calls == "independent",
    )
    if region.routed:
        steps = (*steps[:-1], replace(steps[-1], closes=True))
    return RegionReport(
        region=region,
        steps=steps,
        schedule=build_schedule(steps, request.resources),
        effects=effects,
        costs=costs_of(durations, region.nodes, view.effects),
    )


def _project_copies(clone: StateGraph[Any, Any, Any, Any], part: RegionReport) -> None:
    """Cut keys that a node only gives back from its update, where it no longer runs alone.

    Its copy is as old as its superstep and would undo, or clash with, what its neighbors write.
    """
    for level in part.levels:
        for name in level if len(level) > 1 else ():
            if kept := part.effects[name].keeps:
                clone.nodes[name].runnable = project(clone.nodes[name].runnable, kept)


def _cuts(part: RegionReport) -> Iterator[tuple[frozenset[str], str | None]]:
    """Yield the sets of due nodes at which the run stands where the original one would stand.

    That is so before a superstep when the nodes of all earlier ones form a prefix of the chain.
    """
    nodes, levels = part.region.nodes, part.schedule.levels
    for level, due in enumerate(part.levels):
        done = [i for i, at in enumerate(levels) if at < level]
        if done == list(range(len(done))):
            yield frozenset(due), nodes[len(done) - 1] if done else None
    if part.region.exit is not None:
        yield frozenset({part.region.exit}), nodes[-1]
