"""From the analysis of a function to what each of its statements and calls does by itself.

The recorder of a node adds up what all of it does. Under a watch it is emptied before each part and
what the part leaves in it is kept, then added to what was there: the sum stays the same.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Final, Protocol

from langgraph_parallel.effects import Control, Evidence, External, Keys, union
from langgraph_parallel.inference.machine.values import NOTHING, Value, join
from langgraph_parallel.locations import Location

PAUSES: Final = "pauses"
"""The effect of evidence that somebody waits on purpose (`time.sleep`), or for a lock."""
STREAMS: Final = "streams"
"""The effect of evidence that something is written to the custom stream."""
PLACE: Final = "its place"
"""The effect of evidence that code asks what it does not find elsewhere: which object a value is,
which thread or frame it runs on, which exception is being handled."""
_OF_ITS_PLACE: Final = frozenset(
    {
        *("builtins.id", "_operator.is_", "_operator.is_not", "operator.is_", "operator.is_not"),
        *("_thread.get_ident", "_thread.get_native_id", "_thread._local", "threading.local"),
        *(f"threading.{name}" for name in ("get_ident", "get_native_id", "current_thread")),
        *(f"threading.{name}" for name in ("main_thread", "active_count", "enumerate")),
        *(f"traceback.{name}" for name in ("format_exc", "print_exc", "format_stack")),
        *(f"traceback.{name}" for name in ("extract_stack", "print_stack", "walk_stack")),
        *("sys.exc_info", "sys.exception", "sys._getframe", "inspect.stack"),
        *("inspect.currentframe", "_asyncio.current_task", "asyncio.tasks.current_task"),
    }
)


def asks_its_place(obj: Any) -> bool:
    """Tell whether calling a live object tells where its caller runs, or which object it holds."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    return f"{module}.{name}" in _OF_ITS_PLACE


@dataclass(slots=True)
class Part:
    """What one statement, call or generator does, with everything that runs inside of it."""

    mutates: Keys = frozenset()
    """State keys whose value it may change in place."""
    looks_at: set[Location] = field(default_factory=set)
    changes: set[Location] = field(default_factory=set)
    external: set[External] = field(default_factory=set)
    control: set[Control] = field(default_factory=set)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    resources: frozenset[str] = frozenset()
    """What it uses that only one may use at a time."""

    def add(self, other: Part) -> None:
        """Add what another part does."""
        self.mutates = union(self.mutates, other.mutates)
        self.looks_at |= other.looks_at
        self.changes |= other.changes
        self.external |= other.external
        self.control |= other.control
        self.evidence = {**other.evidence, **self.evidence}
        self.resources |= other.resources

    def does(self, effect: str) -> Evidence | None:
        """Return the first reason for one kind of effect, or None."""
        return next((e for e in self.evidence.values() if e.effect == effect), None)


class Totals(Protocol):
    """The effects of a node as found so far."""

    reads: Keys
    goto: Keys
    mutates: Keys
    looks_at: set[Location]
    changes: set[Location]
    external: set[External]
    control: set[Control]
    evidence: dict[str, Evidence]
    resources: frozenset[str]


@dataclass(slots=True)
class Watch:
    """What was seen of the parts of one node's function and of the functions that it calls."""

    parts: dict[ast.AST, Part] = field(default_factory=dict)
    """By syntax node: statements, calls and generator expressions."""
    followed: dict[ast.AST, FunctionType] = field(default_factory=dict)
    """The user's functions whose bodies were followed, by the syntax node of each."""
    values: dict[ast.AST, dict[str, Value]] = field(default_factory=dict)
    """By function, everything that its variables were ever bound to."""

    def note_values(self, function: ast.AST, history: Mapping[str, Value]) -> None:
        """Add what the variables of a function were bound to in one call of it."""
        known = self.values.setdefault(function, {})
        for name, value in history.items():
            known[name] = join(known.get(name, NOTHING), value)

    @contextlib.contextmanager
    def part(self, recorder: Totals, node: ast.AST, *, serves: bool = False) -> Iterator[None]:
        """Keep what happens inside as what `node` does, in whichever of its turns.

        Args:
            recorder: Where it is recorded.
            node: The part.
            serves: It is a call of a model, tool or other service: how long that waits inside of
                itself is no pause of the code that calls it.
        """
        before, before_reads, before_goto = _taken(recorder), recorder.reads, recorder.goto
        try:
            yield
        finally:
            inside = _taken(recorder)
            if serves:
                kept = {what: e for what, e in inside.evidence.items() if e.effect != PAUSES}
                inside.evidence = kept
            self.parts.setdefault(node, Part()).add(inside)
            before.add(inside)
            _put_back(recorder, before)
            recorder.reads = union(before_reads, recorder.reads)
            recorder.goto = union(before_goto, recorder.goto)


def _taken(recorder: Totals) -> Part:
    """Take everything out of a recorder that a part is made of."""
    taken = Part(
        recorder.mutates,
        recorder.looks_at,
        recorder.changes,
        recorder.external,
        recorder.control,
        recorder.evidence,
        recorder.resources,
    )
    _put_back(recorder, Part())
    return taken


def _put_back(recorder: Totals, part: Part) -> None:
    recorder.mutates = part.mutates
    recorder.looks_at, recorder.changes = part.looks_at, part.changes
    recorder.external, recorder.control = part.external, part.control
    recorder.evidence, recorder.resources = part.evidence, part.resources
