"""From a call that is in the table to what it looks at, changes and gives, and calls back."""

from __future__ import annotations

import types
from typing import Any

from langchain_core.runnables import Runnable

from langgraph_parallel.effects import union
from langgraph_parallel.inference.calls.functions import call_closure
from langgraph_parallel.inference.calls.tables import (
    FUNCTIONS,
    MUTATORS,
    OPAQUE,
    PURE_MODULES,
    Known,
)
from langgraph_parallel.inference.code.datamodel import is_a, is_users_class
from langgraph_parallel.inference.code.gentle import library_name
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    NONE,
    NOTHING,
    SCALAR,
    Atom,
    Cell,
    Closure,
    Injected,
    Live,
    Method,
    Opaque,
    Value,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.special_methods import use_properties
from langgraph_parallel.locations import world


def describe_call(obj: Any) -> Known | None:
    """Return what calling the live object `obj` does, or None when that is not known."""
    name = library_name(obj)
    if not name:
        return None
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    module, _, function = name.rpartition(".")
    if module in PURE_MODULES and not is_a(obj, type):
        return None if function in MUTATORS else OPAQUE
    return None


def apply_known(frame: Frame, known: Known, what: str, given: Arguments) -> Value:
    """Apply an entry of the table: it reads its arguments whole and changes none of them."""
    where = frame.where(given.node)
    run_callbacks(frame, given)
    passed = without_callbacks(given.all)
    used = frame.use(passed, given.node) if known.uses else passed
    for part in known.looks:
        frame.recorder.look(world(part), where)
    for part in known.changes:
        frame.recorder.change(world(part), where, SCALAR)
    for kind in sorted(known.external):
        frame.recorder.contact(kind, f"calls {what}, a {kind}", where)
    return _result(frame, known, passed, used, given)


def _result(frame: Frame, known: Known, passed: Value, used: Value, given: Arguments) -> Value:
    roots = roots_of(used)
    if known.result == "scalar":
        return SCALAR
    if known.result == "none":
        return NONE
    if known.result == "message":
        return MESSAGE
    if known.result == "messages":
        return fresh(roots, plain=True)
    if known.result == "data":
        return fresh(roots) if is_deep(used) else fresh()
    if known.result == "elements":
        return join(passed, iterate(frame, passed, given.node))
    # The result may be, or hold, one of the arguments.
    frame.escape(passed, "passed to a library", frame.where(given.node))
    if known.result == "fresh":
        return fresh(roots, deep=is_deep(used))
    if known.result == "parts":
        return collected(frame, given.node, passed)
    return tame(roots) if is_deep(used) or _is_tame(used) else opaque(roots)


def _is_tame(value: Value) -> bool:
    return all(is_deep(frozenset({a})) or (isinstance(a, Opaque) and a.tame) for a in value)


def without_callbacks(value: Value) -> Value:
    """Drop functions, which are analyzed as callbacks, and `config`, which is passed on."""
    return frozenset(
        atom for atom in value if not _is_callback(atom) and not isinstance(atom, Injected)
    )


def _is_callback(atom: Atom) -> bool:
    if isinstance(atom, (Closure, Method)):
        return True
    kinds = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
    return isinstance(atom, Live) and is_a(atom.obj, kinds)


def run_callbacks(frame: Frame, given: Arguments) -> None:
    """Call the functions and classes among the arguments with any of the rest."""
    passed = without_callbacks(given.all)
    anything = _anything(frame, passed)
    for atom in given.all:
        if isinstance(atom, Closure):
            frame.recorder.call_later(atom, anything)
            call_closure(frame, atom, Arguments(given.node, unpacked=anything))
        elif _is_callback(atom) or (isinstance(atom, Live) and callable(atom.obj)):
            if isinstance(atom, Live) and not _is_worth_running(atom.obj):
                continue
            frame.call(frozenset({atom}), Arguments(given.node, unpacked=anything))


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
