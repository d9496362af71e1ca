"""From the nodes and routers of a graph to their effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.runnables import Runnable
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from langgraph.types import CachePolicy

from langgraph_parallel._compat.builder import has_default
from langgraph_parallel._compat.channels import is_plain_channel, reducer_of
from langgraph_parallel._compat.runnables import can_project, functions_in
from langgraph_parallel.effects import (
    ALL,
    METADATA_KEY,
    Control,
    Effects,
    External,
    Keys,
    union,
)
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.frame import Shape
from langgraph_parallel.inference.framework import Framework, use_framework
from langgraph_parallel.inference.infer import either, node_effects, router_effects, router_targets
from langgraph_parallel.inference.shape import describe_schema


def effects_of_node(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    declared: Mapping[str, Effects],
    *,
    trusts_calls: bool,
) -> Effects:
    """Return the effects of a node: declared ones if there are any, else inferred ones."""
    spec = builder.nodes[name]
    ours = (spec.metadata or {}).get(METADATA_KEY)
    given = declared.get(name) or (ours.get("effects") if isinstance(ours, dict) else None)
    if given is not None:
        if not isinstance(given, Effects):
            msg = f"The effects of node {name!r} must be an `Effects`, not {given!r}."
            raise AnalysisError(msg)
        return given
    schema = spec.input_schema
    shape = shape_of(builder, schema)
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
        found = without_keeps(found)
    if found.goto is ALL and spec.ends:
        # `-> Command[Literal[...]]` or `destinations=` declares where the node may go.
        return replace(found, goto=frozenset(spec.ends))
    return found


def without_keeps(found: Effects) -> Effects:
    """Return effects in which every key that is given back counts as written."""
    if not found.keeps:
        return found
    return replace(found, reads=ALL, writes=ALL, folds=frozenset(), keeps=frozenset())


def read_routing(
    builder: StateGraph[Any, Any, Any, Any], effects: Mapping[str, Effects]
) -> dict[str, Effects]:
    """Return what the conditional edges of nodes do, for nodes that nothing else leaves.

    Left out are nodes whose routers may start several tasks or pause.
    """
    left = {u for u, _ in builder.edges} | {u for us, _ in builder.waiting_edges for u in us}
    routing = {}
    for name, branches in builder.branches.items():
        if name not in builder.nodes or name in left or builder.nodes[name].ends or not branches:
            continue
        if effects[name].control & {"goto", "send"}:
            continue
        total = Effects()
        for branch in branches.values():
            total = either(total, router_effects(branch.path, branch_shape(builder, name, branch)))
            if branch_targets(builder, name, branch) is None:
                total = replace(total, control=total.control | {"send"})
        if not total.control & {"goto", "send", "interrupt", "step"}:
            routing[name] = total
    return routing


def with_routing(found: Effects, routing: Effects) -> Effects:
    """Return the effects of a node together with those of its conditional edges.

    A router is given the state as it was before the node's superstep, with the node's own writes:
    what it reads must have been written in an earlier superstep, as if the node read it.
    """
    return replace(
        found,
        reads=union(found.reads, routing.reads),
        mutates=union(found.mutates, routing.mutates),
        external=found.external | routing.external,
        control=found.control | routing.control,
        resources=found.resources | routing.resources,
        evidence=(*found.evidence, *routing.evidence),
        certain=found.certain and routing.certain,
    )


def summarize_graph(graph: CompiledStateGraph[Any, Any, Any, Any]) -> Effects:
    """Return the effects of running a whole compiled graph as one step of another.

    It reads its input keys and writes its output keys; the contacts of its nodes and routers are
    its own. What its nodes do to the course of the graph stays inside, but for pauses and for a
    `Command` to a parent, which an unknown target may be.
    """
    builder = graph.builder
    forget_shapes(builder)
    parts = [effects_of_node(builder, name, {}, trusts_calls=False) for name in builder.nodes]
    for source, branches in builder.branches.items():
        for branch in branches.values():
            routing = router_effects(branch.path, branch_shape(builder, source, branch))
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
        resources=frozenset().union(*(part.resources for part in parts)),
        certain=all(part.certain for part in parts),
    )


_SHAPES: Final[WeakKeyDictionary[Any, dict[Any, Shape]]] = WeakKeyDictionary()
"""Shapes by graph and schema, kept from one `forget_shapes` to the next."""


def forget_shapes(builder: StateGraph[Any, Any, Any, Any]) -> None:
    """Describe the schemas of a graph anew: nodes may have been added since."""
    _SHAPES.pop(builder, None)


def shape_of(builder: StateGraph[Any, Any, Any, Any], schema: Any) -> Shape:
    """Return the state that a node or router with this input schema receives."""
    # Nearly all nodes of a graph share one schema, whose annotations take long to resolve.
    cache = _SHAPES.setdefault(builder, {})
    if schema not in cache:
        keys = builder.schemas.get(schema, {})
        plain = frozenset(k for k in keys if is_plain_channel(builder.channels.get(k)))
        cache[schema] = describe_schema(
            schema, keys, lambda key: reducer_of(builder.channels.get(key)), plain
        )
    return cache[schema]


def branch_shape(builder: StateGraph[Any, Any, Any, Any], source: str, branch: Any) -> Shape:
    """Return the state that the function of a conditional edge receives."""
    spec = builder.nodes.get(source)
    schema = branch.input_schema or (spec.input_schema if spec else builder.state_schema)
    return shape_of(builder, schema)


def branch_targets(
    builder: StateGraph[Any, Any, Any, Any], source: str, branch: Any
) -> Keys | None:
    """Return where a conditional edge may go; None when it may go to several nodes at once."""
    names = router_targets(branch.path, branch_shape(builder, source, branch))
    if names is None:
        return None
    if branch.ends is not None:
        return frozenset(branch.ends.values())
    return names or ALL


def infer_effects(node: Any, state_schema: Any) -> Effects:
    """Return an upper bound of what a node function or runnable does in one run.

    Args:
        node: A function, method, callable object or runnable, as given to `StateGraph.add_node`.
        state_schema: The schema whose keys the node receives: TypedDict, dataclass or pydantic.

    Returns:
        The declared effects when `node` carries `@effects`, else the inferred ones. Code that
        cannot be read gives `Effects.top()`.

    Raises:
        AnalysisError: If `node` is not callable, or `state_schema` has no annotated keys.
    """
    if not callable(node) and not isinstance(node, Runnable):
        msg = f"A node must be a function or a runnable, not {type(node).__name__!r}."
        raise AnalysisError(msg)
    shape = describe_schema(state_schema, plain=_plain_keys(state_schema))
    if not shape.keys:
        msg = f"{state_schema!r} has no annotated keys; pass a TypedDict, dataclass or model."
        raise AnalysisError(msg)
    return node_effects(node, shape, state_schema)


def _plain_keys(schema: Any) -> frozenset[str] | None:
    """Return the keys of which LangGraph keeps the last value; None when it rejects the schema."""
    try:
        channels = StateGraph(schema).channels
    except Exception:
        return None
    return frozenset(key for key, channel in channels.items() if is_plain_channel(channel))


def _summarize(runnable: Any) -> Effects | None:
    return summarize_graph(runnable) if isinstance(runnable, CompiledStateGraph) else None


use_framework(
    Framework(
        injected=frozenset({"config", "writer", "store", "runtime", "previous", "error"}),
        getters={
            get_config: "config",
            get_store: "store",
            get_stream_writer: "writer",
            get_runtime: "runtime",
        },
        functions_in=functions_in,
        summarize=_summarize,
    )
)
