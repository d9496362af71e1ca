"""Heap whose items can change their key or leave from the middle, each in O(log n) amortized.

An entry is one flat tuple, the key with the item behind it, since comparing nested tuples takes
twice as long. A changed or removed item leaves its old entry behind, which is recognized by its
identity and thrown away when it comes up; when such dead entries outnumber the live ones, the heap
is rebuilt, so memory stays proportional to the items.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

_SLACK = 16
"""Dead entries always tolerated, so that small heaps are not rebuilt all the time."""


class LazyHeap:
    """Items by key, smallest first; equal keys by item."""

    __slots__ = ("_entries", "_live")

    def __init__(self) -> None:
        self._entries: list[tuple[Any, ...]] = []
        self._live: dict[str, tuple[Any, ...]] = {}

    def set(self, entry: tuple[Any, ...]) -> None:
        """Add the item that an entry ends with, or give it the key that stands before it."""
        live, entries = self._live, self._entries
        live[entry[-1]] = entry
        heappush(entries, entry)
        if len(entries) > 2 * len(live) + _SLACK:
            self._rebuild()

    def set_first(self, entry: tuple[Any, ...]) -> None:
        """Give the item that is first another key: half the work of `set`."""
        self._live[entry[-1]] = entry
        heapreplace(self._entries, entry)

    def entry(self, item: str) -> tuple[Any, ...] | None:
        """Return the key of an item with the item behind it; None if it is not there."""
        return self._live.get(item)

    def discard(self, item: str) -> None:
        """Remove an item if it is there."""
        live = self._live
        if live.pop(item, None) is not None and len(self._entries) > 2 * len(live) + _SLACK:
            self._rebuild()

    def first(self) -> tuple[Any, ...] | None:
        """Return the smallest key with its item behind it; None when empty."""
        entries, live = self._entries, self._live
        while entries:
            entry = entries[0]
            if live.get(entry[-1]) is entry:
                return entry
            heappop(entries)
        return None

    def pop_due(self, limit: float) -> str | None:
        """Remove and return the first item if its key begins at or below `limit`, else None."""
        if not self._entries or self._entries[0][0] > limit:  # then no live one is due either
            return None
        entry = self.first()
        if entry is None or entry[0] > limit:
            return None
        heappop(self._entries)
        item: str = entry[-1]
        del self._live[item]
        return item

    def _rebuild(self) -> None:
        self._entries = list(self._live.values())
        heapify(self._entries)

    def __len__(self) -> int:
        return len(self._live)
