"""From the superstep and the duration of each node to the duration of the whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from langgraph_parallel.effects import Effects
from langgraph_parallel.report.region import RegionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long nodes take, predicted or recorded, and what follows for regions of them."""

    by_node: Mapping[str, float]
    """Duration by node name (>= 0), in `unit`; a node without an entry takes none."""
    unit: str
    """`s`, or `calls` where each outside call counts as 1."""

    def of(self, part: RegionReport) -> list[float]:
        """Return the duration of each node of a region, in program order."""
        return [self.by_node.get(name, 0.0) for name in part.region.nodes]

    def work(self, parts: Iterable[RegionReport]) -> float:
        """Return the duration of regions with their nodes one after another."""
        return sum(sum(self.of(part)) for part in _outermost(list(parts)))

    def span(self, parts: Iterable[RegionReport]) -> float:
        """Return the duration of regions as they are scheduled, inside of sub-graphs too."""
        parts = list(parts)
        return sum(self._span(part, _by_host(parts)) for part in _outermost(parts))

    def _span(self, part: RegionReport, inside: Mapping[str, Sequence[RegionReport]]) -> float:
        costs = [
            max(cost - sum(self._saved(inner, inside) for inner in inside.get(name, ())), 0.0)
            for name, cost in zip(part.region.nodes, self.of(part), strict=True)
        ]
        return span_of(part.schedule.levels, costs)

    def _saved(self, part: RegionReport, inside: Mapping[str, Sequence[RegionReport]]) -> float:
        return sum(self.of(part)) - self._span(part, inside)

    def speedup(self, parts: Sequence[RegionReport]) -> float:
        """Return work over span; 1.0 when nothing takes any time."""
        span = self.span(parts)
        return self.work(parts) / span if span else 1.0


def _by_host(parts: Iterable[RegionReport]) -> dict[str, list[RegionReport]]:
    inside: dict[str, list[RegionReport]] = {}
    for part in parts:
        inside.setdefault(part.host, []).append(part)
    return inside


def _outermost(parts: Sequence[RegionReport]) -> list[RegionReport]:
    """Return the regions that are not inside of a node of another one."""
    counted = {name for part in parts for name in part.region.nodes}
    return [part for part in parts if part.host not in counted]


def costs_of(
    durations: Mapping[str, float], names: tuple[str, ...], effects: Mapping[str, Effects]
) -> dict[str, float]:
    """Return the predicted duration of each node: as given, else one unit for each outside call."""
    calls = {name for name in names if effects[name].external} or set(names)
    return {name: durations.get(name, float(name in calls)) for name in names}


def span_of(levels: Sequence[int], costs: Sequence[float]) -> float:
    """Return how long a run takes when each superstep takes as long as its slowest node.

    Args:
        levels: The superstep of each node.
        costs: The duration of each node, in the same order, in any unit.

    >>> span_of([0, 0, 1], [3.0, 1.0, 2.0])
    5.0
    """
    slowest: dict[int, float] = {}
    for level, cost in zip(levels, costs, strict=True):
        slowest[level] = max(slowest.get(level, 0.0), cost)
    return sum(slowest[level] for level in sorted(slowest))


def gain(saves: float | None, speedup: float | None, unit: str) -> str:
    """Return what removing an obstacle would bring, in a few words.

    Args:
        saves: Duration saved at most, in `unit`; None when not known.
        speedup: Speed-up of the whole report then; None when not known.
        unit: `s` or `calls`.
    """
    if saves is None:
        return "gain not known"
    text = f"saves up to {saves:.3g} {'call' if unit == 'calls' and saves == 1 else unit}"
    return text if speedup is None else f"{text}, speed-up {speedup:.2f}x"
