"""First come, first served: what an engine does by itself, the baseline of every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.queues import MultilevelQueue

if TYPE_CHECKING:
    from langgraph_rsm.events import Call
    from langgraph_rsm.process_table import Program


class Fcfs:
    """Serve calls in the order of their arrival, whatever program they belong to."""

    name = "fcfs"

    def level(self, call: Call, program: Program) -> int:  # noqa: ARG002
        """Return 0: all calls share one queue."""
        return 0

    def make_queue(self) -> MultilevelQueue:
        """Return a single first-come queue."""
        return MultilevelQueue(1)
