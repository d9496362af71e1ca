"""ATLAS: the attained service of a program with threads is that of its critical path.

From Autellix (arXiv 2502.13965, section 4.2): a call's priority is the longest chain of service
that led to it. Calls of one fan-out share a priority, and are served together. Where a call names
the calls whose answers it needed, the chain through them counts; where not, the longest chain of
the whole program does, which is how the paper puts it into practice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Levels, Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place


class Atlas(Policy):
    """Serve the calls with the least service on the way to them first.

    Args:
        levels: The queues.
    """

    name = "atlas"

    def __init__(self, levels: Levels | None = None) -> None:
        self.levels = levels or Levels()

    def place(self, call: Call, program: Program, served_s: float) -> Place:
        """Return the level of the chain that led to the call, what it had itself included."""
        path_s = program.path_before_s(call) + served_s
        return (self.levels.of(path_s / program.share), 0)
