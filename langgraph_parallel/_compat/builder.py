"""LangGraph's graph under construction, and the settings of a compiled one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.runnables import coerce_to_runnable

DEFAULT_ERROR_HANDLER: Final = "__default_error_handler__"
_STRUCTURE: Final = frozenset(
    {
        "builder",
        "nodes",
        "channels",
        "schema_to_mapper",
        "trigger_to_nodes",
        "input_channels",
        "output_channels",
        "stream_channels",
        "node_error_handler_map",
        "parallel_rewrite",
        "parallel_program",
        "_output_mapper",
        "_state_mapper",
        "_serde_allowlist",
        "__orig_class__",
    }
)
"""Attributes of a compiled graph that its builder determines; every other one is a setting."""


def clone_builder(builder: StateGraph[Any, Any, Any, Any]) -> StateGraph[Any, Any, Any, Any]:
    """Return a copy of a graph under construction that shares no mutable part with it."""
    clone = copy.copy(builder)
    clone.nodes = {
        name: copy.copy(spec)
        for name, spec in builder.nodes.items()
        if name != DEFAULT_ERROR_HANDLER
    }
    clone.edges = set(builder.edges)
    clone.waiting_edges = set(builder.waiting_edges)
    clone.branches = copy.copy(builder.branches)
    for source, branches in builder.branches.items():
        clone.branches[source] = dict(branches)
    clone.channels = dict(builder.channels)
    clone.managed = dict(builder.managed)
    clone.schemas = dict(builder.schemas)
    if hasattr(builder, "_node_defaults"):
        clone._node_defaults = copy.copy(builder._node_defaults)
    clone.compiled = False
    _forget_default_handler(clone)
    return clone


def _forget_default_handler(builder: StateGraph[Any, Any, Any, Any]) -> None:
    """Undo what `compile` wrote into the specs, so that the copy can be compiled again."""
    for spec in builder.nodes.values():
        if getattr(spec, "error_handler_node", None) == DEFAULT_ERROR_HANDLER:
            spec.error_handler_node = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDefaults:
    """What `set_node_defaults` set for every node of a graph; None for what it did not."""

    cache_policy: Any
    timeout: Any
    error_handler: Any
    retry_policy: Any


def defaults_of(builder: StateGraph[Any, Any, Any, Any]) -> NodeDefaults:
    """Return the settings of nodes that do not have their own."""
    found = getattr(builder, "_node_defaults", None)
    names = ("cache_policy", "timeout", "error_handler", "retry_policy")
    return NodeDefaults(**{name: getattr(found, name, None) for name in names})


def compile_like(
    builder: StateGraph[Any, Any, Any, Any], model: CompiledStateGraph[Any, Any, Any, Any]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile `builder` with every compile and post-compile setting of `model`."""
    compiled = StateGraph.compile(
        builder,
        checkpointer=model.checkpointer,
        cache=model.cache,
        store=model.store,
        interrupt_before=model.interrupt_before_nodes,  # type: ignore[arg-type]
        interrupt_after=model.interrupt_after_nodes,  # type: ignore[arg-type]
        debug=model.debug,
        name=model.name,
        transformers=getattr(model, "stream_transformers", None),
    )
    for name, value in vars(model).items():
        if name not in _STRUCTURE:
            setattr(compiled, name, value)
    for name, node in compiled.nodes.items():
        if name in model.nodes:
            node.tags = model.nodes[name].tags
    return compiled


def hide_channels(
    builder: StateGraph[Any, Any, Any, Any], names: Sequence[str]
) -> StateGraph[Any, Any, Any, Any]:
    """Let a private builder compile to graphs that show neither `values` nor states of channels."""
    kind = type(builder)

    def compile_hidden(self: Any, *args: Any, **kwargs: Any) -> Any:
        return without_channels(kind.compile(self, *args, **kwargs), names)

    builder.__class__ = type(kind.__name__, (kind,), {"compile": compile_hidden})
    return builder


def without_channels(
    compiled: CompiledStateGraph[Any, Any, Any, Any], names: Sequence[str]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Show the channels of a compiled graph but for some; nodes read and write them as before."""
    shown = compiled.stream_channels
    if isinstance(shown, list):
        compiled.stream_channels = [name for name in shown if name not in names]
    return compiled


def settings_of(graph: CompiledStateGraph[Any, Any, Any, Any]) -> dict[str, Any]:
    """Return every compile and post-compile setting of a graph, by name."""
    settings = {name: value for name, value in vars(graph).items() if name not in _STRUCTURE}
    return settings | {f"tags of {name}": node.tags for name, node in graph.nodes.items()}


def replace_runnable(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    function: Callable[..., Any],
    *,
    input_schema: Any = None,
) -> None:
    """Let a node of a private builder run another function; the rest of its spec stays.

    Args:
        builder: Changed in place.
        name: The node.
        function: What it runs, without a trace of its own.
        input_schema: What it reads from now on, with channels that may be new; None: as before.
    """
    spec = builder.nodes[name]
    spec.runnable = coerce_to_runnable(function, name=name, trace=False)
    if input_schema is not None:
        builder._add_schema(input_schema)
        spec.input_schema = input_schema
