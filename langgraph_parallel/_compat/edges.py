"""Two sets of edges of one compiled graph into nodes that follow either, as the run goes on.

LangGraph makes of each edge a write that the node does at its end. A node with two sets of edges
chooses when it ends: those of the new order, or those of the original, once some node has gone
where nobody foresaw. What was chosen is kept in a channel of its own, and so in checkpoints.

`SUPPORTED` is False where a name cannot be found: then a graph with such nodes stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langgraph.channels import LastValue
from langgraph.checkpoint.base import Checkpoint
from langgraph.graph import END, START
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Send

from langgraph_parallel._compat import tasks

try:
    from langgraph.pregel._read import PregelNode
    from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry

    SUPPORTED: Final = tasks.SUPPORTED and isinstance(
        vars(PregelNode).get("flat_writers"), cached_property
    )
except ImportError:  # pragma: no cover - a later LangGraph may move them
    SUPPORTED: Final = False  # type: ignore[misc]
    ChannelWrite = object  # type: ignore[assignment, misc]

ORIGINAL_ORDER: Final = "langgraph_parallel:original_order"
"""The channel that says whether a run has gone over to the original order."""


class _Order(LastValue[bool]):
    """Says which order a run follows; several nodes may go over to the original at a time."""

    def update(self, values: Sequence[bool]) -> bool:
        return super().update([any(values)]) if values else False


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """Where a node may go by itself, as far as that was foreseen."""

    targets: frozenset[str] = frozenset()
    """Nodes that a `Command` or `Send` of it may name."""
    plain: frozenset[str] = frozenset()
    """Nodes to which its edges lead anyway, so that a `Command` to them adds nothing."""

    def misses(self, result: Any) -> bool:
        """Tell whether what the node returns leads to a node to which nothing known leads."""
        return any(
            target.node not in self.targets
            if isinstance(target, Send)
            else target not in self.targets and target not in self.plain
            for target in _targets(result)
        )


def _targets(result: Any) -> Iterator[Any]:
    """Yield the names and `Send`s to which the result of a node leads by itself."""
    if isinstance(result, Send):
        yield result
    for command in result if isinstance(result, (list, tuple)) else (result,):
        if isinstance(command, Command):
            goto = command.goto
            targets = [goto] if isinstance(goto, (str, Send)) else goto
            yield from (target for target in targets if target != END)


class _EitherEdges(ChannelWrite):
    """The edges of a node, in the new and in the original order.

    Args:
        new: What the node writes in the new order.
        original: What it writes in the original order.
        foreseen: Where it may go beside; what leads elsewhere begins the original order.
        begins: Whether this is the start of a run, which follows the new order.
    """

    def __init__(
        self, new: Sequence[Any], original: Sequence[Any], foreseen: Foreseen, *, begins: bool
    ) -> None:
        super().__init__(new)
        self._original = original
        self._foreseen = foreseen
        self._begins = begins

    def _write(self, input: Any, config: RunnableConfig) -> Any:
        followed = _follows_original(config)
        follows = not self._begins and (followed or self._foreseen.misses(input))
        writes = list(self._original) if follows else self.writes
        if follows is not followed:
            writes = [*writes, ChannelWriteEntry(ORIGINAL_ORDER, follows)]
        self.do_write(config, writes)
        return input

    async def _awrite(self, input: Any, config: RunnableConfig) -> Any:
        return self._write(input, config)


def follow_either(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    original: CompiledStateGraph[Any, Any, Any, Any],
    foreseen: Mapping[str, Foreseen],
) -> None:
    """Let a freshly compiled graph go over to its original order when some node jumps.

    Args:
        graph: A graph in the new order; changed in place.
        original: The same nodes with the edges of the original order.
        foreseen: Where nodes may go by themselves; those that are not named never do.
    """
    graph.channels[ORIGINAL_ORDER] = _Order(bool, ORIGINAL_ORDER)
    for name, node in graph.nodes.items():
        new, old = _edges(node), _edges(original.nodes[name])
        if name not in foreseen and name != START and set(new) == set(old):
            continue
        known = foreseen.get(name, Foreseen())
        both = _EitherEdges(new, old, known, begins=name == START)
        others = [writer for writer in node.writers if not _is_edge(writer)]
        # What draws the graph reads `writers`: the edges of the new order.
        vars(node)["flat_writers"] = [*others, both]
        vars(node).pop("node", None)


def _is_edge(writer: Any) -> bool:
    return isinstance(writer, ChannelWrite) and all(
        isinstance(write, ChannelWriteEntry) for write in writer.writes
    )


def _edges(node: Any) -> list[Any]:
    return [write for writer in node.writers if _is_edge(writer) for write in writer.writes]


def follows_original() -> bool:
    """Tell a running node whether its run has gone over to the original order."""
    return _follows_original(var_child_runnable_config.get() or {})


def _follows_original(config: RunnableConfig) -> bool:
    read = (config.get("configurable") or {}).get(tasks.CONFIG_KEY_READ)
    if read is None:
        return False
    try:
        return bool(read(ORIGINAL_ORDER, False))
    except KeyError:  # a graph in which nobody jumps has no such channel
        return False


def has_jumped(checkpoint: Checkpoint) -> bool:
    """Tell whether a saved run has gone over to the original order."""
    return bool(checkpoint["channel_values"].get(ORIGINAL_ORDER))
