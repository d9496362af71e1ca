"""The channels of a graph: what they keep, and what a superstep makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.channels import BinaryOperatorAggregate, LastValue

from langgraph_parallel._compat.tasks import MISSING


def is_plain_channel(channel: Any) -> bool:
    """Tell whether a channel keeps one value until it is written again."""
    return type(channel) is LastValue


def is_fold_channel(channel: Any) -> bool:
    """Tell whether a channel folds updates one by one with the user's reducer."""
    return type(channel) is BinaryOperatorAggregate


def reducer_of(channel: Any) -> Callable[..., Any] | None:
    """Return the reducer of a channel, or None when it has none."""
    return getattr(channel, "operator", None)


def fold(channel: Any, value: Any, updates: Iterable[list[Any]]) -> Any:
    """Return what a channel would hold after some supersteps; `MISSING` when nothing.

    Args:
        channel: The channel of the compiled graph; it is not changed.
        value: What it holds before, or `MISSING`.
        updates: What each superstep writes to it, in order.

    Raises:
        Exception: What the channel, or the user's reducer, raises.
    """
    made = channel.from_checkpoint(value)
    for values in updates:
        made.update(values)
    return made.get() if made.is_available() else MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels of a graph, by what they do with updates."""

    plain: frozenset[str]
    """Those for which `is_plain_channel` holds."""
    folding: frozenset[str]
    """Those for which `is_fold_channel` holds."""
    reducers: Mapping[str, Callable[..., Any]]
    """What `reducer_of` returns, where it returns one."""


def read_channels(channels: Mapping[str, Any]) -> Channels:
    """Return what each channel of a graph does with updates."""
    reducers = {key: reducer_of(channel) for key, channel in channels.items()}
    return Channels(
        plain=frozenset(key for key, channel in channels.items() if is_plain_channel(channel)),
        folding=frozenset(key for key, channel in channels.items() if is_fold_channel(channel)),
        reducers={key: reducer for key, reducer in reducers.items() if reducer is not None},
    )
