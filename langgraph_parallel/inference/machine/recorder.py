"""From what the interpreter comes across to the effects of one node: all of it only ever widens."""

from __future__ import annotations

import ast
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph_parallel.effects import ALL, Control, Evidence, External, Keys, union
from langgraph_parallel.inference.machine.certainty import is_deep, is_scalar
from langgraph_parallel.inference.machine.memory import Content, Memory
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    NOTHING,
    WORLD,
    Cell,
    Closure,
    Opaque,
    Value,
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.machine.watch import PLACE, Watch
from langgraph_parallel.locations import ANY_ITEM, ANYWHERE, CONTEXT, SETTINGS, Location

_BUDGET: Final = 40_000
"""Syntax nodes visited for one node function; beyond, the answer is TOP. A node function of 500
lines with its helpers takes about 10,000."""


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
    open: frozenset[str] = frozenset()
    """Keys whose annotation leaves open what they hold: `list`, `dict[str, Any]`, `Any`."""
    stable: frozenset[str] = frozenset()
    """Of a class with fields, those that can be given back as often as one likes."""
    channels: frozenset[str] | None = None
    """All keys of the graph, be they handed to the node or not. None: not known."""
    shown: frozenset[str] = frozenset()
    """Keys of the graph that a class has as names beside its fields: methods, properties."""
    cls: type | None = None
    """The class with fields; None for dicts."""
    own_code: frozenset[str] = frozenset()
    """Names that the state's class defines beside its fields: methods, properties, operators."""
    context: Any = None
    """The schema of the run's context; None when the graph names none."""


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
    rebound: dict[tuple[int, str], Value] = field(default_factory=dict)
    """What inner functions assign to variables of the functions around them, by function and name;
    whoever looks there may find it, in whichever order they run."""
    late: dict[Closure, Value] = field(default_factory=dict)
    """Inner functions that others may call later, and what they may be called with."""
    started: dict[Any, tuple[Closure, Any]] = field(default_factory=dict)
    """Inner functions that run beside the code after them, with the arguments of the call."""
    generators: list[tuple[Any, ast.GeneratorExp]] = field(default_factory=list)
    """Generator expressions, with their frames: they run when consumed, not where they stand."""
    raised: Value = NOTHING
    """The exceptions that the code makes and raises; a handler may catch any of them."""
    trail: list[Any] = field(default_factory=list)
    """Helpers being followed: a recursive call is not followed again."""
    is_trial: bool = False
    """True while it is only found out whether code of a library can be followed."""
    held: list[Location] = field(default_factory=list)
    """Locks and pools outside of the node that are held while the code that is followed runs."""
    cuts: int = 0
    """How often something was not followed because it is being followed already."""
    watch: Watch | None = None
    """Keeps what each part of the code does, if somebody asks for it."""
    known_calls: dict[Any, Value] = field(default_factory=dict)
    """What calls of helpers gave in this pass: the same call does the same again."""
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
        if roots is not ALL and GIVEN in roots:
            for given in (SETTINGS, CONTEXT):
                self.change(given, where, value)
        keys = ALL if roots is ALL else roots - {WORLD, GIVEN}
        self.mutates = union(self.mutates, keys)
        self.memory.contents.put_inside(keys, value)
        if self.mutates:
            self.note(f"changes a state value in place: {what}", where, "mutates")

    def look(self, place: Location, where: str, *, by_name: bool = False) -> Content:
        """Record a look at a place outside the state; return what may be taken for granted.

        Args:
            place: What is looked at.
            where: `file:line`.
            by_name: The place holds code, or nothing: it counts only where some node assigns it.
        """
        content = self.memory.content(place)
        if self.watch is not None and isinstance(place.owner, threading.local):
            self.note(f"looks at {place}, which each thread has of its own", where, PLACE)
        # Nobody assigns most names: only those that some node does assign are places.
        counts = content != "seen" or not (by_name or place.kind == "name")
        if counts and place not in self.looks_at:
            self.looks_at.add(place)
            self.note(f"looks at {place}", where, "looks")
        return content

    def change(self, place: Location, where: str, value: Value = NOTHING) -> None:
        """Record that a place outside the state may be changed, and what may be put there."""
        self.changes.add(place)
        self.note(f"changes {place}", where, "changes")
        self.memory.store(place, content_of(value))
        roots = roots_of(value)
        kept = self.shape.keys if roots is ALL else roots - {WORLD, GIVEN}
        if kept:
            # Whoever gets at the place may change what the state holds.
            self.memory.expose(kept, {ANYWHERE})

    def contact(self, kind: External, what: str, where: str) -> None:
        """Record contact with the world outside."""
        self.external.add(kind)
        self.note(what, where, kind)

    def leave(
        self, kind: Control, what: str, where: str, goto: Keys = frozenset(), effect: str = ""
    ) -> None:
        """Record a way to leave the straight line."""
        self.control.add(kind)
        self.goto = union(self.goto, goto)
        self.note(what, where, effect or kind)

    def follows(self, what: Any) -> bool:
        """Tell whether something is being followed already, so that it is not followed again."""
        if what not in self.trail:
            return False
        self.cuts += 1
        return True

    def call_later(self, closure: Closure, arguments: Value) -> None:
        """Record that someone may call an inner function with `arguments`."""
        self.late[closure] = join(self.late.get(closure, NOTHING), arguments)

    def spend(self) -> None:
        """Count one visited syntax node."""
        self.budget -= 1
        if self.budget < 0:
            msg = "the code is too large to analyze"
            raise GiveUpError(msg)

    def take_in(self, other: Recorder) -> None:
        """Add what was found of code that runs as a part of this."""
        self.reads = union(self.reads, other.reads)
        self.mutates = union(self.mutates, other.mutates)
        self.looks_at |= other.looks_at
        self.changes |= other.changes
        self.external |= other.external
        self.control |= other.control
        self.goto = union(self.goto, other.goto)
        self.leaked = union(self.leaked, other.leaked)
        self.leaked_opaque |= other.leaked_opaque
        self.overlay = union(self.overlay, other.overlay)
        self.stored = union(self.stored, other.stored)
        self.resources |= other.resources
        self.raised = join(self.raised, other.raised)
        self.names = {**other.names, **self.names}
        self.evidence = {**other.evidence, **self.evidence}

    @property
    def has_leaked(self) -> bool:
        """Tell whether containers may hold more than what was seen to be put into them."""
        return bool(self.leaked or self.leaked_opaque or self.overlay)

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
