"""What a plan is made of: tasks as a user or a planner states them, and what became of each.

A task is data: its texts may come from a model, are never evaluated, and hold references to results
of other tasks in the forms that `references` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _as_text(value: Any) -> Any:
    """Return numbers as text: planners count their steps."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_names(value: Any) -> Any:
    """Return one name, or several, as a tuple of texts; None stays None."""
    if isinstance(value, (str, int)):
        return (_as_text(value),)
    return tuple(_as_text(item) for item in value) if isinstance(value, Sequence) else value


TaskId: TypeAlias = Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=200)]
"""Name of a task, unique in its plan. Numbers become text."""

_Names: TypeAlias = Annotated[tuple[TaskId, ...], BeforeValidator(_as_names)]


class Task(BaseModel):
    """One step of a plan.

    Only `id` is required; a task that an agent carries out has a `description`, one that is a tool
    call has a `tool` and its `inputs`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    id: TaskId
    """Unique in its plan."""
    description: str = ""
    """What to do, in words; may hold references."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """Values that the task starts from, such as the arguments of a tool; strings in it, at any
    depth, may hold references."""
    tool: str | None = None
    """The tool that the task calls with `inputs`; None when it is not a tool call."""
    tools: _Names = ()
    """Tools that whoever carries out the task may use."""
    depends_on: _Names | None = None
    """Ids of the tasks whose results, or effects, this one needs. An empty tuple says that there
    are none; None says nothing: the analyzers decide."""
    expected_output: str = ""
    """What the result should be, in words."""
    resources: frozenset[str] = frozenset()
    """Names of things outside that few tasks may use at a time; see `ParallelConfig.resources`."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Seconds after which one attempt is given up; None leaves it to the executor's config."""
    duration_s: float | None = Field(default=None, ge=0)
    """Expected seconds, for the predicted critical path; None counts as 1."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Anything else; kept and not looked at."""


TaskStatus: TypeAlias = Literal["done", "failed", "skipped", "cancelled"]
"""`skipped`: a task it needs has no result. `cancelled`: it was stopped, or never started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What became of one task."""

    task_id: str
    """The task's `id`."""
    status: TaskStatus
    """How it ended."""
    value: Any = None
    """What the task returned; None unless `status` is `done`."""
    error: BaseException | None = None
    """What it raised in its last attempt; None unless `status` is `failed`."""
    reason: str = ""
    """Why it was skipped or cancelled; empty otherwise."""
    attempts: int = 0
    """How often it was started; 0 when it never was."""
    started_s: float | None = None
    """Seconds from the start of the run to the start of the task; None when it never started."""
    ended_s: float | None = None
    """Seconds from the start of the run to the end of the task; None when it never started."""
