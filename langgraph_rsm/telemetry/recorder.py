"""Recorder: turns steps of the core into records for the hooks; free when there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langgraph_rsm.core.call import CallState
from langgraph_rsm.core.events import Dispatch, Fault, Reject, Retire, Submitted
from langgraph_rsm.telemetry.outbox import Outbox
from langgraph_rsm.telemetry.records import (
    CallDispatched,
    CallFinished,
    CallSubmitted,
    FirstToken,
    Outcome,
    ProgramFinished,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_rsm.core.call import Call, TokenUsage
    from langgraph_rsm.core.events import Event, Instruction
    from langgraph_rsm.core.machine import SchedulerCore
    from langgraph_rsm.core.machine.call_record import CallRecord
    from langgraph_rsm.telemetry.records import Hook

_OUTCOMES = {
    CallState.DONE: Outcome.DONE,
    CallState.FAILED: Outcome.FAILED,
    CallState.CANCELLED: Outcome.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the caller knows of the end of a call and the core does not."""

    ttft_s: float | None = None
    tokens: TokenUsage | None = None
    error_type: str | None = None
    fault: Fault = Fault.CALL
    """Of a failed call."""
    retry_after_s: float | None = None
    """How long the engine asked to be left alone; None when it did not."""
    chunks: int = 0
    mean_gap_s: float | None = None
    longest_gap_s: float | None = None


class Recorder:
    """Observer of one core, in front of the outbox.

    Args:
        core: The core whose events it sees.
        hooks: Receivers of the records.
    """

    def __init__(self, core: SchedulerCore, hooks: Sequence[Hook]) -> None:
        self._core = core
        self._outbox = Outbox(hooks)

    def observe(
        self, event: Event, instructions: Sequence[Instruction], ending: Ending | None
    ) -> None:
        """Queue the records of one step, in order; call it before the next step."""
        if not self._outbox:
            return
        if isinstance(event, Submitted):
            self._submitted(event)
        elif ending is not None:
            self._ended(event, ending)
        for instruction in instructions:
            if isinstance(instruction, Dispatch):
                self._dispatched(instruction, event.now)
            elif isinstance(instruction, Reject):
                self._outbox.put(self._rejection(event, instruction))
            elif isinstance(instruction, Retire):
                self._outbox.put(ProgramFinished(at_s=event.now, program=instruction.program))

    def first_token(self, call: Call, engine_id: str, now: float, ttft_s: float) -> None:
        """Queue the record of a first chunk."""
        if self._outbox:
            self._outbox.put(FirstToken(at_s=now, call=call, engine_id=engine_id, ttft_s=ttft_s))

    def deliver(self) -> None:
        """Hand queued records to the hooks; never call it with a lock held."""
        self._outbox.deliver()

    def _submitted(self, event: Submitted) -> None:
        record = self._core.record(event.call.call_id)
        if record is not None:  # None: rejected
            self._outbox.put(
                CallSubmitted(at_s=event.now, call=event.call, level=record.ticket.level)
            )

    def _dispatched(self, dispatch: Dispatch, now: float) -> None:
        record = self._known(dispatch.call_id)
        self._outbox.put(
            CallDispatched(
                at_s=now,
                call=record.call,
                level=record.ticket.level,
                engine_id=dispatch.engine_id,
                wait_s=record.wait_s(),
            )
        )

    def _ended(self, event: Event, ending: Ending) -> None:
        record = self._known(getattr(event, "call_id", ""))
        self._outbox.put(
            CallFinished(
                at_s=event.now,
                call=record.call,
                level=record.ticket.level,
                outcome=_OUTCOMES[record.state],
                engine_id=record.engine_id,
                wait_s=record.wait_s(),
                service_s=record.service_s(),
                ttft_s=ending.ttft_s,
                tokens=ending.tokens,
                error_type=ending.error_type,
                chunks=ending.chunks,
                mean_gap_s=ending.mean_gap_s,
                longest_gap_s=ending.longest_gap_s,
            )
        )

    def _rejection(self, event: Event, reject: Reject) -> CallFinished:
        record = self._core.record(reject.call_id)
        if record is not None:  # it had waited
            call, level, wait_s = record.call, record.ticket.level, record.wait_s()
        else:
            assert isinstance(event, Submitted), "what does not wait is just submitted"
            call, level, wait_s = event.call, 0, 0.0
        return CallFinished(
            at_s=event.now,
            call=call,
            level=level,
            outcome=Outcome.REJECTED,
            engine_id=None,
            wait_s=wait_s,
            service_s=0.0,
            ttft_s=None,
            tokens=None,
            error_type=None,
        )

    def _known(self, call_id: str) -> CallRecord:
        record = self._core.record(call_id)
        assert record is not None, "records are made right after their step"
        return record
