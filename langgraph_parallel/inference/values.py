"""Abstract values: what a Python expression inside a node may evaluate to.

A value is a set of *atoms*, one for each thing it may be. Joining two flows is set union. `roots`
are the state keys whose value an atom may be, alias or contain; the marker `WORLD` among them
stands for live objects outside the state (globals, closures, attributes of `self`), `GIVEN` for
what the graph's caller passed in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from langgraph_parallel.effects import ALL, External, Keys, union

Yields: TypeAlias = Literal["message", "text", "opaque", "response", "data"]
"""What a runnable gives: a chat message, a string, or anything."""

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


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything else, of which only the possible aliases are known."""

    roots: Keys = frozenset()
    spent: bool = False
    """It may be an iterator, which iterating over it uses up."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A live Python object found in a global, closure, default or attribute."""

    obj: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Live) and other.obj is self.obj

    def __hash__(self) -> int:
        return id(self.obj)


@dataclass(frozen=True, slots=True)
class Chain:
    """A LangChain runnable of known parts; an HTTP client, or its response (`http_clients`)."""

    external: frozenset[External] = frozenset()
    """The contact that running it makes."""
    yields: Yields = "opaque"
    """What running it gives."""


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
    """A dictionary built in this call; its keys only ever grow during the analysis."""

    keys: set[str] = field(default_factory=set)
    folds: dict[str, bool] = field(default_factory=dict)
    """For each key, whether every value put there is certainly not an `Overwrite`."""
    open: bool = False
    """True when keys were added that are not known."""
    spread: bool = False
    """True when it began as a copy of the whole state: every other key holds the state's value."""
    roots: Keys = frozenset()

    def put(self, key: str, value: Value) -> None:
        """Record that `value` may stand at `key`."""
        self.keys.add(key)
        self.folds[key] = self.folds.get(key, True) and is_plain(value)
        self.roots = union(self.roots, roots_of(value))

    def merge(self, other: Cell) -> None:
        """Record that every entry of `other` may have been copied into this one."""
        self.keys |= other.keys
        for key, plain in other.folds.items():
            self.folds[key] = self.folds.get(key, True) and plain
        self.open = self.open or other.open
        self.spread = self.spread or other.spread
        self.roots = union(self.roots, other.roots)


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


Atom: TypeAlias = (
    State | Const | Data | Opaque | Live | Chain | Bound | Injected | Cell | Routed | Closure
)
Value: TypeAlias = frozenset[Atom]

NOTHING: Final[Value] = frozenset()
STATE: Final[Value] = frozenset({State()})
SCALAR: Final[Value] = frozenset({Data(scalar=True, plain=True)})
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


def join(*values: Value) -> Value:
    """Return what may be any of `values`, with like atoms merged so that the set stays small."""
    atoms = frozenset().union(*values)
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
        )
        atoms = atoms.difference(data_atoms) | {merged}
    elif data_atoms:
        atoms |= {data_atoms[0]}
    if len(opaque_atoms) > 1:
        merged_opaque = Opaque(
            _union_all(a.roots for a in opaque_atoms), any(a.spent for a in opaque_atoms)
        )
        atoms = atoms.difference(opaque_atoms) | {merged_opaque}
    return atoms


def roots_of(value: Value) -> Keys:
    """Return the state keys (and `WORLD`) that `value` may alias or contain."""
    return _union_all(_atom_roots(atom) for atom in value)


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


def is_deep(value: Value) -> bool:
    """Tell whether `value` is certainly built-in data through and through."""
    return all(isinstance(a, Const) or (isinstance(a, Data) and a.deep) for a in value)


def is_plain(value: Value) -> bool:
    """Tell whether `value` is certainly no `Overwrite`, in any of its spellings."""
    return all(_is_plain(atom) for atom in value)


def _is_plain(atom: Atom) -> bool:
    if isinstance(atom, Const):
        return True
    if isinstance(atom, Cell):
        return not atom.open and not atom.spread and _OVERWRITE_KEYS.isdisjoint(atom.keys)
    return isinstance(atom, Data) and atom.plain


def _atom_roots(atom: Atom) -> Keys:
    if isinstance(atom, Cell):
        return ALL if atom.spread else atom.roots
    if isinstance(atom, (Data, Opaque)):
        return atom.roots
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
