"""The machine of the abstract interpreter: what has been seen, and one function's variables.

`Recorder` collects the effects of a whole node; every method only ever widens them. `Frame` holds
the variables of one function activation. The rules for expressions and statements register in the
two tables at the bottom and see nothing but a frame.
"""

from __future__ import annotations

import ast
import builtins
import collections
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from langgraph_parallel.effects import ALL, Control, Evidence, External, Keys, union
from langgraph_parallel.inference.annotations import value_of_annotation
from langgraph_parallel.inference.datamodel import is_constant
from langgraph_parallel.inference.memory import Content, Memory
from langgraph_parallel.inference.source import Source
from langgraph_parallel.inference.values import (
    GIVEN,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Cell,
    Closure,
    Const,
    Data,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    Routed,
    State,
    Value,
    const,
    data,
    is_deep,
    is_scalar,
    join,
    opaque,
    rooted,
    roots_of,
)
from langgraph_parallel.locations import ANY_ITEM, Location

_BUDGET: Final = 40_000
"""Syntax nodes visited for one node function; beyond, the answer is TOP. A node function of 500
lines with its helpers takes about 10,000."""
_DEEPEST_CALL: Final = 12
Env: TypeAlias = dict[str, Value]


class GiveUpError(Exception):
    """Raised inside the interpreter when only TOP is a sound answer; never leaves the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The state type of one node, as far as reading it goes."""

    keys: frozenset[str]
    """Keys that the node receives (its input schema)."""
    hints: Mapping[str, Value] = field(default_factory=dict)
    """For each key, the abstract value that its annotation promises."""
    attributes: bool = False
    """True for pydantic and dataclass states, which are read as `state.key`."""
    plain: frozenset[str] | None = None
    """Keys whose channel keeps the last value: writing it back changes nothing. None: not known."""
    own_code: frozenset[str] = frozenset()
    """Names that the state's class defines beside its fields: methods, properties, operators."""


