"""Queues of waiting calls: calls inside programs, programs inside tenants, tenants inside pools.

```text
pool ── tenant ─┬─ program (level, tie) ── calls by (level, order, seq)
                ├─ program ...             it stands where its rank and its first call put it
                └─ aside: the oldest calls, the promoted programs, the urgent calls
```

A program whose rank changes moves as a whole, in O(log n), however many of its calls wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from langgraph_rsm.core.lazy_heap import LazyHeap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.fairness import Tenant

Rank = tuple[float, float]
"""(level, tie): programs of a lower level first, then those with the lower tie."""
Place = tuple[float, float]
"""(level, order): calls of a lower level first, then those with the lower order."""


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A waiting call's place, for one wait: a call that waits again gets a new one."""

    call: Call
    engines: tuple[str, ...]
    """Engines it waits for; a balancer may have narrowed the call's own."""
    resident: bool
    """Whether its context is in the memory of the one engine that it waits for."""
    level: int
    """Queue it waits or waited in, 0 first; for display and for engines with priorities."""
    place: Place
    seq: int
    """Position in the order of all submissions; breaks ties."""
    submitted_s: float
    queue: ProgramQueue | None = None
    """Where it waits; None before and after, when entries that it left behind are dead."""

    @property
    def call_id(self) -> str:
        """Id of the call."""
        return self.call.call_id

    def __lt__(self, other: Ticket) -> bool:
        # Asked only when a preempted call meets a dead entry of its former wait: either will do.
        return self.queue is not None and other.queue is None


Entry = tuple[float, float, int, Ticket]


class ProgramQueue:
    """Waiting calls of one program, by (level, order, seq)."""

    __slots__ = ("_entries", "program", "size", "within")

    def __init__(self, program: Program, within: TenantQueue) -> None:
        self.program = program
        self.within = within
        self.size = 0
        self._entries: list[Entry] = []

    def push(self, ticket: Ticket) -> None:
        """Add a ticket."""
        ticket.queue = self
        heappush(self._entries, (*ticket.place, ticket.seq, ticket))
        self.size += 1

    def drop(self) -> None:
        """Count one ticket that has ceased to wait; it is thrown away when it comes up."""
        self.size -= 1
        if len(self._entries) > 2 * self.size + 8:
            self._entries = [entry for entry in self._entries if entry[3].queue is not None]
            heapify(self._entries)

    def first(self) -> Ticket:
        """Return the first waiting ticket; `IndexError` when empty."""
        entries = self._entries
        while (ticket := entries[0][3]).queue is None:
            heappop(entries)
        return ticket

    def standing(self) -> tuple[float, float, float, float, int, str]:
        """Return where the program stands among the others, with its id behind."""
        ticket, program = self.first(), self.program
        return (*program.rank, *ticket.place, ticket.seq, program.program_id)

    def rerank(self) -> None:
        """Move to where the rank of the program puts it now."""
        self.within.rerank(self)

    def promote(self, number: int) -> None:
        """Stand among the promoted ones, in the order of `number`."""
        self.within.promote(self.program.program_id, number)

    def demote(self) -> None:
        """Be like any other again after a promotion."""
        self.within.demote(self.program.program_id)

    def __iter__(self) -> Iterator[Ticket]:
        return (entry[3] for entry in self._entries if entry[3].queue is not None)


class TenantQueue:
    """Waiting calls of one tenant that wait for the same engines."""

    __slots__ = (
        "_by_age",
        "_order",
        "_programs",
        "_promoted",
        "_returned",
        "_urgent",
        "pool",
        "size",
        "tenant",
    )

    def __init__(self, tenant: Tenant, pool: Pool) -> None:
        self.tenant = tenant
        self.pool = pool
        self.size = 0
        self._programs: dict[str, ProgramQueue] = {}
        self._order = LazyHeap()
        self._promoted = LazyHeap()
        self._urgent = LazyHeap()
        # Tickets by seq, dead ones among them. New calls come in that order and need no heap; those
        # that take up a former place, after a preemption or a failure, have one of their own.
        self._by_age: deque[Ticket] = deque()
        self._returned: list[tuple[int, Ticket]] = []

    def push(self, ticket: Ticket, program: Program) -> None:
        """Add a ticket of a program, whose other tickets have its rank already."""
        queue = self._programs.get(program.program_id)
        if queue is None:
            queue = self._programs[program.program_id] = ProgramQueue(program, self)
            program.queues += (queue,)
        queue.push(ticket)
        if queue.first() is ticket:
            self._order.set(queue.standing())
        self.size += 1
        by_age = self._by_age
        if not by_age or by_age[-1].seq < ticket.seq:
            by_age.append(ticket)
        else:
            heappush(self._returned, (ticket.seq, ticket))

    def discard(self, ticket: Ticket) -> None:
        """Take a ticket out that is here."""
        queue = ticket.queue
        assert queue is not None, "it is here"
        was_first = queue.first() is ticket
        ticket.queue = None
        self.size -= 1
        queue.drop()
        if not queue.size:
            program_id = queue.program.program_id
            del self._programs[program_id]
            queue.program.queues = tuple([q for q in queue.program.queues if q is not queue])
            self._order.discard(program_id)
            self._promoted.discard(program_id)
        elif was_first:
            self._order.set(queue.standing())
        self._urgent.discard(ticket.call.call_id)
        if len(self._by_age) + len(self._returned) > 2 * self.size + 16:
            self._bury()

    def rerank(self, queue: ProgramQueue) -> None:
        """Move a program that has calls here to where its rank puts it now."""
        self._order.set(queue.standing())

    def promote(self, program_id: str, number: int) -> None:
        """Put a program that has calls here among the promoted ones, in the order of `number`."""
        self._promoted.set((number, program_id))

    def demote(self, program_id: str) -> None:
        """Let a promoted program be like any other again."""
        self._promoted.discard(program_id)

    def urge(self, ticket: Ticket, due_s: float) -> None:
        """Put a ticket that is here among the urgent ones, the earliest due first."""
        self._urgent.set((due_s, ticket.seq, ticket, ticket.call_id))

    def first(self) -> ProgramQueue:
        """Return the program whose turn it is; the queue must not be empty."""
        entry = self._order.first()
        assert entry is not None, "asked of a queue in use"
        return self._programs[entry[-1]]

    def of(self, program_id: str) -> list[Ticket]:
        """Return the calls of one program, in no order."""
        return list(self._programs.get(program_id, ()))

    def first_promoted(self) -> ProgramQueue | None:
        """Return the program promoted first; None if none is."""
        entry = self._promoted.first()
        return None if entry is None else self._programs[entry[-1]]

    def first_urgent(self) -> Ticket | None:
        """Return the urgent ticket that is due first; None if none is urgent."""
        entry = self._urgent.first()
        if entry is None:
            return None
        ticket: Ticket = entry[2]
        return ticket

    def oldest(self) -> Ticket:
        """Return the ticket submitted first; the queue must not be empty."""
        by_age, returned = self._by_age, self._returned
        while by_age and by_age[0].queue is None:
            by_age.popleft()
        while returned and returned[0][1].queue is None:
            heappop(returned)
        if returned and not (by_age and by_age[0].seq < returned[0][0]):
            return returned[0][1]
        return by_age[0]

    def _bury(self) -> None:
        """Throw away the tickets that have ceased to wait."""
        self._by_age = deque(ticket for ticket in self._by_age if ticket.queue is not None)
        self._returned = [entry for entry in self._returned if entry[1].queue is not None]
        heapify(self._returned)

    def __iter__(self) -> Iterator[Ticket]:
        for program in self._programs.values():
            yield from program


