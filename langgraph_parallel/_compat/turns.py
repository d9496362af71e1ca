"""Channels that take what the nodes of one superstep write in program order, not by node name.

LangGraph hands a channel the values of one superstep in the order of the tasks' paths, which for
nodes started by an edge is that of their names, and does not say whose they are. So each node that
takes turns with others also writes who it is to one more channel, which is never read:

    task a   writes  ORDER: {node: a, keys: [log]}, log: [3]      handed on: ORDER [a, z]
    task z   writes  ORDER: {node: z, keys: [log]}, log: [1]                 log   [[3], [1]]

`ORDER` comes first in each task's writes, hence LangGraph updates it before the keys that it is
about. It is saved with the other pending writes of a superstep, so that a run that goes on after a
failure knows the order as well, and leaves nothing in a checkpoint: it holds no value and gets no
version. No stream shows it, as it is no key of the state.

The values of each node are taken as the superstep that they were: an `Overwrite`, or several
values of a key that keeps the last one, mean what they did.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

from langgraph.channels import BinaryOperatorAggregate, LastValue
from langgraph.channels.base import BaseChannel
from langgraph.errors import EmptyChannelError, InvalidUpdateError
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from langgraph_parallel._compat.channels import is_fold_channel
from langgraph_parallel._compat.tasks import MISSING

ORDER: Final = "langgraph_parallel:order"
"""Name of the channel to which nodes write who they are."""


_T = TypeVar("_T")


class _Latest(threading.local):
    """The channels that this thread made last, by key, until the one of the order takes them.

    LangGraph makes the channels of a run one after another on one thread, in the order of their
    names in the graph; there is no other way from one to another.
    """

    def __init__(self) -> None:
        self.made: dict[str, _InTurn] = {}


class _InTurn:
    """What both kinds of channels that take turns share."""

    key: str
    latest: _Latest | None = None

    @functools.cached_property
    def turns(self) -> list[int]:
        """The places of the nodes that write next, in the order of their values."""
        return []

    def offer(self, made: _T) -> _T:
        """Leave the channel of a run where that of the order finds it."""
        assert isinstance(made, _InTurn)
        if self.latest is not None:
            made.latest = self.latest
            self.latest.made[self.key] = made
        return made

    def announce(self, turn: int) -> None:
        """Expect one more value of the superstep that is about to be taken in.

        Args:
            turn: The place in program order of the node that wrote it.
        """
        self.turns.append(turn)

    def take(self, values: Sequence[Any], update: Callable[[Sequence[Any]], bool]) -> bool:
        """Take in the values of one superstep, those of each node by `update`."""
        turns, self.turns = self.turns, []
        if not turns or len(values) < 2:
            return update(values)
        if len(turns) != len(values):
            msg = (
                f"{len(values)} values of one superstep, of which {len(turns)} came from nodes "
                "that run side by side now: the order in which they were written is not known."
            )
            raise InvalidUpdateError(msg)
        order = sorted(range(len(values)), key=turns.__getitem__)
        changed = False
        for _, places in itertools.groupby(order, key=turns.__getitem__):
            changed |= update([values[place] for place in places])
        return changed


class FoldInTurn(BinaryOperatorAggregate[Any], _InTurn):
    """A channel with a reducer."""

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """Return the channel of a run, for the channel of the order to find."""
        return self.offer(super().from_checkpoint(checkpoint))

    def update(self, values: Sequence[Any]) -> bool:
        """Fold the values of one superstep in program order."""
        return self.take(values, super().update)


class LastInTurn(LastValue[Any], _InTurn):
    """A channel that keeps the last value."""

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """Return the channel of a run, for the channel of the order to find."""
        return self.offer(super().from_checkpoint(checkpoint))

    def update(self, values: Sequence[Any]) -> bool:
        """Keep the value that was written last in program order."""
        return self.take(values, super().update)


class Order(BaseChannel[Any, Any, Any]):
    """The channel that tells those that take turns who writes next; it holds nothing."""

    __slots__ = ("latest", "places", "users")

    def __init__(self, places: Mapping[str, int], latest: _Latest) -> None:
        super().__init__(dict, ORDER)
        self.places, self.latest = places, latest
        self.users: Mapping[str, _InTurn] = {}

    @property
    def ValueType(self) -> Any:  # noqa: N802 - LangGraph's name
        """The type of what is read: nothing."""
        return type(None)

    @property
    def UpdateType(self) -> Any:  # noqa: N802 - LangGraph's name
        """The type of what is written."""
        return dict

    def from_checkpoint(self, checkpoint: Any) -> Self:  # noqa: ARG002 - nothing is ever saved
        """Return the channel of a run, which knows the channels that were made before it."""
        made = self.__class__(self.places, self.latest)
        made.users, self.latest.made = self.latest.made, {}
        return made

    def copy(self) -> Self:
        """Return a channel that tells nobody: a reader's own copy of the state takes no turns."""
        return self.__class__(self.places, self.latest)

    def checkpoint(self) -> Any:
        """Return that there is nothing to save."""
        return MISSING

    def get(self) -> Any:
        """Raise that there is nothing to read."""
        raise EmptyChannelError

    def is_available(self) -> bool:
        """Return that there is nothing to read."""
        return False

    def update(self, values: Sequence[Any]) -> bool:
        """Tell the channels of the keys who wrote what they are about to take in."""
        for value in values:
            for key in value["keys"]:
                self.users[key].announce(self.places[value["node"]])
        return False


