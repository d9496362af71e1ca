"""From the nodes and routers of a graph to their effects."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.graph import StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime
from langgraph.runtime import Runtime, get_runtime
from langgraph.store.base import BaseStore
from langgraph.types import CachePolicy

from langgraph_parallel._compat.calls import TASK
from langgraph_parallel._compat.channels import is_plain_channel
from langgraph_parallel._compat.edges import SUPPORTED
from langgraph_parallel._compat.runnables import RunnableCallable
from langgraph_parallel.effects import (
    ALL,
    Control,
    Effects,
    External,
    Keys,
    is_unforeseen,
    union,
)
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.calls.agents import answers_of
from langgraph_parallel.inference.code.callables import functions_of
from langgraph_parallel.inference.code.framework import Framework, Summary, use_framework
from langgraph_parallel.inference.code.ingredients import is_agents_code
from langgraph_parallel.inference.code.tasks import with_tasks
from langgraph_parallel.inference.infer import either, infer_alone, reducer_effects
from langgraph_parallel.inference.machine.certainty import is_fresh, rooted, unrooted
from langgraph_parallel.inference.machine.contents import Contents
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    WORLD,
    Value,
    fresh,
    join,
    tame,
)
from langgraph_parallel.inference.shape import describe_schema
from langgraph_parallel.inference.whole import (
    Choice,
    Inferred,
    infer_choices,
    infer_nodes,
    infer_routers,
)
from langgraph_parallel.locations import Location, ordered_places
from langgraph_parallel.reading.graph import read_compiled
from langgraph_parallel.reading.model import Graph, Node, Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What one conditional edge does and where it leads."""

    effects: Effects
    """What its function reads and touches; it writes nothing."""
    targets: Keys
    """Where it may lead; `ALL` when not known."""
    is_single: bool
    """Whether it certainly leads to one node at a time."""


def effects_of_nodes(
    graph: Graph,
    declared: Mapping[str, Effects],
    *,
    trusts_calls: bool,
    infer: Callable[..., Inferred] = infer_nodes,
) -> tuple[dict[str, Effects], Mapping[str, Value]]:
    """Return the effects of all nodes: declared ones where there are any, else inferred ones.

    Args:
        graph: The graph.
        declared: Effects that go before all others, by node name.
        trusts_calls: Take unknown calls to change none of their arguments.
        infer: `infer_nodes`, with what is known of the keys of the state.

    Returns:
        The effects by node name, and what keys hold, as `Inferred` says it.
    """
    given = {name: _declared(node, declared) for name, node in graph.nodes.items()}
    asked = [node for name, node in graph.nodes.items() if given[name] is None]
    found = infer(asked, trusts_calls=trusts_calls)
    inferred = {n.name: _with_settings(n, own) for n, own in zip(asked, found.effects, strict=True)}
    effects = {
        name: inferred[name] if own is None else with_tasks(graph.nodes[name].runnable, own)
        for name, own in given.items()
    }
    return effects, found.contents


def _declared(node: Node, declared: Mapping[str, Effects]) -> Effects | None:
    given = declared.get(node.name) or node.declared
    if given is not None and not isinstance(given, Effects):
        msg = f"The effects of node {node.name!r} must be an `Effects`, not {given!r}."
        raise AnalysisError(msg)
    return given


def _with_settings(node: Node, found: Effects) -> Effects:
    """Return the effects of a node's code together with those of the node's settings."""
    policy = node.cache_policy
    if policy is not None:
        # The cache key is made of the whole input; a function of the user's may look at anything.
        own_key = policy.key_func is not CachePolicy().key_func
        found = replace(found, reads=union(found.reads, node.shape.keys))
        if own_key:
            found = replace(found, external=found.external | {"unknown"})
    if found.keeps and (policy is not None or not node.can_project):
        # Its update cannot be cut down to what it changes, so it really writes them all.
        found = as_written(found, found.keeps)
    if found.goto is ALL and node.ends:
        # `-> Command[Literal[...]]` or `destinations=` declares where the node may go.
        return replace(found, goto=node.ends)
    return found


def with_reducers(graph: Graph, found: Effects) -> Effects:
    """Return the effects of a node together with those of the reducers that fold its writes."""
    for key, reducer in graph.reducers.items():
        if found.writes is not ALL and key not in found.writes:
            continue
        folding = reducer_effects(reducer)
        found = replace(
            found,
            looks_at=found.looks_at | folding.looks_at,
            changes=found.changes | folding.changes,
            external=found.external | (folding.external & {"write", "unknown"}),
            evidence=(*found.evidence, *folding.evidence),
        )
    return found


def places_changed_by_reducers(graph: Graph) -> frozenset[Location]:
    """Return the places outside the state that folding a write may change."""
    changed = (reducer_effects(reducer).changes for reducer in graph.reducers.values())
    return ordered_places(frozenset().union(*changed))


def routes_anywhere(node: Node, found: Effects) -> bool:
    """Tell whether a node goes on by itself, to a node of which nothing is known."""
    leads = bool(found.control & {"goto", "send"}) and found.goto is ALL
    return leads and not may_jump(node, found)


def may_jump(node: Node, found: Effects) -> bool:
    """Tell whether all that is known of where a node goes by itself is that it cannot be ruled out.

    Such a jump is noticed when it happens (`follow_either`); but not where the node's result, and
    with it where it goes on, is taken from a cache.
    """
    leads = bool(found.control & {"goto", "send"}) and found.goto is ALL
    return leads and is_unforeseen(found) and node.cache_policy is None and SUPPORTED


