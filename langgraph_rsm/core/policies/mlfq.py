"""Multilevel feedback queue: what a scheduler can do that sees calls but no programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Levels, Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place


class Mlfq(Policy):
    """Start each call in the first queue, and demote it as it uses up its quanta.

    Without preemption no call is ever demoted, and it is first come, first served.

    Args:
        levels: The queues.
    """

    name = "mlfq"

    def __init__(self, levels: Levels | None = None) -> None:
        self.levels = levels or Levels()

    def place(self, call: Call, program: Program, served_s: float) -> Place:  # noqa: ARG002
        """Return the level of the service that the call itself has had."""
        return (self.levels.of(served_s), 0)
