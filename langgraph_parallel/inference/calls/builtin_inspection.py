"""Built-in functions that ask for the class or an attribute of something, by its name."""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.inference.calls.builtin_operators import Rule, first_of
from langgraph_parallel.inference.code.datamodel import find, is_a, is_users
from langgraph_parallel.inference.door.attributes import (
    delete_attribute,
    get_attribute,
    set_attribute,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Atom,
    Cell,
    Const,
    Data,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import call_method, class_of, look_at_object


def _isinstance(frame: Frame, given: Arguments) -> Value:
    operation = "__instancecheck__"
    for atom in iterate_classes(given.positional[1] if len(given.positional) > 1 else NOTHING):
        if isinstance(atom, Live) and is_a(atom.obj, type):
            hook = find(type(atom.obj), operation)
            if hook is not None and is_users(hook[1]):
                call_method(frame, atom, hook[1], (first_of(given),), given.node)
            _run_subclass_hooks(frame, atom, given)
            look_at_object(frame, atom, frame.where(given.node), by_name=True)
        else:
            _check_unknown_class(frame, atom, given)
    for atom in first_of(given):
        if isinstance(atom, (Live, Made, Object)):
            own = find(class_of(atom), "__class__")
            if own is not None and is_users(own[1]):
                load_attr(frame, atom, "__class__", given.node)
    return SCALAR


def _check_unknown_class(frame: Frame, atom: Atom, given: Arguments) -> None:
    """A class that is not known may say by code of its own what its instances are."""
    if not isinstance(atom, (Const, Data)) and not (isinstance(atom, Opaque) and atom.tame):
        what = "asks for the class of something"
        unknown(frame, what, join(frozenset({atom}), first_of(given)), given.node)


def _run_subclass_hooks(frame: Frame, atom: Live, given: Arguments) -> None:
    for name in ("__subclasshook__", "__subclasscheck__"):
        hook = find(atom.obj, name)
        if hook is not None and is_users(hook[1]):
            call_method(frame, atom, hook[1], (first_of(given),), given.node)


def _issubclass(frame: Frame, given: Arguments) -> Value:
    for atom in iterate_classes(given.positional[1] if len(given.positional) > 1 else NOTHING):
        if isinstance(atom, Live) and is_a(atom.obj, type):
            hook = find(type(atom.obj), "__subclasscheck__")
            if hook is not None and is_users(hook[1]):
                call_method(frame, atom, hook[1], (first_of(given),), given.node)
            _run_subclass_hooks(frame, atom, given)
            look_at_object(frame, atom, frame.where(given.node), by_name=True)
        else:
            _check_unknown_class(frame, atom, given)
    return SCALAR


def iterate_classes(value: Value) -> list[Any]:
    """Return the atoms of a class, or of a tuple of classes."""
    found: list[Any] = []
    for atom in value:
        if isinstance(atom, Cell):
            found += list(atom.everything())
        elif isinstance(atom, Live) and type(atom.obj) is tuple:
            found += [Live(part) for part in atom.obj]
        elif isinstance(atom, Const) and isinstance(atom.value, tuple):
            found += [Live(part) for part in atom.value]
        else:
            found.append(atom)
    return found


def _type(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 1:
        return unknown(frame, "makes a class", given.all, given.node)
    found: Value = NOTHING
    for atom in first_of(given):
        if isinstance(atom, (Live, Made, Object)):
            found = join(found, frozenset({Live(class_of(atom))}))
        elif isinstance(atom, Const):
            found = join(found, frozenset({Live(atom.kind)}))
        elif isinstance(atom, Data) and atom.deep:
            found = join(found, tame())
        else:
            found = join(found, opaque(roots_of(frozenset({atom}))))
    return found


def _getattr(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) < 2 or given.unpacked:
        return unknown(frame, "calls getattr()", given.all, given.node)
    base, name, *default = given.positional
    names = strings_of(name)
    if names is None:
        if State() in base:
            frame.recorder.read_all("getattr()", frame.where(given.node))
        return join(unknown(frame, "calls getattr()", base, given.node), *default)
    return join(*(get_attribute(frame, base, n, given.node) for n in names), *default)


def _hasattr(frame: Frame, given: Arguments) -> Value:
    _getattr(frame, given)
    return SCALAR


def _setattr(frame: Frame, given: Arguments) -> Value:
    names = strings_of(given.positional[1]) if len(given.positional) == 3 else None
    if names is None:
        return unknown(frame, "calls setattr()", given.all, given.node)
    for name in names:
        set_attribute(frame, given.positional[0], name, given.positional[2], given.node)
    return NONE


def _delattr(frame: Frame, given: Arguments) -> Value:
    names = strings_of(given.positional[1]) if len(given.positional) == 2 else None
    if names is None:
        return unknown(frame, "calls delattr()", given.all, given.node)
    for name in names:
        delete_attribute(frame, given.positional[0], name, given.node)
    return NONE


INSPECTIONS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((isinstance, _isinstance), (issubclass, _issubclass), (type, _type)),
    *((getattr, _getattr), (hasattr, _hasattr), (setattr, _setattr), (delattr, _delattr)),
)
"""The rule for each built-in that asks for the class or an attribute of something."""