@dataclass(slots=True)
class Recorder:
    """The effects of one node, as found so far."""

    shape: Shape
    memory: Memory = field(default_factory=Memory)
    reads: Keys = frozenset()
    mutates: Keys = frozenset()
    looks_at: set[Location] = field(default_factory=set)
    changes: set[Location] = field(default_factory=set)
    external: set[External] = field(default_factory=set)
    control: set[Control] = field(default_factory=set)
    goto: Keys = frozenset()
    evidence: dict[str, Evidence] = field(default_factory=dict)
    leaked: Keys = frozenset()
    """State keys whose value was put into some container; any part of any container may be it."""
    leaked_opaque: bool = False
    """True once something that is not plain data was put into some container."""
    overlay: Keys = frozenset()
    """State keys whose value was stored under another key of the node's own copy of the state."""
    trusts_calls: bool = False
    """True when the user says that unknown calls have no effect that another node could notice."""
    resources: frozenset[str] = frozenset()
    """Resources that declared helpers use."""
    stored: Keys = frozenset()
    """Keys that the node stored into its own copy of the state."""
    budget: int = _BUDGET
    cells: dict[Any, Cell] = field(default_factory=dict)
    """One container per place in the source, so that loops reach a fixed point."""
    grown: bool = False
    """True once a container has got something that it did not hold when it was last looked into."""
    late: dict[Closure, Value] = field(default_factory=dict)
    """Inner functions that others may call later, and what they may be called with."""
    generators: list[tuple[Frame, ast.GeneratorExp]] = field(default_factory=list)
    """Generator expressions: they run when they are consumed, not where they stand."""
    raised: Value = NOTHING
    """The exceptions that the code makes and raises; a handler may catch any of them."""
    trail: list[Any] = field(default_factory=list)
    """Helpers being followed: a recursive call is not followed again."""
    promises: dict[int, Value] = field(default_factory=dict)
    """What the annotation of a name or attribute promises of the parts of the container in it."""
    names: dict[int, str] = field(default_factory=dict)
    """What the code calls live objects, by their identity; for reports."""

    def note(self, what: str, where: str, effect: str = "") -> None:
        """Keep the first evidence of each kind."""
        self.evidence.setdefault(what, Evidence(what=what, where=where, effect=effect))

    def read(self, key: str, where: str) -> Value:
        """Record a read of one state key and return what it gives."""
        if key not in self.shape.keys:
            return opaque(self.overlay)
        self.reads = union(self.reads, frozenset({key}))
        self.note(f"reads {key!r}", where)
        promised = self.shape.hints.get(key, opaque(frozenset({key})))
        return join(promised, opaque(self.overlay)) if self.overlay else promised

    def read_all(self, why: str, where: str) -> None:
        """Record that every key may be read."""
        if self.reads is not ALL:
            self.note(f"reads the whole state: {why}", where)
        self.reads = ALL

    def mutate(
        self,
        roots: Keys,
        what: str,
        where: str,
        value: Value = NOTHING,
        place: Location = ANY_ITEM,
    ) -> None:
        """Record that an object that may be any of `roots` is changed in place.

        Args:
            roots: What the object may be.
            what: How it is changed.
            where: `file:line`.
            value: What may be put into it.
            place: Which part of it, should it be an object outside the state.
        """
        if not roots:
            return
        if roots is ALL or roots & {WORLD, GIVEN}:
            self.change(place, where, value)
        self.mutates = ALL if roots is ALL else union(self.mutates, roots - {WORLD, GIVEN})
        if self.mutates:
            self.note(f"changes a state value in place: {what}", where, "mutates")

    def look(self, place: Location, where: str) -> Content:
        """Record a look at a place outside the state; return what may be taken for granted."""
        content = self.memory.content(place)
        # Nobody assigns most names: only those that some node does assign are places.
        counts = place.kind != "name" or content != "seen"
        if counts and place not in self.looks_at:
            self.looks_at.add(place)
            self.note(f"looks at {place}", where, "looks")
        return content

    def change(self, place: Location, where: str, value: Value = NOTHING) -> None:
        """Record that a place outside the state may be changed, and what may be put there."""
        self.changes.add(place)
        self.note(f"changes {place}", where, "changes")
        self.memory.store(place, content_of(value))

    def contact(self, kind: External, what: str, where: str) -> None:
        """Record contact with the world outside."""
        self.external.add(kind)
        self.note(what, where, kind)

    def leave(self, kind: Control, what: str, where: str, goto: Keys = frozenset()) -> None:
        """Record a way to leave the straight line."""
        self.control.add(kind)
        self.goto = union(self.goto, goto)
        self.note(what, where, kind)

    def call_later(self, closure: Closure, arguments: Value) -> None:
        """Record that someone may call an inner function with `arguments`."""
        self.late[closure] = join(self.late.get(closure, NOTHING), arguments)

    def spend(self) -> None:
        """Count one visited syntax node."""
        self.budget -= 1
        if self.budget < 0:
            msg = "the code is too large to analyze"
            raise GiveUpError(msg)

    @property
    def settled_by(self) -> tuple[Any, ...]:
        """What a pass over the node must leave as it was, or another pass is needed."""
        return (self.leaked, self.leaked_opaque, self.overlay, self.stored)


def content_of(value: Value) -> Content:
    """Return what a place holds into which `value` may be put."""
    if is_scalar(value):
        return "scalar"
    tame = all(isinstance(atom, Opaque) and atom.tame for atom in value)
    return "data" if tame or is_deep(value) else "unknown"


@dataclass(frozen=True, slots=True)
class Arguments:
    """The evaluated arguments of one call."""

    node: ast.AST
    """The place of the call."""
    positional: tuple[Value, ...] = ()
    named: Mapping[str, Value] = field(default_factory=dict)
    unpacked: Value = NOTHING
    """What `*args` and `**kwargs` may hold, together."""

    @property
    def callee(self) -> str:
        """How a report calls what is called."""
        node = self.node
        return f"{ast.unparse(node.func)}()" if isinstance(node, ast.Call) else "a function"

    @property
    def all(self) -> Value:
        """Everything that is passed."""
        return join(*self.positional, *self.named.values(), self.unpacked)


