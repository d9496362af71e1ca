"""From a graph to its straight-line runs: the parts whose order may be reconsidered.

    START -> a -> b -> c -> END          region (a, b, c), entered from START, left to END
    START -> r -?-> a -> b -> c -> d     `a` is reached by a router and stays; region (b, c, d)
    START -> a -> b -> r -?-> ...        region (a, b, r); `r` reads what its router reads

A region is a chain of plain edges that nothing else enters or leaves, outside of the parts that are
parallel already (`concurrency`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from langgraph_parallel.effects import ALL, Effects, Keys, bounded, union
from langgraph_parallel.inference.machine.values import Value
from langgraph_parallel.inference.whole import infer_nodes
from langgraph_parallel.reading.concurrency import find_brackets, read_exits
from langgraph_parallel.reading.contents import (
    computed_keys,
    keys_relied_on,
    open_keys,
    sent_to,
    with_known_contents,
)
from langgraph_parallel.reading.declared import check_keys, check_names, missing_node
from langgraph_parallel.reading.fills import without_lone_fills
from langgraph_parallel.reading.given_back import counted_as_written
from langgraph_parallel.reading.model import END, START, Graph, Refusal, Region
from langgraph_parallel.reading.nodes import (
    Route,
    as_written,
    effects_of_nodes,
    may_jump,
    read_routes,
    read_routing,
    with_reducers,
    with_routing,
)
from langgraph_parallel.reading.refusals import (
    concurrency_refusals,
    held_by_routers,
    no_straight_run,
    pinned_nodes,
    whole_graph_refusals,
)
from langgraph_parallel.reading.steps import (
    behind_all,
    nodes_seeing_steps,
    seen_steps,
    ways_on,
)
from langgraph_parallel.reading.validation import with_validation


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """A graph with all that is known of it."""

    graph: Graph
    effects: Mapping[str, Effects] = field(default_factory=dict)
    """Effects of every node, bounded by the state's keys; empty when the graph is unfinished."""
    regions: tuple[Region, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    """What the conditional edges of each node do."""
    routing: Mapping[str, Effects] = field(default_factory=dict)
    """The same as one, for nodes that may close a region with their conditional edges."""
    sees_steps: bool = False
    """Whether some node looks at the number of its superstep."""
    relied_on: Mapping[str, frozenset[type]] = field(default_factory=dict)
    """State keys that are taken to hold plain data when a run begins, with classes whose instances
    may be among it."""

    def effects_in(self, region: Region) -> dict[str, Effects]:
        """Return the effects of a region's nodes, with what its conditional edge reads."""
        settled = counted_as_written(self.graph, region, self.effects)
        found = with_validation(self.graph, region, settled)
        if region.routed:
            last = region.nodes[-1]
            found[last] = with_routing(found[last], self.routing[last])
        return found


def read_graph(
    graph: Graph,
    declared: Mapping[str, Effects],
    pinned: Iterable[str],
    *,
    trusts_calls: bool = False,
    refine: Callable[[dict[str, Effects]], dict[str, Effects]] = lambda found: found,
) -> GraphView:
    """Analyze every node and router of a graph and find its regions.

    Args:
        graph: The graph.
        declared: Effects that replace inferred ones, by node name.
        pinned: Nodes that must keep their superstep, such as those named in `interrupt_before`.
        trusts_calls: Take unknown calls to change none of their arguments.
        refine: Adds to the effects of nodes, by name, what other sources know.

    Raises:
        AnalysisError: If `declared` names a node or a key that the graph does not have.
    """
    if missing_node(graph) is not None:
        return _unfinished(graph)
    check_names(graph, declared)
    graph, effects, contents = _infer(graph, declared, trusts_calls=trusts_calls)
    check_keys(graph, declared, effects)
    effects = refine(effects)
    effects = {name: with_reducers(graph, found) for name, found in effects.items()}
    # Giving back a value that is changed in place saves the change: a write like any other.
    changed = _union_of(found.mutates for found in effects.values())
    if changed:
        effects = {
            name: as_written(found, bounded(changed, found.keeps))
            for name, found in effects.items()
        }
    if any(may_jump(node, effects[name]) for name, node in graph.nodes.items()):
        # From a jump on several branches may run side by side, which take no turns.
        graph = replace(
            graph, nodes={n: replace(node, takes_turns=False) for n, node in graph.nodes.items()}
        )
    view = _find_regions(graph, effects, frozenset(pinned))
    asked = {
        name: effects[name]
        for name, node in graph.nodes.items()
        if name not in declared and node.declared is None
    }
    return replace(view, relied_on=keys_relied_on(contents, asked, view.routes))


def _infer(
    graph: Graph, declared: Mapping[str, Effects], *, trusts_calls: bool
) -> tuple[Graph, dict[str, Effects], Mapping[str, Value]]:
    """Return the effects of all nodes, what keys hold, and the graph that knows it."""
    infer = partial(
        infer_nodes, open_keys=open_keys(graph, declared), computed=computed_keys(graph)
    )
    effects, contents = effects_of_nodes(graph, declared, trusts_calls=trusts_calls, infer=infer)
    known = with_known_contents(graph, contents)
    sent = sent_to(effects, read_routes(known)) if contents else frozenset()
    if sent:
        # What they are handed is no state: they, at least, know nothing of it.
        infer = partial(infer, unknowing=sent)
        effects, contents = effects_of_nodes(
            graph, declared, trusts_calls=trusts_calls, infer=infer
        )
        known = with_known_contents(graph, contents, sent)
    return known, effects, contents


def _unfinished(graph: Graph) -> GraphView:
    # LangGraph itself says what is missing, when the graph is compiled.
    reason = "an edge names a node that does not exist."
    return GraphView(graph=graph, refusals=(Refusal(rule="unfinished", nodes=(), reason=reason),))


def _find_regions(
    graph: Graph, effects: Mapping[str, Effects], pinned: frozenset[str]
) -> GraphView:
    """Find the runs of nodes that may be reordered, and say why others may not be."""
    effects, routes = without_lone_fills(effects, read_routes(graph))
    ways = _ways_out(graph, effects, routes)
    concurrent, unmatched = find_brackets(read_exits(graph, ways))
    refusals = list(whole_graph_refusals(graph, effects, routes))
    if not refusals:
        refusals += concurrency_refusals(graph, ways, unmatched)
    regions: tuple[Region, ...] = ()
    routing: dict[str, Effects] = {}
    if not refusals:
        stuck = pinned_nodes(graph, pinned)
        refusals += stuck
        seeing = nodes_seeing_steps(effects, routes)
        kept = concurrent.union(seeing, *(r.nodes for r in stuck))
        routed = _union_of(targets for found in ways.values() for targets, _ in found)
        routed = union(routed, _led_to_by_cached(graph))
        routing = read_routing(graph, effects, routes)
        regions = tuple(_chains(graph, kept, routed, routing.keys()))
        if seeing:
            regions, held = behind_all(regions, seeing, ways_on(graph, effects, ways))
            refusals += seen_steps(seeing, held)
        ends = (region.nodes[-2:] for region in regions if region.routed)
        keys = graph.plain | graph.folding
        refusals += held_by_routers(effects, routing, ends, keys, graph.folding, graph.taking_turns)
        if not regions and not seeing:
            refusals.append(no_straight_run(graph, effects))
    return GraphView(
        graph=graph,
        effects=effects,
        regions=regions,
        refusals=tuple(refusals),
        routes=routes,
        routing=routing,
        sees_steps=bool(nodes_seeing_steps(effects, routes)),
    )


def _led_to_by_cached(graph: Graph) -> frozenset[str]:
    """Return the nodes that follow one whose edges must not change.

    A cache keeps the writes of a node, and so where it goes on; the original may share it.
    """
    cached = {name for name, node in graph.nodes.items() if node.cache_policy is not None}
    found = {target for source, target in graph.edges if source in cached}
    found |= {target for sources, target in graph.joins if not cached.isdisjoint(sources)}
    return frozenset(found - {END})


def _ways_out(
    graph: Graph, effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> dict[str, list[tuple[Keys, bool]]]:
    """Return, for each node, where its conditional edges and `Command`s go, and if to several."""
    ways: dict[str, list[tuple[Keys, bool]]] = {}
    for source in (START, *graph.nodes):
        found = effects.get(source)
        ways[source] = [(route.targets, not route.is_single) for route in routes.get(source, ())]
        if found is None or may_jump(graph.nodes[source], found):
            continue
        if found.control & {"goto", "send"}:
            ways[source].append((found.goto, "send" in found.control))
    return ways


# -- regions -------------------------------------------------------------------------------------


def _union_of(sets: Iterable[Keys]) -> Keys:
    total: Keys = frozenset()
    for keys in sets:
        total = union(total, keys)
    return total


def _chains(
    graph: Graph,
    pinned: frozenset[str],
    routed: Keys,
    routing: Collection[str],
) -> Iterable[Region]:
    """Yield the runs of plain edges that nothing else enters or leaves, outside of `pinned`.

    The last node may be left by conditional edges, if it is one of `routing`.
    """
    ways = _plain_ways(graph)
    after = {u: out[0] for u, out in ways.items() if len(out) == 1}
    joined = {target for _, target in graph.joins}
    before: dict[str, list[str]] = {}
    for u, v in graph.edges:
        before.setdefault(v, []).append(u)

    def follows(u: str, v: str) -> bool:
        """Tell whether `v` runs exactly when `u` has run."""
        free = v not in pinned and v not in joined and v != END
        free = free and routed is not ALL and v not in routed
        return u in after and u not in pinned and free and before[v] == [u]

    inner = {v for u, v in after.items() if follows(u, v)}
    for head in graph.nodes:
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


def _plain_ways(graph: Graph) -> dict[str, list[str]]:
    """Return the plain edges out of each node that is left by no other way; empty at the end."""
    ways: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for u, v in graph.edges:
        if u != START:
            ways[u].append(v)
    waiting = {source for sources, _ in graph.joins for source in sources}
    for name, node in graph.nodes.items():
        if graph.routers.get(name) or node.ends or name in waiting or len(ways[name]) > 1:
            del ways[name]
    return ways
