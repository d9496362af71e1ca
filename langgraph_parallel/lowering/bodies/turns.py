"""The turns of one loop, of which some are started ahead of the body."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from langgraph_parallel.lowering.bodies.body import Body
from langgraph_parallel.lowering.bodies.strand import Strand


class Starter(Protocol):
    """The call of a function that goes through a loop."""

    @property
    def body(self) -> Body:
        """The function."""

    @property
    def most(self) -> int:
        """Calls that are made at a time."""

    def launch_turn(
        self, number: int, turn: int, item: Any, known: Mapping[str, Any]
    ) -> Strand | None:
        """Start a group for one turn; None where that is not to be."""

    def enter_turn(self, numbers: Iterable[int], strands: Mapping[int, Strand]) -> None:
        """Let the calls of the body be answered by the strands of a turn."""

    def drop(self, strands: Iterable[Strand]) -> None:
        """Forget strands that are at their end, and give up the others."""


class Turns:
    """The turns of one loop: those that have been started, and the one that the body is in."""

    def __init__(
        self, ahead: Starter, foreseen: Iterator[Any], needs: Mapping[int, Mapping[str, Any]]
    ) -> None:
        self._ahead, self._foreseen, self._needs = ahead, foreseen, needs
        self._started: deque[dict[int, Strand]] = deque()
        self._now: dict[int, Strand] = {}
        self._turn = self._next = 0
        self._is_over = False
        # The body itself makes the first call of all: nothing comes before it.
        self._own = min(needs, key=lambda one: ahead.body.groups[one].sites[0])

    def enter(self) -> None:
        """Begin a turn of the body: start what comes after it."""
        self._ahead.drop(self._now.values())
        while not self._is_over and self._next <= self._turn + 2 * self._ahead.most:
            self._start()
        self._now = self._started.popleft() if self._started else {}
        self._ahead.enter_turn(self._needs, self._now)
        self._turn += 1

    def _start(self) -> None:
        try:
            item = next(self._foreseen)
        except StopIteration:
            self._is_over = True
            return
        strands = {}
        for number, known in self._needs.items():
            if self._next or number != self._own:
                strand = self._ahead.launch_turn(number, self._next, item, known)
                if strand is not None:
                    strands[number] = strand
        self._started.append(strands)
        self._next += 1

    def leave(self) -> None:
        """End the loop."""
        for strands in (self._now, *self._started):
            self._ahead.drop(strands.values())
        self._ahead.enter_turn(self._needs, {})