@dataclass(slots=True, kw_only=True)
class Frame:
    """The variables and open control structures of one function activation."""

    recorder: Recorder
    source: Source
    namespace: Mapping[str, Any]
    """Live globals of the function."""
    cells: Mapping[str, Any]
    """Live closure variables of the function, by name: the cells that hold them."""
    parent: Frame | None = None
    """The frame of the enclosing function, for functions defined inside the node."""
    env: Env | None = field(default_factory=dict)
    """Variables now; None where the flow cannot arrive."""
    local_names: frozenset[str] = frozenset()
    outer_names: frozenset[str] = frozenset()
    """Names that the function declares `global` or `nonlocal`."""
    returns: list[Value] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)
    loops: list[list[Env]] = field(default_factory=list)
    """For each open loop, the variables at every `break` and `continue`."""
    snapshots: list[list[Env]] = field(default_factory=list)
    """For each open `try` or `with`, the variables at every point that may raise."""
    weak: int = 0
    """Above zero an assignment adds to what a variable may be instead of replacing it."""
    history: Env = field(default_factory=dict)
    """Everything each variable was ever bound to, for functions that run later."""
    depth: int = 0

    def where(self, node: ast.AST) -> str:
        """Return `file:line` of a syntax node."""
        return self.source.where(node)

    def evaluate(self, node: ast.expr | None) -> Value:
        """Return what an expression may be, recording its effects."""
        if node is None:
            return NONE
        self.recorder.spend()
        rule = EXPRESSIONS.get(type(node))
        if rule is None:
            msg = f"{type(node).__name__} is not understood"
            raise GiveUpError(msg)
        return rule(self, node)

    def call(self, callee: Value, given: Arguments) -> Value:
        """Return what calling a value may give, recording its effects."""
        return join(*(CALLS.get(type(atom), call_unknown)(self, atom, given) for atom in callee))

    def use(self, value: Value, node: ast.AST) -> Value:
        """Let something look at all of a value: print it, compare it, hand it to a library.

        Returns:
            The value as data that aliases the same state keys.
        """
        return NOTHING.union(*(self._use(atom, node) for atom in value))

    def _use(self, atom: Atom, node: ast.AST) -> Value:
        rule = USES.get(type(atom))
        return frozenset({atom}) if rule is None else rule(self, atom, node)

    def run(self, body: list[ast.stmt]) -> None:
        """Run statements in order, as long as the flow arrives."""
        for statement in body:
            if self.env is None:
                return
            self.recorder.spend()
            rule = STATEMENTS.get(type(statement))
            if rule is None:
                msg = f"{type(statement).__name__} is not understood"
                raise GiveUpError(msg)
            self.remember()
            rule(self, statement)
            self.remember()

    def lookup(self, name: str, node: ast.AST | None = None) -> Value:
        """Return what a name means, by Python's own scoping."""
        if self.env is not None and name in self.env:
            return self.env[name]
        if name in self.local_names:
            # Bound on a path that the rules did not see; at run time often an error.
            self.recorder.read_all(f"{name!r} may be unbound", self.where(self.source.node))
            return opaque(ALL)
        if self.parent is not None and (name not in self.outer_names or self.parent.binds(name)):
            return self.parent.lookup_late(name, node)
        return self.outer(name, node)

    def outer(self, name: str, node: ast.AST | None = None) -> Value:
        """Return what a captured, global or built-in name means."""
        where = self.where(node or self.source.node)
        if name in self.cells:
            cell = self.cells[name]
            place = Location(cell, None, name, "name")
            try:
                return self.held(place, cell.cell_contents, where)
            except ValueError:  # not filled yet
                self.recorder.look(place, where)
                return opaque(frozenset({WORLD}))
        if name in self.namespace:
            place = Location(self.namespace, name, name, "name")
            self.promise(self.namespace[name], self.namespace.get("__annotations__"), name)
            return self.held(place, self.namespace[name], where)
        if hasattr(builtins, name):
            return self.live(getattr(builtins, name))
        self.recorder.look(Location(self.namespace, name, name, "name"), where)
        return opaque(frozenset({WORLD}))

    def held(self, place: Location, obj: Any, where: str) -> Value:
        """Return what a place holds in which `obj` was seen."""
        if place.kind == "name" and not is_constant(obj):
            self.recorder.names.setdefault(id(obj), str(place))
        return self.as_content(self.recorder.look(place, where), self.live(obj))

    def promise(self, obj: Any, annotations: Any, name: str) -> None:
        """Remember what an annotation promises of the parts of a container that is empty now."""
        if type(obj) not in (dict, list, set, collections.deque) or obj:
            return
        hint = annotations.get(name) if isinstance(annotations, Mapping) else None
        if hint is not None and not isinstance(hint, str):
            parts = join(
                *(self.part_of(frozenset({a})) for a in value_of_annotation(hint, frozenset()))
            )
            self.recorder.promises[id(obj)] = parts

    def as_content(self, content: Content, seen: Value) -> Value:
        """Return `seen`, or what nodes may have put in its place."""
        if content == "seen":
            return seen
        if content == "scalar" and is_scalar(seen):
            return SCALAR
        if content != "unknown" and is_deep(seen):
            return data(frozenset({WORLD}))
        if content == "scalar":
            return join(seen, SCALAR)
        return (
            join(seen, data(frozenset({WORLD})))
            if content == "data"
            else opaque(frozenset({WORLD}))
        )

    def place_of_name(self, name: str) -> Location:
        """Return where a name lives that is declared `global` or `nonlocal`."""
        if name in self.cells:
            return Location(self.cells[name], None, name, "name")
        return Location(self.namespace, name, name, "name")

    def binds(self, name: str) -> bool:
        """Tell whether a name is a variable of this function or of one around it in the node."""
        if name in self.local_names or name in self.history:
            return True
        return self.parent is not None and self.parent.binds(name)

    def knows(self, name: str) -> bool:
        """Tell whether a name means anything now."""
        if name in (self.env or {}) or name in self.cells or name in self.namespace:
            return True
        if self.parent is not None and (name in self.parent.history or self.parent.knows(name)):
            return True
        return hasattr(builtins, name)

    def lookup_late(self, name: str, node: ast.AST | None = None) -> Value:
        """Return what a captured name may mean whenever the inner function runs."""
        return self.history[name] if name in self.history else self.lookup(name, node)

    def live(self, obj: Any) -> Value:
        """Return the value of a live Python object."""
        return const(obj) if is_constant(obj) else frozenset({Live(obj)})

    def bind(self, name: str, value: Value) -> None:
        """Assign a variable."""
        if self.env is None:
            return
        if name in self.outer_names:
            self._bind_outer(name, value)
            return
        old = self.env.get(name, NOTHING) if self.weak else NOTHING
        self.env[name] = join(old, value)
        self.history[name] = join(self.history.get(name, NOTHING), value)

    def _bind_outer(self, name: str, value: Value) -> None:
        """Assign a name that is declared `global` or `nonlocal`."""
        if self.parent is not None and self.parent.binds(name):
            home = self.parent
            while name not in home.local_names and home.parent is not None:
                home = home.parent
            home.history[name] = join(home.history.get(name, NOTHING), value)
            if home.env is not None:
                home.env[name] = join(home.env.get(name, NOTHING), value)
            self.recorder.grown = self.recorder.grown or home.history[name] != value
            return
        where = self.where(self.source.node)
        self.escape(value, f"kept in {name!r}", where)
        self.recorder.change(self.place_of_name(name), where, value)

    def part_of(self, value: Value) -> Value:
        """Return what an element of `value` may be."""
        roots = union(roots_of(value), self.recorder.leaked)
        if all(isinstance(a, Opaque) and a.tame for a in value):
            return frozenset({Opaque(roots_of(value), tame=True)})
        if self.recorder.leaked_opaque:
            return opaque(roots)
        if all(not isinstance(a, Data) or a.parts is None for a in value) and is_deep(value):
            return data(roots)
        parts = [_known_parts(atom) for atom in value]
        if any(part is None for part in parts):
            return opaque(roots)
        return rooted(join(*(part for part in parts if part is not None)), roots)

    def leak(self, value: Value) -> None:
        """Record that `value` was put into a container of which nothing else is known."""
        self.recorder.leaked = union(self.recorder.leaked, roots_of(value))
        self.recorder.leaked_opaque = self.recorder.leaked_opaque or not is_deep(value)

    def escape(self, value: Value, why: str, where: str) -> Keys:
        """Give up following `value`; return what may be reached through it."""
        pending, seen = list(value), set()
        while pending:
            atom = pending.pop()
            if id(atom) in seen:
                continue
            seen.add(id(atom))
            if isinstance(atom, State):
                self.recorder.read_all(why, where)
            elif isinstance(atom, (Cell, Made)):
                cell = atom if isinstance(atom, Cell) else atom.cell
                self.recorder.grown |= cell.loosen()
                if cell.spread:
                    self.recorder.read_all(why, where)
                pending.extend(cell.everything())
            elif isinstance(atom, Method):
                pending.append(atom.receiver)
            elif isinstance(atom, Closure):
                self.recorder.call_later(atom, opaque(ALL))
            elif isinstance(atom, Routed):
                pending.extend(join(atom.update, atom.goto))
            elif not isinstance(atom, (Const, Data, Opaque, Live, Object)):
                self.recorder.read_all(why, where)
        return roots_of(value)

    def remember(self) -> None:
        """Keep the variables for the handlers of every open `try` and `with`."""
        if self.env is not None:
            for snapshot in self.snapshots:
                snapshot.append(dict(self.env))

    def check_depth(self) -> None:
        """Refuse call chains that are too deep to be worth following."""
        if self.depth > _DEEPEST_CALL:
            msg = "calls are nested too deeply to follow"
            raise GiveUpError(msg)


