"""From looking at an object of unknown type to what that may run: the code of any class there is.

An object is an instance of some class. Those of libraries are taken not to do anything when they
are looked at; those of the user are loaded, and what they do is followed. That is called class
hierarchy analysis: J. Dean, D. Grove and C. Chambers, "Optimization of Object-Oriented Programs
Using Static Class Hierarchy Analysis", ECOOP 1995. It holds while no node loads or makes a class.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Iterator
from typing import Final

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.code.datamodel import REFLECTED, find, is_users, names_of
from langgraph_parallel.inference.code.mentions import is_mentioned
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.recorder import GiveUpError, Recorder, Shape
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    WORLD,
    Object,
    Opaque,
    Value,
    opaque,
)
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import ROUTINES, WORLDLY, call_method
from langgraph_parallel.inference.objects.special_methods import IMPLICIT, use_object
from langgraph_parallel.locations import ANYWHERE, Location

_MOST_CLASSES: Final = 24
"""Classes of the user's that do something when looked at, up to which all of them are followed."""
_COMPUTING: Final = frozenset(
    f"__{name}__"
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "or", "and")
)
"""Operators that make a new object of their operands, whatever library has defined them."""
_LOOKING_UP: Final = frozenset({"__getattr__", "__getattribute__"})


def loaded_classes() -> Iterator[type]:
    """Yield every class that is loaded."""
    pending, seen = [object], {id(object)}
    while pending:
        for cls in type.__subclasses__(pending.pop()):
            if id(cls) not in seen:
                seen.add(id(cls))
                pending.append(cls)
                yield cls


def _users_classes(frame: Frame) -> tuple[type, ...]:
    """Return the classes that are the user's, or in which code of the user's stands."""
    memory = frame.recorder.memory
    if memory.classes is None:
        memory.classes = tuple(filter(_is_users_class, loaded_classes()))
    return memory.classes


def _is_users_class(cls: type) -> bool:
    home = names_of(cls).get("__module__")
    module = sys.modules.get(home) if isinstance(home, str) else None
    file = getattr(module, "__file__", None) or ""
    if module is None or (file and not is_library(file)) or (not file and home == "__main__"):
        return True
    return any(is_users(value) for value in list(names_of(cls).values()))


def _defining(frame: Frame, names: frozenset[str]) -> list[type] | None:
    """Return the classes of the user's that define one of some names; None for too many."""
    found = []
    for cls in _users_classes(frame):
        own = names_of(cls)
        values = [own[name] for name in names & own.keys()]
        if any(not isinstance(value, _METHODS) and not _is_compiled(value) for value in values):
            return None  # some other object stands where a method does
        if any(map(is_users, values)):
            found.append(cls)
    return found if len(found) <= _MOST_CLASSES else None


def _is_compiled(value: object) -> bool:
    """Tell whether something is a function of a library that Cython has compiled."""
    return type(value).__name__ == "cython_function_or_method"


_METHODS: Final = (
    *(types.FunctionType, staticmethod, classmethod, property, type(None), type),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, *ROUTINES),
)


def look_at_any(frame: Frame, atom: Opaque, node: ast.AST) -> bool:
    """Look at an object of unknown type; return False when that may do more than look."""

    def show(inner: Frame) -> bool:
        classes = _defining(frame, _SHOWN_BY)
        for cls in classes or ():
            use_object(inner, _any_instance(cls), node)
            _call_named(inner, _any_instance(cls), _HOOKS, node)
        return classes is not None and not any(map(_computes_fields, _users_classes(frame)))

    return _only_looks(frame, atom, "", show, node)


def _only_looks(
    frame: Frame, atom: Opaque, what: str, run: Callable[[Frame], bool], node: ast.AST
) -> bool:
    """Tell whether doing something to any object only looks, and record at what it looks.

    Args:
        frame: Where it is done.
        atom: The object.
        what: What is done; it is tried out once for all nodes of a graph.
        run: Does it to an instance of each class for which it runs code of the user's; returns
            False when that is not known.
        node: The place.
    """
    memory = frame.recorder.memory
    if not memory.close_world():
        return False
    if what not in memory.looked:
        memory.looked[what] = _places_of(frame, run)
    places = memory.looked[what]
    if places is None:
        return False
    where = frame.where(node)
    if atom.roots is ALL or {WORLD, GIVEN} & atom.roots:
        frame.recorder.look(ANYWHERE, where)
    for place in places:
        frame.recorder.look(place, where)
    return True


