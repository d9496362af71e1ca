"""DeerFlow's `Plan` and `Step` as tasks and back, and the state that one step is given."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.task import Task

Sees: TypeAlias = Literal["dependencies", "finished"]
"""Whose findings a step is told: those of the steps it depends on, directly or not, or those of all
earlier steps that have finished when it starts."""

Merge: TypeAlias = Callable[[list[Any], list[Any]], list[Any]]
"""Adds citations to those that are there, without doubles."""

EMPTY: Final = "(no result)"
"""Stands where a step gave no text, so that DeerFlow does not take it for one that is not done."""


def to_tasks(plan: Any, needs: Sequence[Sequence[int]] | None = None) -> list[Task]:
    """Return the steps of a DeerFlow `Plan` as tasks; their ids are their numbers, from 1.

    Everything that a step holds is kept in the task's `metadata`, for `to_plan`.

    Args:
        plan: The plan.
        needs: For each step the positions of those that it needs, from 0; None when nobody has
            declared them.

    Raises:
        PlanError: If `plan` has no steps with a title and a description.
    """
    try:
        return [
            Task(
                id=str(number),
                description=f"{step.title}\n{step.description}",
                depends_on=None if needs is None else tuple(str(i + 1) for i in needs[number - 1]),
                metadata={"step": step.model_dump(mode="json")},
            )
            for number, step in enumerate(plan.steps, start=1)
        ]
    except AttributeError as error:
        msg = (
            f"{type(plan).__name__} is not a DeerFlow Plan: its `steps` need `title` and"
            f" `description` ({error})."
        )
        raise PlanError(msg) from error


def to_plan(tasks: Iterable[Task], template: Any) -> Any:
    """Return a DeerFlow `Plan` whose steps are the given tasks, in their order.

    Args:
        tasks: From `to_tasks`, perhaps reordered or fewer, or any others: those become steps of
            research with the id as title.
        template: The `Plan` that gives the class, the title and the other fields; not changed.

    Raises:
        PlanError: If the class of `template` refuses the steps.
    """
    steps = [task.metadata.get("step") or _as_step(task) for task in tasks]
    try:
        return type(template).model_validate({**template.model_dump(mode="json"), "steps": steps})
    except ValueError as error:
        msg = f"The tasks do not make a {type(template).__name__}: {error}"
        raise PlanError(msg) from error


def _as_step(task: Task) -> dict[str, Any]:
    return {
        "need_search": True,
        "title": task.id,
        "description": task.description,
        "step_type": "research",
    }


def fingerprint(plan: Any, iteration: Any) -> str:
    """Return text that differs between plans, whatever of them is done."""
    steps = [(step.title, step.description, str(step.step_type)) for step in plan.steps]
    content = json.dumps([iteration, plan.title, steps], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def ancestors(after: Sequence[Sequence[int]], index: int) -> list[int]:
    """Return the steps that one step needs, directly or not, in plan order."""
    needed: set[int] = set()
    due = list(after[index])
    while due:
        step = due.pop()
        if step not in needed:
            needed.add(step)
            due += after[step]
    return sorted(needed)


def step_state(
    state: Mapping[str, Any], results: Mapping[int, str], seen: Sequence[int], index: int
) -> dict[str, Any]:
    """Return a private state in which one step is the first that is not done.

    Its plan holds the steps of `seen` with their results, and then the step itself. The original
    node changes this copy and no other.

    Args:
        state: The state of the graph; it is not changed.
        results: What the finished steps returned, by position.
        seen: Positions of the steps whose findings are shown, in plan order.
        index: Position of the step.
    """
    plan = copy.copy(state["current_plan"])
    steps = [copy.deepcopy(plan.steps[i]) for i in (*seen, index)]
    for step, i in zip(steps, seen, strict=False):
        # A step with an empty answer would be taken for one that is not done.
        step.execution_res = results[i] or EMPTY
    steps[-1].execution_res = None
    plan.steps = steps
    observations = [results[i] for i in seen]
    return {**state, "current_plan": plan, "observations": observations, "citations": []}


def merge_by_url(there: list[Any], new: list[Any]) -> list[Any]:
    """Add citations that are not there yet; the same `url` means the same citation."""
    keys = [_key(citation) for citation in there]
    merged = list(there)
    for citation in new:
        if (key := _key(citation)) not in keys:
            keys.append(key)
            merged.append(citation)
    return merged


def _key(citation: Any) -> Any:
    url = citation.get("url") if isinstance(citation, Mapping) else None
    return url or citation
