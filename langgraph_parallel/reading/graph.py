"""From LangGraph's builder to the model: the one place that reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import defaults_of
from langgraph_parallel._compat.channels import read_channels
from langgraph_parallel._compat.runnables import find_plain, find_projectable
from langgraph_parallel._compat.turns import can_take_turns
from langgraph_parallel.effects import METADATA_KEY
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.shape import describe_schema
from langgraph_parallel.reading.model import Graph, Node, Router


def read_builder(
    builder: StateGraph[Any, Any, Any, Any],
    compiled: CompiledStateGraph[Any, Any, Any, Any] | None = None,
) -> Graph:
    """Return the model of a graph.

    Args:
        builder: The nodes and edges; it is only read.
        compiled: The compiled graph that has the settings; None when it was not compiled.
    """
    graph = _Reader(builder, getattr(compiled, "cache_policy", None)).graph()
    if compiled is None:
        return graph
    saver = compiled.checkpointer
    return replace(
        graph,
        pauses=_pauses_of(compiled),
        own_thread=saver is True,
        saves=saver is not None and saver is not False,
    )


def read_compiled(graph: CompiledStateGraph[Any, Any, Any, Any]) -> Graph:
    """Return the model of a compiled graph."""
    return read_builder(graph.builder, graph)


def _pauses_of(graph: CompiledStateGraph[Any, Any, Any, Any]) -> frozenset[str]:
    named: set[str] = set()
    for nodes in (graph.interrupt_before_nodes, graph.interrupt_after_nodes):
        named |= {nodes} if isinstance(nodes, str) else set(nodes)
    return frozenset(named)


class _Reader:
    """Reads one builder, and each of its schemas once."""

    def __init__(self, builder: StateGraph[Any, Any, Any, Any], cache_policy: Any) -> None:
        self._builder = builder
        self._cache_policy = cache_policy
        self._channels = read_channels(builder.channels)
        self._defaults = defaults_of(builder)
        self._shapes: dict[Any, Shape] = {}

    def graph(self) -> Graph:
        builder, channels = self._builder, self._channels
        runnables = {name: spec.runnable for name, spec in builder.nodes.items()}
        plain, projectable = find_plain(runnables), find_projectable(runnables)
        return Graph(
            nodes={
                name: self._node(
                    name, spec, is_plain=name in plain, can_project=name in projectable
                )
                for name, spec in builder.nodes.items()
            },
            edges=frozenset(builder.edges),
            joins=frozenset(builder.waiting_edges),
            routers={
                source: tuple(self._router(source, branch) for branch in branches.values())
                for source, branches in builder.branches.items()
            },
            channels=frozenset(builder.channels),
            plain=channels.plain,
            folding=channels.folding,
            reducers=channels.reducers,
            managed=frozenset(builder.managed),
            inputs=frozenset(builder.schemas[builder.input_schema]),
            outputs=frozenset(builder.schemas[builder.output_schema]),
            promises=self._shape(builder.output_schema).hints,
        )

    def _node(self, name: str, spec: Any, **traits: bool) -> Node:
        defaults, runnable = self._defaults, spec.runnable
        ours = (spec.metadata or {}).get(METADATA_KEY)
        is_graph = isinstance(runnable, CompiledStateGraph)
        handler = getattr(spec, "error_handler_node", None) or defaults.error_handler
        policy = _first(_first(spec.cache_policy, defaults.cache_policy), self._cache_policy)
        return Node(
            name=name,
            runnable=runnable,
            schema=spec.input_schema,
            shape=self._shape(spec.input_schema),
            declared=ours.get("effects") if isinstance(ours, dict) else None,
            ends=frozenset(spec.ends or ()),
            cache_policy=policy,
            # What a cache keeps may come from a run of the original graph, which did not say whose.
            takes_turns=policy is None and can_take_turns(),
            is_retried=bool(_first(spec.retry_policy, defaults.retry_policy)),
            is_timed=_first(getattr(spec, "timeout", None), defaults.timeout) is not None,
            is_deferred=getattr(spec, "defer", False),
            is_handled=handler is not None,
            handles_errors=getattr(spec, "is_error_handler", False),
            inner=read_compiled(runnable) if is_graph else None,
            is_parallel=is_graph and hasattr(runnable, "parallel_rewrite"),
            **traits,
        )

    def _router(self, source: str, branch: Any) -> Router:
        spec = self._builder.nodes.get(source)
        schema = spec.input_schema if spec else self._builder.state_schema
        return Router(
            path=branch.path,
            ends=None if branch.ends is None else frozenset(branch.ends.values()),
            shape=self._shape(branch.input_schema or schema),
        )

    def _shape(self, schema: Any) -> Shape:
        """Return the state that a node or router with this input schema receives."""
        # Nearly all nodes of a graph share one schema, whose annotations take long to resolve.
        if schema not in self._shapes:
            keys = frozenset(self._builder.schemas.get(schema, {}))
            self._shapes[schema] = describe_schema(
                schema,
                keys,
                self._channels.reducers.get,
                keys & self._channels.plain,
                frozenset(self._builder.channels),
                getattr(self._builder, "context_schema", None),
            )
        return self._shapes[schema]


def _first(own: Any, default: Any) -> Any:
    return default if own is None else own