def _places_of(frame: Frame, run: Callable[[Frame], bool]) -> frozenset[Location] | None:
    recorder = Recorder(Shape(keys=frozenset()), frame.recorder.memory)
    try:
        known = run(Frame(recorder=recorder, source=frame.source, namespace={}, cells={}))
    except GiveUpError:
        return None
    does_more = recorder.mutates or recorder.changes or recorder.external
    return (
        None
        if not known or does_more or recorder.control - {"raise"}
        else frozenset(recorder.looks_at)
    )


def _any_instance(cls: type) -> Object:
    return Object(cls, frozenset({WORLD}))


_HOOKS: Final = frozenset({"__repr_args__", "__repr_name__", "__repr_str__", "__rich_repr__"})
"""What pydantic and rich call to show an object."""
_SHOWN_BY: Final = IMPLICIT | _HOOKS


def _computes_fields(cls: type) -> bool:
    """Tell whether a pydantic model has fields that are computed when it is shown."""
    decorators = names_of(cls).get("__pydantic_decorators__")
    return bool(getattr(decorators, "computed_fields", None))


def operate_on_any(
    frame: Frame, atom: Opaque, operation: str, other: Value, node: ast.AST
) -> Value | None:
    """Return what an operator gives of an object of unknown type; None when it may do anything."""
    plain = next((name for name, back in REFLECTED.items() if back == operation), operation)
    if not {operation, plain} & _COMPUTING:
        return None
    return _call_on_any(frame, atom, frozenset({operation}), other, node)


def item_of_any(frame: Frame, atom: Opaque, index: Value, node: ast.AST) -> Value | None:
    """Return an item of an object of unknown type; None when taking it may do anything."""
    frame.use(index, node)
    return _call_on_any(frame, atom, _TAKES_ITEM, index, node)


_TAKES_ITEM: Final = frozenset({"__getitem__", "__missing__"})


def _call_on_any(
    frame: Frame, atom: Opaque, names: frozenset[str], operand: Value, node: ast.AST
) -> Value | None:
    def run(inner: Frame) -> bool:
        classes = _defining(frame, names)
        for cls in classes or ():
            _call_named(inner, _any_instance(cls), names, node, WORLDLY)
        # To look for a key in one of these puts it there.
        fills_itself = names is _TAKES_ITEM and is_mentioned("defaultdict")
        return classes is not None and not fills_itself

    if not (look_at_any(frame, atom, node) and _only_looks(frame, atom, str(names), run, node)):
        return None
    taken = frame.escape(operand, "an operand", frame.where(node))
    return opaque(union(union(atom.roots, taken), _outside(frame, names)))


def _outside(frame: Frame, names: frozenset[str]) -> frozenset[str]:
    """Return where from methods of the user's may take what they give."""
    return frozenset({WORLD}) if _defining(frame, names) else frozenset()


def _call_named(
    frame: Frame, instance: Object, names: frozenset[str], node: ast.AST, *given: Value
) -> None:
    """Call the methods of the user's that have one of some names."""
    for name in sorted(names):
        method = find(instance.cls, name)
        if method is not None and is_users(method[1]):
            call_method(frame, instance, method[1], given, node)


def attribute_of_any(frame: Frame, atom: Opaque, name: str, node: ast.AST) -> Value | None:
    """Return an attribute of an object of unknown type; None when taking it may do anything."""
    if name.startswith("__"):
        return None

    def run(inner: Frame) -> bool:
        hooked = _defining(frame, _LOOKING_UP)
        classes = (*(hooked or ()), *_describing(frame, name))
        for cls in classes[:_MOST_CLASSES]:
            load_attr(inner, _any_instance(cls), name, node)
        return hooked is not None and len(classes) <= _MOST_CLASSES

    if not _only_looks(frame, atom, f".{name}", run, node):
        return None
    own = _describing(frame, name) or _defining(frame, _LOOKING_UP)
    return opaque(union(atom.roots, frozenset({WORLD}))) if own else opaque(atom.roots)


def _describing(frame: Frame, name: str) -> list[type]:
    """Return the classes of the user's in which something stands at a name that may run code."""
    kept = [(cls, names_of(cls).get(name)) for cls in _users_classes(frame)]
    return [
        cls
        for cls, value in kept
        if value is not None
        and not isinstance(value, types.FunctionType)
        and find(type(value), "__get__") is not None
    ]
