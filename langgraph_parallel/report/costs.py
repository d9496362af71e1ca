"""From effects and what is known of durations to the duration of each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from langgraph_parallel.effects import Effects
from langgraph_parallel.report.region import RegionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long nodes take, predicted or recorded."""

    by_node: Mapping[str, float]
    """Duration by node name (>= 0), in `unit`; a node without an entry takes none."""
    unit: str
    """`s`, or `calls` where each outside call counts as 1."""

    def of(self, part: RegionReport) -> list[float]:
        """Return the duration of each node of a region, in program order."""
        return [self.by_node.get(name, 0.0) for name in part.region.nodes]


def costs_of(durations: Mapping[str, float], effects: Mapping[str, Effects]) -> dict[str, float]:
    """Return the predicted duration of each node: as given, else one unit for each outside call.

    Where no node of the graph makes a call, each counts as one.
    """
    calls = {name for name, found in effects.items() if found.external} or set(effects)
    return {name: durations.get(name, float(name in calls)) for name in effects}


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
