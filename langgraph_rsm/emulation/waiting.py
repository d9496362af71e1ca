"""The waiting queue: a heap from which requests can be withdrawn in amortized constant time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Ranked(Protocol):
    """Something that waits."""

    rank: tuple[int, float, int]
    """Priority, arrival and submission number: smaller runs earlier, unique."""
    waiting: bool
    """Kept by the queue: whether the item is in it."""


ItemT = TypeVar("ItemT", bound=Ranked)


class WaitingQueue(Generic[ItemT]):
    """Requests without a seat, best rank first.

    A preempted request keeps its rank, so it returns to the head of a first-come-first-served
    queue: everything that still waits arrived later.
    """

    __slots__ = ("_heap", "_size")

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[int, float, int], ItemT]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[ItemT]:
        return (item for _, item in self._heap if item.waiting)

    def push(self, item: ItemT) -> None:
        """Add an item; O(log n)."""
        item.waiting = True
        heapq.heappush(self._heap, (item.rank, item))
        self._size += 1

    def peek(self) -> ItemT:
        """Return the item with the best rank.

        Raises:
            IndexError: When nothing waits.
        """
        heap = self._heap
        while not heap[0][1].waiting:
            heapq.heappop(heap)
        return heap[0][1]

    def pop(self) -> ItemT:
        """Remove and return the item with the best rank; O(log n).

        Raises:
            IndexError: When nothing waits.
        """
        item = self.peek()
        heapq.heappop(self._heap)
        item.waiting = False
        self._size -= 1
        return item

    def withdraw(self, item: ItemT) -> None:
        """Remove an item that waits; amortized O(1).

        The entry stays in the heap until it surfaces, or until most entries are dead.
        """
        item.waiting = False
        self._size -= 1
        if len(self._heap) > 2 * self._size + 64:
            self._heap = [entry for entry in self._heap if entry[1].waiting]
            heapq.heapify(self._heap)