def join_envs(*envs: Env | None) -> Env | None:
    """Return the variables after flows meet; None when no flow arrives."""
    arriving = [env for env in envs if env is not None]
    if not arriving:
        return None
    names = frozenset().union(*arriving)
    return {name: join(*(env.get(name, NOTHING) for env in arriving)) for name in names}


def _known_parts(atom: Any) -> Value | None:
    """Return what a part of something may be, as far as it is known; None when it is not."""
    if isinstance(atom, Data) and atom.deep:
        return data(atom.roots)
    if isinstance(atom, Const):
        return SCALAR
    return atom.parts if isinstance(atom, Data) else None


def unknown(frame: Frame, what: str, involved: Value, node: ast.AST) -> Value:
    """Do something of which nothing is known to everything that `involved` may be.

    Args:
        frame: Where it is done.
        what: What is done, as a report says it: `calls f()`, `runs the operator <<`.
        involved: Whatever it may look at and change.
        node: The place.
    """
    where = frame.where(node)
    recorder = frame.recorder
    reached = union(frame.escape(involved, what, where), recorder.leaked)
    recorder.contact("unknown", f"{what}, which is not known", where)
    if not recorder.trusts_calls:
        recorder.mutates = (
            ALL if reached is ALL else union(recorder.mutates, reached - {WORLD, GIVEN})
        )
    return opaque(union(reached, frozenset({WORLD})))


