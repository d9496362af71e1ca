"""From what nodes put into the state to what its keys hold, where annotations do not say it.

`docs: list` promises a list of anything. If every node of the graph puts plain data into it, and a
run begins with plain data in it, then plain data it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Atom,
    Cell,
    Const,
    Data,
    Made,
    Object,
    Opaque,
    Value,
    join,
    opaque,
)

_DEEPEST: Final = 3
"""Levels of containers whose parts are told apart."""


@dataclass(slots=True)
class Contents:
    """What the nodes of one graph put into the keys of its state; it only grows."""

    _put: dict[str, Value] = field(default_factory=dict)
    _anywhere: Value = NOTHING
    """What may have been put into any key."""

    def put(self, keys: Keys, value: Value) -> None:
        """Record that a node may write a value to keys."""
        if not value:
            return
        form = _form(value, 0)
        if keys is ALL:
            self._anywhere = join(self._anywhere, form)
            return
        for key in keys:
            self._put[key] = join(self._put.get(key, NOTHING), form)

    def put_inside(self, keys: Keys, value: Value) -> None:
        """Record that a value may be put into the value of keys, in place."""
        if value and not is_deep(value):
            self.put(keys, frozenset({Data(deep=False, parts=_form(value, 1))}))

    def spoil(self, keys: Keys) -> None:
        """Record that anything may have been put into keys."""
        self.put(keys, opaque())

    def of(self, keys: Iterable[str], deep: frozenset[str] = frozenset()) -> dict[str, Value]:
        """Return what each of `keys` holds if a run begins with plain data in it.

        Left out are those that may hold something of which nothing is known, and those of `deep`
        that hold anything but plain data.
        """
        found = {}
        for key in keys:
            held = join(self._put.get(key, NOTHING), self._anywhere)
            if is_deep(held) if key in deep else all(map(_is_known, held)):
                root = frozenset({key})
                given = frozenset({Data(root)})
                found[key] = join(given, *(_rooted(atom, root) for atom in held))
        return found


def with_contents(hints: Mapping[str, Value], contents: Mapping[str, Value]) -> dict[str, Value]:
    """Return what the keys of one schema hold: what annotations do not say, `contents` do."""
    return {key: contents.get(key, value) for key, value in hints.items()}


def classes_in(value: Value) -> frozenset[type]:
    """Return the classes of which instances may be part of what a key holds."""
    found: frozenset[type] = frozenset()
    for atom in value:
        if isinstance(atom, Object):
            found |= {atom.cls}
        elif isinstance(atom, Data) and atom.parts is not None:
            found |= classes_in(atom.parts)
    return found


def _form(value: Value, depth: int) -> Value:
    """Return a value without what is known of its containers but what is in them."""
    return join(*(_form_of(atom, depth) for atom in value))


def _form_of(atom: Atom, depth: int) -> Value:
    if isinstance(atom, Const):
        return NONE if atom.value is None else _form_of_constant(atom.value)
    if is_deep(frozenset({atom})):
        is_scalar = isinstance(atom, Data) and atom.scalar
        return SCALAR if is_scalar else frozenset({Data()})
    if isinstance(atom, (Object, Made)):
        return frozenset({Object(atom.cls)})
    if isinstance(atom, Opaque) and atom.tame and not atom.spent:
        return frozenset({Opaque(tame=True)})
    parts: Value | None = None
    if isinstance(atom, Cell) and atom.kind != "object" and not (atom.shared or atom.spread):
        parts = atom.everything()
    elif isinstance(atom, Data):
        parts = atom.parts
    if parts is None or depth == _DEEPEST or (isinstance(atom, Cell) and atom.spent):
        return opaque()
    form = _form(parts, depth + 1)
    if not all(map(_is_known, form)):
        return opaque()
    return frozenset({Data(deep=False, parts=form)})


def _form_of_constant(value: Any) -> Value:
    return frozenset({Data()}) if isinstance(value, (tuple, frozenset)) else SCALAR


def _is_known(atom: Atom) -> bool:
    return not isinstance(atom, Opaque) or atom.tame


def _rooted(atom: Atom, root: frozenset[str]) -> Value:
    if isinstance(atom, Data) and not atom.scalar:
        return frozenset({Data(root, deep=atom.deep, parts=atom.parts)})
    if isinstance(atom, Opaque):
        return frozenset({Opaque(root, tame=True)})
    if isinstance(atom, Object):
        return frozenset({Object(atom.cls, root)})
    return frozenset({atom})