class Lane(IntEnum):
    """Why a call goes next; the lower goes first."""

    OVERDUE = 0
    """It has waited as long as any call may."""
    PROMOTED = 1
    """Its program has waited too long for what it was given."""
    URGENT = 2
    """A person waits for it, or its deadline is near."""
    POLICY = 3
    """The policy says so."""


class Turn(NamedTuple):
    """The call that goes next, and why."""

    ticket: Ticket
    lane: Lane


class Pool:
    """Waiting calls that wait for the same engines."""

    __slots__ = ("_by_share", "engines", "resident", "size", "tenants")

    def __init__(self, engines: tuple[str, ...], *, resident: bool) -> None:
        self.engines = engines
        self.resident = resident
        self.tenants: dict[str, TenantQueue] = {}
        self.size = 0
        self._by_share = LazyHeap()

    def push(self, ticket: Ticket, tenant: Tenant, program: Program) -> None:
        """Add a ticket."""
        queue = self.tenants.get(tenant.tenant_id)
        if queue is None:
            queue = self.tenants[tenant.tenant_id] = TenantQueue(tenant, self)
            self.credited(tenant)
            if len(self.tenants) == 2:  # alone, the other one was not followed
                for other in self.tenants.values():
                    self.credited(other.tenant)
        queue.push(ticket, program)
        self.size += 1

    def discard(self, ticket: Ticket) -> None:
        """Take a ticket out that is here."""
        assert ticket.queue is not None, "it is here"
        queue = ticket.queue.within
        queue.discard(ticket)
        self.size -= 1
        if not queue.size:
            tenant_id = queue.tenant.tenant_id
            del self.tenants[tenant_id]
            self._by_share.discard(tenant_id)

    def credited(self, tenant: Tenant) -> None:
        """Take note that the virtual time of a tenant has become less.

        That it has become more is found when the tenant comes up.
        """
        if len(self.tenants) > 1 and tenant.tenant_id in self.tenants:
            noted = self._by_share.entry(tenant.tenant_id)
            if noted is None or tenant.virtual_s < noted[0]:
                self._by_share.set((tenant.virtual_s, tenant.index, tenant.tenant_id))

    def _first_tenant(self) -> TenantQueue:
        if len(self.tenants) == 1:
            return next(iter(self.tenants.values()))
        by_share = self._by_share
        while True:
            entry = by_share.first()
            assert entry is not None, "all tenants are in it when there are several"
            virtual_s, index, tenant_id = entry
            queue = self.tenants[tenant_id]
            if virtual_s == queue.tenant.virtual_s:
                return queue
            by_share.set_first((queue.tenant.virtual_s, index, tenant_id))

    def head(self, overdue_before_s: float, *, boost: bool) -> tuple[tuple[float, ...], Turn]:
        """Return the first call and the key by which it compares with those of other pools.

        Args:
            overdue_before_s: Calls submitted up to this time have waited too long.
            boost: Whether overdue calls and promoted programs may go first.
        """
        queue = self._first_tenant()
        share = (queue.tenant.virtual_s, queue.tenant.index)
        if boost:
            oldest = queue.oldest()
            if oldest.submitted_s <= overdue_before_s:
                return (*share, Lane.OVERDUE, oldest.seq), Turn(oldest, Lane.OVERDUE)
            promoted = queue.first_promoted()
            if promoted is not None:
                ticket = promoted.first()
                return (*share, Lane.PROMOTED, ticket.seq), Turn(ticket, Lane.PROMOTED)
        urgent = queue.first_urgent()
        if urgent is not None:
            return (*share, Lane.URGENT, urgent.seq), Turn(urgent, Lane.URGENT)
        first = queue.first()
        ticket, lane = first.first(), Lane.POLICY
        return (*share, lane, *first.program.rank, *ticket.place, ticket.seq), Turn(ticket, lane)
