"""All waiting calls, grouped by the engines that can serve them.

A call may name a subset of the engines. Calls with the same set share one queue (a *pool*), so that
a call whose engines are all busy never blocks one whose engine is free, and a freed slot looks only
at the heads of the few pools that use its engine.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langgraph_rsm.queues import CallQueue, Ticket


class WaitingRoom:
    """Waiting calls of a scheduler, with one rule above every policy: nobody waits forever.

    Args:
        make_queue: Makes the queue of a new pool.
        max_wait_s: Seconds after which the oldest call goes before all others.
    """

    def __init__(self, *, make_queue: Callable[[], CallQueue], max_wait_s: float) -> None:
        self._make_queue = make_queue
        self._max_wait_s = max_wait_s
        self._pools: dict[tuple[str, ...], CallQueue] = {}
        self._pools_of: dict[str, list[CallQueue]] = {}
        self._depths: Counter[int] = Counter()
        self._size = 0

    def add(self, ticket: Ticket, engines: tuple[str, ...]) -> None:
        """Queue a call that any of `engines` can serve."""
        pool = self._pools.get(engines)
        if pool is None:
            pool = self._open_pool(engines)
        pool.push(ticket)
        self._depths[ticket.level] += 1
        self._size += 1

    def discard(self, ticket: Ticket, engines: tuple[str, ...]) -> None:
        """Take a call out; it must have been added with the same ticket and engines."""
        self._pools[engines].discard(ticket.call_id)
        self._depths[ticket.level] -= 1
        self._size -= 1

    def next_for(self, engine_id: str, now: float) -> Ticket | None:
        """Return the call that should have the engine's next free slot.

        Args:
            engine_id: The engine with a free slot.
            now: Present time in seconds, for the waiting-time rule.

        Returns:
            The oldest call if it has waited `max_wait_s` or longer, else the policy's choice;
            None when no waiting call can use the engine.
        """
        best: Ticket | None = None
        best_key: tuple[int, int] = (0, 0)
        for pool in self._pools_of.get(engine_id, ()):
            if not pool:
                continue
            key, ticket = self._head(pool, now)
            if best is None or key < best_key:
                best, best_key = ticket, key
        return best

    def _head(self, pool: CallQueue, now: float) -> tuple[tuple[int, int], Ticket]:
        oldest = pool.oldest()
        if now - oldest.submitted_s >= self._max_wait_s:
            return (-1, oldest.seq), oldest
        ticket = pool.peek()
        return (ticket.level, ticket.seq), ticket

    def _open_pool(self, engines: tuple[str, ...]) -> CallQueue:
        pool = self._pools[engines] = self._make_queue()
        for engine_id in engines:
            self._pools_of.setdefault(engine_id, []).append(pool)
        return pool

    def depths(self) -> Mapping[int, int]:
        """Return the number of waiting calls per level; levels in ascending order, none empty."""
        return {level: count for level, count in sorted(self._depths.items()) if count}

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Ticket]:
        for pool in self._pools.values():
            yield from pool
