"""A step that arrives while a plan runs: what it waits for, by what it says itself."""

from __future__ import annotations

from typing import Any

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.graph import reduce_waits
from langgraph_parallel.plan.reading import MOST_TASKS, read_task
from langgraph_parallel.plan.references import References, first_ids, parse_references
from langgraph_parallel.plan.run import PlanRun
from langgraph_parallel.plan.task import Task


def place_task(
    run: PlanRun, step: Any, config: ParallelConfig, *, first: int | None = None
) -> None:
    """Add a step to a running plan.

    A task that declares nothing waits for all before it.

    Args:
        run: The run.
        step: A text, a dict or a `Task`.
        config: How references are written and what they mean.
        first: Where a second plan begins that was made when all earlier tasks had ended: its tasks
            do not fail for those without a result. None when the plan is the first.

    Raises:
        PlanError: If it is no step, its id is taken, or it names a task that has not come yet.
    """
    position = len(run.records)
    if position >= MOST_TASKS:
        msg = f"The plan has more than {MOST_TASKS} tasks; split it."
        raise PlanError(msg)
    task = read_task(step, position + 1)
    if task.id in run.index:
        msg = f"Task {position + 1} of the plan has the id {task.id!r}, which is taken."
        raise PlanError(msg)
    references = parse_references(task, run.index, config.reference_styles)
    waits = _waits(run, task, references, config, first)
    earlier, ancestors = reduce_waits(waits, [record.ancestors for record in run.records])
    run.add(task, earlier, ancestors, references)


def _waits(
    run: PlanRun, task: Task, references: References, config: ParallelConfig, first: int | None
) -> int:
    """Return the positions of the tasks that a new one waits for, as bits."""
    waits = 0
    for name in (*(task.depends_on or ()), *(reference.task_id for reference in references)):
        if name not in run.index:
            msg = (
                f"Task {task.id!r} depends on {name!r}, which has not come yet; in a plan that"
                f" arrives step by step, tasks need earlier ones: {first_ids(run.index)}."
            )
            raise PlanError(msg)
        waits |= 1 << run.index[name]
    is_complete = config.references == "complete" and task.tool is not None
    if task.depends_on is not None or is_complete:
        return waits
    for position in range(len(run.records)):
        if first is None or position >= first or run.is_done(position):
            waits |= 1 << position
    return waits
