"""Summary: the numbers by which two simulations are compared."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_rsm.simulation.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a simulation came to; times in seconds."""

    programs: int
    calls: int
    s_per_token: float
    """Program-level token latency, the mean over programs."""
    mean_s: float
    """Completion: from a program's arrival to its last answer."""
    p50_s: float
    p95_s: float
    p99_s: float
    waited_s: float
    """Time in the scheduler's queues, the mean over calls."""
    programs_per_s: float
    makespan_s: float
    hit_ratio: float
    """Part of the prompt tokens that were found in an engine's cache."""
    busy_ratio: float
    """Part of the makespan that engines were busy, on average."""
    preemptions: int
    """Times that an engine ran out of memory and began a request again."""

    def as_dict(self) -> dict[str, Any]:
        """Return a plain object for JSON."""
        return asdict(self)


def summarize(outcome: Outcome) -> Summary:
    """Return the summary of a simulation.

    Raises:
        ValueError: It has no programs.
    """
    programs = outcome.programs
    if not programs:
        msg = "a simulation without programs has no summary"
        raise ValueError(msg)
    completion_s = sorted(program.completion_s for program in programs)
    calls = sum(program.calls for program in programs)
    prompt_tokens = sum(engine.prompt_tokens for engine in outcome.engines)
    cached_tokens = sum(engine.cached_tokens for engine in outcome.engines)
    return Summary(
        programs=len(programs),
        calls=calls,
        s_per_token=fmean(program.s_per_token for program in programs),
        mean_s=fmean(completion_s),
        p50_s=percentile(completion_s, 0.5),
        p95_s=percentile(completion_s, 0.95),
        p99_s=percentile(completion_s, 0.99),
        waited_s=sum(program.waited_s for program in programs) / calls,
        programs_per_s=len(programs) / outcome.makespan_s,
        makespan_s=outcome.makespan_s,
        hit_ratio=cached_tokens / max(1, prompt_tokens),
        busy_ratio=fmean(engine.busy_s for engine in outcome.engines) / outcome.makespan_s,
        preemptions=sum(engine.preemptions for engine in outcome.engines),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` (0..1) of the ascending values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
