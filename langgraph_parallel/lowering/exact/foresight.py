"""The state as foreseen: what is committed, and on top of it what early runs have returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.channels import fold, is_fold_channel, is_plain_channel, reducer_of
from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.lowering.exact.reducers import does_nothing_else, is_gentle
from langgraph_parallel.lowering.exact.values import copied
from langgraph_parallel.lowering.exact.view import EarlyRunAbandoned


class Foresight:
    """State values by row of a region.

    Args:
        graph: The compiled graph, for its channels.
    """

    def __init__(self, graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
        channels: Mapping[str, Any] = graph.channels
        names = [key for key in graph.builder.channels if key in channels]
        self.keys = [
            key
            for key in names
            if is_plain_channel(channels[key]) or is_fold_channel(channels[key])
        ]
        self._channels = channels
        self._known = frozenset(self.keys)
        self._base: dict[str, Any] = {}
        self._row = 0
        self._updates: dict[str, dict[tuple[int, str], list[Any]]] = {}
        self._written: dict[tuple[int, str], set[str]] = {}

    def commit(self, row: int, values: dict[str, Any]) -> None:
        """Take `values` as the state before a row."""
        self._base, self._row = values, row

    def forget(self) -> None:
        """Drop what nodes have returned."""
        self._updates, self._written = {}, {}

    def add(self, row: int, name: str, updates: list[tuple[str, Any]]) -> None:
        """Take in what a node of a row writes, in place of what it wrote before."""
        at = row, name
        for key in self._written.pop(at, ()):
            self._updates[key].pop(at, None)
        for key, value in updates:
            self._updates.setdefault(key, {}).setdefault(at, []).append(value)
        self._written[at] = {key for key, _ in updates}

    def present(self, keys: list[str], row: int) -> list[str]:
        """Return the keys that have a value before a row, and those of which it cannot be told."""
        return [
            key
            for key in keys
            if key in self._base
            or key not in self._known
            or any(self._row <= at[0] < row for at in self._updates.get(key, ()))
        ]

    def value(self, key: str, row: int) -> Any:
        """Return what a key holds before a row, as far as is known; `MISSING` when nothing.

        Raises:
            EarlyRunAbandoned: If it cannot be told.
        """
        if key not in self._known:
            msg = f"{key!r} depends on the superstep"
            raise EarlyRunAbandoned(msg)
        base = self._base.get(key, MISSING)
        written = self._updates.get(key)
        later = sorted(at for at in written or () if self._row <= at[0] < row)
        if not written or not later:
            return base
        by_row: dict[int, list[Any]] = {}
        for at in later:
            by_row.setdefault(at[0], []).extend(written[at])
        return self._fold(key, base, list(by_row.values()))

    def _fold(self, key: str, base: Any, updates: list[list[Any]]) -> Any:
        channel = self._channels[key]
        reducer = reducer_of(channel)
        if reducer is not None and not does_nothing_else(reducer):
            msg = f"the reducer of {key!r} may do more than fold"
            raise EarlyRunAbandoned(msg)
        try:
            if reducer is not None and not is_gentle(reducer):
                updates = copied(updates)
                base = base if base is MISSING else copied(base)
            return fold(channel, base, updates)
        except Exception as exc:
            msg = f"{key!r} cannot be folded early"
            raise EarlyRunAbandoned(msg) from exc
