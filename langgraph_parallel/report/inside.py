"""From the reports on sub-graphs to their part in the report on the graph around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from langgraph_parallel.effects import Effects
from langgraph_parallel.reading.model import END, Refusal, Region
from langgraph_parallel.report.bodies import BodyReport
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import RegionReport


def durations_inside(inside: Mapping[str, GraphReport]) -> dict[str, float]:
    """Return how long sub-graphs take before they are rewritten."""
    return {host: report.work for host, report in inside.items() if report.work}


def regions_inside(
    inside: Mapping[str, GraphReport], durations: Mapping[str, float]
) -> Iterator[RegionReport]:
    """Yield the regions of sub-graphs as those of the graph around them.

    Args:
        inside: The reports on the sub-graphs, by node name.
        durations: Predicted durations of nodes; that of a sub-graph is shared out among its nodes.
    """
    for host, report in inside.items():
        for region in report.regions:
            yield _prefix(region, host, _scale(report, durations.get(host)))


def costs_inside(
    inside: Mapping[str, GraphReport], durations: Mapping[str, float]
) -> dict[str, float]:
    """Return the predicted durations of the nodes of sub-graphs, as `regions_inside` has them."""
    return {
        f"{host}/{name}": cost * _scale(report, durations.get(host))
        for host, report in inside.items()
        for name, cost in report.costs.items()
    }


def _scale(report: GraphReport, given: float | None) -> float:
    work = report.work
    return 1.0 if given is None or not work else given / work


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
        rows=tuple(tuple(_named(host, row)) for row in part.rows),
        guesses=frozenset(_named(host, part.guesses)),
        stays={f"{host}/{name}": why for name, why in part.stays.items()},
        host=f"{host}/{part.host}" if part.host else host,
    )


def refusals_inside(inside: Mapping[str, GraphReport]) -> tuple[Refusal, ...]:
    """Return the refusals of sub-graphs as those of the graph around them."""
    return tuple(
        replace(refusal, nodes=tuple(_named(host, refusal.nodes)))
        if refusal.nodes
        else replace(refusal, nodes=(host,), reason=f"inside of it, {refusal.reason}")
        for host, report in inside.items()
        for refusal in report.refusals
        if refusal.rule != "no-straight-run"  # nothing was lost: there are many agents like that
    )


def effects_inside(inside: Mapping[str, GraphReport]) -> dict[str, Effects]:
    """Return the effects of the nodes of sub-graphs, named as in the graph around them."""
    return {
        f"{host}/{name}": found
        for host, report in inside.items()
        for name, found in report.effects.items()
    }


def bodies_inside(inside: Mapping[str, GraphReport]) -> dict[str, tuple[BodyReport, ...]]:
    """Return what becomes of calls inside of the nodes of sub-graphs."""
    return {
        f"{host}/{name}": bodies
        for host, report in inside.items()
        for name, bodies in report.bodies.items()
    }


def _named(host: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{host}/{name}" for name in names)
