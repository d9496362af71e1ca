"""From a call that is in the table to what it looks at, changes and gives, and calls back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Final

from langchain_core.runnables import Runnable

from langgraph_parallel.effects import union
from langgraph_parallel.inference.calls.functions import call_closure
from langgraph_parallel.inference.calls.library import class_called, is_stateful, library_call
from langgraph_parallel.inference.calls.tables import FUNCTIONS, Known
from langgraph_parallel.inference.code.datamodel import is_a, is_users_class
from langgraph_parallel.inference.code.gentle import library_name
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.annotations import DATA_CLASSES
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import holding, is_deep, is_scalar
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Cell,
    Closure,
    Data,
    Live,
    Made,
    Method,
    Opaque,
    Value,
    data,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.machine.watch import PAUSES
from langgraph_parallel.inference.objects.special_methods import use_properties
from langgraph_parallel.locations import world


def describe_call(obj: Any) -> Known | None:
    """Return what calling the live object `obj` does, or None when that is not known."""
    return FUNCTIONS.get(library_name(obj)) or library_call(obj)


def apply_known(
    frame: Frame, known: Known, what: str, given: Arguments, cls: type | None = None
) -> Value:
    """Apply an entry of the table: it reads its arguments whole and changes none of them.

    Args:
        frame: Where it is called.
        known: The entry.
        what: How a report calls it.
        given: Its arguments.
        cls: The class that is called, or of whose instance it is a method.
    """
    where = frame.where(given.node)
    called_back = run_callbacks(frame, given)
    passed = without_callbacks(given.all)
    used = frame.use(passed, given.node) if known.uses else passed
    for value in (*given.positional, *given.named.values()) if known.iterates else ():
        iterate(frame, without_callbacks(value), given.node)
    for part in known.looks:
        frame.recorder.look(world(part), where)
    for part in known.changes:
        frame.recorder.change(world(part), where, SCALAR)
    if known.pauses:
        frame.recorder.note(f"waits in {what}", where, PAUSES)
    for kind in sorted(known.external):
        frame.recorder.contact(kind, f"calls {what}, a {kind}", where)
    found = _result(frame, known, passed, used, given, cls)
    if not is_deep(called_back) and not is_scalar(found):
        found = join(found, opaque(roots_of(called_back)))
    return join(found, NONE) if known.maybe else found


def _result(
    frame: Frame, known: Known, passed: Value, used: Value, given: Arguments, cls: type | None
) -> Value:
    roots = roots_of(used)
    constant = _CONSTANT_RESULTS.get(known.result)
    if constant is not None:
        return constant
    if known.result in ("data", "messages"):
        plain = known.result == "messages"
        return fresh(roots if plain or is_deep(used) else frozenset(), plain=plain)
    if known.result == "elements":
        return join(passed, iterate(frame, passed, given.node))
    if known.result == "rows":
        return _rows(frame, given)
    if known.result == "container":
        return _container(frame, used, given, cls)
    # The result may be, or hold, one of the arguments.
    frame.escape(passed, "passed to a library", frame.where(given.node))
    if known.result == "fresh":
        return fresh(roots, deep=is_deep(used))
    if known.result == "listed":
        return holding(tame(roots))
    if known.result == "parts":
        return collected(frame, given.node, passed)
    if known.result in ("value", "object") or "." in known.result:
        return _instance(frame, known, used, given, cls)
    return tame(roots) if is_deep(used) or _is_tame(used) else opaque(roots)


_CONSTANT_RESULTS: Final[Mapping[str, Value]] = {
    "scalar": SCALAR,
    "none": NONE,
    "message": MESSAGE,
    "shared": opaque(frozenset({WORLD})),
}


def _instance(frame: Frame, known: Known, used: Value, given: Arguments, cls: type | None) -> Value:
    """Return a new instance of a class of a library that only touches what it was given."""
    made = class_called(known.result) if "." in known.result else cls
    if made is None:
        return tame(roots_of(used)) if is_deep(used) else opaque(roots_of(used))
    if known.result == "object" or is_stateful(made):
        atom = Made(made, frame.recorder.cells.setdefault((id(given.node), made), Cell("object")))
        frame.recorder.grown |= atom.cell.add(used)
        return frozenset({atom})
    if issubclass(made, DATA_CLASSES):
        return frozenset({Data(plain=True, kind=made)})
    return frozenset({Data(roots_of(used), plain=True, deep=is_deep(used), kind=made)})


def _container(frame: Frame, used: Value, given: Arguments, cls: type | None) -> Value:
    """Return a new container of a library that holds elements of what it was given."""
    if cls is not None and issubclass(cls, dict):
        iterate(frame, join(*given.positional), given.node)
        return frozenset({Data(roots_of(used), own=True, deep=is_deep(used))})
    first = given.positional[:1]
    parts = join(*(iterate(frame, value, given.node) for value in first))
    return holding(parts) if first and not given.unpacked else fresh(roots_of(used), deep=False)


def _rows(frame: Frame, given: Arguments) -> Value:
    """Return an iterator over plain data, made of another one."""
    for value in given.positional[:1]:
        iterate(frame, value, given.node)
    made = collected(frame, given.node, data())
    for atom in made:
        if isinstance(atom, Cell):
            atom.spent = True
    return made


def _is_tame(value: Value) -> bool:
    return all(is_deep(frozenset({a})) or (isinstance(a, Opaque) and a.tame) for a in value)


def without_callbacks(value: Value) -> Value:
    """Drop functions, which are analyzed as callbacks."""
    return frozenset(atom for atom in value if not _is_callback(atom))


def _is_callback(atom: Atom) -> bool:
    if isinstance(atom, (Closure, Method)):
        return True
    kinds = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
    return isinstance(atom, Live) and is_a(atom.obj, kinds)


def run_callbacks(frame: Frame, given: Arguments) -> Value:
    """Call the functions and classes among the arguments with any of the rest.

    Returns:
        What those give whose code is followed.
    """
    passed = without_callbacks(given.all)
    anything = _anything(frame, passed)
    found: Value = NOTHING
    for atom in given.all:
        if isinstance(atom, Closure):
            frame.recorder.call_later(atom, anything)
            result = call_closure(frame, atom, Arguments(given.node, unpacked=anything))
            found = join(found, result)
        elif _is_callback(atom) or (isinstance(atom, Live) and callable(atom.obj)):
            if isinstance(atom, Live) and not _is_worth_running(atom.obj):
                continue
            result = frame.call(frozenset({atom}), Arguments(given.node, unpacked=anything))
            found = join(found, result)
    return found


def _anything(frame: Frame, passed: Value) -> Value:
    """Return what a library may call back with that was given `passed`."""
    parts = join(*(_parts_quietly(frame, atom) for atom in passed))
    return join(passed, parts, tame(union(roots_of(passed), frame.recorder.leaked)))


def _parts_quietly(frame: Frame, atom: Atom) -> Value:
    """Return what parts a value may have, without running anything."""
    if isinstance(atom, Cell):
        return atom.everything()
    given = frozenset({atom})
    return frame.part_of(given) if is_deep(given) else NOTHING


def _is_worth_running(obj: Any) -> bool:
    """Tell whether calling something that is passed on may do anything."""
    if is_a(obj, type):
        return is_users_class(obj) or is_users_class(type(obj))
    return not is_a(obj, Runnable) and describe_call(obj) is None


def use_callee(frame: Frame, given: Arguments) -> Value:
    """Call something that a library has made, such as an `itemgetter`: it looks at what it gets."""
    used = frame.use(given.all, given.node)
    use_properties(frame, given.all, given.node)
    deep = is_deep(used) or _is_tame(used)
    return tame(roots_of(used)) if deep else opaque(roots_of(used))
