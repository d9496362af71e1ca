"""From places that are filled once to those of which nobody else can tell when that is.

Whoever comes first fills such a place with what any other would have put there. That matters only
to those who look at the place in another way, or change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from langgraph_parallel.effects import Effects
from langgraph_parallel.locations import Location, meeting
from langgraph_parallel.reading.nodes import Route


def without_lone_fills(
    effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> tuple[dict[str, Effects], dict[str, tuple[Route, ...]]]:
    """Return the effects of nodes and routers without changes that nobody can tell.

    Args:
        effects: Effects of all nodes, with those of the reducers that fold what they write.
        routes: What the conditional edges of each node do.
    """
    every = [*effects.values(), *(route.effects for ways in routes.values() for route in ways)]
    fills = {place for found in every for place in found.changes if place.fill}
    lone = frozenset(place for place in fills if not _is_seen(place, every))
    nodes = {name: _without(found, lone) for name, found in effects.items()}
    routers = {
        name: tuple(replace(route, effects=_without(route.effects, lone)) for route in ways)
        for name, ways in routes.items()
    }
    return nodes, routers


def _is_seen(place: Location, every: Iterable[Effects]) -> bool:
    """Tell whether somebody looks at a place, or changes it, but by filling it in the same way."""
    return any(meeting((place,), found.looks_at | found.changes) for found in every)


def _without(found: Effects, places: frozenset[Location]) -> Effects:
    return replace(found, changes=found.changes - places) if found.changes & places else found
