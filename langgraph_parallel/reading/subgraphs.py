"""From the nodes of a graph that are graphs themselves to their own parallel forms.

    outer: START -> x -> inner -> END           outer: START -> x -> inner' -> END
    inner:   START -> a -> b -> END             inner':  START -> {a, b} -> END

A sub-graph is rewritten like a graph on its own, as deep as graphs are nested, and compiled with
the settings that it had. To the graph around it nothing changes: it reads, writes and touches what
it did. In the report its nodes are called `inner/a`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langgraph.graph import END, StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel.effects import Effects
from langgraph_parallel.lowering.guard import ReportedGraph
from langgraph_parallel.reading.refusals import Refusal
from langgraph_parallel.reading.regions import Region
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.report import ParallelReport

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A sub-graph after the pass."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    """The node's new runnable; the old one where nothing was gained."""
    report: ParallelReport


def find_subgraphs(
    builder: StateGraph[Any, Any, Any, Any],
) -> dict[str, CompiledStateGraph[Any, Any, Any, Any]]:
    """Return the sub-graphs that are nodes of a graph, by node name.

    One that went through `parallelize` already stays what it is.
    """
    return {
        name: spec.runnable
        for name, spec in builder.nodes.items()
        if isinstance(spec.runnable, CompiledStateGraph)
        and not isinstance(spec.runnable, ReportedGraph)
    }


def split_names(
    values: Mapping[str, _T], builder: StateGraph[Any, Any, Any, Any]
) -> tuple[dict[str, _T], dict[str, dict[str, _T]]]:
    """Tell what is said of a graph's nodes from what is said of nodes inside of its sub-graphs.

    Returns:
        The entries of the graph itself, which may name something unknown; and by sub-graph, those
        of its nodes, without the sub-graph's name.
    """
    inside: dict[str, dict[str, _T]] = {name: {} for name in find_subgraphs(builder)}
    own = {}
    for name, value in values.items():
        host = next((h for h in inside if name.startswith(f"{h}/")), None)
        if name in builder.nodes or host is None:
            own[name] = value
        else:
            inside[host][name.removeprefix(f"{host}/")] = value
    return own, inside


def durations_inside(inside: Mapping[str, Inside]) -> dict[str, float]:
    """Return how long sub-graphs take before they are rewritten: as long as their regions."""
    return {host: part.report.work for host, part in inside.items() if part.report.work}


def regions_inside(
    inside: Mapping[str, Inside], durations: Mapping[str, float]
) -> Iterator[RegionReport]:
    """Yield the regions of sub-graphs as those of the graph around them.

    Args:
        inside: The sub-graphs, by node name.
        durations: Predicted durations of nodes; that of a sub-graph is shared out among its nodes.
    """
    for host, part in inside.items():
        work = part.report.work
        scale = durations.get(host, work) / work if work else 1.0
        for region in part.report.regions:
            yield _prefix(region, host, scale)


def _prefix(part: RegionReport, host: str, scale: float) -> RegionReport:
    leave = part.region.exit
    return replace(
        part,
        region=Region(
            nodes=tuple(_named(host, part.region.nodes)),
            exit=leave if leave in (None, END) else f"{host}/{leave}",
        ),
        steps=tuple(replace(step, name=f"{host}/{step.name}") for step in part.steps),
        effects={f"{host}/{name}": found for name, found in part.effects.items()},
        costs={f"{host}/{name}": scale * cost for name, cost in part.costs.items()},
        host=f"{host}/{part.host}" if part.host else host,
    )


def refusals_inside(inside: Mapping[str, Inside]) -> tuple[Refusal, ...]:
    """Return the refusals of sub-graphs as those of the graph around them."""
    return tuple(
        replace(refusal, nodes=tuple(_named(host, refusal.nodes)))
        if refusal.nodes
        else replace(refusal, nodes=(host,), reason=f"inside of it, {refusal.reason}")
        for host, part in inside.items()
        for refusal in part.report.refusals
        if refusal.rule != "no-straight-run"  # nothing was lost: there are many agents like that
    )


def effects_inside(inside: Mapping[str, Inside]) -> dict[str, Effects]:
    """Return the effects of the nodes of sub-graphs, named as in the graph around them."""
    return {
        f"{host}/{name}": found
        for host, part in inside.items()
        for name, found in part.report.effects.items()
    }


def _named(host: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{host}/{name}" for name in names)
