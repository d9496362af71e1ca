"""Where a saved thread stands, and which topology wrote its last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from langgraph_parallel._compat.edges import has_jumped

TOPOLOGY_KEY: Final = "langgraph_parallel_topology"
"""Name of the mark in run metadata, and so in the metadata of every checkpoint of the run."""
_ORIGINAL: Final = "original"
"""The mark of a run of the original topology by a rewritten graph."""
_LENT_CHECKPOINTER: Final = "__pregel_checkpointer"
"""Where LangGraph lends a parent's checkpointer to a sub-graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where a saved thread stands."""

    writer: Literal["rewritten", "original", "other"]
    """The topology that wrote its last checkpoint; `other` is a different rewriting of the graph,
    such as that of an earlier version."""
    jumped: bool
    """True when the rewritten topology wrote it, but has gone over to the edges of the original: so
    it stands as in the original, with tasks of our own, whose ids are others."""
    nested: bool
    """True when it is kept under the thread of a parent graph, for one run of a sub-graph."""
    following: tuple[str, ...]
    """Nodes of the next superstep, even if finished; empty when the thread is at its end."""
    finished: bool
    """True when one of them has run already, and only the next checkpoint is missing."""
    latest: frozenset[str]
    """Nodes that ran last."""
    values: Any
    """Its state."""

    @property
    def ours(self) -> bool:
        """Whether the rewritten topology wrote its last checkpoint."""
        return self.writer == "rewritten"


def read_thread(
    saved: CheckpointTuple, state: StateSnapshot, config: RunnableConfig | None, mark: str
) -> Thread:
    """Return where a thread stands.

    Args:
        saved: Its last checkpoint.
        state: The same, as the topology that wrote it sees it.
        config: The configuration of the run that is about to go on.
        mark: Fingerprint of the rewritten topology.
    """
    due = tuple(task.name for task in state.tasks)
    writer = _writer(saved.metadata.get(TOPOLOGY_KEY), config, mark)
    return Thread(
        writer=writer,
        jumped=writer == "rewritten" and has_jumped(saved.checkpoint),
        nested=bool(saved.config["configurable"].get("checkpoint_ns")),
        following=due,
        finished=len(state.next) < len(due),
        latest=_latest_nodes(saved.checkpoint),
        values=state.values,
    )


def _writer(
    found: Any, config: RunnableConfig | None, mark: str
) -> Literal["rewritten", "original", "other"]:
    if found == mark:
        return "rewritten"
    # A sub-graph that was not rewritten then carries the mark of the graph around it.
    around = _metadata(config).get(TOPOLOGY_KEY)
    return "original" if found in (None, _ORIGINAL, around) else "other"


def _latest_nodes(checkpoint: Checkpoint) -> frozenset[str]:
    """Return the nodes that ran in the last superstep of a thread."""
    newest = {
        name: max(seen.values(), key=_version_order)
        for name, seen in checkpoint["versions_seen"].items()
        if seen and not name.startswith("__")
    }
    top = max(newest.values(), key=_version_order, default=None)
    return frozenset(name for name, version in newest.items() if version == top)


def _version_order(version: Any) -> tuple[int, str]:
    """Order channel versions, which are integers or strings of a padded integer and a suffix."""
    number, _, rest = str(version).partition(".")
    return int(number), rest


def address(
    graph: CompiledStateGraph[Any, Any, Any, Any], config: RunnableConfig | None
) -> tuple[BaseCheckpointSaver[Any], RunnableConfig] | None:
    """Return the saver of a run and where its thread is kept; None when nothing is saved."""
    inherited = (var_child_runnable_config.get() or {}).get("configurable") or {}
    own = (graph.config or {}).get("configurable") or {}
    settings = {**own, **inherited, **((config or {}).get("configurable") or {})}
    saver = settings.get(_LENT_CHECKPOINTER, graph.checkpointer)
    if graph.checkpointer is False or not isinstance(saver, BaseCheckpointSaver):
        return None
    if "thread_id" not in settings:
        return None
    within = settings.get("checkpoint_map") or {}
    if (space := settings.get("checkpoint_ns")) in within:
        settings["checkpoint_id"] = within[space]  # as LangGraph goes back in a sub-graph's history
    return saver, {"configurable": settings}


def names_subgraph(config: RunnableConfig) -> bool:
    """Tell whether a state method is asked about a sub-graph, which answers for itself."""
    settings = config.get("configurable") or {}
    return bool(settings.get("checkpoint_ns")) and _LENT_CHECKPOINTER not in settings


def with_mark(config: RunnableConfig | None, mark: str) -> RunnableConfig:
    """Return a configuration whose run leaves `mark` in its checkpoints."""
    return {**(config or {}), "metadata": {**_metadata(config), TOPOLOGY_KEY: mark}}


def unmarked(config: RunnableConfig | None) -> RunnableConfig:
    """Return a configuration for a run of the original topology."""
    return with_mark(config, _ORIGINAL)


def _metadata(config: RunnableConfig | None) -> Mapping[str, Any]:
    metadata = (config or {}).get("metadata")
    if metadata is None:
        metadata = (var_child_runnable_config.get() or {}).get("metadata")
    return metadata or {}
