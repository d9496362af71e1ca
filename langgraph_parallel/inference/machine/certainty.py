"""From a value to what is certain of it, and to values of which that stays certain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from langgraph_parallel.effects import Keys, union
from langgraph_parallel.inference.machine.values import (
    Atom,
    Cell,
    Const,
    Data,
    Object,
    Opaque,
    Value,
    join,
    roots_of,
)

_DEEPEST: Final = 4
"""Levels of containers made in this call that are looked into for something that is no data."""


def holding(parts: Value, roots: Keys = frozenset(), *, plain: bool = True) -> Value:
    """Return a container made in this call that holds `parts`, and not only data like them."""
    by_value = all(isinstance(a, Const) or (isinstance(a, Data) and a.deep) for a in parts)
    if by_value:
        return frozenset({Data(union(roots, roots_of(parts)), own=True, plain=plain)})
    return frozenset({Data(union(roots, roots_of(parts)), True, False, plain, False, parts)})


def rooted(value: Value, roots: Keys) -> Value:
    """Return `value` as something that may also alias `roots`."""
    if not roots:
        return value
    kept: list[Any] = []
    for atom in value:
        if (isinstance(atom, Data) and not atom.scalar) or isinstance(atom, Opaque):
            kept.append(replace(atom, roots=union(atom.roots, roots)))
        elif isinstance(atom, Object):
            kept.append(Object(atom.cls, union(atom.roots, roots)))
        else:
            kept.append(atom)
    return join(frozenset(kept))


def unrooted(value: Value) -> Value:
    """Return `value` as something that aliases no state key: what it is made of elsewhere."""
    kept: list[Any] = []
    for atom in value:
        if isinstance(atom, (Data, Opaque, Object)):
            kept.append(replace(atom, roots=frozenset()))
        else:
            kept.append(atom)
    return join(frozenset(kept))


def is_quiet(value: Value, depth: int = 0) -> bool:
    """Tell whether `value` is plain data only, or what a library has made of it."""
    return all(_is_quiet(atom, depth) for atom in value)


def _is_quiet(atom: Atom, depth: int) -> bool:
    if isinstance(atom, Cell) and depth < _DEEPEST:
        return _is_closed(atom) and is_quiet(join(atom.everything(), atom.index), depth + 1)
    return is_deep(frozenset({atom})) or (isinstance(atom, Opaque) and atom.tame)


def _is_closed(cell: Cell) -> bool:
    """Tell whether what was seen to be put into a container is all that it holds."""
    may_hold_more = cell.shared or (cell.open and cell.kind != "dict")
    return not may_hold_more and not cell.spread and cell.kind != "object"


def is_fresh(value: Value) -> bool:
    """Tell whether `value` is certainly no container or object that somebody else holds."""
    return bool(value) and all(
        isinstance(a, Const)
        or (isinstance(a, Data) and (a.scalar or a.own))
        or (isinstance(a, Opaque) and a.tame)
        for a in value
    )


def constants_of(value: Value) -> frozenset[Any] | None:
    """Return the constants that `value` may be, or None when it may be something else."""
    if value and all(isinstance(atom, Const) for atom in value):
        return frozenset(atom.value for atom in value if isinstance(atom, Const))
    return None


def strings_of(value: Value) -> frozenset[str] | None:
    """Return the strings that `value` may be, or None when it may be something else."""
    constants = constants_of(value)
    if constants is None or not all(isinstance(c, str) for c in constants):
        return None
    return constants


def is_scalar(value: Value) -> bool:
    """Tell whether `value` is certainly immutable and without parts."""
    return all(isinstance(a, Const) or (isinstance(a, Data) and a.scalar) for a in value)


def is_deep(value: Value, depth: int = 0) -> bool:
    """Tell whether `value` is certainly built-in data through and through."""
    return all(_is_deep(atom, depth) for atom in value)


def _is_deep(atom: Atom, depth: int) -> bool:
    if isinstance(atom, Cell) and depth < _DEEPEST:
        return _is_closed(atom) and is_deep(join(atom.everything(), atom.index), depth + 1)
    if isinstance(atom, Data) and atom.parts is not None and depth < _DEEPEST:
        return is_deep(atom.parts, depth + 1)
    return isinstance(atom, Const) or (isinstance(atom, Data) and atom.deep)
