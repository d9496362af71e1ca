"""Settings of a scheduler, checked where a user's values enter."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class PolicyName(StrEnum):
    """Names of the built-in policies; `langgraph_rsm.policies` has one class for each."""

    FCFS = "fcfs"
    """First come, first served: by the arrival of the call."""
    PLAS = "plas"
    """Program-level attained service: calls of little-served programs go first."""


class BalancerName(StrEnum):
    """Names of the built-in load balancers; see `langgraph_rsm.balancer`."""

    LEAST_USED = "least_used"
    """The engine with the smallest share of its slots in use."""
    ROUND_ROBIN = "round_robin"
    """Each engine with a free slot in turn."""


class SchedulerConfig(BaseModel):
    """Settings of a `Scheduler`; immutable, unknown names are refused.

    Example:
        >>> SchedulerConfig(policy="fcfs", max_wait_s=5).policy.value
        'fcfs'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    policy: PolicyName = PolicyName.PLAS
    """Order in which waiting calls get a free slot."""
    balancer: BalancerName = BalancerName.LEAST_USED
    """Choice among several engines that have a free slot."""
    max_wait_s: float = Field(default=60.0, gt=0)
    """Seconds after which the oldest waiting call goes first whatever the policy says.

    One minute is the usual patience of an HTTP client or gateway; `inf` turns the rule off.
    """
    max_queue: int = Field(default=100_000, ge=0)
    """Most calls that may wait; one more raises `QueueFullError`.

    A bound of memory (roughly 1 KiB each), far above what a healthy process has waiting.
    """
    program_ttl_s: float = Field(default=600.0, gt=0)
    """Seconds after its last call until an idle program is forgotten when nobody ended it.

    Ten minutes outlast tool calls and most human answers; a program that returns later starts anew.
    """
    default_capacity: int = Field(default=16, ge=1)
    """Calls in flight allowed per engine that names no capacity of its own.

    Small enough that an engine's own first-come queue stays short, so that the order of this
    scheduler governs; large enough to fill the batch of a single-GPU server.
    """
    levels: int = Field(default=8, ge=1, le=64)
    """Queues of a multilevel policy."""
    level_base_s: float = Field(default=0.5, gt=0)
    """Upper bound of the first queue in seconds of attained service; each next bound is twice it.

    Autellix (arXiv 2502.13965) publishes no bounds. With 8 levels from 0.5 s the last finite bound
    is 32 s, so that programs of a few short calls are told apart from long-running agents.
    """
    validate_steps: bool = False
    """Check every invariant after every event: O(waiting calls) each, for tests only."""
