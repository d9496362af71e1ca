"""Render the state of an engine as Prometheus text under the metric names of vLLM."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Iterator

from langgraph_rsm.emulation.profiles import EngineProfile
from langgraph_rsm.emulation.stats import EngineStats

# The bucket edges of vLLM, so that dashboards made for it work.
_FIRST_TOKEN_EDGES_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_REQUEST_EDGES_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)


class Histogram:
    """A cumulative histogram of durations.

    Args:
        edges_s: Upper bucket edges in seconds, ascending.
    """

    def __init__(self, edges_s: tuple[float, ...]) -> None:
        self._edges_s = edges_s
        self._counts = [0] * (len(edges_s) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one duration, in seconds."""
        self._counts[bisect_left(self._edges_s, duration_s)] += 1
        self._sum_s += duration_s

    def render(self, name: str, labels: str) -> Iterator[str]:
        """Yield the lines of the histogram `name`."""
        yield f"# TYPE {name} histogram"
        total = 0
        for edge, count in zip((*self._edges_s, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{edge}"}} {total}'
        yield f"{name}_count{{{labels}}} {total}"
        yield f"{name}_sum{{{labels}}} {self._sum_s:.6f}"


@dataclasses.dataclass(frozen=True, slots=True)
class LatencyMetrics:
    """How long requests took, on the server's clock."""

    time_to_first_token: Histogram = dataclasses.field(
        default_factory=lambda: Histogram(_FIRST_TOKEN_EDGES_S)
    )
    """From arrival to the first token."""
    queue_time: Histogram = dataclasses.field(default_factory=lambda: Histogram(_REQUEST_EDGES_S))
    """From arrival to the first seat."""
    end_to_end: Histogram = dataclasses.field(default_factory=lambda: Histogram(_REQUEST_EDGES_S))
    """From arrival to the last token."""


def render_metrics(
    stats: EngineStats,
    latencies: LatencyMetrics,
    *,
    profile: EngineProfile,
    model: str,
    lag_s: float,
) -> str:
    """Return the text of `/metrics`.

    Args:
        stats: Load and totals of the engine.
        latencies: Durations of the requests.
        profile: The engine.
        model: Served model name, a label of every metric.
        lag_s: Time that the driver lost by falling behind, in seconds.
    """
    labels = f'engine="0",model_name="{_escape(model)}"'
    lines = [
        *_render_scalars(stats, labels, lag_s),
        *_render_config(profile, labels),
        *latencies.time_to_first_token.render("vllm:time_to_first_token_seconds", labels),
        *latencies.queue_time.render("vllm:request_queue_time_seconds", labels),
        *latencies.end_to_end.render("vllm:e2e_request_latency_seconds", labels),
    ]
    return "\n".join(lines) + "\n"


def _render_scalars(stats: EngineStats, labels: str, lag_s: float) -> Iterator[str]:
    counters = stats.counters
    gauges = {
        "vllm:num_requests_running": stats.running,
        "vllm:num_requests_waiting": stats.waiting,
        "vllm:kv_cache_usage_perc": round(stats.kv_usage_ratio, 6),
    }
    totals = {
        "vllm:prefix_cache_queries_total": counters.prefix_queries,
        "vllm:prefix_cache_hits_total": counters.prefix_hits,
        "vllm:prompt_tokens_total": counters.prompt_tokens,
        "vllm:prompt_tokens_cached_total": counters.cached_prompt_tokens,
        "vllm:generation_tokens_total": counters.generation_tokens,
        "vllm:num_preemptions_total": counters.preemptions,
        "emulation:iterations_total": counters.iterations,
        "emulation:lag_seconds_total": round(lag_s, 6),
    }
    for kind, values in (("gauge", gauges), ("counter", totals)):
        for name, value in values.items():
            yield f"# TYPE {name} {kind}"
            yield f"{name}{{{labels}}} {value}"
    yield "# TYPE vllm:request_success_total counter"
    for reason, count in (
        ("stop", counters.finished_stop),
        ("length", counters.finished_length),
        ("abort", counters.finished_abort),
    ):
        yield f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {count}'


def _render_config(profile: EngineProfile, labels: str) -> Iterator[str]:
    config = {
        "block_size": profile.block_size,
        "enable_prefix_caching": profile.prefix_caching,
        "kv_cache_size_tokens": profile.num_blocks * profile.block_size,
        "num_gpu_blocks": profile.num_blocks,
        "max_num_seqs": profile.max_num_seqs,
        "max_model_len": profile.max_model_len,
        "scheduling_policy": profile.scheduling_policy.value,
    }
    fields = ",".join(f'{name}="{value}"' for name, value in config.items())
    yield "# TYPE vllm:cache_config_info gauge"
    yield f"vllm:cache_config_info{{{labels},{fields}}} 1"


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
