"""Choices that a caller of `parallelize` can make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ParallelConfig(BaseModel):
    """How a graph is analyzed and how its speed-up is predicted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown_calls: Literal["ordered", "independent"] = "ordered"
    """`ordered` keeps every node that makes a call we do not know where it is, before and after its
    neighbors. `independent` says that such calls have no effect that another node could notice,
    never interrupt and never route; their nodes are then ordered by state keys alone."""

    durations: Mapping[str, float] = Field(default_factory=dict)
    """Seconds that a node takes, by node name (>= 0), for the predicted speed-up. A node without an
    entry counts as 1 when it makes a model or other outside call and as 0 when it does not."""

    speculate: Literal["never", "pure"] = "never"
    """Whether, with `mode="exact"`, a node may start before a router has chosen it. `pure` lets
    those start that do nothing outside the state but call models and read; what was not chosen is
    wasted."""

    max_guesses: int = Field(default=4, ge=0)
    """Nodes that start, at most, before one choice of a router (>= 0)."""

    max_early_runs: int = Field(default=64, ge=0)
    """Nodes that run before their superstep at a time, in one run of the graph (>= 0). A run's
    `max_concurrency` lowers it."""

    early_events: Literal["held", "live"] = "held"
    """When, with `mode="exact"`, the `messages` and `custom` streams show what an early run does.
    `held`: in the node's own superstep, in the order of the original. `live`: at once; what comes
    from a run that is thrown away has then been seen."""
