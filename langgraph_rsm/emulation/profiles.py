"""Engine profiles: what an engine can hold and how long one of its iterations takes.

The cost of an iteration is linear in what the batch holds:

    duration_s = base + per_prefill_token * prefill_tokens + per_decode * decoding sequences
                      + per_kv_token * context tokens of the decoding sequences
                      + per_attention_pair * (query, key) pairs of the prefill chunks

A prefill chunk of p tokens after c resident ones has p*c + p^2/2 pairs. The sum over the chunks of
one prompt is therefore prompt^2/2 whatever the chunk size, and a cached prefix costs only the
attention of the new tokens to it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from langgraph_rsm.emulation.errors import ProfileError


class SchedulingPolicy(enum.Enum):
    """Order of the waiting queue."""

    FCFS = "fcfs"
    """First come, first served; a request with a priority is refused."""
    PRIORITY = "priority"
    """Lower priority value first, ties by arrival. Orders the waiting queue and the choice of the
    victim when memory runs out; never displaces a running request to free its seat."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Coefficients of the iteration cost, all in seconds and >= 0."""

    base_s: float
    """Fixed cost of an iteration."""
    per_prefill_token_s: float
    """Cost of each prompt token (or recomputed token) processed in the iteration."""
    per_decode_s: float
    """Cost of each decoding sequence in the batch."""
    per_kv_token_s: float
    """Cost of each resident context token that a decoding sequence reads."""
    per_attention_pair_s: float
    """Cost of each (query, key) pair inside prefill chunks."""

    def duration_s(
        self,
        *,
        prefill_tokens: int,
        decode_sequences: int,
        kv_tokens_read: int,
        attention_pairs: float,
    ) -> float:
        """Return the duration of an iteration with this content, in seconds."""
        return (
            self.base_s
            + self.per_prefill_token_s * prefill_tokens
            + self.per_decode_s * decode_sequences
            + self.per_kv_token_s * kv_tokens_read
            + self.per_attention_pair_s * attention_pairs
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Everything that decides the behavior of an `EngineModel`.

    Raises:
        ProfileError: When the values contradict each other.
    """

    name: str
    """Name shown in messages."""
    cost: CostModel
    """Iteration cost before `speed` is applied."""
    max_num_seqs: int
    """Seats: sequences that run at once, >= 1."""
    max_num_batched_tokens: int
    """Token budget of an iteration, >= `max_num_seqs` so that decoding never starves."""
    kv_tokens: int
    """Key-value memory in tokens; rounded down to whole blocks."""
    block_size: int = 16
    """Tokens of a key-value block, >= 1."""
    max_model_len: int = 32_768
    """Bound on prompt plus generated tokens of one request."""
    scheduling_policy: SchedulingPolicy = SchedulingPolicy.FCFS
    """Order of the waiting queue."""
    prefix_caching: bool = True
    """Whether blocks are shared between requests with equal prefixes."""
    speed: float = 1.0
    """Divides every duration, > 0; 10 means ten times as fast as the profile."""
    request_overhead_s: float = 0.0
    """Time a real engine spends per request outside iterations (HTTP, templates, tokenizer). For
    simulations; the server ignores it because it pays a real one."""

    def __post_init__(self) -> None:
        bounds = (
            ("max_num_seqs", self.max_num_seqs >= 1, "at least 1"),
            ("block_size", self.block_size >= 1, "at least 1"),
            ("kv_tokens", self.kv_tokens >= self.block_size, "at least one block"),
            ("max_model_len", self.max_model_len >= 2, "at least 2"),
            ("speed", self.speed > 0, "greater than 0"),
            (
                "max_num_batched_tokens",
                self.max_num_batched_tokens >= self.max_num_seqs,
                "at least max_num_seqs",
            ),
        )
        for field, holds, bound in bounds:
            if not holds:
                msg = f"{field} is {getattr(self, field)}; it must be {bound}"
                raise ProfileError(msg)

    @property
    def num_blocks(self) -> int:
        """Number of key-value blocks."""
        return self.kv_tokens // self.block_size

    @property
    def max_request_tokens(self) -> int:
        """Most tokens, prompt and generated, that one request may have on this engine."""
        return min(self.max_model_len, self.num_blocks * self.block_size)


SMALL_CPU = EngineProfile(
    name="small-cpu",
    cost=CostModel(
        base_s=12.745e-3,
        per_prefill_token_s=784.9e-6,
        per_decode_s=878.0e-6,
        per_kv_token_s=1511e-9,
        per_attention_pair_s=162.6e-9,
    ),
    max_num_seqs=16,
    max_num_batched_tokens=512,
    kv_tokens=131_072,
    block_size=32,
    max_model_len=8192,
    request_overhead_s=5e-3,
)
"""A 29 M parameter model in vLLM 0.32 on one CPU core; coefficients fitted to measured CPU time
(median relative error 3.2 %, worst 14 %), memory of a 1 GiB cache."""

TINY_CPU = EngineProfile(
    name="tiny-cpu",
    cost=CostModel(
        base_s=3.044e-3,
        per_prefill_token_s=18.6e-6,
        per_decode_s=47.1e-6,
        per_kv_token_s=74.7e-9,
        per_attention_pair_s=2.76e-9,
    ),
    max_num_seqs=16,
    max_num_batched_tokens=512,
    kv_tokens=2_097_152,
    block_size=32,
    max_model_len=8192,
    request_overhead_s=5e-3,
)
"""A 0.23 M parameter model in vLLM 0.32 on one CPU core; coefficients fitted to measured CPU time
(median relative error 8.9 %, worst 33 %), memory of a 1 GiB cache."""

GPU_8B = EngineProfile(
    name="gpu-8b",
    cost=CostModel(
        base_s=8.0e-3,  # 16 GB of bf16 weights at 2 TB/s
        per_prefill_token_s=80e-6,  # 16 GFLOP at 200 TFLOP/s
        per_decode_s=20e-6,  # sampling and launch; the arithmetic hides behind the weights
        per_kv_token_s=65e-9,  # 131 kB per token (8 heads of 128, 32 layers) at 2 TB/s
        per_attention_pair_s=2.6e-9,  # 0.52 MFLOP at 200 TFLOP/s
    ),
    max_num_seqs=64,
    max_num_batched_tokens=2048,
    kv_tokens=400_000,  # 52 GB
)
"""An 8 B parameter model on one data-center GPU of the A100 80 GB class. A roofline estimate from
bandwidth and arithmetic, not a measurement."""

PROFILES: Mapping[str, EngineProfile] = MappingProxyType(
    {profile.name: profile for profile in (GPU_8B, SMALL_CPU, TINY_CPU)}
)
"""The built-in profiles by name."""


def load_profile(name: str, **overrides: Any) -> EngineProfile:
    """Return the built-in profile `name`, with some fields replaced.

    Args:
        name: A key of `PROFILES`.
        **overrides: Fields of `EngineProfile`; `scheduling_policy` may be its string value. None
            keeps the value of the profile.

    Raises:
        ProfileError: When the name is unknown or a value is out of range.
    """
    if name not in PROFILES:
        msg = f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}"
        raise ProfileError(msg)
    return replace_fields(PROFILES[name], **overrides)


def replace_fields(profile: EngineProfile, **overrides: Any) -> EngineProfile:
    """Return `profile` with the fields that are not None replaced.

    Raises:
        ProfileError: When a value is out of range or the scheduling policy is unknown.
    """
    changes = {field: value for field, value in overrides.items() if value is not None}
    if "scheduling_policy" in changes:
        try:
            changes["scheduling_policy"] = SchedulingPolicy(changes["scheduling_policy"])
        except ValueError as exc:
            known = ", ".join(policy.value for policy in SchedulingPolicy)
            msg = f"unknown scheduling policy {changes['scheduling_policy']!r}; choose {known}"
            raise ProfileError(msg) from exc
    return dataclasses.replace(profile, **changes)
