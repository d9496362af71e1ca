"""Reasons to leave a graph, or some of its nodes, as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from langgraph_parallel.effects import ALL, LEFT_RUNNING, Effects, Keys, bounded
from langgraph_parallel.ordering.dependence import build_steps, constrain
from langgraph_parallel.reading.model import END, ROOT, START, Graph, Refusal, shown_name
from langgraph_parallel.reading.nodes import Route, may_jump, routes_anywhere


def whole_graph_refusals(
    graph: Graph, effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> Iterable[Refusal]:
    """Yield the reasons for which no part of the graph may be rewritten."""
    if ROOT in graph.channels:
        yield Refusal(
            rule="root-state", nodes=(), reason="its state is one value without keys to tell apart."
        )
        return
    yield from _short_lived_reads(graph, effects, routes)
    for name, node in graph.nodes.items():
        if node.is_deferred:
            yield Refusal(
                rule="deferred-node",
                nodes=(name,),
                reason="a deferred node waits for the progress of the whole graph.",
                remedy="Join with add_edge([...], node) instead of defer=True.",
            )
    for name, found in effects.items():
        left = next((e for e in found.evidence if e.effect == LEFT_RUNNING), None)
        if left is not None:
            yield Refusal(
                rule="left-running",
                nodes=(name,),
                reason=f"it {left}, and nodes after it would come upon it sooner.",
                remedy="Wait for it in the node, or declare what the node does.",
            )
        if routes_anywhere(graph.nodes[name], found):
            why = next((str(e) for e in reversed(found.evidence)), "its code was not understood")
            yield Refusal(
                rule="unknown-routing",
                nodes=(name,),
                reason=f"it may route anywhere with Command(goto=...), because {why}.",
                remedy="Declare what it does: @effects(reads=..., writes=...).",
            )


def _short_lived_reads(
    graph: Graph, effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> Iterable[Refusal]:
    """Refuse a graph in which somebody can tell how many supersteps have passed."""
    counted = graph.channels - graph.plain - graph.folding | graph.managed
    for name, found in effects.items():
        keys = bounded(found.reads, counted) | bounded(found.writes, counted)
        visible = graph.nodes[name].shape.keys | bounded(found.writes, graph.channels)
        if touched := keys & visible:
            reason = f"it uses {', '.join(sorted(touched))}, whose value depends on the superstep."
            yield Refusal(rule="superstep-lifetime", nodes=(name,), reason=reason)
    for source, ways in routes.items():
        for router, route in zip(graph.routers[source], ways, strict=True):
            read = bounded(route.effects.reads, counted & router.shape.keys)
            if read:
                reason = "its conditional edge depends on the number of the superstep."
                yield Refusal(rule="superstep-lifetime", nodes=(source,), reason=reason)


def concurrency_refusals(
    graph: Graph,
    ways: Mapping[str, list[tuple[Keys, bool]]],
    unmatched: frozenset[str],
) -> Iterable[Refusal]:
    """Refuse a graph in which several nodes may be active anywhere."""
    forks: list[str] = []
    for source in sorted(unmatched):
        if graph.routers.get(source) and any(several for _, several in ways[source]):
            yield Refusal(
                rule="unknown-router",
                nodes=(source,),
                reason="its conditional edge may pick several nodes at once.",
                remedy="Annotate the path function's result with Literal[...].",
            )
        else:
            forks.append(source)
    if forks:
        yield _already_parallel(graph, ways, forks)


def _already_parallel(
    graph: Graph, ways: Mapping[str, list[tuple[Keys, bool]]], forks: Sequence[str]
) -> Refusal:
    """Return the refusal of a graph whose branches run side by side by its own edges."""
    shown = []
    for source in forks:
        plain = {v for u, v in graph.edges if u == source}
        plain |= {target for sources, target in graph.joins if source in sources}
        plain |= {t for targets, _ in ways[source] if targets is not ALL for t in targets}
        if len(beside := sorted(plain - {END})) > 1:
            shown.append(f"{shown_name(source)} starts {' and '.join(beside[:_MOST_NAMED])}")
    more = f", and {len(shown) - _MOST_NAMED} more do so" if len(shown) > _MOST_NAMED else ""
    example = f": {', '.join(shown[:_MOST_NAMED])}{more}" if shown else ""
    meeting = _meeting_without_waiting(graph)
    if meeting is None:
        reason = f"branches run side by side already{example}."
        return Refusal(rule="already-parallel", nodes=tuple(forks), reason=reason)
    sources, target = meeting
    return Refusal(
        rule="already-parallel",
        nodes=tuple(forks),
        reason=f"branches run side by side already{example}; {target} does not wait for all of "
        "them.",
        remedy=f"Join them with add_edge({list(sources)!r}, {target!r}).",
    )


def _meeting_without_waiting(graph: Graph) -> tuple[tuple[str, ...], str] | None:
    """Return the ends of branches, and the node to which each leads by an edge of its own."""
    joined = {target for _, target in graph.joins}
    sources: dict[str, list[str]] = {}
    for source, target in sorted(graph.edges):
        if source != START and target != END:
            sources.setdefault(target, []).append(source)
    for target in graph.nodes:
        found = sources.get(target, [])
        if len(found) > 1 and target not in joined:
            return tuple(found), target
    return None


_MOST_NAMED: Final = 3
"""Nodes that a sentence about several spells out."""


def pinned_nodes(graph: Graph, pinned: frozenset[str]) -> list[Refusal]:
    """Return the nodes that must keep their superstep, with the reason."""
    refusals = []
    for name, node in graph.nodes.items():
        if name in pinned or "*" in pinned:
            reason = "the graph may pause before or after it."
            refusals.append(Refusal(rule="interrupt-point", nodes=(name,), reason=reason))
        elif node.cache_policy is not None:
            reason = "its cache_policy keeps, with its result, which node comes next."
            refusals.append(Refusal(rule="cached-node", nodes=(name,), reason=reason))
        elif node.is_handled or node.handles_errors:
            reason = "an error handler decides what follows it."
            refusals.append(Refusal(rule="error-handler", nodes=(name,), reason=reason))
    return refusals


def held_by_routers(
    effects: Mapping[str, Effects],
    routing: Mapping[str, Effects],
    ends: Iterable[tuple[str, ...]],
    keys: frozenset[str],
    folding: frozenset[str],
    taking_turns: frozenset[str],
) -> Iterable[Refusal]:
    """Yield the nodes that only their conditional edge keeps behind the node before them.

    Args:
        effects: Effects of all nodes, without their conditional edges.
        routing: What conditional edges do, by node.
        ends: The last two nodes of each region that ends in a conditional edge.
        keys: Every key of the state.
        folding: Keys with a reducer.
        taking_turns: Nodes whose writes can be taken in program order.
    """
    for previous, last in ends:
        before, after = build_steps(
            (previous, last), effects, keys, folding, taking_turns=taking_turns
        )
        held = constrain(before, after)
        read = before.writes & bounded(routing[last].reads, keys)
        if read and (held is None or not held.strict):
            yield Refusal(
                rule="router-at-the-end",
                nodes=(last,),
                reason=f"its conditional edge reads {', '.join(sorted(read))}, and would not see "
                f"what {previous} writes beside it.",
                remedy="Route from a node of its own behind both: "
                "add_node('route', lambda state: {}) takes over the edge.",
            )


def no_straight_run(graph: Graph, effects: Mapping[str, Effects]) -> Refusal:
    """Return the refusal of a graph in which nothing could be moved."""
    routed = {
        name
        for name, found in effects.items()
        if found.control & {"goto", "send"} and not may_jump(graph.nodes[name], found)
    }
    routers = sorted(routed | {source for source, ways in graph.routers.items() if ways})
    reason = "no two nodes follow one another by plain edges alone"
    if routers:
        several = len(routers) > 1
        more = f" and {len(routers) - 3} more" if len(routers) > 3 else ""
        names = ", ".join(routers[:3]) + more
        reason += f": {names} {'choose' if several else 'chooses'} what comes next"
    return Refusal(rule="no-straight-run", nodes=(), reason=f"{reason}.")
