"""From a method of plain data, or of an unknown object, to what it gives and changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from langgraph_parallel.effects import union
from langgraph_parallel.inference.calls.known import apply_known, run_callbacks
from langgraph_parallel.inference.calls.library import library_method
from langgraph_parallel.inference.calls.tables import (
    MUTATING_METHODS,
    READING_METHODS,
    STRING_METHODS,
    UNMISTAKABLE_METHODS,
)
from langgraph_parallel.inference.door.items import item_of, set_item
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import unary
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import holding, is_deep, is_scalar
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Const,
    Data,
    Opaque,
    Value,
    data,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.objects import look_behind
from langgraph_parallel.inference.objects.special_methods import use_properties


def data_method(frame: Frame, atom: Data | Opaque | Const, name: str, given: Arguments) -> Value:
    """Return what a method of plain data, or of an unknown object, gives."""
    if name.startswith("__"):
        return dunder_method(frame, atom, name, given)
    if isinstance(atom, Data):
        look_behind(frame, atom, given.node)
    if isinstance(atom, Data) and atom.kind is not None:
        return _method_of_kind(frame, atom, atom.kind, name, given)
    if isinstance(atom, Opaque):
        found = _opaque_method(frame, atom, name, given)
        return _reading_method(frame, atom, name, given) if found is None else found
    if name in MUTATING_METHODS:
        return _mutating_method(frame, atom, name, given)
    if is_scalar(frozenset({atom})):
        return _method_of_scalar(frame, atom, name, given)
    if name not in READING_METHODS:
        involved = join(frozenset({atom}), given.all)
        return unknown(frame, f"calls .{name}()", involved, given.node)
    return _reading_method(frame, atom, name, given)


def _method_of_scalar(frame: Frame, atom: Data | Const, name: str, given: Arguments) -> Value:
    """Return what a method of a string, a number or bytes gives."""
    if isinstance(atom, Const) and not hasattr(atom.kind, name):
        return SCALAR  # it fails
    if name not in _OF_SCALARS and not isinstance(atom, Const):
        involved = join(frozenset({atom}), given.all)
        return unknown(frame, f"calls .{name}()", involved, given.node)
    found = _reading_method(frame, atom, name, given)
    return fresh(plain=True) if name in _SPLITS else found


_OF_SCALARS: Final = READING_METHODS | frozenset(
    name for kind in (str, bytes, int, float, complex) for name in dir(kind) if name[0] != "_"
)


def _reading_method(
    frame: Frame, atom: Data | Opaque | Const, name: str, given: Arguments
) -> Value:
    """Return what a method gives that changes nothing."""
    receiver = frozenset({atom})
    run_callbacks(frame, given)
    if name in _ITERATING:
        iterate(frame, given.all, given.node)
    used = frame.use(given.all, given.node) if name != "join" else NOTHING
    if name in ("format", "format_map"):
        use_properties(frame, given.all, given.node)  # `"{0.prop}".format(x)`
    if is_scalar(receiver) or name in STRING_METHODS - _SPLITS:
        # `"".join(parts)` and the like make a new string.
        return SCALAR if isinstance(atom, (Const, Data)) else join(SCALAR, tame(roots_of(used)))
    if isinstance(atom, Data) and not atom.deep:
        return _read_parts(frame, atom, name, given)
    roots = union(union(roots_of(receiver), roots_of(used)), frame.recorder.leaked)
    if isinstance(atom, Opaque):
        return tame(roots)
    deep = is_deep(used) and not frame.recorder.leaked_opaque
    return data(roots) if deep else join(data(roots), given.all, opaque(roots))


def _method_of_kind(frame: Frame, atom: Data, kind: type, name: str, given: Arguments) -> Value:
    """Return what a method of an immutable instance of a library's class gives."""
    known = library_method(kind, name)
    if known is not None:
        return apply_known(frame, known, f".{name}()", given.after(frozenset({atom})), kind)
    plain = replace(atom, kind=None)
    return data_method(frame, plain, name, given)


def _read_parts(frame: Frame, atom: Data, name: str, given: Arguments) -> Value:
    """Return what a reading method gives of a container that may hold more than data."""
    receiver = frozenset({atom})
    if name in ("count", "index"):
        frame.use(receiver, given.node)
        return SCALAR
    parts = frame.part_of(receiver)
    if name == "get":
        return join(parts, given.all, NONE)
    roots = union(roots_of(receiver), frame.recorder.leaked)
    if name == "values":
        return holding(parts, roots)
    with_keys = join(parts, SCALAR)
    if name == "items":
        return holding(holding(with_keys, roots), roots)
    return holding(with_keys, roots) if name == "copy" else opaque(roots)


_ITERATING: Final = frozenset(
    {"join", "union", "intersection", "difference", "symmetric_difference", "issubset"}
    | {"issuperset", "isdisjoint", "extend", "extendleft", "update", "subtract"}
    | {"intersection_update", "difference_update", "symmetric_difference_update"}
)
"""Methods that iterate over what they are given."""
_SPLITS: Final = frozenset({"split", "rsplit", "splitlines", "partition", "rpartition"})


def _opaque_method(frame: Frame, atom: Opaque, name: str, given: Arguments) -> Value | None:
    """Return what a method of an unknown object gives; None when it is surely one of a string's."""
    receiver = frozenset({atom})
    involved = join(receiver, given.all)
    if name in MUTATING_METHODS:  # even where unknown calls are trusted
        changed = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(changed, f".{name}()", frame.where(given.node), given.all)
    from_outside = isinstance(atom.roots, frozenset) and bool({WORLD, GIVEN} & atom.roots)
    is_given = isinstance(atom.roots, frozenset) and GIVEN in atom.roots
    if atom.tame and name in READING_METHODS - MUTATING_METHODS and not is_given:
        return None
    if name in UNMISTAKABLE_METHODS and (atom.tame or not from_outside):
        return None
    return unknown(frame, f"calls .{name}() of an unknown type", involved, given.node)


def dunder_method(frame: Frame, atom: Atom, name: str, given: Arguments) -> Value:
    """Return what calling a special method by its name gives."""
    if name == "__getitem__" and given.positional:
        return item_of(frame, atom, given.positional[0], given.node)
    if name == "__setitem__" and len(given.positional) == 2:
        set_item(frame, frozenset({atom}), *given.positional, given.node)
        return NONE
    if not given.all:
        return unary(frame, name, frozenset({atom}), given.node)
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls .{name}()", involved, given.node)


def _mutating_method(frame: Frame, atom: Data | Const, name: str, given: Arguments) -> Value:
    run_callbacks(frame, given)
    if name in _ITERATING:
        iterate(frame, given.all, given.node)
    frame.escape(given.all, f"stored by .{name}()", frame.where(given.node))
    frame.leak(given.all)
    if name in ("remove", "sort", "discard", "add") and isinstance(atom, Data) and not atom.deep:
        frame.use(frozenset({atom}), given.node)
    use_hashed(frame, name, given)
    if isinstance(atom, Data) and not atom.own and not atom.scalar:
        changed = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(changed, f".{name}()", frame.where(given.node), given.all)
    return join(frame.part_of(frozenset({atom})), NONE)


def use_hashed(frame: Frame, name: str, given: Arguments) -> None:
    """Adding to a set, or looking for something in a list, hashes and compares it."""
    if name in ("add", "remove", "discard", "setdefault", "pop", "update", "index", "count"):
        frame.use(given.positional[0] if given.positional else NOTHING, given.node)
