"""Abstract values: what a Python expression inside a node may evaluate to.

A value is a set of *atoms*, one for each thing it may be. Joining two flows is set union. `roots`
are the state keys whose value an atom may be, alias or contain; the marker `WORLD` among them
stands for objects outside the state (globals, closures, attributes of `self`), `GIVEN` for what the
graph's caller passed in.

Of an object three things may be known: which one it is (`Live`), that it was made in this call
(`Made`), or at least its class (`Object`). Of an `Opaque` one nothing is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from langgraph_parallel.effects import ALL, External, Keys, union

WORLD: Final = "\0world"
GIVEN: Final = "\0given"
"""Marks what the graph's caller passed in (`config`, `context`): data that outlives the node."""
_MOST_CONSTANTS: Final = 16


@dataclass(frozen=True, slots=True)
class State:
    """The state object that the node received."""


@dataclass(frozen=True, slots=True)
class Const:
    """A constant known at analysis time; the type keeps `1`, `1.0` and `True` apart."""

    value: Any
    kind: type


@dataclass(frozen=True, slots=True)
class Data:
    """Plain data: built-in containers, strings, numbers, messages."""

    roots: Keys = frozenset()
    own: bool = False
    """A container made in this call: changing its top level changes nothing else."""
    scalar: bool = False
    """Immutable and without parts: `str`, `int`, `float`, `bool`, `bytes`."""
    plain: bool = False
    """Certainly not an `Overwrite` in any of its spellings: a list, a message, a string."""
    deep: bool = True
    """All parts are plain data too."""
    parts: frozenset[Any] | None = None
    """What a part may be, where that is known of one that is not `deep`."""
    kind: type | None = None
    """The class of a library of which it is an immutable instance; None where it is another."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything else, of which only the possible aliases are known."""

    roots: Keys = frozenset()
    spent: bool = False
    """It may be an iterator, which iterating over it uses up."""
    tame: bool = False
    """Made by a library out of plain data: looking at it, or at its parts, runs nobody else's code
    and changes nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A live Python object found in a global, closure, default or attribute."""

    obj: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Live) and other.obj is self.obj

    def __hash__(self) -> int:
        return id(self.obj)


@dataclass(frozen=True, slots=True)
class Object:
    """An instance of a known class, of which it is not known which one it is."""

    cls: type
    roots: Keys = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An instance of a class of the user's that this call makes; `cell` holds its attributes."""

    cls: type
    cell: Cell

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Made) and other.cls is self.cls and other.cell is self.cell

    def __hash__(self) -> int:
        return hash((id(self.cls), id(self.cell)))


@dataclass(frozen=True, slots=True)
class Method:
    """A function or routine of a class, bound to a receiver that is no live object."""

    receiver: Made | Object
    function: Any


@dataclass(frozen=True, slots=True)
class Chain:
    """A LangChain runnable of known parts."""

    external: frozenset[External] = frozenset()
    """The contact that running it makes."""
    gives: frozenset[Any] = frozenset({Opaque()})
    """What running it gives, beside what it is given."""
    answers: tuple[tuple[str, frozenset[Any]], ...] = ()
    """What the dictionary holds, by key, that running it makes; empty when it is no dictionary."""
    steps: tuple[frozenset[Any], ...] | None = None
    """What it runs, one after the other, each being any of some things; None for a runnable that is
    known by what it gives."""
    way: Literal["pipe", "assign", "any", "each"] = "pipe"
    """How it runs them: in a row; adding what the first one gives to what it is given; some of
    them; the first one on each element."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of the state, taken without calling it (`g = state.get`)."""

    method: str


@dataclass(frozen=True, slots=True)
class Injected:
    """A parameter that LangGraph fills in: `config`, `runtime`, `store` or `writer`."""

    name: str


