"""Service: what a call has cost its engine, in seconds of time or of work.

Time is what the paper charges: from start to end of a request, whatever else the engine did. Work
is counted from tokens (prompt tokens that were not cached, and generated ones) at a price each, so
that a call is not charged for sharing a full batch, nor for a prompt that was cached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph_rsm.core.call import TokenUsage
    from langgraph_rsm.core.machine.call_record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMeter:
    """Price list of one scheduler."""

    by_tokens: bool = False
    """Whether to count work; calls whose tokens are unknown are charged time even then."""
    prefill_s: float = 0.0002
    """Seconds of work of one prompt token that was not cached."""
    decode_s: float = 0.002
    """Seconds of work of one generated token: ten times a prompt token's, the usual ratio of the
    prices of hosted models and of the throughput of batched engines."""

    def total_s(self, record: CallRecord, now: float, tokens: TokenUsage | None) -> float:
        """Return the service of a call so far, all its slices together."""
        if self.by_tokens and tokens is not None:
            uncached = max(0, tokens.input_tokens - tokens.cached_tokens)
            return self.prefill_s * uncached + self.decode_s * tokens.output_tokens
        return record.engine_s(now)
