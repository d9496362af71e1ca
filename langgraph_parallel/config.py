"""Choices that a user of `parallelize`, `ParallelPlanner` or `ParallelExecutor` can make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from langgraph.types import RetryPolicy
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, PositiveInt

ReferenceStyle: TypeAlias = Literal["braces", "dollar", "hash", "var"]
"""A way to write references in a plan: `{{id.field}}`; `$1` and `${1}`; `#E1`; `$var1.field$`."""

OnError: TypeAlias = Literal["fail_fast", "skip_dependents", "continue"]
"""What the failure of one task means for the others of a plan."""


class ParallelConfig(BaseModel):
    """How graphs and plans are analyzed, and how plans are carried out.

    `unknown_calls` to `max_inside_calls` are read by `parallelize` and `explain`; `strategies` to
    `reference_styles` by `ParallelPlanner`; the rest by `ParallelExecutor` and
    `PlanNode`, which also plan what has not been planned yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown_calls: Literal["ordered", "independent"] = "ordered"
    """`ordered` keeps every node that makes a call we do not know where it is, before and after its
    neighbors. `independent` says that such calls have no effect that another node could notice or
    that must not happen if a node before them fails, never interrupt and never route; their nodes
    are then ordered by state keys alone. What is known to act on the world (questions to a person,
    mail, files opened to write, processes, databases, the store, requests that post) stays
    ordered."""

    durations: Mapping[str, float] = Field(default_factory=dict)
    """Seconds that a node takes, by node name (>= 0), for the predicted speed-up. A node without an
    entry counts as 1 when it makes a model or other outside call, also where it makes several in a
    loop, and as 0 when it does not; a recording knows better."""

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

    max_inside_calls: int = Field(default=32, ge=1)
    """Calls of one function that are made at a time with `inside=True` (>= 1). A run's
    `max_concurrency` lowers it."""

    strategies: tuple[str, ...] = ("explicit", "heuristic")
    """Analyzers of plans in the order in which they are asked; the first decision on a pair of
    tasks stands, a pair without one stays in order. `explicit` is always asked, first. Others than
    `explicit` and `heuristic` are given to `ParallelPlanner(analyzers={...})`."""

    references: Literal["partial", "complete"] = "partial"
    """`partial`: a task that declares no dependencies waits for the tasks it refers to, and for
    those that an analyzer names. `complete` says that tool calls need nothing but what they refer
    to, as in plans of LLMCompiler."""

    reference_styles: tuple[ReferenceStyle, ...] = ("braces", "dollar", "hash", "var")
    """Ways to write a reference that are read; what is left out is plain text."""

    barrier: bool = False
    """Run a plan batch by batch, each after the one before; False starts each task as soon as
    those it waits for have ended."""

    max_concurrency: PositiveInt | None = None
    """Tasks of a plan that run at a time; None means no limit, or 64 threads where `run_task` is
    not async. In `PlanNode` the graph's own `max_concurrency` counts as well."""

    task_timeout_s: float | None = Field(default=None, gt=0)
    """Seconds for one attempt of a task that has no `timeout_s` of its own; None: no limit. Only
    for async `run_task`: nothing can stop a thread."""

    timeout_s: float | None = Field(default=None, gt=0)
    """Seconds for the whole plan; None: no limit."""

    retry_policy: InstanceOf[RetryPolicy] | tuple[InstanceOf[RetryPolicy], ...] | None = None
    """When a failed task is tried again; the first policy whose `retry_on` fits counts, as in
    LangGraph. None: never."""

    on_error: OnError = "fail_fast"
    """`fail_fast` cancels what runs and raises. `skip_dependents` skips the tasks that wait for the
    failed one. `continue` runs them as well, except those that refer to a result that is not
    there."""

    resources: Mapping[str, PositiveInt] = Field(default_factory=dict)
    """How many tasks may use a named resource at a time; one that is not here is exclusive."""

    max_replans: int = Field(default=3, ge=0)
    """How often a re-planning hook may add tasks to one run."""
