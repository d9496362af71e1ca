"""What a policy must offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langgraph_rsm.events import Call
    from langgraph_rsm.process_table import Program
    from langgraph_rsm.queues import CallQueue


class Policy(Protocol):
    """Order of the waiting calls. A policy sees the past of the program, never its future."""

    @property
    def name(self) -> str:
        """Short name, as in `Scheduler(policy=name)`."""

    def level(self, call: Call, program: Program) -> int:
        """Return the queue that the call waits in, 0 first; asked once, at its arrival.

        Args:
            call: The arriving call.
            program: Its program's entry, the arrival already counted; to be read only.
        """

    def make_queue(self) -> CallQueue:
        """Return an empty queue that serves tickets in this policy's order."""
