"""Instances of named tuples: from a tuple whose parts have names to what each of them may be."""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import (
    code_of,
    find,
    is_generated,
    names_of,
    user_defined,
)
from langgraph_parallel.inference.machine.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Live,
    Made,
    Value,
    join,
    opaque,
)
from langgraph_parallel.inference.objects.objects import (
    Typed,
    class_of,
    is_as_seen,
    roots_of_object,
)

_OF_TUPLES: Final = ("__iter__", "__getitem__", "__len__")


def is_named_tuple(cls: type) -> bool:
    """Tell whether a class is a tuple with names that is made and taken apart like any other."""
    new = find(cls, "__new__")
    code = code_of(new[1]) if new is not None else None
    return (
        issubclass(cls, tuple)
        and code is not None
        and is_generated(code)
        and not user_defined(cls) & {"__init__", "__getattribute__", "__getattr__"}
        and all((found := find(cls, name)) is not None and found[0] is tuple for name in _OF_TUPLES)
    )


def names_in(cls: type) -> tuple[str, ...]:
    """Return the names of the parts of a named tuple."""
    found = find(cls, "_fields")
    return found[1] if found is not None else ()


def fill_parts(frame: Frame, atom: Made, given: Arguments) -> None:
    """Do what the `__new__` of a named tuple does."""
    found = find(atom.cls, "_field_defaults")
    defaults: dict[str, Any] = found[1] if found is not None else {}
    for index, name in enumerate(names_in(atom.cls)):
        named = given.named.get(name, NOTHING)
        value = given.positional[index] if index < len(given.positional) else named
        default = frame.live(defaults[name]) if name in defaults else NOTHING
        frame.recorder.grown |= atom.cell.put(name, join(value or default, given.unpacked))


def part_called(frame: Frame, atom: Typed, name: str) -> Value | None:
    """Return what the part of a named tuple may be that has a name; None when it has none."""
    cls = class_of(atom)
    names = names_in(cls) if issubclass(cls, tuple) else ()
    if name not in names or not is_named_tuple(cls) or name not in _getters(cls):
        return None
    if isinstance(atom, Live):
        return frame.live(tuple.__getitem__(atom.obj, names.index(name)))
    if isinstance(atom, Made):
        loose = opaque(roots_of_object(atom)) if atom.cell.open else NOTHING
        return join(atom.cell.at(name), loose)
    hint = hints_of(cls).get(name)
    return opaque(atom.roots) if hint is None else value_of_annotation(hint, atom.roots)


def _getters(cls: type) -> frozenset[str]:
    """Return the names that still mean the parts: no class below has given them away."""
    found = ((name, find(cls, name)) for name in names_in(cls))
    return frozenset(
        name
        for name, at in found
        if at is not None and "_fields" in names_of(at[0]) and "_make" in names_of(at[0])
    )


def parts_by_name(frame: Frame, atom: Typed) -> dict[str, Value] | None:
    """Return what each part of a named tuple may be; None when it is none."""
    if not is_named_tuple(class_of(atom)):
        return None
    found = {name: part_called(frame, atom, name) for name in names_in(class_of(atom))}
    if any(value is None for value in found.values()):
        return None
    return {name: value for name, value in found.items() if value is not None}


def any_part(frame: Frame, atom: Typed, where: str) -> Value | None:
    """Return what any part of a named tuple may be; None when it is none, or has none."""
    cls = class_of(atom)
    if not issubclass(cls, tuple) or not is_as_seen(frame, cls, _OF_TUPLES, where):
        return None
    found = parts_by_name(frame, atom)
    return join(*found.values()) if found else None
