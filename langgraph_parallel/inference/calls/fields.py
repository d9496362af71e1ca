"""Functions that go over fields: `replace` and `asdict` of dataclasses, `_asdict` of named tuples.

`asdict` copies what it finds: a dataclass into a dictionary, built-in containers part by part, by
calling the class that they are of, and anything else by `deepcopy`. So the copy of plain data is
plain data, of which nobody else has a part. What may run code of its own when it is copied is not
known.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import find, is_users
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
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
    fresh,
    join,
    tame,
)
from langgraph_parallel.inference.objects.held import held_items
from langgraph_parallel.inference.objects.named_tuples import is_named_tuple, parts_by_name
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import Typed, class_of, is_container

_DEEPEST: Final = 5


def fields_call(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return what `replace`, `asdict` and `astuple` give; None for any other function."""
    if obj is dataclasses.replace:
        return _replaced(frame, given)
    if obj not in (dataclasses.asdict, dataclasses.astuple):
        return None
    if len(given.positional) != 1 or given.named or given.unpacked:
        return unknown(frame, f"calls {given.callee} with a factory", given.all, given.node)
    copy = _Copy(frame, given, as_tuples=obj is dataclasses.astuple)
    return join(*(copy.of_whole(atom) for atom in given.positional[0]))


def _replaced(frame: Frame, given: Arguments) -> Value | None:
    """Make a new instance of the same class, by its own `__init__`, of the fields of another."""
    if len(given.positional) != 1 or given.unpacked or not given.positional[0]:
        return None
    if not all(_is_dataclass(atom) for atom in given.positional[0]):
        return None
    made = []
    for atom in given.positional[0]:
        assert isinstance(atom, (Live, Made, Object))
        taken = {
            field.name: load_attr(frame, atom, field.name, given.node)
            for field in dataclasses.fields(class_of(atom))
            if field.init and field.name not in given.named
        }
        filled = Arguments(given.node, (), {**taken, **given.named})
        made.append(frame.call(frozenset({Live(class_of(atom))}), filled))
    return join(*made)


def _is_dataclass(atom: Atom) -> bool:
    return isinstance(atom, (Live, Made, Object)) and dataclasses.is_dataclass(class_of(atom))


def named_tuple_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what `_replace` and `_asdict` of a named tuple give; None for any other method."""
    cls = class_of(atom)
    if name not in ("_replace", "_asdict") or not issubclass(cls, tuple):
        return None
    found, parts = find(cls, name), parts_by_name(frame, atom)
    if parts is None or found is None or is_users(found[1]) or given.unpacked or given.positional:
        return None
    kind = "object" if name == "_replace" else "dict"
    cell = frame.recorder.cells.setdefault((id(given.node), cls), Cell(kind))  # type: ignore[arg-type]
    for key, value in {**parts, **given.named}.items():
        frame.recorder.grown |= cell.put(key, value)
    return frozenset({Made(cls, cell) if name == "_replace" else cell})


@dataclasses.dataclass(frozen=True, slots=True)
class _Copy:
    """What `asdict` or `astuple` makes at one place."""

    frame: Frame
    given: Arguments
    as_tuples: bool

    def of_whole(self, atom: Atom) -> Value:
        """Return the copy of what is passed: an instance of a dataclass."""
        if isinstance(atom, State):
            for hint in self.frame.recorder.shape.hints.values():
                self._of(hint, 1)
            used = self.frame.use(frozenset({atom}), self.given.node)
            return fresh(deep=is_deep(used))
        return self._of_atom(atom, 0) if _is_dataclass(atom) else self._unknown(atom)

    def _unknown(self, atom: Atom) -> Value:
        what = f"calls {self.given.callee} on an object of unknown type"
        return unknown(self.frame, what, frozenset({atom}), self.given.node)

    def _of(self, value: Value, depth: int) -> Value:
        return join(*(self._of_atom(atom, depth) for atom in value))

    def _of_atom(self, atom: Atom, depth: int) -> Value:
        if isinstance(atom, Const):
            return frozenset({atom})
        if depth > _DEEPEST:
            return self._unknown(atom)
        if isinstance(atom, Cell) and atom.kind != "object" and not (atom.shared or atom.spread):
            return self._of_cell(atom, depth)
        if isinstance(atom, Data) and (atom.deep or atom.parts is not None):
            parts = None if atom.parts is None else self._of(atom.parts, depth + 1)
            own = not atom.scalar
            return frozenset({replace(atom, roots=frozenset(), own=own, parts=parts)})
        if isinstance(atom, Opaque) and atom.tame:
            self.frame.use(frozenset({atom}), self.given.node)
            return tame()
        if is_container(atom):
            items = held_items(self.frame, atom.obj, self.frame.where(self.given.node))
            return fresh() if is_deep(items) else self._unknown(atom)
        if isinstance(atom, (Live, Made, Object)):
            return self._of_instance(atom, depth)
        return self._unknown(atom)

    def _of_cell(self, cell: Cell, depth: int) -> Value:
        copy = self._cell(id(cell), cell.kind)
        cell.looked = True
        for key in cell.keys:
            self._put(copy, key, cell.at(key), depth)
        self.frame.recorder.grown |= copy.add(self._of(cell.rest, depth + 1))
        self.frame.recorder.grown |= copy.add_index(self._of(cell.index, depth + 1))
        if cell.open:
            self.frame.recorder.grown |= copy.add_keys()
        return frozenset({copy})

    def _of_instance(self, atom: Typed, depth: int) -> Value:
        node, cls = self.given.node, class_of(atom)
        if dataclasses.is_dataclass(cls):
            names = [field.name for field in dataclasses.fields(cls)]
            parts = {name: load_attr(self.frame, atom, name, node) for name in names}
            copy = self._cell(cls, "list" if self.as_tuples else "dict")
            for name, value in parts.items():
                if self.as_tuples:
                    self.frame.recorder.grown |= copy.add(self._of(value, depth + 1))
                else:
                    self._put(copy, name, value, depth)
            return frozenset({copy})
        named = parts_by_name(self.frame, atom) if is_named_tuple(cls) else None
        if named is None:
            return self._unknown(atom)
        copy = self._cell((cls, "copy"), "object")
        for name, value in named.items():
            self._put(copy, name, value, depth)
        return frozenset({Made(cls, copy)})

    def _cell(self, key: Any, kind: Any) -> Cell:
        cells = self.frame.recorder.cells
        return cells.setdefault((id(self.given.node), "copy", key), Cell(kind))

    def _put(self, copy: Cell, name: str, value: Value, depth: int) -> None:
        self.frame.recorder.grown |= copy.put(name, self._of(value, depth + 1))
