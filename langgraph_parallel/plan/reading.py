"""From what planners produce to tasks: lists of steps, dicts, text, plans of other frameworks.

Text is JSON, or calls as planners print them (`printed`); it is parsed and never evaluated. Names
of fields differ between planners; the usual ones are understood, what is left of a dict is kept as
metadata.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from pydantic import ValidationError

from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.printed import read_printed
from langgraph_parallel.plan.task import Task

MOST_TASKS: Final = 20_000
"""Tasks of one plan. Dependencies are kept as bit sets, so memory grows with the square: at this
size 50 MB."""

_COUNTERS: Final = ("idx", "index", "number", "step_number", "step", "task")
"""Names of a step's number; numbers alone are looked for there."""
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "task_id", "step_id", "label", *_COUNTERS),
    "description": ("description", "task", "step", "instruction", "content", "title", "objective"),
    "inputs": ("inputs", "args", "arguments", "parameters"),
    "tool": ("tool", "tool_name"),
    "depends_on": ("depends_on", "dependencies", "deps", "dependent_task_ids"),
    "expected_output": ("expected_output",),
}
"""Field of a task: names that planners use for it, the first one present counts."""
_LABELS: Final = ("name", "action")
"""Names of a tool in a step that has inputs; of the step itself in one that has none."""
_LISTS: Final = ("steps", "tasks", "plan", "subtasks")
_GOALS: Final = ("goal", "title", "objective", "query", "task")
_FENCE: Final = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.DOTALL)


class PlanReader(Protocol):
    """Reads the plans of one other framework, which this package knows nothing of."""

    def recognizes(self, plan: Any) -> bool:
        """Tell whether a plan is one of that framework."""

    def read(self, plan: Any) -> tuple[list[Task], str]:
        """Return the tasks and the goal of a plan that it recognizes.

        Raises:
            PlanError: If it is not such a plan after all.
        """


_READERS: Final[list[PlanReader]] = []
"""Asked in order, before a plan is read as one of ours."""


def add_readers(readers: Iterable[PlanReader]) -> None:
    """Let plans of other frameworks be read from now on, wherever a plan is taken."""
    _READERS.extend(reader for reader in readers if reader not in _READERS)


def read_any(plan: Any, *, after: int = 0) -> tuple[list[Task], str]:
    """Return the tasks and the goal of a plan, also one of another framework.

    Args:
        plan: What `read_plan` takes, or what a reader recognizes.
        after: Number of tasks before these; steps without an id are numbered from there.

    Raises:
        PlanError: If it is none of these.
    """
    for reader in _READERS:
        if reader.recognizes(plan):
            return reader.read(plan)
    return read_plan(plan, after=after)


def read_plan(plan: Any, *, after: int = 0) -> tuple[list[Task], str]:
    """Return the tasks of a plan in its order, and its goal.

    Args:
        plan: A sequence of strings, dicts or `Task`s; a dict with such a sequence under `steps`,
            `tasks`, `plan` or `subtasks`; JSON text of either, also between Markdown fences; a
            pydantic model of either; or calls as ReWOO and LLMCompiler print them, as one text,
            as lines, or as the tuples that their parsers make. A step without an id gets its
            number, from 1; from 0 where a step needs step 0.
        after: Number of tasks before these.

    Raises:
        PlanError: If it is none of these, a step has no content, or there are too many.
    """
    goal = ""
    if isinstance(plan, (str, bytes)):
        plan = read_printed(plan) or _parse_json(plan)
    elif hasattr(plan, "model_dump") and not isinstance(plan, Task):
        plan = plan.model_dump()
    if isinstance(plan, Mapping):
        goal = next((str(plan[key]) for key in _GOALS if isinstance(plan.get(key), str)), "")
        plan = next((plan[key] for key in _LISTS if isinstance(plan.get(key), Sequence)), None)
    if not isinstance(plan, Iterable) or isinstance(plan, (str, bytes, Mapping)):
        msg = (
            "A plan is a list of strings, dicts or Tasks, a dict with such a list under 'steps' or"
            f" 'tasks', or JSON text of one; not {type(plan).__name__}."
        )
        raise PlanError(msg)
    tasks: list[Task] = []
    steps = list(itertools.islice(plan, MOST_TASKS + 1))
    if len(steps) + after > MOST_TASKS:
        msg = f"The plan has more than {MOST_TASKS} tasks; split it."
        raise PlanError(msg)
    steps = read_printed(steps) or steps
    first = 0 if not after and _counts_from_zero(steps) else after + 1
    tasks += (read_task(step, number) for number, step in enumerate(steps, start=first))
    return tasks, goal


