"""What LangGraph does not document about a node while it runs.

`SUPPORTED` is False where a name cannot be found: then no node starts early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from langchain_core.runnables.config import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

try:
    from langgraph._internal._constants import (
        CONFIG_KEY_CALL,
        CONFIG_KEY_CHECKPOINT_ID,
        CONFIG_KEY_CHECKPOINT_MAP,
        CONFIG_KEY_CHECKPOINT_NS,
        CONFIG_KEY_CHECKPOINTER,
        CONFIG_KEY_RUNTIME,
        CONFIG_KEY_SCRATCHPAD,
        CONFIG_KEY_SEND,
        CONFIG_KEY_STREAM,
        CONFIG_KEY_TASK_ID,
    )
    from langgraph._internal._constants import (
        CONFIG_KEY_READ as CONFIG_KEY_READ,
    )
    from langgraph._internal._constants import (
        PULL as PULL,
    )
    from langgraph._internal._typing import MISSING as MISSING

    SUPPORTED: Final = True
except ImportError:  # pragma: no cover - a later LangGraph may move them
    SUPPORTED: Final = False  # type: ignore[misc]
    MISSING = object()

TASK_METADATA: Final = (
    "langgraph_step",
    "langgraph_node",
    "langgraph_triggers",
    "langgraph_path",
    "langgraph_checkpoint_ns",
)
"""Metadata that LangGraph gives to the run of a node; the last one differs from run to run."""


def pulled_step(config: RunnableConfig) -> int | None:
    """Return the number of a node's superstep; None where no edge has started the node."""
    metadata = config.get("metadata") or {}
    path = metadata.get("langgraph_path")
    if not path or path[0] != PULL:
        return None
    return cast("int | None", metadata.get("langgraph_step"))


def read_values(config: RunnableConfig, keys: list[str]) -> dict[str, Any]:
    """Return the state before the superstep of a running node; keys without a value are absent."""
    return cast("dict[str, Any]", config["configurable"][CONFIG_KEY_READ](keys, False))


def update_reader(graph: Any, name: str) -> Callable[[Any], Any] | None:
    """Return the function that turns the result of a node into writes; None when not found."""
    try:
        mapper = graph.nodes[name].writers[0].writes[0].mapper
    except (AttributeError, IndexError, KeyError):
        return None
    return mapper if callable(mapper) else None


def input_reader(
    graph: CompiledStateGraph[Any, Any, Any, Any], name: str
) -> tuple[list[str], Callable[[dict[str, Any]], Any] | None]:
    """Return the channels that a node is given, and what makes an object of them, if anything."""
    node = graph.nodes[name]
    channels = node.channels
    return ([channels] if isinstance(channels, str) else list(channels)), node.mapper


def early_configurable(
    given: Mapping[str, Any], refuse: Callable[[str], Any], runtime: Any, namespace: str
) -> dict[str, Any]:
    """Return the `configurable` for a node that runs before its time.

    Args:
        given: That of a node in its own superstep.
        refuse: Makes, of a description, something that ends the run when it is used.
        runtime: What the node is handed as its `Runtime`.
        namespace: Stands for the node's checkpoint namespace.
    """
    made = dict(given)
    for key, what in (
        (CONFIG_KEY_SEND, "a write"),
        (CONFIG_KEY_READ, "a read of the graph's channels"),
        (CONFIG_KEY_CALL, "a task"),
        (CONFIG_KEY_SCRATCHPAD, "an interrupt or a sub-graph"),
        (CONFIG_KEY_STREAM, "a sub-graph"),
        (CONFIG_KEY_CHECKPOINTER, "a checkpointer"),
        (CONFIG_KEY_CHECKPOINT_MAP, "a checkpoint"),
        (CONFIG_KEY_CHECKPOINT_ID, "a checkpoint"),
    ):
        if made.get(key) is not None:
            made[key] = refuse(what)
    made[CONFIG_KEY_CHECKPOINT_NS] = namespace
    made[CONFIG_KEY_TASK_ID] = namespace
    made[CONFIG_KEY_RUNTIME] = runtime
    return made


def detached_configurable(
    given: Mapping[str, Any], refuse: Callable[[str], Any], *, may_detach: bool
) -> tuple[dict[str, Any], bool]:
    """Return the `configurable` for a call that a node makes ahead of its turn.

    A graph that is called there counts as a graph of its own where nobody can tell: nothing is
    saved, and no stream shows its steps. Else such a call is refused.

    Args:
        given: That of the node.
        refuse: Makes, of a description, something that ends the call when it is used.
        may_detach: Whether a graph may run as one of its own, as far as the caller knows.

    Returns:
        The settings, and whether a graph would run as one of its own.
    """
    seen = (CONFIG_KEY_STREAM, CONFIG_KEY_CHECKPOINTER)
    detaches = may_detach and all(given.get(key) is None for key in seen)
    made = dict(given)
    for key in (CONFIG_KEY_SEND, CONFIG_KEY_READ, CONFIG_KEY_CALL, CONFIG_KEY_SCRATCHPAD, *seen):
        if made.get(key) is None:
            continue
        if detaches:
            del made[key]
        else:
            made[key] = refuse("what belongs to the graph around it")
    if detaches:
        for key in (CONFIG_KEY_TASK_ID, CONFIG_KEY_CHECKPOINT_NS, CONFIG_KEY_CHECKPOINT_MAP):
            made.pop(key, None)
    return made, detaches


def runtime_of(config: RunnableConfig) -> Runtime[Any] | None:
    """Return the `Runtime` of a running node."""
    found = config.get("configurable", {}).get(CONFIG_KEY_RUNTIME)
    return found if isinstance(found, Runtime) else None
