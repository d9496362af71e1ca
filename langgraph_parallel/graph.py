"""From a `StateGraph` to its straight-line runs: the parts whose order may be reconsidered.

    START -> a -> b -> c -> END          region (a, b, c), entered from START, left to END
    START -> r -?-> a -> b -> c -> d     `a` is reached by a router and stays; region (b, c, d)

A region is a chain of plain edges that nothing else enters or leaves, outside of the parts that are
parallel already (`concurrency`).

The user's builder is only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import CachePolicy

from langgraph_parallel._compat import (
    can_project,
    has_default,
    is_fold_channel,
    is_plain_channel,
    reducer_of,
)
from langgraph_parallel.concurrency import find_brackets, read_exits
from langgraph_parallel.effects import (
    ALL,
    METADATA_KEY,
    Control,
    Effects,
    External,
    Keys,
    bounded,
    union,
)
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.frame import Shape
from langgraph_parallel.inference.infer import node_effects, router_effects, router_targets
from langgraph_parallel.inference.runnables import set_graph_analysis
from langgraph_parallel.inference.shape import describe_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A part of the graph that stays as it is, and why."""

    rule: str
    """Name of the rule that applies."""
    nodes: tuple[str, ...]
    """The nodes concerned; empty for the whole graph."""
    reason: str
    """What stands in the way, in a sentence."""
    remedy: str = ""
    """What its author can do about it, or empty."""

    def __str__(self) -> str:
        subject = ", ".join(self.nodes) if self.nodes else "the graph"
        return f"{subject}: {self.reason}" + (f" {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A straight run of nodes in program order."""

    nodes: tuple[str, ...]
    exit: str | None
    """The node or `END` that follows the last node; None when nothing follows it."""


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


def read_graph(
    builder: StateGraph[Any, Any, Any, Any],
    declared: Mapping[str, Effects],
    pinned: Iterable[str],
    *,
    trusts_calls: bool = False,
) -> GraphView:
    """Analyze every node of a graph and find its regions.

    Args:
        builder: The graph; it is not changed.
        declared: Effects that replace inferred ones, by node name.
        pinned: Nodes that must keep their superstep, such as those named in `interrupt_before`.
        trusts_calls: Take unknown calls to change none of their arguments.

    Raises:
        AnalysisError: If `declared` or `pinned` name a node that the graph does not have.
    """
    if not _is_whole(builder):
        # LangGraph itself says what is missing, when the graph is compiled.
        reason = "an edge names a node that does not exist."
        return GraphView(
            effects={},
            plain=frozenset(),
            folding=frozenset(),
            regions=(),
            refusals=(Refusal(rule="unfinished", nodes=(), reason=reason),),
        )
    if unknown := sorted(set(declared) - set(builder.nodes)):
        msg = f"effects= names {unknown[0]!r}, but the graph's nodes are {_list(builder.nodes)}."
        raise AnalysisError(msg)
    effects = {
        name: _effects_of(builder, name, declared, trusts_calls=trusts_calls)
        for name in builder.nodes
    }
    if any(found.mutates for found in effects.values()):
        # Giving a value back saves what was changed in it, so here it is a write like any other.
        effects = {name: _without_keeps(found) for name, found in effects.items()}
    routes = _read_routes(builder, effects)
    concurrent, unmatched = find_brackets(read_exits(builder, routes))
    refusals = list(_whole_graph_refusals(builder, effects))
    if not refusals:
        refusals += _concurrency(builder, routes, unmatched)
    regions: tuple[Region, ...] = ()
    if not refusals:
        stuck = _pinned_nodes(builder, frozenset(pinned))
        refusals += stuck
        kept = concurrent.union(*(r.nodes for r in stuck))
        routed = _union_of(targets for ways in routes.values() for targets, _ in ways)
        regions = tuple(_chains(builder, kept, routed))
        if not regions:
            reason = "no two nodes follow one another by plain edges alone."
            refusals.append(Refusal(rule="no-straight-run", nodes=(), reason=reason))
    return GraphView(
        effects=effects,
        plain=frozenset(k for k, c in builder.channels.items() if is_plain_channel(c)),
        folding=frozenset(k for k, c in builder.channels.items() if is_fold_channel(c)),
        regions=regions,
        refusals=tuple(refusals),
    )


def _is_whole(builder: StateGraph[Any, Any, Any, Any]) -> bool:
    known = {START, END, *builder.nodes}
    named = {name for edge in builder.edges for name in edge}
    named |= {name for sources, target in builder.waiting_edges for name in (*sources, target)}
    return named <= known and set(builder.branches) <= known


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"


# -- effects of the nodes ------------------------------------------------------------------------


def _effects_of(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    declared: Mapping[str, Effects],
    *,
    trusts_calls: bool,
) -> Effects:
    spec = builder.nodes[name]
    ours = (spec.metadata or {}).get(METADATA_KEY)
    given = declared.get(name) or (ours.get("effects") if isinstance(ours, dict) else None)
    if given is not None:
        if not isinstance(given, Effects):
            msg = f"The effects of node {name!r} must be an `Effects`, not {given!r}."
            raise AnalysisError(msg)
        return given
    schema = spec.input_schema
    shape = _shape(builder, schema)
    found = node_effects(spec.runnable, shape, schema, trusts_calls=trusts_calls)
    policy = spec.cache_policy or has_default(builder, "cache_policy")
    if policy is not None:
        # The cache key is made of the whole input; a function of the user's may look at anything.
        own_key = policy.key_func is not CachePolicy().key_func
        found = replace(found, reads=union(found.reads, shape.keys))
        if own_key:
            found = replace(found, external=found.external | {"unknown"})
    if found.keeps and (policy is not None or not can_project(spec.runnable)):
        # Its update cannot be cut down to what it changes, so it really writes them all.
        found = _without_keeps(found)
    if found.goto is ALL and spec.ends:
        # `-> Command[Literal[...]]` or `destinations=` declares where the node may go.
        return replace(found, goto=frozenset(spec.ends))
    return found


def _without_keeps(found: Effects) -> Effects:
    if not found.keeps:
        return found
    return replace(found, reads=ALL, writes=ALL, folds=frozenset(), keeps=frozenset())


def summarize_graph(graph: CompiledStateGraph[Any, Any, Any, Any]) -> Effects:
    """Return the effects of running a whole compiled graph as one step of another.

    It reads its input keys and writes its output keys; the contacts of its nodes and routers are
    its own. What its nodes do to the course of the graph stays inside, but for pauses and for a
    `Command` to a parent, which an unknown target may be.
    """
    builder = graph.builder
    parts = [_effects_of(builder, name, {}, trusts_calls=False) for name in builder.nodes]
    for source, branches in builder.branches.items():
        for branch in branches.values():
            routing = router_effects(branch.path, _branch_shape(builder, source, branch))
            parts.append(replace(routing, goto=frozenset()))  # it stays inside
    control: set[Control] = set().union(*(part.control for part in parts)) & {"raise", "interrupt"}
    if graph.interrupt_before_nodes or graph.interrupt_after_nodes:
        control.add("interrupt")
    leaves = any(part.goto is ALL for part in parts)
    if leaves:
        control |= {"goto", "send"}
    external: set[External] = set().union(*(part.external for part in parts))
    if graph.checkpointer is True:  # it remembers a thread of its own from call to call
        external.add("write")
    return Effects(
        reads=frozenset(builder.schemas[builder.input_schema]),
        writes=frozenset(builder.schemas[builder.output_schema]),
        mutates=ALL if any(part.mutates for part in parts) else frozenset(),
        external=frozenset(external),
        control=frozenset(control),
        goto=ALL if leaves else frozenset(),
        certain=all(part.certain for part in parts),
    )


set_graph_analysis(summarize_graph)


def _shape(builder: StateGraph[Any, Any, Any, Any], schema: Any) -> Shape:
    keys = builder.schemas.get(schema, {})
    plain = frozenset(k for k in keys if is_plain_channel(builder.channels.get(k)))
    return describe_schema(schema, keys, lambda key: reducer_of(builder.channels.get(key)), plain)


# -- reasons to leave the whole graph alone ------------------------------------------------------


def _whole_graph_refusals(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> Iterable[Refusal]:
    if "__root__" in builder.channels:
        yield Refusal(
            rule="root-state", nodes=(), reason="its state is one value without keys to tell apart."
        )
        return
    yield from _short_lived_reads(builder, effects)
    for name, spec in builder.nodes.items():
        if getattr(spec, "defer", False):
            yield Refusal(
                rule="deferred-node",
                nodes=(name,),
                reason="a deferred node waits for the progress of the whole graph.",
                remedy="Join with add_edge([...], node) instead of defer=True.",
            )
    for name, found in effects.items():
        if found.control & {"goto", "send"} and found.goto is ALL:
            why = next((str(e) for e in reversed(found.evidence)), "its code was not understood")
            yield Refusal(
                rule="unknown-routing",
                nodes=(name,),
                reason=f"it may route anywhere with Command(goto=...), because {why}.",
                remedy="Declare what it does: @effects(reads=..., writes=...).",
            )


def _short_lived_reads(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> Iterable[Refusal]:
    """Refuse a graph in which somebody can tell how many supersteps have passed."""
    lasting = {k for k, c in builder.channels.items() if is_plain_channel(c) or is_fold_channel(c)}
    counted = frozenset(builder.channels) - lasting | frozenset(builder.managed)
    for name, found in effects.items():
        keys = bounded(found.reads, counted) | bounded(found.writes, counted)
        visible = frozenset(builder.schemas.get(builder.nodes[name].input_schema, {}))
        if touched := keys & (visible | bounded(found.writes, frozenset(builder.channels))):
            reason = f"it uses {_list(touched)}, whose value depends on the superstep."
            yield Refusal(rule="superstep-lifetime", nodes=(name,), reason=reason)
        elif "step" in found.control:
            reason = "it looks at the number of its superstep or at its checkpoint."
            yield Refusal(rule="superstep-lifetime", nodes=(name,), reason=reason)
    yield from _short_lived_routing(builder, counted)


def _short_lived_routing(
    builder: StateGraph[Any, Any, Any, Any], counted: frozenset[str]
) -> Iterable[Refusal]:
    for source, branches in builder.branches.items():
        for branch in branches.values():
            shape = _branch_shape(builder, source, branch)
            routing = router_effects(branch.path, shape)
            if "step" in routing.control or bounded(routing.reads, counted & shape.keys):
                reason = "its conditional edge depends on the number of the superstep."
                yield Refusal(rule="superstep-lifetime", nodes=(source,), reason=reason)


def _concurrency(
    builder: StateGraph[Any, Any, Any, Any],
    routes: Mapping[str, list[tuple[Keys, bool]]],
    unmatched: frozenset[str],
) -> Iterable[Refusal]:
    """Refuse a graph in which several nodes may be active anywhere."""
    for source in sorted(unmatched):
        if builder.branches.get(source) and any(several for _, several in routes[source]):
            yield Refusal(
                rule="unknown-router",
                nodes=(source,),
                reason="its conditional edge may pick several nodes at once.",
                remedy="Annotate the path function's result with Literal[...].",
            )
        else:
            yield Refusal(
                rule="already-parallel",
                nodes=(source,),
                reason="it starts several branches that do not meet again in one node.",
                remedy='Join them with add_edge([...], "node").',
            )


def _read_routes(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> dict[str, list[tuple[Keys, bool]]]:
    """Return, for each node, where its conditional edges and `Command`s go, and if to several."""
    routes: dict[str, list[tuple[Keys, bool]]] = {}
    for source in (START, *builder.nodes):
        ways = routes.setdefault(source, [])
        for branch in builder.branches.get(source, {}).values():
            ends = None if branch.ends is None else frozenset(branch.ends.values())
            names = _branch_targets(builder, source, branch)
            ways.append((names or ends or ALL, names is None))
        found = effects.get(source)
        if found is not None and found.control & {"goto", "send"}:
            ways.append((found.goto, "send" in found.control))
    return routes


def _branch_shape(builder: StateGraph[Any, Any, Any, Any], source: str, branch: Any) -> Shape:
    spec = builder.nodes.get(source)
    schema = branch.input_schema or (spec.input_schema if spec else builder.state_schema)
    return _shape(builder, schema)


def _branch_targets(
    builder: StateGraph[Any, Any, Any, Any], source: str, branch: Any
) -> Keys | None:
    """Return where a conditional edge may go; None when it may go to several nodes at once."""
    names = router_targets(branch.path, _branch_shape(builder, source, branch))
    if names is None:
        return None
    if branch.ends is not None:
        return frozenset(branch.ends.values())
    return names or ALL


# -- regions -------------------------------------------------------------------------------------


def _pinned_nodes(builder: StateGraph[Any, Any, Any, Any], pinned: frozenset[str]) -> list[Refusal]:
    refusals = []
    default = has_default(builder, "error_handler")
    for name, spec in builder.nodes.items():
        handler = getattr(spec, "error_handler_node", None) or default
        if name in pinned or "*" in pinned:
            reason = "the graph may pause before or after it."
            refusals.append(Refusal(rule="interrupt-point", nodes=(name,), reason=reason))
        elif handler is not None or getattr(spec, "is_error_handler", False):
            reason = "an error handler decides what follows it."
            refusals.append(Refusal(rule="error-handler", nodes=(name,), reason=reason))
    return refusals


def _union_of(sets: Iterable[Keys]) -> Keys:
    total: Keys = frozenset()
    for keys in sets:
        total = union(total, keys)
    return total


def _chains(
    builder: StateGraph[Any, Any, Any, Any], pinned: frozenset[str], routed: Keys
) -> Iterable[Region]:
    after = {u: v for u, v in builder.edges if _single_exit(builder, u)}
    joined = {target for _, target in builder.waiting_edges}
    before: dict[str, list[str]] = {}
    for u, v in builder.edges:
        before.setdefault(v, []).append(u)

    def follows(u: str, v: str) -> bool:
        """Tell whether `v` runs exactly when `u` has run."""
        free = v not in pinned and v not in joined and v != END
        free = free and routed is not ALL and v not in routed
        return u in after and u not in pinned and u != START and free and before[v] == [u]

    heads = [n for n in builder.nodes if n not in pinned]
    inner = {v for u, v in after.items() if follows(u, v)}
    for head in heads:
        if head in inner:
            continue
        chain = [head]
        while (following := after.get(chain[-1], END)) not in chain and follows(
            chain[-1], following
        ):
            chain.append(following)
        if routed is ALL or head in routed:
            chain = chain[1:]  # a router picks the head by name; only what follows may move
        leave = after.get(chain[-1]) if chain else None
        if chain and leave is None and not _is_last(builder, chain[-1]):
            chain = chain[:-1]  # it branches: its router must see everything before it
            leave = after.get(chain[-1]) if chain else None
        if len(chain) > 1 and leave not in chain:
            yield Region(nodes=tuple(chain), exit=leave)


def _single_exit(builder: StateGraph[Any, Any, Any, Any], name: str) -> bool:
    """Tell whether a node is left by one plain edge and by nothing else."""
    if name == START:
        return False
    out = [v for u, v in builder.edges if u == name]
    spec = builder.nodes.get(name)
    waits = any(name in sources for sources, _ in builder.waiting_edges)
    leaves = builder.branches.get(name) or (spec and spec.ends) or waits
    return len(out) == 1 and not leaves


def _is_last(builder: StateGraph[Any, Any, Any, Any], name: str) -> bool:
    spec = builder.nodes[name]
    waits = any(name in sources for sources, _ in builder.waiting_edges)
    leaves = builder.branches.get(name) or spec.ends or waits
    return not leaves and all(u != name for u, _ in builder.edges)
