"""`parallelize`: read, infer, order, lower, report.

Each step is a function of the one before; the user's graph is only read, and a private clone is
rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from langgraph.graph import END, StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat import clone_builder, compile_like, project
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.dependence import build_schedule, build_steps
from langgraph_parallel.effects import Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.graph import GraphView, Region, read_graph
from langgraph_parallel.inference.llm import Analyzer, apply_proposal
from langgraph_parallel.inference.trace import Recording, widen
from langgraph_parallel.lowering.builder import as_rewritten
from langgraph_parallel.lowering.exact.builder import as_exact_builder
from langgraph_parallel.lowering.exact.graph import as_exact
from langgraph_parallel.lowering.exact.lower import LoweredExact, lower_exact
from langgraph_parallel.lowering.fanout import lower_region
from langgraph_parallel.lowering.guard import Rewrite, fingerprint, guard
from langgraph_parallel.mermaid import draw_mermaid
from langgraph_parallel.nodes import shape_of
from langgraph_parallel.refusals import Refusal
from langgraph_parallel.report import ParallelReport, RegionReport
from langgraph_parallel.subgraphs import (
    Inside,
    durations_inside,
    effects_inside,
    find_subgraphs,
    refusals_inside,
    regions_inside,
    split_names,
)

GraphT = TypeVar("GraphT", StateGraph[Any, Any, Any, Any], CompiledStateGraph[Any, Any, Any, Any])
Mode: TypeAlias = Literal["fanout", "exact"]
_MODES: Final = ("fanout", "exact")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """The arguments of one call, checked."""

    builder: StateGraph[Any, Any, Any, Any]
    source: Any
    effects: Mapping[str, Effects]
    resources: Mapping[str, int]
    config: ParallelConfig
    recording: Recording | None
    analyzers: tuple[Analyzer, ...]
    trust_llm: bool


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
    request = _read_request(graph, effects, resources, config)
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
    request = _read_request(graph, effects, resources, config)
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
    request: _Request,
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
) -> StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any]:
    """Return the graph of `mode="exact"`."""
    lowered = _lower(request)
    if isinstance(graph, StateGraph):
        return as_exact_builder(lowered)
    return as_exact(compile_like(lowered.builder, graph), lowered, type(graph))


def _lower(request: _Request) -> LoweredExact:
    trusts_calls = request.config.unknown_calls == "independent"
    view = read_graph(
        request.builder,
        request.effects,
        frozenset(),
        trusts_calls=trusts_calls,
        refine=lambda name, found: _refine(request, name, found),
    )
    durations = _durations(request)
    return lower_exact(
        request.source,
        request.builder,
        view,
        costs=_costs(durations, tuple(view.effects), view.effects),
        unit="s" if durations else "calls",
        limits=request.resources,
        config=request.config,
    )


def _read_request(
    graph: Any,
    effects: Mapping[str, Effects] | None,
    resources: Mapping[str, int] | None,
    config: ParallelConfig | None,
) -> _Request:
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
    return _Request(
        builder=clone_builder(builder),
        source=graph,
        effects=dict(effects or {}),
        resources=limits,
        config=config or ParallelConfig(),
        recording=None,
        analyzers=(),
        trust_llm=False,
    )


def _interrupts(graph: CompiledStateGraph[Any, Any, Any, Any]) -> frozenset[str]:
    named: set[str] = set()
    for nodes in (graph.interrupt_before_nodes, graph.interrupt_after_nodes):
        named |= {nodes} if isinstance(nodes, str) else set(nodes)
    return frozenset(named)


def _rewrite(
    request: _Request, pins: frozenset[str], *, keep: bool = False
) -> tuple[StateGraph[Any, Any, Any, Any], Rewrite]:
    """Return a rewritten clone of the request's graph, and the record of it."""
    own_effects, inner_effects = split_names(request.effects, request.builder)
    view = read_graph(
        request.builder,
        own_effects,
        pins,
        trusts_calls=request.config.unknown_calls == "independent",
        refine=lambda name, found: _refine(request, name, found),
    )
    inside = {} if keep else _rewrite_inside(request, inner_effects)
    durations = {**durations_inside(inside), **_durations(request)}
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
        unit="s" if _durations(request) else "calls",
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
    request: _Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Rewrite every sub-graph that is a node of the request's graph, as a graph on its own."""
    _, durations = split_names(request.config.durations, request.builder)
    inside = {}
    for host, graph in find_subgraphs(request.builder).items():
        inner = replace(
            request,
            builder=clone_builder(graph.builder),
            source=graph,
            effects=effects[host],
            resources={},  # it counts as one user, also where the graph around it allows several
            config=request.config.model_copy(update={"durations": durations[host]}),
            recording=None,
        )
        keep = graph.checkpointer is True
        clone, rewrite = _rewrite(inner, _interrupts(graph), keep=keep)
        parallel = rewrite.report.is_parallel
        made = guard(compile_like(clone, graph), rewrite, type(graph)) if parallel else graph
        inside[host] = Inside(graph=made, report=rewrite.report)
    return inside


_KEEPS_OWN_THREAD: Final = (
    Refusal(
        rule="own-thread",
        nodes=(),
        reason="it is compiled with checkpointer=True and keeps threads of its own.",
    ),
)


def _order(
    request: _Request, view: GraphView, region: Region, durations: Mapping[str, float]
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
        costs=_costs(durations, region.nodes, view.effects),
    )


def _project_copies(clone: StateGraph[Any, Any, Any, Any], part: RegionReport) -> None:
    """Cut keys that a node only gives back from its update, where it no longer runs alone.

    Its copy is as old as its superstep and would undo, or clash with, what its neighbors write.
    """
    for level in part.levels:
        for name in level if len(level) > 1 else ():
            if kept := part.effects[name].keeps:
                clone.nodes[name].runnable = project(clone.nodes[name].runnable, kept)


def _refine(request: _Request, name: str, found: Effects) -> Effects:
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


def _durations(request: _Request) -> Mapping[str, float]:
    """Return the seconds that nodes take: as given, else as recorded."""
    recorded = request.recording.durations if request.recording is not None else {}
    return {**recorded, **request.config.durations}


def _costs(
    durations: Mapping[str, float], names: tuple[str, ...], effects: Mapping[str, Effects]
) -> dict[str, float]:
    """Return the predicted duration of each node: as given, else one unit for each outside call."""
    calls = {name for name in names if effects[name].external} or set(names)
    return {name: durations.get(name, float(name in calls)) for name in names}


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
