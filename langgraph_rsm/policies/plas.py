"""PLAS: program-level attained service (Autellix, arXiv 2502.13965, section 4).

A call's priority is the engine time that all earlier calls of its program have had when it
arrives; less is better. A program of many calls thus sinks as it is served, and a short program
that arrives later need not wait behind it. The value is cut into levels (bounds doubling), first
come first served inside each: a continuous priority would degrade to round robin among programs
that advance in step.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from langgraph_rsm.queues import MultilevelQueue

if TYPE_CHECKING:
    from langgraph_rsm.events import Call
    from langgraph_rsm.process_table import Program


class Plas:
    """Serve the calls of little-served programs first.

    Args:
        levels: Number of queues, at least 1; the last one has no upper bound.
        base_s: Upper bound of level 0 in seconds of attained service, above 0.
    """

    name = "plas"

    def __init__(self, *, levels: int = 8, base_s: float = 0.5) -> None:
        self.bounds_s = tuple(base_s * 2.0**k for k in range(levels - 1))
        """Exclusive upper bounds of all levels but the last, ascending, in seconds."""

    def level(self, call: Call, program: Program) -> int:  # noqa: ARG002
        """Return the level whose bounds hold the program's attained service."""
        return bisect_right(self.bounds_s, program.attained_s)

    def make_queue(self) -> MultilevelQueue:
        """Return one first-come queue per level."""
        return MultilevelQueue(len(self.bounds_s) + 1)
