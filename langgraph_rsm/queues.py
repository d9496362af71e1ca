"""Queues of waiting calls: a policy's order, with removal from the middle in constant time.

An `OrderedDict` is a linked list with an index, so a cancelled call leaves its queue at once and
no tombstones pile up behind a head that waits long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A waiting call's place."""

    call_id: str
    level: int
    """The queue it waits in, 0 first."""
    seq: int
    """Position in the order of all submissions; breaks ties."""
    submitted_s: float


class CallQueue(Protocol):
    """What a policy's queue offers; one instance per set of eligible engines."""

    def push(self, ticket: Ticket) -> None:
        """Add a ticket whose call is not in the queue; `seq` is the largest so far."""

    def discard(self, call_id: str) -> None:
        """Remove the ticket of a call; `KeyError` if it is not here."""

    def peek(self) -> Ticket:
        """Return the ticket that the policy serves next; `IndexError` when empty."""

    def oldest(self) -> Ticket:
        """Return the ticket submitted first; `IndexError` when empty."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Ticket]: ...


class MultilevelQueue:
    """First-come queues, the lower level always before the higher; every operation O(levels).

    Args:
        levels: Number of queues, at least 1; one level is plain first come, first served.
    """

    __slots__ = ("_by_age", "_levels")

    def __init__(self, levels: int) -> None:
        self._levels: list[OrderedDict[str, Ticket]] = [OrderedDict() for _ in range(levels)]
        self._by_age: OrderedDict[str, Ticket] = OrderedDict()

    def push(self, ticket: Ticket) -> None:
        """Append a ticket to its level; levels beyond the last count as the last."""
        self._level_of(ticket)[ticket.call_id] = ticket
        self._by_age[ticket.call_id] = ticket

    def discard(self, call_id: str) -> None:
        """Remove the ticket of a call; `KeyError` if it is not here."""
        ticket = self._by_age.pop(call_id)
        del self._level_of(ticket)[call_id]

    def peek(self) -> Ticket:
        """Return the first ticket of the lowest level in use; `IndexError` when empty."""
        for level in self._levels:
            if level:
                return next(iter(level.values()))
        msg = "peek at an empty queue"
        raise IndexError(msg)

    def oldest(self) -> Ticket:
        """Return the ticket submitted first; `IndexError` when empty."""
        if not self._by_age:
            msg = "oldest of an empty queue"
            raise IndexError(msg)
        return next(iter(self._by_age.values()))

    def _level_of(self, ticket: Ticket) -> OrderedDict[str, Ticket]:
        return self._levels[min(ticket.level, len(self._levels) - 1)]

    def __len__(self) -> int:
        return len(self._by_age)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._by_age.values())
