"""From a constant text that is filled in from the state to the keys that it names.

"Answer {q}".format(**state)     "Answer {q}".format_map(state)     Template("Answer $q")

Python hands over all keys, but only those that the text names are looked at.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import instance_dict, is_a
from langgraph_parallel.inference.door.operators import unary
from langgraph_parallel.inference.door.state_keys import from_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    SCALAR,
    STATE,
    Const,
    Live,
    Value,
    const,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.special_methods import use_properties

_OF_TEXTS: Final = ("format", "format_map")
_OF_TEMPLATES: Final = ("substitute", "safe_substitute")


def takes_entries(base: Value, name: str) -> bool:
    """Tell whether a method fills named entries of a mapping into a text that is known."""
    if name in _OF_TEXTS:
        return strings_of(base) is not None
    return name in _OF_TEMPLATES and bool(base) and all(map(_is_template, base))


def _is_template(atom: Any) -> bool:
    return isinstance(atom, Live) and type(atom.obj) is string.Template


def fill_in(frame: Frame, base: Value, name: str, given: Arguments) -> Value | None:
    """Return what filling in a known text from the state gives; None for any other call."""
    is_whole = given.mappings == STATE and not given.positional
    is_given = given.positional == (STATE,) and name != "format" and not given.mappings
    if frame.recorder.shape.attributes or given.unpacked or not (is_whole or is_given):
        return None
    if "__getitem__" in frame.recorder.shape.own_code or (given.named and is_given):
        return None
    texts = [_text_of(frame, atom, given) for atom in base]
    if None in texts:
        return None
    for text in filter(None, texts):
        names = _fields_of(text) if name in _OF_TEXTS else _identifiers_of(text)
        if names is None:
            return None
        for field, is_whole_value in names:
            found = given.named.get(field) or from_state(frame, const(field), given.node)
            _look_at(frame, found, given.node, is_whole=is_whole_value, name=name)
    return SCALAR


def _text_of(frame: Frame, atom: Any, given: Arguments) -> str | None:
    if isinstance(atom, Const):
        return str(atom.value)
    place = place_of(frame, atom.obj, ".template")
    is_as_seen = frame.recorder.look(place, frame.where(given.node)) == "seen"
    text = instance_dict(atom.obj).get("template")
    return text if is_as_seen and is_a(text, str) else None


def _look_at(frame: Frame, found: Value, node: ast.AST, *, is_whole: bool, name: str) -> None:
    if is_whole:
        unary(frame, "__format__" if name in _OF_TEXTS else "__str__", found, node)
        return
    frame.use(found, node)  # a part of it, or its `repr`
    use_properties(frame, found, node)


def _fields_of(text: str) -> list[tuple[str, bool]] | None:
    """Return the names in a format, and whether each is filled in as a whole; None if malformed."""
    try:
        return list(_parsed(text))
    except ValueError:
        return None


def _parsed(text: str) -> Iterator[tuple[str, bool]]:
    for _, field, spec, conversion in string.Formatter().parse(text):
        if field is None:
            continue
        first = re.match(r"[^.\[]*", field)
        if first is None or not first[0] or first[0].isdigit():
            raise ValueError(field)  # by its position, which none of the mapping's entries has
        yield first[0], first[0] == field and not conversion
        yield from _parsed(spec or "")


def _identifiers_of(text: str) -> list[tuple[str, bool]] | None:
    try:
        return [(name, True) for name in string.Template(text).get_identifiers()]
    except ValueError:
        return None