def take_turns(
    compiled: CompiledStateGraph[Any, Any, Any, Any],
    places: Mapping[str, int],
    keys: frozenset[str],
) -> None:
    """Let nodes of a freshly compiled graph write to some keys in program order.

    Args:
        compiled: Changed in place.
        places: The place in program order of each node that shares a superstep with others.
        keys: The keys; `can_take_turns` holds for their channels.
    """
    latest = _Latest()
    for key in keys:
        compiled.channels[key] = _in_turn(key, compiled.channels[key], latest)
    for name in places:
        node = compiled.nodes[name]
        for writer in node.writers:
            entries = getattr(writer, "writes", ())
            if entries:
                writer.writes = type(entries)(_named(entry, name, keys) for entry in entries)  # type: ignore[attr-defined]
        for cached in ("flat_writers", "node"):
            vars(node).pop(cached, None)
    # Made last, it finds all others.
    compiled.channels[ORDER] = Order(dict(places), latest)


def _in_turn(key: str, channel: Any, latest: _Latest) -> BaseChannel[Any, Any, Any]:
    made: FoldInTurn | LastInTurn
    if is_fold_channel(channel):
        made = FoldInTurn(channel.typ, channel.operator)
    else:
        made = LastInTurn(channel.typ)
    made.key, made.latest = key, latest
    return made


def _named(entry: Any, node: str, keys: Collection[str]) -> Any:
    """Return an entry of a node's writer that also writes who the node is."""
    mapper = getattr(entry, "mapper", None)
    if mapper is None or hasattr(entry, "channel"):
        return entry

    @functools.wraps(mapper)
    def with_name(update: Any) -> Any:
        writes = mapper(update)
        written = [key for key, _ in writes or () if key in keys]
        return [(ORDER, {"node": node, "keys": written}), *writes] if written else writes

    return entry._replace(mapper=with_name)


@functools.cache
def can_take_turns() -> bool:
    """Tell whether the writers of a compiled graph are built as `take_turns` knows them."""

    class State(TypedDict):
        key: int

    builder = StateGraph(State)
    builder.add_node("node", lambda _state: {})
    builder.add_edge(START, "node")
    try:
        entry = builder.compile().nodes["node"].writers[0].writes[0]  # type: ignore[attr-defined]
        named = _named(entry, "node", {"key"})
        return bool(named.mapper({"key": 1})[1:] == [("key", 1)])
    except Exception:  # pragma: no cover - a later LangGraph may build them otherwise
        return False
