"""From a `StateGraph` to its straight-line runs: the parts whose order may be reconsidered.

    START -> a -> b -> c -> END          region (a, b, c), entered from START, left to END
    START -> r -?-> a -> b -> c -> d     `a` is reached by a router and stays; region (b, c, d)
    START -> a -> b -> r -?-> ...        region (a, b, r); `r` reads what its router reads

A region is a chain of plain edges that nothing else enters or leaves, outside of the parts that are
parallel already (`concurrency`).

The user's builder is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.graph import END, START, StateGraph

from langgraph_parallel._compat.channels import is_fold_channel, is_plain_channel
from langgraph_parallel.effects import (
    ALL,
    Effects,
    Keys,
    union,
)
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.reading.concurrency import find_brackets, read_exits
from langgraph_parallel.reading.nodes import (
    branch_targets,
    effects_of_node,
    forget_shapes,
    read_routing,
    with_routing,
    without_keeps,
)
from langgraph_parallel.reading.refusals import (
    Refusal,
    concurrency_refusals,
    held_by_routers,
    no_straight_run,
    pinned_nodes,
    whole_graph_refusals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A straight run of nodes in program order."""

    nodes: tuple[str, ...]
    exit: str | None
    """The node or `END` that follows the last node; None when no plain edge leaves it."""
    routed: bool = False
    """Whether a conditional edge leaves the last node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """What the pass needs to know of a graph."""

    effects: Mapping[str, Effects]
    """Effects of every node, bounded by the state's keys."""
    plain: frozenset[str]
    """State keys whose channel keeps the last value."""
    folding: frozenset[str]
    """State keys whose channel folds updates with a reducer."""
    regions: tuple[Region, ...]
    refusals: tuple[Refusal, ...]
    routing: Mapping[str, Effects] = field(default_factory=dict)
    """What the conditional edges of a node do, for nodes that may close a region with them."""

    def effects_in(self, region: Region) -> dict[str, Effects]:
        """Return the effects of a region's nodes, with what its conditional edge reads."""
        found = {name: self.effects[name] for name in region.nodes}
        if region.routed:
            last = region.nodes[-1]
            found[last] = with_routing(found[last], self.routing[last])
        return found


def read_graph(
    builder: StateGraph[Any, Any, Any, Any],
    declared: Mapping[str, Effects],
    pinned: Iterable[str],
    *,
    trusts_calls: bool = False,
    refine: Callable[[str, Effects], Effects] = lambda _name, found: found,
) -> GraphView:
    """Analyze every node of a graph and find its regions.

    Args:
        builder: The graph; it is not changed.
        declared: Effects that replace inferred ones, by node name.
        pinned: Nodes that must keep their superstep, such as those named in `interrupt_before`.
        trusts_calls: Take unknown calls to change none of their arguments.
        refine: Adds to the effects of a node, by name, what other sources know.

    Raises:
        AnalysisError: If `declared` or `pinned` name a node that the graph does not have.
    """
    forget_shapes(builder)
    if not _is_whole(builder):
        return _UNFINISHED
    if unknown := sorted(set(declared) - set(builder.nodes)):
        msg = f"effects= names {unknown[0]!r}, but the graph's nodes are {_list(builder.nodes)}."
        raise AnalysisError(msg)
    effects = {
        name: refine(name, effects_of_node(builder, name, declared, trusts_calls=trusts_calls))
        for name in builder.nodes
    }
    if any(found.mutates for found in effects.values()):
        # Giving a value back saves what was changed in it, so here it is a write like any other.
        effects = {name: without_keeps(found) for name, found in effects.items()}
    return _find_regions(builder, effects, frozenset(pinned))


_UNFINISHED: Final = GraphView(
    effects={},
    plain=frozenset(),
    folding=frozenset(),
    regions=(),
    refusals=(
        Refusal(
            rule="unfinished",
            nodes=(),
            # LangGraph itself says what is missing, when the graph is compiled.
            reason="an edge names a node that does not exist.",
        ),
    ),
)


