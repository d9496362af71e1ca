"""From a graph's effects to a clone of it whose nodes may start early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import StateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import Effects, union
from langgraph_parallel.lowering.exact.node import as_exact_node
from langgraph_parallel.lowering.exact.plan import EarlyPlan, PlannedRegion, plan_early
from langgraph_parallel.lowering.inside import Inside, place_inside
from langgraph_parallel.lowering.record import Rewrite, fingerprint
from langgraph_parallel.lowering.settings import reliance_of
from langgraph_parallel.ordering.dependence import Schedule, Step, build_steps
from langgraph_parallel.reading.course import Course
from langgraph_parallel.reading.model import Graph, Refusal, Region
from langgraph_parallel.reading.regions import GraphView
from langgraph_parallel.reading.validation import required_of
from langgraph_parallel.report.bodies import BodyReport
from langgraph_parallel.report.costs import costs_of
from langgraph_parallel.report.critical_path import EarlyStarts, Timeline
from langgraph_parallel.report.early import EarlyRuntime
from langgraph_parallel.report.inside import (
    costs_inside,
    effects_inside,
    refusals_inside,
    regions_inside,
)
from langgraph_parallel.report.mermaid import draw_mermaid
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.report import ParallelReport


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredExact:
    """A graph that is ready to be compiled for early starts."""

    builder: StateGraph[Any, Any, Any, Any]
    """A private clone, with `ExactNode`s."""
    rewrite: Rewrite
    plan: EarlyPlan
    effects: Mapping[str, Effects]
    steps: Mapping[str, Step]
    runtime: EarlyRuntime
    most_runs: int
    """Early runs at a time, in one run of the graph."""
    most_guesses: int
    """Runs that start before one choice of a router."""
    is_live: bool
    """Whether streams show what early runs do at once."""
    relied_on: Mapping[str, frozenset[type]]
    """Keys that are taken to hold plain data when a run begins (`GraphView`)."""
    has_starts: bool
    """Whether any node may start early, in sub-graphs too."""


def lower_exact(
    source: Any,
    builder: StateGraph[Any, Any, Any, Any],
    view: GraphView,
    inside: Mapping[str, Inside],
    *,
    durations: Mapping[str, float],
    unit: str,
    courses: Callable[[Mapping[str, float], Mapping[str, float]], tuple[Course, ...]],
    what_if: Callable[..., ParallelReport],
    freed: frozenset[str],
    limits: Mapping[str, int],
    config: ParallelConfig,
    bodies: Mapping[str, tuple[BodyReport, ...]],
) -> LoweredExact:
    """Plan early starts and wrap the nodes that take part.

    Args:
        source: What the user gave.
        builder: A private clone of it; it is not changed.
        view: The same as a model, with the effects of its nodes.
        inside: Its sub-graphs, whose own nodes may start early.
        durations: Predicted durations of nodes, as far as they are known.
        unit: Unit of the predictions.
        courses: The runs that predictions are about, given the duration of each node, and what is
            saved where a node starts.
        what_if: Explains the same graph with other effects of nodes.
        freed: Nodes that start early whatever they are, to see what that would save.
        limits: How many nodes may use a named resource at a time; 1 when not named.
        config: The user's choices.
        bodies: What becomes of the calls inside of nodes.
    """
    trusts_calls = config.unknown_calls == "independent"
    costs = costs_of(durations, view.effects)
    steps = _steps(view, trusts_calls=trusts_calls)
    plan = plan_early(
        view,
        steps,
        costs=costs,
        limits=limits,
        trusts_calls=trusts_calls,
        speculates=config.speculate == "pure",
        freed=freed,
    )
    reports = {host: part.report for host, part in inside.items()}
    runtime = EarlyRuntime(inside=_runtimes(reports))
    own = _region_reports(plan, steps, view.effects, costs)
    gains = {name: part.gain for part in own for name in part.rows[0]}
    drawing = _draw(view, reports)
    report = ParallelReport(
        regions=(*own, *regions_inside(reports, durations)),
        refusals=_refusals(view, plan) + refusals_inside(reports),
        effects={**view.effects, **effects_inside(reports)},
        before=drawing,
        after=drawing,
        unit=unit,
        costs={**costs, **costs_inside(reports, durations)},
        timeline=Timeline(
            courses=courses(costs, gains),
            starts=EarlyStarts(
                place=plan.place, pauses=view.graph.pauses, most_guesses=config.max_guesses
            ),
            inside={host: report.timeline for host, report in reports.items()},
        ),
        bodies=bodies,
        runtime=runtime,
        what_if=what_if,
    )
    clone = _with_exact_nodes(builder, view.graph, plan)
    place_inside(clone, inside)
    return LoweredExact(
        builder=clone,
        rewrite=_unmoved(source, builder, clone, report),
        relied_on=view.relied_on,
        plan=plan,
        effects=view.effects,
        steps=steps,
        runtime=runtime,
        most_runs=config.max_early_runs,
        most_guesses=config.max_guesses,
        is_live=config.early_events == "live",
        has_starts=bool(plan.regions) or any(part.is_new for part in inside.values()),
    )


def _runtimes(inside: Mapping[str, ParallelReport]) -> dict[str, EarlyRuntime]:
    return {host: report.runtime for host, report in inside.items() if report.runtime}


def _draw(view: GraphView, inside: Mapping[str, ParallelReport]) -> str:
    """Return the graph as Mermaid text, which early starts do not change."""
    if not view.effects:
        return ""
    return draw_mermaid(view.graph, {host for host, report in inside.items() if report.is_parallel})


def _with_exact_nodes(
    builder: StateGraph[Any, Any, Any, Any], graph: Graph, plan: EarlyPlan
) -> StateGraph[Any, Any, Any, Any]:
    clone = clone_builder(builder)
    for name in plan.members:
        if graph.nodes[name].is_plain:
            clone.nodes[name].runnable = as_exact_node(clone.nodes[name].runnable, name)
    return clone


def _unmoved(
    source: Any,
    builder: StateGraph[Any, Any, Any, Any],
    clone: StateGraph[Any, Any, Any, Any],
    report: ParallelReport,
) -> Rewrite:
    """Return the record of a rewriting that leaves every node in its superstep."""
    return Rewrite(
        source=source,
        builder=builder,
        report=report,
        relied_on={},
        moved=frozenset(),
        ends={},
        cuts={},
        foreseen={},
        reliance=reliance_of(report.effects.values()),
        sees_steps=False,
        starts_tasks=False,
        waits_on_threads=False,
        turns={},
        width=1,
        mark=fingerprint(clone),
    )


_WHOLE_GRAPH = ("root-state", "unfinished", "step-timeout", "left-running")


def _refusals(view: GraphView, plan: EarlyPlan) -> tuple[Refusal, ...]:
    return tuple(r for r in view.refusals if r.rule in _WHOLE_GRAPH) + plan.refusals


def _steps(view: GraphView, *, trusts_calls: bool) -> dict[str, Step]:
    """Return every node's effects over the state's keys; none where a whole graph is refused."""
    if any(refusal.rule in _WHOLE_GRAPH for refusal in view.refusals):
        return {}
    made = build_steps(
        tuple(view.graph.nodes),
        {name: _with_needs(view, name) for name in view.effects},
        view.graph.channels,
        view.graph.folding,
        trust_unknown_calls=trusts_calls,
    )
    return {step.name: step for step in made}


def _with_needs(view: GraphView, name: str) -> Effects:
    """Return what a node does, with the keys that it reads or that it cannot do without."""
    found = view.effects[name]
    needed = required_of(view.graph, view.effects, name)
    return replace(found, reads=union(found.reads, needed)) if needed else found


def _region_reports(
    plan: EarlyPlan,
    steps: Mapping[str, Step],
    effects: Mapping[str, Effects],
    costs: Mapping[str, float],
) -> list[RegionReport]:
    """Return what becomes of the foreseeable runs, without those that are the end of another.

    A run of one node is among them only if the node never starts early.
    """
    stays = {name: refusal.reason for refusal in plan.refusals for name in refusal.nodes}
    shown: list[PlannedRegion] = []
    for run in sorted(plan.runs, key=lambda run: -len(run.row_of)):
        is_end = any(run.rows == other.rows[-len(run.rows) :] for other in shown)
        # A node alone in its run starts no earlier, but what stays may hold others.
        counts = len(run.row_of) > 1 or any(name in stays for row in run.rows for name in row)
        if counts and not is_end:
            shown.append(run)
    in_order = [run for run in plan.runs if run in shown]
    return [_region_report(run, steps, effects, costs, stays) for run in in_order]


def _region_report(
    region: PlannedRegion,
    steps: Mapping[str, Step],
    effects: Mapping[str, Effects],
    costs: Mapping[str, float],
    stays: Mapping[str, str],
) -> RegionReport:
    """Return what becomes of a region: the rows at which its nodes can start, at the earliest."""
    guesses = region.choices & region.early
    rows = region.rows + ((tuple(sorted(guesses)),) if guesses else ())
    names = [name for row in rows for name in row]
    number = {name: i for i, name in enumerate(names)}
    before: list[set[str]] = []
    levels: list[int] = []
    for name in names:
        row = region.row_of[name]
        waits = set(region.after[name])
        if name not in region.early:
            # It has its turn when the row before has ended.
            waits |= set(rows[row - 1]) if row else set()
        elif region.is_sent and row:
            waits |= set(rows[0])
        levels.append(max((levels[number[other]] + 1 for other in waits), default=0))
        before.append(waits)
    return RegionReport(
        region=Region(nodes=tuple(names), exit=None),
        steps=tuple(steps[name] for name in names),
        schedule=Schedule(
            levels=tuple(levels),
            predecessors=tuple(tuple(sorted(number[p] for p in waits)) for waits in before),
        ),
        effects={name: effects[name] for name in names},
        costs={name: costs[name] for name in names},
        has_barriers=False,
        rows=rows,
        guesses=guesses,
        stays={name: stays[name] for name in names if name in stays},
    )
