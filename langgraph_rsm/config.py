"""Settings of a scheduler, checked where a user's values enter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from langgraph_rsm.errors import ConfigError

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Share of a tenant."""


class PolicyName(StrEnum):
    """Names of the built-in policies; `langgraph_rsm.core.policies` has one class for each."""

    FCFS = "fcfs"
    """First come, first served: by the arrival of the call."""
    PROGRAM_FCFS = "program_fcfs"
    """By the arrival of the program."""
    ROUND_ROBIN = "round_robin"
    """One call of each program in turn."""
    MLFQ = "mlfq"
    """Multilevel feedback queue: by the service that the call itself has had."""
    PLAS = "plas"
    """Program-level attained service: calls of little-served programs go first."""
    ATLAS = "atlas"
    """The same for programs with branches: by the service along the critical path."""
    SJF = "sjf"
    """Shortest job first: by the expected service of the call."""
    GITTINS = "gittins"
    """By the expected service until the program is done, from programs of the same graph."""
    AUTO = "auto"
    """The same by call site, from no history to begin with; critical path inside a program."""
    SRPT_ORACLE = "srpt_oracle"
    """By the true remaining service of the program; only a simulation knows it."""


class BalancerName(StrEnum):
    """Names of the built-in load balancers; see `langgraph_rsm.core.engines.balancer`."""

    AUTELLIX = "autellix"
    """Prompts above 2048 tokens to their program's engine, others to the least used one."""
    COST = "cost"
    """The least of wait and prompt to compute; programs stay where their context is cached."""
    LEAST_USED = "least_used"
    """The engine with the smallest share of its slots in use."""
    POWER_OF_TWO = "power_of_two"
    """The less used of two drawn by chance."""
    PREFIX = "prefix"
    """The engine that the call's shared prefix hashes to."""
    ROUND_ROBIN = "round_robin"
    """Each engine with a free slot in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMeter:
    """Price list: what a call costs its engine, in seconds of time or of work.

    Time is what Autellix charges: from start to end of a request, whatever else the engine did.
    Work is counted from tokens (prompt tokens that were not cached, and generated ones) at a price
    each, so that a call is not charged for sharing a full batch, nor for a prompt that was cached.
    """

    by_tokens: bool = False
    """Whether to count work; calls whose tokens are unknown are charged time even then."""
    prefill_s: float = 0.0002
    """Seconds of work of one prompt token that was not cached."""
    decode_s: float = 0.002
    """Seconds of work of one generated token: ten times a prompt token's, the usual ratio of the
    prices of hosted models and of the throughput of batched engines."""

    def __post_init__(self) -> None:
        if not all(
            math.isfinite(price) and price >= 0 for price in (self.prefill_s, self.decode_s)
        ):
            msg = (
                f"ServiceMeter(prefill_s={self.prefill_s}, decode_s={self.decode_s}): prices are "
                "finite and at least 0"
            )
            raise ConfigError(msg)


class SchedulerConfig(BaseModel):
    """Settings of a `Scheduler`; immutable, unknown names are refused.

    Raises:
        ConfigError: A setting is unknown, of another kind, or out of range; the message names all.

    Example:
        >>> SchedulerConfig(policy="fcfs", max_wait_s=5).policy.value
        'fcfs'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    policy: PolicyName = PolicyName.AUTO
    """Order in which waiting calls get a free slot."""
    balancer: BalancerName = BalancerName.COST
    """Choice among several engines that have a free slot."""
    max_wait_s: float = Field(default=60.0, gt=0)
    """Seconds after which the oldest waiting call of a tenant goes first whatever the policy says.

    One minute is the usual patience of an HTTP client or gateway; `inf` turns the rule off. Under
    lasting overload all calls wait that long; `boosted_share` bounds what the rule can take.
    """
    beta: float = Field(default=8.0, gt=0)
    """A program whose recent wait is this many times its recent service is promoted.

    Below about 8 so many are promoted that the policy has little left to say; `inf` turns it off.
    """
    boosted_share: float = Field(default=0.2, gt=0, le=1)
    """Part of an engine's slots, at least one, that overdue calls and promoted programs may hold.

    They go first up to there; beyond it they have their ordinary place.
    """
    urgent_before_s: float = Field(default=10.0, ge=0)
    """Seconds before its deadline from which a waiting call is urgent."""
    tenant_weights: Mapping[str, Weight] = Field(default_factory=dict)
    """Shares of tenants under contention, above 0; a tenant that is missing has the one its calls
    name."""
    max_queue: int = Field(default=100_000, ge=0)
    """Most calls that may wait; one more raises `QueueFullError`.

    A bound of memory (roughly 1 KiB each), far above what a healthy process has waiting.
    """
    max_program_calls: int = Field(default=10_000, ge=1)
    """Most calls of one program that may wait or run; one more raises `QueueFullError`.

    Far above any sensible fan-out: it stops an agent that spawns without end.
    """
    program_ttl_s: float = Field(default=600.0, gt=0)
    """Seconds after its last call until an idle program is forgotten when nobody ended it.

    Ten minutes outlast tool calls and most human answers; a program that returns later starts anew.
    """
    default_capacity: int | None = Field(default=None, ge=1)
    """Calls in flight allowed per engine that names no capacity of its own.

    None lets it have all calls, as without a scheduler, until there is a sign that they wait in it:
    its own word (see `ask_engines`), first tokens that come later than a batch explains, refusals.
    From then on it gets as many as keep its batch full, and the order of this scheduler governs the
    others.
    """
    ask_engines: bool = True
    """Whether to ask self-hosted servers what they are, and while calls are out, at most once a
    second, how many requests run and wait in them. Neither prompts nor keys are sent."""
    levels: int = Field(default=8, ge=1, le=64)
    """Queues of a multilevel policy."""
    level_base_s: float = Field(default=0.5, gt=0)
    """Upper bound of the first queue in seconds of attained service; each next bound is twice it.

    Autellix (arXiv 2502.13965) publishes no bounds. With 8 levels from 0.5 s the last finite bound
    is 32 s, so that programs of a few short calls are told apart from long-running agents.
    """
    service: ServiceMeter = ServiceMeter()
    """How service is measured, and what tokens cost."""
    adaptive_window: bool = False
    """Whether to find out how many calls an engine takes without queueing them, up to its capacity.

    For engines whose capacity is a guess; one that is known needs no finding out. The signs are the
    times to the first token, which only streamed answers have, a queue that the engine reports, and
    refusals; without any of them the window grows to the capacity. Engines without a capacity have
    such a window in any case; it begins with all calls.
    """
    history: Path | None = None
    """File with the costs of past programs, for the policies that learn; read if it exists."""
    seed: int = 0
    """Of what is decided by chance."""
    queue_timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds that a call may wait for a slot before `QueueTimeoutError`; None waits for ever."""
    call_timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds from the call to its complete answer, waiting and retries included, before
    `CallTimeoutError`; None sets no bound.

    An asynchronous call is cut off at once. A synchronous one is held to it at each wait for a
    slot, between chunks, and by the read time-out of OpenAI-compatible clients.
    """
    max_retries: int | None = Field(default=None, ge=0)
    """Attempts after the first one that failed for a passing reason.

    None takes the number that the model's own client would have made (`ChatOpenAI(max_retries=)`,
    2 by default), and enough to try each of several engines once. A client that takes no orders
    keeps its own retries.
    """
    retry_base_s: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Longest pause before the first retry; doubled for each further one. OpenAI's own value."""
    retry_cap_s: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    """Longest pause; a server that asks for more with `retry-after` is believed, the call fails."""
    request_usage: bool = True
    """Ask streams of OpenAI-compatible servers for token counts where the user did not decide.

    Without them served tokens are unknown; turn it off for a server that refuses `stream_options`.
    """
    validate_steps: bool = False
    """Check every invariant after every event: O(waiting calls) each, for tests only."""

    if not TYPE_CHECKING:  # type checkers see the fields

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                msg = f"SchedulerConfig({_what_is_wrong(error)})"
                raise ConfigError(msg) from error


def _what_is_wrong(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}, not {one['input']!r}"
        for one in error.errors()
    )