def _find_regions(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects], pinned: frozenset[str]
) -> GraphView:
    """Find the runs of nodes that may be reordered, and say why others may not be."""
    plain = frozenset(k for k, c in builder.channels.items() if is_plain_channel(c))
    folding = frozenset(k for k, c in builder.channels.items() if is_fold_channel(c))
    routes = _read_routes(builder, effects)
    concurrent, unmatched = find_brackets(read_exits(builder, routes))
    refusals = list(whole_graph_refusals(builder, effects))
    if not refusals:
        refusals += concurrency_refusals(builder, routes, unmatched)
    regions: tuple[Region, ...] = ()
    routing: dict[str, Effects] = {}
    if not refusals:
        stuck = pinned_nodes(builder, pinned)
        refusals += stuck
        kept = concurrent.union(*(r.nodes for r in stuck))
        routed = _union_of(targets for ways in routes.values() for targets, _ in ways)
        routing = read_routing(builder, effects)
        regions = tuple(_chains(builder, kept, routed, routing.keys()))
        ends = (region.nodes[-2:] for region in regions if region.routed)
        refusals += held_by_routers(effects, routing, ends, plain | folding, folding)
        if not regions:
            refusals.append(no_straight_run(builder, effects))
    return GraphView(
        effects=effects,
        plain=plain,
        folding=folding,
        regions=regions,
        refusals=tuple(refusals),
        routing=routing,
    )


def _is_whole(builder: StateGraph[Any, Any, Any, Any]) -> bool:
    known = {START, END, *builder.nodes}
    named = {name for edge in builder.edges for name in edge}
    named |= {name for sources, target in builder.waiting_edges for name in (*sources, target)}
    return named <= known and set(builder.branches) <= known


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"


def _read_routes(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> dict[str, list[tuple[Keys, bool]]]:
    """Return, for each node, where its conditional edges and `Command`s go, and if to several."""
    routes: dict[str, list[tuple[Keys, bool]]] = {}
    for source in (START, *builder.nodes):
        ways = routes.setdefault(source, [])
        for branch in builder.branches.get(source, {}).values():
            ends = None if branch.ends is None else frozenset(branch.ends.values())
            names = branch_targets(builder, source, branch)
            ways.append((names or ends or ALL, names is None))
        found = effects.get(source)
        if found is not None and found.control & {"goto", "send"}:
            ways.append((found.goto, "send" in found.control))
    return routes


# -- regions -------------------------------------------------------------------------------------


def _union_of(sets: Iterable[Keys]) -> Keys:
    total: Keys = frozenset()
    for keys in sets:
        total = union(total, keys)
    return total


def _chains(
    builder: StateGraph[Any, Any, Any, Any],
    pinned: frozenset[str],
    routed: Keys,
    routing: Collection[str],
) -> Iterable[Region]:
    """Yield the runs of plain edges that nothing else enters or leaves, outside of `pinned`.

    The last node may be left by conditional edges, if it is one of `routing`.
    """
    ways = _plain_ways(builder)
    after = {u: out[0] for u, out in ways.items() if len(out) == 1}
    joined = {target for _, target in builder.waiting_edges}
    before: dict[str, list[str]] = {}
    for u, v in builder.edges:
        before.setdefault(v, []).append(u)

    def follows(u: str, v: str) -> bool:
        """Tell whether `v` runs exactly when `u` has run."""
        free = v not in pinned and v not in joined and v != END
        free = free and routed is not ALL and v not in routed
        return u in after and u not in pinned and free and before[v] == [u]

    inner = {v for u, v in after.items() if follows(u, v)}
    for head in builder.nodes:
        if head in pinned or head in inner:
            continue
        chain = {head: None}  # in order, with quick look-up
        last = head
        while (following := after.get(last, END)) not in chain and follows(last, following):
            chain[following] = None
            last = following
        region = _trim(
            list(chain), after, ways, routing, head_is_routed=routed is ALL or head in routed
        )
        if region is not None:
            yield region


def _trim(
    chain: list[str],
    after: Mapping[str, str],
    ways: Mapping[str, list[str]],
    routing: Collection[str],
    *,
    head_is_routed: bool,
) -> Region | None:
    """Return the part of a chain that may be rewritten, or None when nothing is left of it."""
    if head_is_routed:
        chain = chain[1:]  # a router picks the head by name; only what follows may move
    routed = bool(chain) and chain[-1] in routing
    if chain and not routed and chain[-1] not in ways:
        chain = chain[:-1]  # it branches in a way that was not understood
    leave = after.get(chain[-1]) if chain and not routed else None
    if len(chain) < 2 or leave in chain:
        return None
    return Region(nodes=tuple(chain), exit=leave, routed=routed)


def _plain_ways(builder: StateGraph[Any, Any, Any, Any]) -> dict[str, list[str]]:
    """Return the plain edges out of each node that is left by no other way; empty at the end."""
    ways: dict[str, list[str]] = {name: [] for name in builder.nodes}
    for u, v in builder.edges:
        if u != START:
            ways[u].append(v)
    waiting = {source for sources, _ in builder.waiting_edges for source in sources}
    for name, spec in builder.nodes.items():
        if builder.branches.get(name) or spec.ends or name in waiting or len(ways[name]) > 1:
            del ways[name]
    return ways
