"""All waiting calls, grouped by the engines that can serve them, and whose turn it is.

A call may name a subset of the engines. Calls with the same set share one *pool*, so that a call
whose engines are all busy never blocks one whose engine is free, and a freed slot looks only at the
heads of the few pools that use its engine. Calls whose context an engine still holds have a pool of
their own, because an engine short of memory can take them and not the others; so have those of each
key, for which alone an engine may rest.

The turn is decided in this order: the tenant that is furthest below its share; then, within it,
calls that have waited too long and programs that were promoted (as long as these hold no more than
a set share of the slots), urgent calls, and last what the policy says.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from langgraph_rsm.core.queueing.queues import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.fairness import Tenant
    from langgraph_rsm.core.queueing.queues import Ticket, Turn


class WaitingRoom:
    """Waiting calls of a scheduler.

    Args:
        max_wait_s: Seconds after which the oldest call of a tenant goes before its others.
    """

    def __init__(self, *, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._pools: dict[tuple[tuple[str, ...], bool, tuple[str, ...]], Pool] = {}
        self._pools_of: dict[str, list[Pool]] = {}
        self._size = 0

    def add(self, ticket: Ticket, tenant: Tenant, program: Program) -> None:
        """Queue a call of a program that any of the ticket's engines can serve."""
        pool = self._pools.get((ticket.engines, ticket.resident, ticket.call.accounts))
        if pool is None:
            pool = self._open_pool(ticket)
        pool.push(ticket, tenant, program)
        self._size += 1

    def discard(self, ticket: Ticket) -> None:
        """Take a call out that is here."""
        assert ticket.queue is not None, "it waits"
        ticket.queue.within.pool.discard(ticket)
        self._size -= 1

    def rerank(self, program: Program) -> None:
        """Move all waiting calls of a program whose rank has changed; O(its pools x log n)."""
        for queue in program.queues:
            queue.rerank()

    def promote(self, program: Program, number: int) -> None:
        """Let a program go first, after those promoted with a lower number."""
        for queue in program.queues:
            queue.promote(number)

    def demote(self, program: Program) -> None:
        """Let a promoted program be like any other again."""
        for queue in program.queues:
            queue.demote()

    def urge(self, ticket: Ticket, due_s: float) -> None:
        """Make a waiting call urgent, with the time by which it should be served."""
        assert ticket.queue is not None, "it waits"
        ticket.queue.within.urge(ticket, due_s)

    def credited(self, tenant: Tenant) -> None:
        """Take note that the virtual time of a tenant has become less."""
        for pool in self._pools.values():
            if len(pool.tenants) > 1:
                pool.credited(tenant)

    def next_for(
        self,
        engine_id: str,
        now: float,
        *,
        boost: bool = True,
        admits: Callable[[Pool, Ticket], bool] | None = None,
    ) -> Turn | None:
        """Return the call that should have the engine's next free slot.

        Args:
            engine_id: The engine with a free slot.
            now: Present time in seconds, for the waiting-time rule.
            boost: Whether overdue calls and promoted programs may go first.
            admits: Whether the engine can take the first call of a pool; if not, the pool stands
                back. None means it can.

        Returns:
            The call and why it goes first; None when no waiting call can use the engine.
        """
        best: Turn | None = None
        best_key: tuple[float, ...] = ()
        for pool in self._pools_of.get(engine_id, ()):
            if not pool.size:
                continue
            key, turn = pool.head(now - self._max_wait_s, boost=boost)
            if (best is None or key < best_key) and (admits is None or admits(pool, turn.ticket)):
                best, best_key = turn, key
        return best

    def bound_to(self, engine_id: str) -> list[Ticket]:
        """Return the calls that wait for this engine alone, in the order of submission."""
        pools = (pool for pool in self._pools_of.get(engine_id, ()) if len(pool.engines) == 1)
        bound = [ticket for pool in pools for queue in pool.tenants.values() for ticket in queue]
        return sorted(bound, key=lambda ticket: ticket.seq)

    def resident(self, engine_id: str, program_id: str) -> list[Ticket]:
        """Return the calls of a program that wait for the engine that has its context."""
        pools = (
            pool
            for pool in self._pools_of.get(engine_id, ())
            if pool.resident and pool.engines == (engine_id,)
        )
        queues = [queue for pool in pools for queue in pool.tenants.values()]
        return [ticket for queue in queues for ticket in queue.of(program_id)]

    def _open_pool(self, ticket: Ticket) -> Pool:
        pool = Pool(ticket.engines, resident=ticket.resident)
        self._pools[ticket.engines, ticket.resident, ticket.call.accounts] = pool
        for engine_id in ticket.engines:
            self._pools_of.setdefault(engine_id, []).append(pool)
        return pool

    def depths(self) -> Mapping[int, int]:
        """Return the number of waiting calls per level; levels ascending, none empty; O(calls)."""
        return dict(sorted(Counter(ticket.level for ticket in self).items()))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Ticket]:
        for pool in self._pools.values():
            for queue in pool.tenants.values():
                yield from queue
