"""Shortest job first: calls by the service that they are expected to need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.config import ServiceMeter
from langgraph_rsm.core.policies.base import Policy
from langgraph_rsm.core.programs.history import History

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place


class Sjf(Policy):
    """Serve the call first that is expected to need the least.

    What a call says itself of the length of its answer comes first, then what its call site has
    cost before. Where nothing is known, a call counts as free, so that it is tried out.

    Args:
        history: Costs of call sites; None begins with none.
        meter: Prices of tokens.
    """

    name = "sjf"

    def __init__(self, history: History | None = None, meter: ServiceMeter | None = None) -> None:
        self.history = history or History()
        self._meter = meter or ServiceMeter()

    def place(self, call: Call, program: Program, served_s: float) -> Place:  # noqa: ARG002
        """Return what the call still needs as the order in a single level."""
        return (0, max(0.0, self._expected_s(call) - served_s))

    def completed(self, call: Call, program: Program, service_s: float) -> None:
        """Learn what a call of this call site costs."""
        self.history.end_call(call, program, service_s)

    def _expected_s(self, call: Call) -> float:
        if call.output_tokens:
            meter = self._meter
            return meter.prefill_s * call.prompt_tokens + meter.decode_s * call.output_tokens
        return self.history.call_s(call) or 0.0
