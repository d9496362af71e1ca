"""First come, first served: by calls, which is what an engine does by itself, or by programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Rank


class Fcfs(Policy):
    """Serve calls in the order of their arrival, whatever program they belong to."""

    name = "fcfs"


class ProgramFcfs(Policy):
    """Serve programs in the order of their arrival, and the calls of each in theirs."""

    name = "program_fcfs"

    def rank(self, program: Program, now: float) -> Rank:  # noqa: ARG002
        """Return the order of arrival of the program as the tie of a single level."""
        return (0, program.index)
