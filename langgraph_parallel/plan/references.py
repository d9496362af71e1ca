"""From the texts of a task to the results they refer to, parsed once.

    {{id}}  {{id.field}}  {{id.field.0}}      in any text
    ${1}    #E1    $var1.field$               in any text: the result of step 1
    $1                                        in inputs of a tool call, alone or in an expression

In a sentence `$3` is a price, unless the task declares that it depends on that step. What looks
like a reference in a description, but names no task, is text; in inputs of a tool call it is an
error.

A reference is found in the text that the plan holds. What replaces it is data: a result that looks
like a reference stays as it is (a plan format that expands results again lets a web page read the
other results). Fields are keys of mappings, positions in sequences, fields of pydantic models and
dataclasses, and keys of JSON text; never other attributes.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from langgraph_parallel.config import ReferenceStyle
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.task import Task

STYLES: Final[tuple[ReferenceStyle, ...]] = ("braces", "dollar", "hash", "var")

_FORMS: Final[Mapping[ReferenceStyle, str]] = {
    "braces": r"\{\{(?P<braces>[^{}\n]{1,400})\}\}",
    "var": r"\$(?P<var>var_?\d{1,6}(?:\.\w{1,100}){0,8})\$",
    "dollar": r"\$\{(?P<dollar>\d{1,6})\}",
    "hash": r"\#(?P<hash>E\d{1,6})(?!\w)",
}
_BARE: Final = r"\$(?P<bare>\d{1,6})(?![\w,.]*\d)(?!\w)"
"""`$1`, but not `$1,000`, `$1.50` or `$1k`."""
_WORD: Final = re.compile(r"(?<![\w$])[^\W\d_]{2,}(?![\w(.])")
_JOINTS: Final = frozenset(["and", "or"])
_MOST_DEPTH: Final = 50
"""Levels of nested inputs that are searched; deeper ones are not plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One place in a task's text that stands for a result."""

    task_id: str
    """The task whose result is meant."""
    path: tuple[str, ...] = ()
    """Fields to follow into the result; empty for all of it."""
    text: str = ""
    """The reference as it was written."""


_Template: TypeAlias = tuple["str | Reference", ...]
"""Pieces of a text in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """All references of one task, ready to be filled in."""

    description: _Template
    """The description in pieces."""
    inputs: Mapping[tuple[str | int, ...], _Template]
    """Texts with references in the inputs, by their place."""
    plain: tuple[str, ...] = ()
    """What looks like a reference and was taken for text."""

    def __iter__(self) -> Iterator[Reference]:
        for template in (self.description, *self.inputs.values()):
            yield from (piece for piece in template if isinstance(piece, Reference))

    def __bool__(self) -> bool:
        return bool(self.inputs) or any(isinstance(p, Reference) for p in self.description)


def parse_references(
    task: Task, index: Mapping[str, int], styles: Sequence[ReferenceStyle] = STYLES
) -> References:
    """Find the references in a task's description and inputs.

    Args:
        task: The task.
        index: Positions of all tasks by id. `$1`, `#E1` and `$var1$` mean the task with that id, or
            whose id is or ends with that number; where no id has a number, the first of the plan.
        styles: Which ways to write a reference are read.

    Raises:
        PlanError: If the inputs refer to a task that is not in the plan.
    """
    forms = "|".join(_FORMS[style] for style in styles)
    if not forms:
        return References(description=(task.description,), inputs={})
    bare = task.tool is not None and "dollar" in styles
    outside = re.compile(forms)
    inside = re.compile(f"{forms}|{_BARE}") if bare else outside
    plain: list[str] = []

    def split(pattern: re.Pattern[str], text: str, *, is_prose: bool) -> _Template:
        pieces: list[str | Reference] = []
        end = 0
        is_sentence = bare and not is_prose and _is_sentence(pattern, text)
        for match in pattern.finditer(text):
            reference = _resolve(match, index)
            is_price = match.lastgroup == "bare" and is_sentence
            if is_price and reference and reference.task_id not in (task.depends_on or ()):
                reference = None
            if reference is None and not (is_prose or is_price):
                raise PlanError(_unknown(match[0], task, index))
            if reference is None:
                plain.append(match[0])
                continue
            pieces += [text[end : match.start()], reference]
            end = match.end()
        return tuple(piece for piece in (*pieces, text[end:]) if piece != "")

    found: dict[tuple[str | int, ...], _Template] = {}
    for place, text in _texts(task.inputs, (), task):
        template = split(inside, text, is_prose=task.tool is None)
        if any(isinstance(piece, Reference) for piece in template):
            found[place] = template
    description = split(outside, task.description, is_prose=True)
    return References(description=description, inputs=found, plain=tuple(plain))


def _is_sentence(pattern: re.Pattern[str], text: str) -> bool:
    """Tell whether a text has words, and is not only references and what computes with them."""
    words = _WORD.findall(pattern.sub(" ", text))
    return any(word.casefold() not in _JOINTS for word in words)


def _texts(
    value: Any, place: tuple[str | int, ...], task: Task
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every string in nested mappings and lists, with its place."""
    if len(place) > _MOST_DEPTH:
        msg = f"The inputs of task {task.id!r} are nested more than {_MOST_DEPTH} levels deep."
        raise PlanError(msg)
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*place, key), task)
    elif isinstance(value, (list, tuple)):
        for key, item in enumerate(value):
            yield from _texts(item, (*place, key), task)