def as_written(found: Effects, keys: frozenset[str]) -> Effects:
    """Return effects in which some of the keys that are given back count as read and written."""
    counted = keys & found.keeps
    if not counted:
        return found
    return replace(
        found,
        reads=union(found.reads, counted),
        writes=union(found.writes, counted),
        keeps=found.keeps - counted,
        made=found.made - counted,
    )


def read_routes(graph: Graph) -> dict[str, tuple[Route, ...]]:
    """Return what the conditional edges of a graph do, by the node that they leave."""
    routers = [router for ways in graph.routers.values() for router in ways]
    found = iter(map(_as_route, routers, infer_choices(routers)))
    return {source: tuple(islice(found, len(ways))) for source, ways in graph.routers.items()}


def _as_route(router: Router, choice: Choice) -> Route:
    names = choice.names
    known = router.ends if names is None or router.ends is not None else names
    return Route(effects=choice.effects, targets=known or ALL, is_single=names is not None)


def read_routing(
    graph: Graph, effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]
) -> dict[str, Effects]:
    """Return what the conditional edges of nodes do, for nodes that nothing else leaves.

    Left out are nodes whose routers may start several tasks or pause.
    """
    left = {u for u, _ in graph.edges} | {u for us, _ in graph.joins for u in us}
    routing = {}
    for name, ways in routes.items():
        if name not in graph.nodes or name in left or graph.nodes[name].ends or not ways:
            continue
        if effects[name].control & {"goto", "send"}:
            continue
        total = Effects()
        for route in ways:
            total = either(total, route.effects)
            if not route.is_single:
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
        looks_at=found.looks_at | routing.looks_at,
        changes=found.changes | routing.changes,
        external=found.external | routing.external,
        control=found.control | routing.control,
        resources=found.resources | routing.resources,
        evidence=(*found.evidence, *routing.evidence),
        certain=found.certain and routing.certain,
    )


def summarize_graph(graph: Graph, memory: Memory) -> Summary:
    """Return what running a whole compiled graph does as one step of another.

    It reads its input keys and writes its output keys; the contacts of its nodes and routers are
    its own. What its nodes do to the course of the graph stays inside, but for pauses and for a
    `Command` to a parent, which an unknown target may be.
    """
    around = memory.exposed, memory.contents
    memory.exposed, memory.contents = {}, Contents()
    infer = functools.partial(infer_nodes, memory=memory)
    found, _ = effects_of_nodes(graph, {}, trusts_calls=False, infer=infer)
    parts = [with_reducers(graph, part) for part in found.values()]
    exposed = memory.exposed
    memory.exposed, memory.contents = around
    routing = infer_routers(router for ways in graph.routers.values() for router in ways)
    parts += [replace(part, goto=frozenset()) for part in routing]  # it stays inside
    control: set[Control] = set().union(*(part.control for part in parts)) & {"raise", "interrupt"}
    if graph.pauses:
        control.add("interrupt")
    leaves = any(part.goto is ALL for part in parts)
    if leaves:
        control |= {"goto", "send"}
    external: set[External] = set().union(*(part.external for part in parts))
    if graph.saves:  # it may remember a thread of its own from call to call
        external.add("write")
    effects = Effects(
        reads=graph.inputs,
        writes=graph.outputs,
        mutates=ALL if any(part.mutates for part in parts) else frozenset(),
        looks_at=frozenset().union(*(part.looks_at for part in parts)),
        changes=frozenset().union(*(part.changes for part in parts)),
        external=frozenset(external),
        control=frozenset(control),
        goto=ALL if leaves else frozenset(),
        resources=frozenset().union(*(part.resources for part in parts)),
        evidence=tuple(e for part in parts for e in part.evidence if e.effect in external),
        certain=all(part.certain for part in parts),
    )
    gives = _answers(graph)
    hands_back = not all(map(is_fresh, gives.values()))
    held = frozenset({WORLD}) if any(exposed.values()) else frozenset[str]()
    copied = frozenset(key for key, fold in graph.reducers.items() if fold is add_messages)
    given = {key: rooted(value, held) for key, value in gives.items()}
    return Summary(effects, given, hands_back, copied)


def _answers(graph: Graph) -> dict[str, Value]:
    """Return what a graph gives by key: what its annotations, and its agent's parts, promise."""
    functions = [f for node in graph.nodes.values() for f in functions_of(node.runnable) or ()]
    answer = join(*map(answers_of, functions))
    is_agent = any(map(is_agents_code, functions))
    found: dict[str, Value] = {}
    for key in graph.outputs:
        found[key] = unrooted(graph.promises.get(key, NOTHING))
        if graph.reducers.get(key) is add_messages:
            found[key] = fresh(plain=True)
        elif key == "structured_response" and is_agent:
            found[key] = answer or tame()
    return found


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
    return infer_alone(node, shape, state_schema)


def _plain_keys(schema: Any) -> frozenset[str] | None:
    """Return the keys of which LangGraph keeps the last value; None when it rejects the schema."""
    try:
        channels = StateGraph(schema).channels
    except Exception:
        return None
    return frozenset(key for key, channel in channels.items() if is_plain_channel(channel))


use_framework(
    Framework(
        injected=frozenset({"config", "writer", "store", "runtime", "previous", "error"}),
        getters={
            get_config: "config",
            get_store: "store",
            get_stream_writer: "writer",
            get_runtime: "runtime",
        },
        wrappers=(RunnableCallable,),
        tasks=(TASK,),
        stores=(BaseStore,),
        graphs=(CompiledStateGraph,),
        handed={Runtime: "runtime", ToolRuntime: "tool_runtime", BaseStore: "store"},
        tool_nodes=(ToolNode,),
        summarize=lambda graph, memory: summarize_graph(read_compiled(graph), memory),
    )
)
