"""The machine of the interpreter: from syntax, by the rules in four tables, to abstract values.

`Frame` holds the variables of one function activation. The rules for expressions, statements, calls
and looking at all of something register in the tables at the bottom and see nothing but a frame.
"""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar, get_args

from langchain_core.runnables import Runnable

from langgraph_parallel.effects import ALL, Keys, union
from langgraph_parallel.inference.code.datamodel import is_constant
from langgraph_parallel.inference.code.families import (
    family_of,
)
from langgraph_parallel.inference.code.source import Source
from langgraph_parallel.inference.machine.acting import acts
from langgraph_parallel.inference.machine.annotations import value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep, is_scalar, rooted
from langgraph_parallel.inference.machine.memory import Content
from langgraph_parallel.inference.machine.recorder import GiveUpError, Recorder
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Cell,
    Chain,
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
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.machine.watch import PLACE, asks_its_place
from langgraph_parallel.locations import Location

_DEEPEST_CALL: Final = 12
_UNWATCHED: Final = contextlib.nullcontext()

Env: TypeAlias = dict[str, Value]


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
    filled: dict[str, Value] = field(default_factory=dict)
    """What stands in places that this activation has made sure are filled, by their spelling."""
    done: set[int] = field(default_factory=set)
    """Ids of statements that were run out of their turn."""
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
        if self.recorder.watch is not None:
            for atom in callee:
                if isinstance(atom, Live) and asks_its_place(atom.obj):
                    what = f"asks {given.callee}, which is another one elsewhere"
                    self.recorder.note(what, self.where(given.node), PLACE)
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
            if id(statement) in self.done:
                continue
            rule = STATEMENTS.get(type(statement))
            if rule is None:
                msg = f"{type(statement).__name__} is not understood"
                raise GiveUpError(msg)
            self.remember()
            with self.watched(statement):
                rule(self, statement)
            self.remember()

    def watched(
        self, node: ast.AST, receiver: Value = NOTHING
    ) -> contextlib.AbstractContextManager[None]:
        """Let a watch, if there is one, see what happens inside as what `node` does.

        Args:
            node: A part of the code.
            receiver: What a method is called on, if it is a call of one.
        """
        watch = self.recorder.watch
        if watch is None:
            return _UNWATCHED
        serves = bool(receiver) and all(map(_is_service, receiver))
        return watch.part(self.recorder, node, serves=serves)

    def lookup(self, name: str, node: ast.AST | None = None) -> Value:
        """Return what a name means, by Python's own scoping."""
        if self.env is not None and name in self.env:
            return join(self.env[name], self._rebound(name))
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
        shadowed = self.recorder.look(Location(self.namespace, name, name, "name"), where) != "seen"
        place = Location(vars(builtins), name, name, "name")
        if name in vars(builtins) and not shadowed:
            return self.held(place, vars(builtins)[name], where)
        self.recorder.look(place, where)
        return opaque(frozenset({WORLD}))

    def held(self, place: Location, obj: Any, where: str) -> Value:
        """Return what a place holds in which `obj` was seen."""
        if place.kind == "name" and not is_constant(obj):
            self.recorder.names.setdefault(id(obj), str(place))
        return self.as_content(self.recorder.look(place, where), self.live(obj))

    def promise(self, obj: Any, annotations: Any, name: str) -> None:
        """Remember what an annotation promises of what an object holds that says nothing itself.

        Such are the parts of a container that is empty now, and what a context variable holds.
        """
        hint = annotations.get(name) if isinstance(annotations, Mapping) else None
        if type(obj) is contextvars.ContextVar and get_args(hint):
            self.recorder.promises[id(obj)] = value_of_annotation(
                get_args(hint)[0], frozenset({WORLD})
            )
            return
        if type(obj) not in (dict, list, set, collections.deque) or obj:
            return
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
        if name in self.history:
            return join(self.history[name], self._rebound(name))
        return self.lookup(name, node)

    def _rebound(self, name: str) -> Value:
        """Return what functions inside of this one may have assigned to a variable of it."""
        return self.recorder.rebound.get((id(self.source.node), name), NOTHING)

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
            key = id(home.source.node), name
            known = self.recorder.rebound.get(key, NOTHING)
            found = self.recorder.rebound[key] = join(known, value)
            self.recorder.grown |= found != known
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
        others = frozenset(atom for atom in value if not _is_library_data(atom))
        self.recorder.leaked_opaque = self.recorder.leaked_opaque or not is_deep(others)

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
            elif isinstance(atom, (Method, Routed)) or (isinstance(atom, Chain) and atom.steps):
                pending.extend(_reached_through(atom))
            elif isinstance(atom, Closure):
                self.recorder.call_later(atom, opaque(ALL))
            elif not isinstance(atom, (Const, Data, Opaque, Live, Object, Chain)):
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


def _is_service(atom: Atom) -> bool:
    """Tell whether something is a runnable of LangChain's: a model, a tool, a chain."""
    cls = getattr(atom, "cls", None) if not isinstance(atom, Live) else type(atom.obj)
    return isinstance(atom, Chain) or (isinstance(cls, type) and issubclass(cls, Runnable))


def _reached_through(atom: Method | Routed | Chain) -> Value:
    """Return what is given away with a method, a command or a chain."""
    if isinstance(atom, Method):
        return frozenset({atom.receiver})
    if isinstance(atom, Routed):
        return join(atom.update, atom.goto)
    return join(*(atom.steps or ()))


def join_envs(*envs: Env | None) -> Env | None:
    """Return the variables after flows meet; None when no flow arrives."""
    arriving = [env for env in envs if env is not None]
    if not arriving:
        return None
    names = frozenset().union(*arriving)
    return {name: join(*(env.get(name, NOTHING) for env in arriving)) for name in names}


def _is_library_data(atom: Atom) -> bool:
    """Tell whether something is a table, a page or the like, which holds nothing but data."""
    return isinstance(atom, Object) and family_of(atom.cls) is not None


def _known_parts(atom: Atom) -> Value | None:
    """Return what a part of something may be, as far as it is known; None when it is not."""
    if isinstance(atom, Data) and atom.deep:
        return data(atom.roots)
    if isinstance(atom, Const):
        return SCALAR
    return atom.parts if isinstance(atom, Data) else None


def unknown(frame: Frame, what: str, involved: Value, node: ast.AST, callee: Any = None) -> Value:
    """Do something of which nothing is known to everything that `involved` may be.

    Args:
        frame: Where it is done.
        what: What is done, as a report says it: `calls f()`, `runs the operator <<`.
        involved: Whatever it may look at and change.
        node: The place.
        callee: What is called, where that is a live object which is not among `involved`.
    """
    where = frame.where(node)
    recorder = frame.recorder
    reached = union(frame.escape(involved, what, where), recorder.leaked)
    recorder.contact("unknown", f"{what}, which is not known", where)
    if acts(callee, involved, node):
        recorder.contact("write", f"{what}, which acts on the world outside", where)
    if not recorder.trusts_calls:
        keys = ALL if reached is ALL else reached - {WORLD, GIVEN}
        recorder.mutates = union(recorder.mutates, keys)
        recorder.memory.contents.spoil(keys)
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
