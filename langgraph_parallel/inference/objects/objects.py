"""Objects whose class is known, as places: from looking at one, or changing it, to locations.

Live    which object it is: its attributes are places, and hold what is seen in them now
Made    made in this call: its attributes hold what the call has put there
Object  only its class is known: its attributes hold what their annotations promise
"""

from __future__ import annotations

import ast
import concurrent.futures
import decimal
import types
from collections.abc import Iterable
from typing import Any, Final, TypeAlias, TypeGuard

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.inference.code.datamodel import instance_dict, mro_of, user_defined
from langgraph_parallel.inference.code.families import (
    family_of,
    holds_objects,
)
from langgraph_parallel.inference.code.family_tables import (
    Family,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    WORLD,
    Atom,
    Data,
    Live,
    Made,
    Object,
    Opaque,
    Value,
    opaque,
)
from langgraph_parallel.inference.objects.held import CONTAINERS, place_of
from langgraph_parallel.locations import ANY_ITEM, ANYWHERE, any_attribute

Typed: TypeAlias = Live | Made | Object
WORLDLY: Final = opaque(frozenset({WORLD}))
ROUTINES: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
)


def class_of(atom: Typed) -> type:
    """Return the class on which special methods are looked up."""
    return type(atom.obj) if isinstance(atom, Live) else atom.cls


def is_container(atom: Atom) -> TypeGuard[Live]:
    """Tell whether an atom is a live built-in container, which has no code of its own."""
    return isinstance(atom, Live) and type(atom.obj) in CONTAINERS


def is_instance(atom: Atom) -> TypeGuard[Typed]:
    """Tell whether an atom is an object whose class says what touching it does."""
    return isinstance(atom, (Live, Made, Object)) and not is_container(atom)


FUTURE: Final = concurrent.futures.Future
"""The class of what calling one of LangGraph's tasks gives."""


def result_of(atom: Atom) -> Value | None:
    """Return what the future of a task gives; None when an atom is none."""
    is_future = isinstance(atom, Made) and atom.cls is FUTURE
    return atom.cell.at("result") if is_future and isinstance(atom, Made) else None


def call_method(
    frame: Frame, atom: Typed, function: Any, operands: tuple[Value, ...], node: ast.AST
) -> Value:
    """Call a function that a class defines on a receiver."""
    if isinstance(function, staticmethod):
        return frame.call(frame.live(function.__func__), Arguments(node, operands))
    if isinstance(function, classmethod):
        first: Value = frozenset({Live(class_of(atom))})
        return frame.call(frame.live(function.__func__), Arguments(node, (first, *operands)))
    given = (frozenset({atom}), *operands)
    return frame.call(frame.live(function), Arguments(node, given))


def is_as_seen(frame: Frame, cls: type, names: Iterable[str], where: str) -> bool:
    """Tell whether no node assigns to a class, or to its bases, what is looked up in them.

    Classes hold code, so that such a look only counts where some node does assign.
    """
    seen = True
    for base in mro_of(cls):
        if base.__flags__ & _CAN_BE_CHANGED:
            for name in names:
                place = place_of(frame, base, f".{name}")
                seen = frame.recorder.look(place, where, by_name=True) == "seen" and seen
    return seen


_CAN_BE_CHANGED: Final = 1 << 9
"""The flag of classes that were made by a `class` statement."""


def keeps_class(frame: Frame, atom: Typed, where: str) -> bool:
    """Tell whether no node gives an object another class."""
    if not isinstance(atom, Live):
        return True
    return (
        frame.recorder.look(place_of(frame, atom.obj, ".__class__"), where, by_name=True) == "seen"
    )


def is_librarys_method(frame: Frame, atom: Typed, name: str, where: str) -> bool:
    """Tell whether a method is the one of its class: nobody has put another one in its place."""
    if isinstance(atom, Live):
        place = place_of(frame, atom.obj, f".{name}")
        is_own = name in instance_dict(atom.obj)
        if is_own or frame.recorder.look(place, where, by_name=True) != "seen":
            return False
    return keeps_class(frame, atom, where) and is_as_seen(frame, class_of(atom), (name,), where)


def family_of_object(atom: Typed) -> Family | None:
    """Return the family of data that an object belongs to; None where it may hold other things."""
    family = family_of(class_of(atom))
    if family is not None and isinstance(atom, Live) and holds_objects(atom.obj):
        return None
    return family


def is_users_object(obj: Any) -> bool:
    """Tell whether printing or comparing an object may run code of the user's."""
    return bool(user_defined(type(obj))) or type(obj) in (dict, list, tuple, set)


def look_at_object(frame: Frame, atom: Typed, where: str, *, by_name: bool = False) -> None:
    """Record a look at all of an object; `by_name` as in `Recorder.look`."""
    if isinstance(atom, Live):
        by_name = by_name or _is_code(atom.obj)
        frame.recorder.look(place_of(frame, atom.obj), where, by_name=by_name)
    elif isinstance(atom, Object) and _reaches_memory(atom):
        frame.recorder.look(ANYWHERE, where)


def look_behind(frame: Frame, atom: Data | Opaque, node: ast.AST) -> None:
    """Record a look at memory where data or an object may live outside of the node."""
    if atom.roots is not ALL and WORLD in atom.roots:
        frame.recorder.look(ANYWHERE, frame.where(node))


def change_object(frame: Frame, atom: Typed, name: str | None, where: str, value: Value) -> None:
    """Record that an attribute of an object, or any part of it, is changed in place."""
    if isinstance(atom, Live):
        part = None if name is None else f".{name}"
        frame.recorder.change(place_of(frame, atom.obj, part), where, value)
        if isinstance(atom.obj, decimal.Context):  # all arithmetic of a thread looks at it
            frame.recorder.contact("write", "changes the context of decimal numbers", where)
    elif isinstance(atom, Made):
        if atom.cell.open:
            place = ANY_ITEM if name is None else any_attribute(name)
            frame.recorder.change(place, where, value)
        if name is not None:
            frame.recorder.grown |= atom.cell.put(name, value)
    else:
        place = ANY_ITEM if name is None else any_attribute(name)
        frame.recorder.mutate(atom.roots, "assignment", where, value, place)


def _is_code(obj: Any) -> bool:
    return isinstance(
        obj, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)
    ) and not is_users_object(obj)


def _reaches_memory(atom: Object) -> bool:
    if issubclass(atom.cls, BaseException):
        return False  # whoever catches one is the first to look at it
    return not isinstance(atom.roots, frozenset) or WORLD in atom.roots


def roots_of_object(atom: Typed) -> Keys:
    """Return the state keys (and `WORLD`) that an object may alias or contain."""
    if isinstance(atom, Live):
        return frozenset({WORLD})
    return atom.cell.roots if isinstance(atom, Made) else atom.roots


def parts_of(atom: Typed) -> Value:
    """Return what an object with a built-in base, such as a list or a dict, may hold."""
    if isinstance(atom, Made) and not atom.cell.open:
        return atom.cell.everything() or opaque(roots_of_object(atom))
    return opaque(roots_of_object(atom))
