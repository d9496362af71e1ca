"""Accounts: charges programs and tenants for service, and looks out for those who starve."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.config import ServiceMeter
    from langgraph_rsm.core.call import TokenUsage
    from langgraph_rsm.core.machine.call_record import CallRecord
    from langgraph_rsm.core.policies import Policy
    from langgraph_rsm.core.queueing.fairness import StarvationGuard, Tenants
    from langgraph_rsm.core.queueing.waiting import WaitingRoom


class Accounts:
    """Service of all programs and tenants of one scheduler.

    Args:
        policy: Told of every charge.
        meter: How service is measured.
        tenants: Their virtual times.
        guard: Who starves.
        waiting: Where changed virtual times and ranks matter.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        meter: ServiceMeter,
        tenants: Tenants,
        guard: StarvationGuard,
        waiting: WaitingRoom,
    ) -> None:
        self._policy = policy
        self._meter = meter
        self._tenants = tenants
        self._guard = guard
        self._waiting = waiting

    def reserve(self, record: CallRecord) -> None:
        """Charge the tenant in advance for a call that gets a slot."""
        record.reserved_s = self._tenants.dispatch(record.tenant)

    def start(self, record: CallRecord, now: float) -> None:
        """Begin a slice of a call."""
        record.started_s = record.charged_at_s = now
        if not self._meter.by_tokens:
            record.program.open_calls += 1
            record.program.open_since_s += now

    def charge(self, record: CallRecord, now: float, tokens: TokenUsage | None) -> None:
        """Bring the service of the program up to date with what the call has had so far.

        The caller lets the guard watch the program afterwards.
        """
        program = record.program
        total_s = self._service_s(record, now, tokens)
        if record.started_s is not None and not self._meter.by_tokens:
            program.open_since_s += now - record.charged_at_s
            record.charged_at_s = now
        gained_s = total_s - record.charged_s
        if gained_s <= 0:
            return
        record.charged_s = total_s
        self._guard.before(program, now)
        program.attained_s += gained_s
        program.recent_service_s += gained_s
        self._policy.charged(program)

    def stop(self, record: CallRecord, now: float, tokens: TokenUsage | None) -> None:
        """End a slice of a call, or the call: charge the rest, and settle with the tenant."""
        self.charge(record, now, tokens)
        if record.started_s is not None:
            record.sliced_s = record.engine_s(now)
            record.started_s = None
            if not self._meter.by_tokens:
                record.program.open_calls -= 1
                record.program.open_since_s -= now
        service_s = record.charged_s - record.settled_s
        self._tenants.settle(record.tenant, reserved_s=record.reserved_s, service_s=service_s)
        record.settled_s = record.charged_s
        if service_s < record.reserved_s:
            self._waiting.credited(record.tenant)

    def _service_s(self, record: CallRecord, now: float, tokens: TokenUsage | None) -> float:
        """Return the service of a call so far, all its slices together."""
        meter = self._meter
        if meter.by_tokens and tokens is not None:
            uncached = max(0, tokens.input_tokens - tokens.cached_tokens)
            return meter.prefill_s * uncached + meter.decode_s * tokens.output_tokens
        return record.engine_s(now)

    def rerank(self, record: CallRecord, now: float) -> None:
        """Let the policy look anew at a program that was served."""
        program = record.program
        if program.waiting:
            rank = self._policy.rank(program, now)
            if rank != program.rank:
                program.rank = rank
                self._waiting.rerank(program)
