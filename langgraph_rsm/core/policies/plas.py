"""PLAS: program-level attained service (Autellix, arXiv 2502.13965, section 4).

The priority of a program's calls is the service that the program has had; less is better. A program
of many calls thus sinks as it is served, and a short program that arrives later need not wait
behind it. Service of concurrent calls adds up, and calls that wait sink with their program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Levels, Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Rank


class Plas(Policy):
    """Serve the calls of little-served programs first.

    Args:
        levels: The queues.
    """

    name = "plas"

    def __init__(self, levels: Levels | None = None) -> None:
        self.levels = levels or Levels()

    def rank(self, program: Program, now: float) -> Rank:
        """Return the level of the program's service per share, running calls included."""
        return (self.levels.of(program.service_s(now) / program.share), 0)
