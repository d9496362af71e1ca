"""Heap whose items can change their key or leave from the middle, each in O(log n) amortized.

A changed or removed item leaves its old entry behind, which is recognized by the identity of its
key and thrown away when it comes up; when such dead entries outnumber the live ones, the heap is
rebuilt, so memory stays proportional to the items.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLACK = 16
"""Dead entries always tolerated, so that small heaps are not rebuilt all the time."""


class LazyHeap:
    """Items by key, smallest first; equal keys by item."""

    __slots__ = ("_entries", "_keys")

    def __init__(self) -> None:
        self._entries: list[tuple[Any, str]] = []
        self._keys: dict[str, Any] = {}

    def set(self, item: str, key: Any) -> None:
        """Add an item or change its key, which must be an object of its own, a new tuple."""
        keys, entries = self._keys, self._entries
        keys[item] = key
        heappush(entries, (key, item))
        if len(entries) > 2 * len(keys) + _SLACK:
            self._rebuild()

    def key(self, item: str) -> Any:
        """Return the key of an item; None if it is not there."""
        return self._keys.get(item)

    def discard(self, item: str) -> None:
        """Remove an item if it is there."""
        if self._keys.pop(item, None) is not None and len(self._entries) > (
            2 * len(self._keys) + _SLACK
        ):
            self._rebuild()

    def first(self) -> tuple[Any, str] | None:
        """Return the smallest key and its item; None when empty."""
        entries, keys = self._entries, self._keys
        while entries:
            key, item = entry = entries[0]
            if keys.get(item) is key:
                return entry
            heappop(entries)
        return None

    def pop_due(self, limit: Any) -> str | None:
        """Remove and return the first item if its key is not above `limit`, else None."""
        if not self._entries or self._entries[0][0] > limit:  # then no live one is due either
            return None
        entry = self.first()
        if entry is None or entry[0] > limit:
            return None
        heappop(self._entries)
        del self._keys[entry[1]]
        return entry[1]

    def _rebuild(self) -> None:
        self._entries = [(key, item) for item, key in self._keys.items()]
        heapify(self._entries)

    def __contains__(self, item: str) -> bool:
        return item in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)