def _counts_from_zero(steps: Sequence[Any]) -> bool:
    """Tell whether steps without ids are numbered from 0, as one of them needs step 0."""
    read = [step.model_dump() if hasattr(step, "model_dump") else step for step in steps]
    if any(not isinstance(step, Mapping) or _id_of(step) is not None for step in read):
        return False
    lists = (step.get(alias) for step in read for alias in _NAMES["depends_on"])
    named = [name for names in lists if isinstance(names, (list, tuple)) for name in names]
    given = (step.get(alias) for step in read for alias in _NAMES["inputs"])
    named += [v for values in given if isinstance(values, Mapping) for v in _written(values)]
    return any(_bare(name) in (0, "0") and name is not False for name in named)


def _written(values: Mapping[str, Any]) -> list[str]:
    """Return the arguments that are written like a reference and nothing else."""
    return [v for v in values.values() if isinstance(v, str) and _bare(v) != v]


def _id_of(step: Mapping[str, Any]) -> str | None:
    """Return the field that names a step; None when there is none."""
    for alias in _NAMES["id"]:
        value = step.get(alias)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number or (isinstance(value, str) and alias not in ("step", "task")):
            return alias
    return None


def read_task(step: Any, number: int) -> Task:
    """Return one step of a plan as a task.

    Args:
        step: A `Task`, a text, a dict or a pydantic model.
        number: The place of the step in the plan, from 1; its id when it has none.

    Raises:
        PlanError: If the step is none of these, or a field has the wrong type.
    """
    if isinstance(step, Task):
        return step
    if isinstance(step, str) and step.strip():
        return Task(id=str(number), description=step)
    if hasattr(step, "model_dump"):
        step = step.model_dump()
    if not isinstance(step, Mapping) or not step:
        msg = (
            f"Step {number} of the plan is {_short(step)}; a step is a text, a dict with a"
            " 'description' or a 'tool', or a Task."
        )
        raise PlanError(msg)
    fields = _fields(step, number)
    try:
        return Task.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"Step {number} of the plan has a wrong {where!r}: {first['msg']}."
        raise PlanError(msg) from error


def _fields(step: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the fields of a task that a dict states; the rest becomes metadata."""
    rest = dict(step)
    fields: dict[str, Any] = {}
    if (key := _id_of(rest)) is not None:
        fields["id"] = rest.pop(key)
    for name, aliases in _NAMES.items():
        key = next((alias for alias in aliases if rest.get(alias) is not None), None)
        if key is not None and name != "id":
            fields[name] = rest.pop(key)
    for label in _LABELS:
        if isinstance(rest.get(label), str):
            meaning = "tool" if "inputs" in fields else "description"
            if meaning not in fields:
                fields[meaning] = rest.pop(label)
    for name in Task.model_fields.keys() - _NAMES.keys() - {"metadata"}:
        if name in rest:
            fields[name] = rest.pop(name)
    metadata = rest.pop("metadata", None)
    fields["metadata"] = {**rest, **(metadata if isinstance(metadata, Mapping) else {})}
    return _clean(fields, number)


def _clean(fields: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the fields with names and arguments in one form."""
    if isinstance(fields.get("inputs"), str):  # OpenAI writes arguments as JSON text
        fields["inputs"] = _arguments(fields["inputs"], number)
    if isinstance(fields.get("id"), str):
        fields["id"] = fields["id"].strip().removeprefix("$").removeprefix("#") or str(number)
    fields.setdefault("id", str(number))
    if isinstance(fields.get("depends_on"), (list, tuple)):
        fields["depends_on"] = [_bare(name) for name in fields["depends_on"]]
    return fields


def _bare(name: Any) -> Any:
    """Return the id in `$1`, `${1}` or `#E1`."""
    found = re.fullmatch(r"\s*(?:\$\{?(\w+)\}?|#(\w+))\s*", name) if isinstance(name, str) else None
    return name if found is None else found[1] or found[2]


def _arguments(text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"Step {number} of the plan has arguments that are not JSON: {error}."
        raise PlanError(msg) from error


def _parse_json(text: str | bytes) -> Any:
    content = text.decode() if isinstance(text, bytes) else text
    fenced = _FENCE.search(content)
    try:
        return json.loads(fenced.group(1) if fenced else content)
    except (ValueError, RecursionError) as error:
        msg = f"The plan is text, but not JSON ({error}); give steps in words as a list of strings."
        raise PlanError(msg) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
