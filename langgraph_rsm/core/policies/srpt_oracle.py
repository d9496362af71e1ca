"""Shortest remaining processing time: the bound that no policy without a crystal ball reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Rank

_UNKNOWN_LEVEL = 1_000_000_000
_STEP_S = 0.1
"""Width of a level, so that preemption can tell clearly less from a little less."""


class SrptOracle(Policy):
    """Serve the program that truly needs the least to its end, as told by a simulation."""

    name = "srpt_oracle"

    def rank(self, program: Program, now: float) -> Rank:
        """Return the true remaining service; programs of which nothing is told go last."""
        if program.oracle_s is None:
            return (_UNKNOWN_LEVEL, program.index)
        remaining_s = max(0.0, program.oracle_s - program.service_s(now))
        return (remaining_s // _STEP_S, remaining_s)