def call_unknown(frame: Frame, atom: Atom, given: Arguments) -> Value:
    """Call something of which nothing is known."""
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls {given.callee}", involved, given.node)


_Rule = TypeVar("_Rule", bound=Callable[..., Any])

EXPRESSIONS: dict[type[ast.expr], Callable[[Frame, Any], Value]] = {}
"""The rule for each kind of expression."""
STATEMENTS: dict[type[ast.stmt], Callable[[Frame, Any], None]] = {}
"""The rule for each kind of statement."""
CALLS: dict[type[Atom], Callable[[Frame, Any, Arguments], Value]] = {}
"""The rule for calling each kind of atom; without one, nothing is known of the call."""
USES: dict[type[Atom], Callable[[Frame, Any, ast.AST], Value]] = {}
"""The rule for looking at all of each kind of atom; without one, there is nothing to look at."""


def expression(*kinds: type[ast.expr]) -> Callable[[_Rule], _Rule]:
    """Register the rule for some kinds of expression."""
    return _registering(EXPRESSIONS, kinds)


def statement(*kinds: type[ast.stmt]) -> Callable[[_Rule], _Rule]:
    """Register the rule for some kinds of statement."""
    return _registering(STATEMENTS, kinds)


def called(*kinds: type[Atom]) -> Callable[[_Rule], _Rule]:
    """Register the rule for calling some kinds of atom."""
    return _registering(CALLS, kinds)


def used(*kinds: type[Atom]) -> Callable[[_Rule], _Rule]:
    """Register the rule for looking at all of some kinds of atom."""
    return _registering(USES, kinds)


def _registering(table: dict[Any, Any], kinds: tuple[type, ...]) -> Callable[[_Rule], _Rule]:
    def register(rule: _Rule) -> _Rule:
        table.update(dict.fromkeys(kinds, rule))
        return rule

    return register