def _resolve(match: re.Match[str], index: Mapping[str, int]) -> Reference | None:
    """Return what a match refers to; None when the plan has no such task."""
    written, inner = match.group(0), match.group(match.lastgroup or 0)
    if match.lastgroup == "braces":
        named = _by_id(inner.strip(), index)
        return None if named is None else Reference(task_id=named[0], path=named[1], text=written)
    name, *path = inner.split(".")
    target = _by_number(name, index)
    return None if target is None else Reference(task_id=target, path=tuple(path), text=written)


def _unknown(written: str, task: Task, index: Mapping[str, int]) -> str:
    return (
        f"Task {task.id!r} refers to {written!r}, but the plan has no such task; its tasks are"
        f" {first_ids(index)}. If that is plain text, leave its style out of"
        f" `ParallelConfig(reference_styles=...)`."
    )


def _by_id(inner: str, index: Mapping[str, int]) -> tuple[str, tuple[str, ...]] | None:
    """Return the longest id that `inner` starts with, and the fields after it."""
    parts = inner.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in index and all(parts[length:]):
            return name, tuple(parts[length:])
    return None


def _by_number(name: str, index: Mapping[str, int]) -> str | None:
    """Return the id that `1`, `E1` or `var1` means; None when there is none, or several."""
    number = re.sub(r"\D", "", name)
    for candidate in (name, f"${name}", f"#{name}", number, f"E{number}"):
        if candidate in index:
            return candidate
    numbered = {i: tail[0] for i in index if (tail := re.search(r"\d+$", i)) is not None}
    if numbered:
        alike = [i for i, tail in numbered.items() if int(tail) == int(number)]
        return alike[0] if len(alike) == 1 else None
    position = int(number) - 1
    return next((i for i, p in index.items() if p == position), None)


def first_ids(index: Mapping[str, int], most: int = 8) -> str:
    """Return the first ids of a plan for a message."""
    names = [repr(name) for _, name in zip(range(most), index, strict=False)]
    return ", ".join(names) + (", …" if len(index) > most else "")


def fill_in(task: Task, references: References, result_of: Callable[[str], Any]) -> Task:
    """Return the task with every reference replaced by what it stands for.

    A text that is one reference and nothing else becomes the value itself; within other text the
    value is written as text, JSON where it is not a string.

    Args:
        task: The task as the plan holds it.
        references: Its references.
        result_of: The result of a task by id.

    Raises:
        PlanError: If a result lacks a field that a reference names.
    """
    if not references:
        return task

    def value_of(reference: Reference) -> Any:
        value = result_of(reference.task_id)
        for name in reference.path:
            value = _field(value, name, reference, task)
        return value

    def render(template: _Template) -> str:
        return "".join(p if isinstance(p, str) else _as_text(value_of(p)) for p in template)

    def fill(value: Any, place: tuple[str | int, ...]) -> Any:
        if template := references.inputs.get(place):
            whole = template[0]
            is_whole = len(template) == 1 and isinstance(whole, Reference)
            return value_of(whole) if is_whole else render(template)  # type: ignore[arg-type]
        if isinstance(value, Mapping):
            return {key: fill(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [fill(item, (*place, i)) for i, item in enumerate(value)]
        return value

    inputs = fill(task.inputs, ()) if references.inputs else task.inputs
    update = {"description": render(references.description), "inputs": inputs}
    return task.model_copy(update=update)


def _field(value: Any, name: str, reference: Reference, task: Task) -> Any:
    """Return one field of a result; `name` comes from a plan and reaches no other attribute."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and name.isdecimal():
        if int(name) < len(value):
            return value[int(name)]
    elif name in _declared_fields(value):
        return getattr(value, name)
    msg = (
        f"Task {task.id!r} refers to {reference.text!r}, but the result of task"
        f" {reference.task_id!r} has no field {name!r}; it is of type {type(value).__name__}."
    )
    raise PlanError(msg)


def _declared_fields(value: Any) -> frozenset[str]:
    if isinstance(value, BaseModel):
        return frozenset(type(value).model_fields)
    if dataclasses.is_dataclass(value):
        return frozenset(f.name for f in dataclasses.fields(value))
    return frozenset()


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, ensure_ascii=False, default=str)