@dataclass(eq=False, slots=True)
class Cell:
    """A container or object built in this call; its content only grows during the analysis."""

    kind: Literal["dict", "list", "object"] = "dict"
    values: dict[str, Value] = field(default_factory=dict)
    """What stands at each known key or attribute."""
    rest: Value = frozenset()
    """What stands at other keys; all elements of a list, tuple or set."""
    index: Value = frozenset()
    """What keys of a dictionary may be that are not among those of `values`."""
    folds: dict[str, bool] = field(default_factory=dict)
    """For each key, whether every value put there is certainly not an `Overwrite`."""
    own: dict[str, bool] = field(default_factory=dict)
    """For each key, whether what stands there is certainly the state's own value of that key."""
    unset: dict[str, bool] = field(default_factory=dict)
    """For each key, whether nothing but the default None of a field ever stood there."""
    open: bool = False
    """True when others may have changed it, or keys were added that are not known."""
    shared: bool = False
    """True when others may have changed it: then it may hold anything."""
    spent: bool = False
    """True for an iterator, which iterating over it uses up."""
    spread: bool = False
    """True when it began as a copy of the whole state: every other key holds the state's value."""
    roots: Keys = frozenset()
    looked: bool = False
    """True once something was concluded from what it holds: if it grows, that is to be redone."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys that were certainly or possibly put."""
        return frozenset(self.values)

    def put(self, key: str, value: Value, *, own: bool = False, unset: bool = False) -> bool:
        """Record that `value` may stand at `key`; return whether a conclusion is out of date."""
        old = self.values.get(key)
        new = value if old is None else join(old, value)
        self.values[key] = new
        self.folds[key] = self.folds.get(key, True) and is_plain(value)
        self.own[key] = self.own.get(key, True) and own
        self.unset[key] = self.unset.get(key, True) and unset
        self.roots = union(self.roots, roots_of(value))
        return self.looked and new != old

    def add(self, value: Value) -> bool:
        """Record that `value` may stand at an unknown key; return as `put` does."""
        new = join(self.rest, value)
        is_new = new != self.rest
        self.rest = new
        self.roots = union(self.roots, roots_of(value))
        return self.looked and is_new

    def add_index(self, key: Value) -> bool:
        """Record what an unknown key may be; return as `put` does."""
        new = join(self.index, key)
        is_new = new != self.index
        self.index = new
        self.roots = union(self.roots, roots_of(key))
        return self.looked and is_new

    def loosen(self) -> bool:
        """Record that others may change it; return as `put` does."""
        was_open, self.open = self.open and self.shared, True
        self.shared = True
        return self.looked and not was_open

    def add_keys(self) -> bool:
        """Record that what was put into it stands at keys that are not known; as `put`."""
        was_open, self.open = self.open, True
        return self.looked and not was_open

    def copy_state(self) -> bool:
        """Record that it began as a copy of the whole state; return as `put` does."""
        was_spread, self.spread = self.spread, True
        return self.looked and not was_spread

    def at(self, key: str) -> Value:
        """Return what may stand at one key, as far as it is known."""
        self.looked = True
        return join(self.values.get(key, NOTHING), self.rest)

    def merge(self, other: Cell) -> bool:
        """Record that every entry of `other` may have been copied into this one."""
        grown = False
        other.looked = True
        for key, value in list(other.values.items()):
            grown |= self.put(key, value)
        for key, plain in other.folds.items():
            self.folds[key] = self.folds.get(key, True) and plain
        grown |= self.add(other.rest)
        grown |= self.add_index(other.index)
        opens = (other.open and not self.open) or (other.spread and not self.spread)
        grown |= self.looked and opens
        grown |= self.looked and other.shared and not self.shared
        self.open = self.open or other.open
        self.shared = self.shared or other.shared
        self.spread = self.spread or other.spread
        self.roots = union(self.roots, other.roots)
        return grown

    def everything(self) -> Value:
        """Return what any element may be, as far as it is known."""
        self.looked = True
        return join(self.rest, *self.values.values())


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """A `Command` built in this call."""

    update: Value
    goto: Value
    elsewhere: bool
    """True when it addresses another graph or resumes something."""


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A function or lambda defined inside the node."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    defaults: dict[str, Value]
    home: Any
    """The frame of the function that defines it."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Closure)
            and other.node is self.node
            and other.home is self.home
            and other.defaults == self.defaults
        )

    def __hash__(self) -> int:
        return hash((id(self.node), id(self.home)))


_Found: TypeAlias = State | Live | Object | Bound | Injected
_Built: TypeAlias = Made | Method | Chain | Cell | Routed | Closure
Atom: TypeAlias = Const | Data | Opaque | _Found | _Built
Value: TypeAlias = frozenset[Atom]

NOTHING: Final[frozenset[Any]] = frozenset()
NONE: Final[Value] = frozenset({Const(None, type(None))})
STATE: Final[Value] = frozenset({State()})
SCALAR: Final[Value] = frozenset({Data(scalar=True, plain=True)})
MESSAGE: Final[Value] = frozenset({Data(plain=True)})
_MERGED: Final = frozenset({Data, Opaque, Object})
"""Kinds of atoms of which a value holds one, but for objects of several classes."""
_OVERWRITE_KEYS: Final = frozenset({"__overwrite__", "type"})


def const(value: Any) -> Value:
    """Return the value of one known constant."""
    return frozenset({Const(value, type(value))})


def data(roots: Keys = frozenset()) -> Value:
    """Return built-in data that may alias `roots`."""
    return frozenset({Data(roots)})


def fresh(roots: Keys = frozenset(), *, plain: bool = False, deep: bool = True) -> Value:
    """Return a container made in this call, whose elements may alias `roots`."""
    return frozenset({Data(roots, own=True, plain=plain, deep=deep)})


def opaque(roots: Keys = frozenset()) -> Value:
    """Return something unknown that may alias `roots`."""
    return frozenset({Opaque(roots)})


def tame(roots: Keys = frozenset()) -> Value:
    """Return something that a library has made out of plain data."""
    return frozenset({Opaque(roots, tame=True)})


def join(*values: Value) -> Value:
    """Return what may be any of `values`, with like atoms merged so that the set stays small."""
    atoms: frozenset[Any] = frozenset().union(*values)
    if len(atoms) < 2 or _is_small(atoms):
        return atoms
    data_atoms = [a for a in atoms if isinstance(a, Data)]
    opaque_atoms = [a for a in atoms if isinstance(a, Opaque)]
    constants = [a for a in atoms if isinstance(a, Const)]
    if len(constants) > _MOST_CONSTANTS:
        data_atoms.append(Data(scalar=True, plain=True))
        atoms = atoms.difference(constants)
    if len(data_atoms) > 1:
        merged = Data(
            _union_all(a.roots for a in data_atoms),
            all(a.own or a.scalar for a in data_atoms),
            all(a.scalar for a in data_atoms),
            all(a.plain for a in data_atoms),
            all(a.deep for a in data_atoms),
            _joined_parts(data_atoms),
            data_atoms[0].kind if len({a.kind for a in data_atoms}) == 1 else None,
        )
        atoms = atoms.difference(data_atoms) | {merged}
    elif data_atoms:
        atoms |= {data_atoms[0]}
    if len(opaque_atoms) > 1:
        merged_opaque = Opaque(
            _union_all(a.roots for a in opaque_atoms),
            any(a.spent for a in opaque_atoms),
            all(a.tame for a in opaque_atoms),
        )
        atoms = atoms.difference(opaque_atoms) | {merged_opaque}
    return _one_object_a_class(atoms)


def _is_small(atoms: frozenset[Any]) -> bool:
    """Tell whether nothing among a few atoms is to be merged; most of what is joined is so."""
    seen: set[type] = set()
    for atom in atoms:
        kind = type(atom)
        if kind in _MERGED:
            if kind in seen:
                return False
            seen.add(kind)
    return len(atoms) <= _MOST_CONSTANTS


def _joined_parts(atoms: list[Data]) -> Value | None:
    """Return what a part of any of `atoms` may be; None where one of them may hold anything."""
    if all(a.deep for a in atoms) or any(a.parts is None and not a.deep for a in atoms):
        return None
    deep = [data(a.roots) for a in atoms if a.deep and not a.scalar]
    return join(*(a.parts for a in atoms if a.parts is not None), *deep)


def _one_object_a_class(atoms: frozenset[Any]) -> Value:
    objects: dict[type, Keys] = {}
    mine = [a for a in atoms if isinstance(a, Object)]
    if len(mine) < 2:
        return atoms
    for atom in mine:
        objects[atom.cls] = union(objects.get(atom.cls, frozenset()), atom.roots)
    return atoms.difference(mine) | {Object(cls, roots) for cls, roots in objects.items()}


def roots_of(value: Value) -> Keys:
    """Return the state keys (and `WORLD`) that `value` may alias or contain."""
    return _union_all(_atom_roots(atom) for atom in value)


def is_plain(value: Value) -> bool:
    """Tell whether `value` is certainly no `Overwrite`, in any of its spellings."""
    return all(_is_plain(atom) for atom in value)


def _is_plain(atom: Atom) -> bool:
    if isinstance(atom, Const):
        return True
    if isinstance(atom, Cell):
        atom.looked = True
        if atom.kind == "list":
            return True
        known = not atom.open and not atom.spread and not atom.rest
        return known and _OVERWRITE_KEYS.isdisjoint(atom.values)
    return isinstance(atom, Data) and atom.plain


def _atom_roots(atom: Atom) -> Keys:
    if isinstance(atom, Cell):
        atom.looked = True
        return ALL if atom.spread else atom.roots
    if isinstance(atom, (Data, Opaque, Object)):
        return atom.roots
    if isinstance(atom, Made):
        atom.cell.looked = True
        return atom.cell.roots
    if isinstance(atom, Method):
        return _atom_roots(atom.receiver)
    if isinstance(atom, Chain):
        return _union_all(roots_of(step) for step in atom.steps or ())
    if isinstance(atom, (State, Bound, Injected, Closure)):
        return ALL
    if isinstance(atom, Live):
        return frozenset({WORLD})
    if isinstance(atom, Routed):
        return union(roots_of(atom.update), roots_of(atom.goto))
    return frozenset()


def _union_all(roots: Iterable[Keys]) -> Keys:
    total: Keys = frozenset()
    for keys in roots:
        total = union(total, keys)
    return total
