"""What a plan says itself: declared dependencies and references, checked and never guessed.

A task that declares `depends_on` waits for those tasks and for the ones it refers to, and for no
other. One that declares nothing waits at least for the ones it refers to; whether that is all is
for the other analyzers to say, unless references are said to be complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.references import References, first_ids
from langgraph_parallel.plan.task import Task


class ExplicitAnalyzer:
    """Decides by what the tasks declare and refer to.

    Args:
        references: The parsed references of each task, by id.
        complete_references: Take the references of a task that has a `tool` for all that it needs.
    """

    def __init__(
        self, references: Mapping[str, References], *, complete_references: bool = False
    ) -> None:
        self._references = references
        self._complete_references = complete_references

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:  # noqa: ARG002
        """Return a decision for each declared dependency and each task that is referred to."""
        decisions: list[Decision] = []
        complete: set[str] = set()
        for task in tasks:
            named: dict[str, Decision] = {}
            for earlier in task.depends_on or ():
                named[earlier] = _decision(earlier, task, "declared", "declared in `depends_on`")
            for reference in self._references[task.id]:
                if reference.task_id not in named:
                    reason = f"refers to it as {reference.text}"
                    named[reference.task_id] = _decision(
                        reference.task_id, task, "reference", reason
                    )
            decisions += named.values()
            if task.depends_on is not None or (self._complete_references and task.tool):
                complete.add(task.id)
        return Findings(
            decisions=tuple(decisions), complete=frozenset(complete), notes=self._notes(tasks)
        )

    def _notes(self, tasks: Sequence[Task]) -> tuple[str, ...]:
        """Return what looks like a reference and was left as it is."""
        return tuple(
            f"explicit: {', '.join(map(repr, references.plain))} in task {task.id!r} is taken for"
            " text; `{{id}}` is the result of a task"
            for task in tasks
            if (references := self._references[task.id]).plain
        )


def _decision(earlier: str, task: Task, source: str, reason: str) -> Decision:
    return Decision(
        earlier=earlier,
        later=task.id,
        ordered=True,
        source=source,  # type: ignore[arg-type]
        reason=reason,
    )


def index_tasks(tasks: Sequence[Task]) -> dict[str, int]:
    """Return the position of each task by id.

    Raises:
        PlanError: If two tasks have the same id.
    """
    index: dict[str, int] = {}
    for position, task in enumerate(tasks):
        if task.id in index:
            msg = (
                f"Tasks {index[task.id] + 1} and {position + 1} of the plan have the same id"
                f" {task.id!r}; give each task its own."
            )
            raise PlanError(msg)
        index[task.id] = position
    return index


def check_dependencies(tasks: Sequence[Task], references: Mapping[str, References]) -> list[Task]:
    """Return the tasks in plan order: each after those it declares or refers to.

    The order of the list is kept where it can be. A declared dependency may point to a task further
    down; a reference may not, unless the task declares the dependency too.

    Raises:
        PlanError: If a task names an unknown task, itself, or, by reference, a later one; or if
            declared dependencies form a cycle.
    """
    index = index_tasks(tasks)
    waits_for = [
        _named(task, position, index, references[task.id]) for position, task in enumerate(tasks)
    ]
    waiting = [len(earlier) for earlier in waits_for]
    followers: list[list[int]] = [[] for _ in tasks]
    for position, earlier in enumerate(waits_for):
        for i in earlier:
            followers[i].append(position)
    ready = [position for position, count in enumerate(waiting) if count == 0]
    heapify(ready)
    order: list[Task] = []
    while ready:
        position = heappop(ready)
        order.append(tasks[position])
        for follower in followers[position]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    if len(order) < len(tasks):
        stuck = {position for position, count in enumerate(waiting) if count}
        cycle = " -> ".join(repr(tasks[i].id) for i in _find_cycle(waits_for, stuck))
        msg = (
            f"The dependencies of the plan form a cycle: {cycle} (each waits for the next); remove"
            f" one of these from a `depends_on`."
        )
        raise PlanError(msg)
    return order


def _named(task: Task, position: int, index: Mapping[str, int], references: References) -> set[int]:
    """Return the positions that a task declares or refers to, all of them allowed."""
    named: set[int] = set()
    for name in task.depends_on or ():
        if name not in index:
            msg = (
                f"Task {task.id!r} depends on {name!r}, but the plan has no such task; its tasks"
                f" are {first_ids(index)}."
            )
            raise PlanError(msg)
        if name == task.id:
            msg = f"Task {task.id!r} depends on itself; remove it from its `depends_on`."
            raise PlanError(msg)
        named.add(index[name])
    for reference in references:
        target = index[reference.task_id]
        if target == position:
            msg = (
                f"Task {task.id!r} refers to its own result as {reference.text!r}; a task can use"
                f" only results of tasks before it."
            )
            raise PlanError(msg)
        if target > position and target not in named:
            msg = (
                f"Task {task.id!r} refers to {reference.text!r}, but task {reference.task_id!r}"
                f" comes later in the plan; move it before {task.id!r}, or declare the dependency"
                f" with `depends_on` if the order of the list means nothing."
            )
            raise PlanError(msg)
        named.add(target)
    return named


def _find_cycle(waits_for: Sequence[set[int]], stuck: set[int]) -> list[int]:
    """Return positions along a cycle, the first one again at the end.

    Every stuck task waits for another stuck one, so following them must come back.
    """
    path: list[int] = []
    seen: dict[int, int] = {}
    position = min(stuck)
    while position not in seen:
        seen[position] = len(path)
        path.append(position)
        position = min(waits_for[position] & stuck)
    return [*path[seen[position] :], position]
