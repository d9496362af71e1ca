"""Totals and load of an engine model, under the concepts of vLLM's metrics."""

from __future__ import annotations

import dataclasses

from langgraph_rsm.emulation.request import FinishReason


@dataclasses.dataclass(slots=True, kw_only=True)
class EngineCounters:
    """Totals since the start, all monotonic."""

    iterations: int = 0
    """Iterations completed."""
    prompt_tokens: int = 0
    """Prompt tokens of the requests admitted so far."""
    cached_prompt_tokens: int = 0
    """Those of `prompt_tokens` found in the prefix cache."""
    generation_tokens: int = 0
    """Tokens emitted."""
    preemptions: int = 0
    """Times that a sequence lost its seat for lack of memory."""
    prefix_queries: int = 0
    """Tokens looked up in the prefix cache; 0 while prefix caching is off."""
    prefix_hits: int = 0
    """Those of `prefix_queries` that were found."""
    finished_stop: int = 0
    """Requests that reached their natural end."""
    finished_length: int = 0
    """Requests cut at `max_tokens`."""
    finished_abort: int = 0
    """Requests aborted."""

    def count_finish(self, reason: FinishReason) -> None:
        """Count one request that ended with `reason`."""
        field = f"finished_{reason.value}"
        setattr(self, field, getattr(self, field) + 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """The load of an engine at one moment."""

    running: int
    """Sequences that hold a seat."""
    waiting: int
    """Requests in the waiting queue."""
    kv_usage_ratio: float
    """Share of the key-value memory that running sequences hold, 0..1."""
    counters: EngineCounters
    """A copy of the totals."""
