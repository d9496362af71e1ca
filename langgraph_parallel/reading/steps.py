"""From nodes that look at the number of their superstep to the regions that may not move for it.

a -> b -> c -> look -> d -> e        a, b and c keep their supersteps, d and e may share one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from langgraph_parallel.effects import ALL, Effects, Keys, union
from langgraph_parallel.reading.model import Graph, Refusal, Region
from langgraph_parallel.reading.nodes import Route, may_jump

_MOST_NAMED: Final = 3
"""Nodes that a sentence about several spells out."""


def nodes_seeing_steps(
    effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> frozenset[str]:
    """Return the nodes that look, or whose conditional edges do, at the number of a superstep."""
    looking = {name for name, found in effects.items() if "step" in found.control}
    routed = {n for n, ways in routes.items() if any("step" in w.effects.control for w in ways)}
    return frozenset(looking | routed)


def seen_steps(seeing: frozenset[str], before: Mapping[str, frozenset[str]]) -> Iterable[Refusal]:
    """Yield the nodes that look at the number of their superstep.

    Args:
        seeing: These nodes.
        before: For some of them, the nodes that would change it if they moved.
    """
    for name in sorted(seeing):
        held = sorted(before.get(name, frozenset()))
        more = f", which {', '.join(held[:_MOST_NAMED])} would change" if held else ""
        reason = f"it looks at the number of its superstep or at its checkpoint{more}."
        remedy = "Count in a key of the state; or declare the node, if the number does not matter."
        yield Refusal(rule="superstep-lifetime", nodes=(name,), reason=reason, remedy=remedy)


def behind_all(
    regions: tuple[Region, ...], seeing: frozenset[str], ways: Mapping[str, frozenset[str]]
) -> tuple[tuple[Region, ...], dict[str, frozenset[str]]]:
    """Return the regions from which no run comes to one of some nodes.

    What runs in front of such a node may take no other number of supersteps.

    Args:
        regions: All regions.
        seeing: The nodes that look at how many supersteps have passed.
        ways: Where each node may lead.

    Returns:
        The regions, and for each of the nodes those in front of it that might have moved.
    """
    kept: list[Region] = []
    held: dict[str, frozenset[str]] = {}
    for region in regions:
        reached = _reached(region.nodes, ways) & seeing
        if not reached:
            kept.append(region)
        for name in reached:
            held[name] = held.get(name, frozenset()) | frozenset(region.nodes) - {name}
    return tuple(kept), held


def _reached(names: Iterable[str], ways: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(ways.get(name, ()))
    return frozenset(found)


def ways_on(
    graph: Graph, effects: Mapping[str, Effects], ways: Mapping[str, list[tuple[Keys, bool]]]
) -> dict[str, frozenset[str]]:
    """Return every node to which each node may lead, in whichever way."""
    found: dict[str, Keys] = {}
    for name, node in graph.nodes.items():
        targets: Keys = frozenset()
        for some, _ in ways[name]:
            targets = union(targets, some)
        plain = {v for u, v in graph.edges if u == name}
        plain |= {v for sources, v in graph.joins if name in sources}
        is_open = may_jump(node, effects[name]) or node.is_handled
        found[name] = ALL if is_open else union(targets, frozenset(plain) | node.ends)
    every = frozenset(graph.nodes)
    return {name: every if targets is ALL else targets for name, targets in found.items()}
