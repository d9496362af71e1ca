"""What a policy says: the rank of a program among the waiting ones, the place of a call in it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place, Rank, Ticket


class Policy:
    """Order of the waiting calls; by itself first come, first served.

    Calls are served by (level and tie of the program, level and order of the call, arrival), the
    lower before the higher. What a program is ranked by may change while its calls wait: the core
    asks again whenever a program got a call or was served. A policy sees the past of a program and
    what its calls tell of themselves, never its future.
    """

    name: str = "fcfs"
    """Short name, as in `Scheduler(policy=name)`."""
    learns: bool = False
    """Whether `charged` and `retired` must be told."""

    def rank(self, program: Program, now: float) -> Rank:  # noqa: ARG002
        """Return the level of all waiting calls of a program, 0 first, and what breaks ties."""
        return (0, 0)

    def place(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        served_s: float,  # noqa: ARG002
    ) -> Place:
        """Return the level of one call, 0 first, and its order among those of its program.

        Args:
            call: A call that begins to wait; its place stays as it is for that wait.
            program: Its program, the call already counted; to be read only.
            served_s: Service the call has had itself, above 0 after a preemption.
        """
        return (0, 0)

    def arrived(self, call: Call, program: Program) -> None:
        """Take note of a call that was submitted."""

    def dispatched(self, ticket: Ticket) -> None:
        """Take note of a call that got a slot."""

    def charged(self, program: Program) -> None:
        """Take note that the service of a program has grown."""

    def completed(self, call: Call, program: Program, service_s: float) -> None:
        """Take note of a call that ended with an answer, and of its service."""

    def retired(self, program: Program) -> None:
        """Take note that a program is gone; `program.ended` tells whether it came to its end."""


class Levels:
    """Levels of attained service whose bounds grow by a constant factor.

    Continuous priorities would degrade to round robin among programs that advance in step, which
    makes all of them end late.

    Args:
        levels: Number of levels, at least 1; the last one has no upper bound.
        base_s: Upper bound of level 0 in seconds, above 0; also the first quantum.
        growth: Each further bound is this many times the one before, above 1.
    """

    def __init__(self, *, levels: int = 8, base_s: float = 0.5, growth: float = 2.0) -> None:
        self.bounds_s = tuple(base_s * growth**k for k in range(levels - 1))
        """Exclusive upper bounds of all levels but the last, ascending, in seconds. What lies
        between two is the quantum of the level: who has used it up is demoted to the next."""

    def of(self, service_s: float) -> int:
        """Return the level whose bounds hold an amount of service."""
        return bisect_right(self.bounds_s, service_s)
