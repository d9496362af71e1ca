"""The passes over a request: fan-out, early starts, calls inside of nodes; sub-graphs first.

Each returns what was lowered, with the report on it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from langgraph.graph import StateGraph

from langgraph_parallel.effects import Effects
from langgraph_parallel.lowering.bodies.place import find_bodies, with_bodies
from langgraph_parallel.lowering.exact.graph import compile_exact
from langgraph_parallel.lowering.exact.lower import LoweredExact, lower_exact
from langgraph_parallel.lowering.guard import (
    compile_guarded,
)
from langgraph_parallel.lowering.inside import Inside
from langgraph_parallel.lowering.record import Rewrite
from langgraph_parallel.lowering.rewrite import LoweredFanout, lower_fanout, record_rewrite
from langgraph_parallel.ordering.dependence import build_schedule, build_steps
from langgraph_parallel.reading.course import Course, find_course
from langgraph_parallel.reading.model import Refusal, Region
from langgraph_parallel.reading.regions import GraphView, read_graph
from langgraph_parallel.reading.request import (
    Request,
    durations_of,
    refine,
    request_inside,
)
from langgraph_parallel.reading.subgraphs import find_subgraphs, split_names
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


def rewritten(
    request: Request, pins: frozenset[str]
) -> tuple[StateGraph[Any, Any, Any, Any], Rewrite]:
    """Return the builder that `fan_out` makes, and the record of it."""
    lowered, rewrite = fan_out(request, pins)
    return lowered.builder, rewrite


def fan_out(request: Request, pins: frozenset[str]) -> tuple[LoweredFanout, Rewrite]:
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
            fan_out(replace(request, effects=effects, inside=False), pins)[1].report
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
        lowered, rewrite = fan_out(inner, inner.graph.pauses)
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


def start_early(request: Request) -> LoweredExact:
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
    return start_early(changed).rewrite.report


def _start_early_inside(
    request: Request, effects: Mapping[str, Mapping[str, Effects]]
) -> dict[str, Inside]:
    """Let nodes inside of sub-graphs start early, each sub-graph as a graph on its own."""
    inside = {}
    for host, model in find_subgraphs(request.graph).items():
        inner = request_inside(request, host, effects[host])
        lowered = start_early(inner)
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
