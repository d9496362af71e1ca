"""Servers: what each kind of inference server says of itself, and where.

```text
GET /metrics ── vllm: sglang: tgi_ llamacpp: ──> known at once, and read from then on
     │ something else
     v
GET /props (llama.cpp)  /api/version (Ollama)  /health/readiness (LiteLLM)  /info (TGI)
     │ nothing
     v
plain: never asked again
```

All pages are public ones: no key is sent, and nothing of any prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langgraph_rsm.runtime.metrics_page import MetricsPage, read_metrics

_CLOUDS = (
    "openai.com",
    "azure.com",
    "anthropic.com",
    "googleapis.com",
    "amazonaws.com",
    "mistral.ai",
    "groq.com",
    "together.xyz",
    "openrouter.ai",
    "deepseek.com",
    "fireworks.ai",
    "cohere.com",
    "x.ai",
)
"""Providers with limits of requests and tokens, not of seats, and without such pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server is; None where it does not say."""

    kind: str
    """`vllm`, `sglang`, `llama.cpp`, `ollama`, `tgi` or `litellm`."""
    version: str | None = None
    seats: int | None = None
    """Most requests in its batch."""
    kv_tokens: int | None = None
    """Tokens of context that its cache holds."""
    priority_sign: int = 0
    """1 where a lower `priority` goes first, -1 where a higher one does, 0 where it has none."""

    @property
    def name(self) -> str:
        """Kind and version, for people."""
        return f"{self.kind} {self.version}" if self.version else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a server says of its load at one moment; None where it does not say."""

    waiting: int | None = None
    running: int | None = None
    kv_usage_ratio: float | None = None
    prefix_hit_ratio: float | None = None


def root_of(base_url: str | None) -> str | None:
    """Return where a server's own pages are; None for a provider, or what is no HTTP server."""
    if not base_url:
        return None
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    if any(host == cloud or host.endswith(f".{cloud}") for cloud in _CLOUDS):
        return None
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def facts_of_metrics(page: MetricsPage) -> ServerFacts | None:
    """Return what a metrics page tells of its server; None if it is of another kind."""
    names = page.sums.keys() | page.labels.keys()
    if any(name.startswith("vllm:") for name in names):
        return _vllm(page.labels.get("vllm:cache_config_info", {}))
    if any(name.startswith("sglang:") for name in names):
        return ServerFacts(kind="sglang")
    if any(name.startswith("tgi_") for name in names):
        return ServerFacts(kind="tgi")
    if any(name.startswith("llamacpp:") for name in names):
        return ServerFacts(kind="llama.cpp")
    return None


def _vllm(config: Mapping[str, str]) -> ServerFacts:
    tokens = _number(config.get("kv_cache_size_tokens"))
    if tokens is None:
        block, blocks = (_number(config.get(key)) for key in ("block_size", "num_gpu_blocks"))
        tokens = block * blocks if block and blocks else None
    # vLLM does not tell its policy: whether it takes a priority is seen when it gets one.
    first_come = config.get("scheduling_policy") == "fcfs"
    return ServerFacts(
        kind="vllm",
        seats=_number(config.get("max_num_seqs")),
        kv_tokens=tokens,
        priority_sign=0 if first_come else 1,
    )


def reading_of_metrics(page: MetricsPage) -> Reading:
    """Return the load that a metrics page tells, of whichever kind of server."""
    running = page.first(
        "vllm:num_requests_running",
        "sglang:num_running_reqs",
        "tgi_batch_current_size",
        "llamacpp:requests_processing",
    )
    waiting = page.first(
        "vllm:num_requests_waiting",
        "sglang:num_queue_reqs",
        "tgi_queue_size",
        "llamacpp:requests_deferred",
    )
    hits = page.ratio("vllm:prefix_cache_hits", "vllm:prefix_cache_queries")
    return Reading(
        running=_whole(running),
        waiting=_whole(waiting),
        kv_usage_ratio=page.first(
            "vllm:kv_cache_usage_perc",
            "vllm:gpu_cache_usage_perc",
            "sglang:token_usage",
            "llamacpp:kv_cache_usage_ratio",
        ),
        prefix_hit_ratio=page.first("sglang:cache_hit_rate") if hits is None else hits,
    )


def reading_of_slots(text: str) -> Reading | None:
    """Return the load that llama.cpp's `/slots` tells; None if it is something else."""
    slots = _json(text)
    if not isinstance(slots, list) or not all(isinstance(slot, Mapping) for slot in slots):
        return None
    return Reading(running=sum(bool(slot.get("is_processing")) for slot in slots))


def _props(said: Mapping[str, Any]) -> ServerFacts | None:
    seats = _number(said.get("total_slots"))
    if seats is None:
        return None
    return ServerFacts(kind="llama.cpp", version=_text(said.get("build_info")), seats=seats)


def _ollama(said: Mapping[str, Any]) -> ServerFacts | None:
    version = _text(said.get("version"))
    return ServerFacts(kind="ollama", version=version) if version else None


def _litellm(said: Mapping[str, Any]) -> ServerFacts | None:
    version = _text(said.get("litellm_version"))
    return ServerFacts(kind="litellm", version=version) if version else None


def _tgi(said: Mapping[str, Any]) -> ServerFacts | None:
    if "max_concurrent_requests" not in said:
        return None
    return ServerFacts(kind="tgi", version=_text(said.get("version")))


def _vllm_version(said: Mapping[str, Any]) -> ServerFacts | None:
    return ServerFacts(kind="vllm", version=_text(said.get("version")))


def _sglang(said: Mapping[str, Any]) -> ServerFacts | None:
    if "max_running_requests" not in said and "schedule_policy" not in said:
        return None
    sign = 0
    if said.get("enable_priority_scheduling"):
        sign = 1 if said.get("schedule_low_priority_values_first") else -1
    return ServerFacts(
        kind="sglang",
        version=_text(said.get("version")),
        seats=_number(said.get("max_running_requests")),
        kv_tokens=_number(said.get("max_total_num_tokens")),
        priority_sign=sign,
    )


Reader = Callable[[Mapping[str, Any]], ServerFacts | None]

STRANGERS: tuple[tuple[str, Reader], ...] = (
    ("/props", _props),
    ("/api/version", _ollama),
    ("/server_info", _sglang),
    ("/health/readiness", _litellm),
    ("/info", _tgi),
)
"""Pages that tell a server whose metrics do not, and how to read them."""
DETAILS: Mapping[str, tuple[str, Reader]] = {
    "vllm": ("/version", _vllm_version),
    "sglang": ("/server_info", _sglang),
    "llama.cpp": ("/props", _props),
    "tgi": ("/info", _tgi),
}
"""A page that tells more of a server of a known kind."""


def read_facts(text: str, reader: Reader) -> ServerFacts | None:
    """Return what a page says by its reader; None if it is something else."""
    said = _json(text)
    return reader(said) if isinstance(said, Mapping) else None


def parse_metrics(text: str) -> MetricsPage:
    """Return a metrics page; empty if it is something else."""
    return read_metrics(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number(said: Any) -> int | None:
    try:
        number = int(said)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None


def _whole(value: float | None) -> int | None:
    return None if value is None else max(0, round(value))


def _text(said: Any) -> str | None:
    return said[:64] if isinstance(said, str) and said else None
