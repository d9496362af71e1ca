"""Round robin: each program has one call served in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Policy

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place, Ticket


class RoundRobin(Policy):
    """Serve one call of each program per round.

    A call is given its round when it arrives: the one after that of its program's last call, and
    at the earliest the present one, so that a program saves up nothing while it is away.
    """

    name = "round_robin"

    def __init__(self) -> None:
        self._round = 0

    def arrived(self, call: Call, program: Program) -> None:  # noqa: ARG002
        """Give the program's next round to the call."""
        program.turn = max(program.turn + 1, self._round)

    def place(self, call: Call, program: Program, served_s: float) -> Place:  # noqa: ARG002
        """Return the round as the order in a single level."""
        return (0, program.turn)

    def dispatched(self, ticket: Ticket) -> None:
        """Advance to the round of the call that is served."""
        self._round = max(self._round, int(ticket.place[1]))
