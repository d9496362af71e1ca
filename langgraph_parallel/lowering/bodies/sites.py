"""From what the parts of a function do to the calls in it that may start before their turn.

Such a call asks a model or reads something, changes nothing that anybody could look at, neither
waits on purpose nor shows anything. Why another call that reaches the world is none of them is
kept, for the report.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Final

from langgraph_parallel.effects import External
from langgraph_parallel.inference.code.source import Source
from langgraph_parallel.inference.machine.watch import PAUSES, PLACE, STREAMS, Part, Watch
from langgraph_parallel.locations import ANYWHERE, CACHES, Location, meeting, ordered_places
from langgraph_parallel.lowering.bodies.names import loads, own_nodes, yields

_EARLY: Final[frozenset[External]] = frozenset({"model", "read"})
_SHOWN: Final = frozenset({"log", "screen"})
"""Parts of the world whose lines people read in order."""
_OPENING: Final = frozenset({"open", "fdopen", "popen", "connect", "cursor"})
"""Functions that give a handle, which reading uses up."""
_LAZY: Final = frozenset(
    {"stream", "astream", "lazy_load", "alazy_load", "transform", "atransform"}
)
"""Methods that ask nothing before their result is iterated over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """A call that may start before its turn."""

    number: int
    """Its place among the sites of its function, in program order."""
    call: ast.Call
    awaited: ast.Await | None
    """The expression that waits for it, in a coroutine."""
    part: Part
    line: int

    @property
    def text(self) -> str:
        """Return how a report calls it."""
        return f"{ast.unparse(self.call.func)}()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A call that keeps its place, or a group that could not be made, and why."""

    text: str
    line: int
    reason: str


def find_sites(
    source: Source, watch: Watch, hidden: frozenset[str], filling: frozenset[str]
) -> tuple[tuple[Site, ...], tuple[Held, ...]]:
    """Return the calls of a function that may start early, and the others that reach the world.

    Args:
        source: The function.
        watch: What was seen of it.
        hidden: Variables that may hold functions made in it, which share its variables.
        filling: Names of functions that may change what they are handed.
    """
    body = source.node.body
    parts: list[ast.AST] = [body] if isinstance(body, ast.expr) else list(body)
    awaited = {
        node.value: node
        for part in parts
        for node in own_nodes(part)
        if isinstance(node, ast.Await)
    }
    lazy = frozenset(f.__name__ for f in watch.followed.values() if _is_lazy(f))
    sites: list[Site] = []
    held: list[Held] = []
    for call in _calls(parts):
        part = watch.parts.get(call)
        if part is None or not part.external:
            continue
        waits = awaited.get(call)
        reason = _why_not(call, part, lazy, is_awaited=waits is not None)
        if not reason and (inner := sorted(loads(call) & hidden)):
            reason = f"{inner[0]} is a function of its own, which shares its variables"
        if not reason and getattr(call.func, "attr", getattr(call.func, "id", "")) in filling:
            reason = "it may change what it is handed"
        text, line = f"{ast.unparse(call.func)}()", call.lineno
        if reason:
            held.append(Held(text=text, line=line, reason=reason))
        else:
            number = len(sites)
            sites.append(Site(number=number, call=call, awaited=waits, part=part, line=line))
    return tuple(sites), tuple(held)


def _is_lazy(function: FunctionType) -> bool:
    """Tell whether calling a function runs nothing of it yet."""
    return bool(function.__code__.co_flags & _LAZY_CODE)


_LAZY_CODE: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _calls(parts: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """Yield the calls that run when the function runs, in the order of the source."""
    found = [n for part in parts for n in own_nodes(part) if isinstance(n, ast.Call)]
    lazy = {
        inner
        for part in parts
        for node in own_nodes(part)
        if isinstance(node, ast.GeneratorExp)
        for inner in own_nodes(node)
    }
    inside = sorted((n for n in found if n not in lazy), key=lambda n: (n.lineno, n.col_offset))
    yield from inside


def _why_not(call: ast.Call, part: Part, lazy: frozenset[str], *, is_awaited: bool) -> str:
    """Return why a call keeps its place, or nothing."""
    if not part.external <= _EARLY:
        return reason_of(part, ("unknown", "write"))
    if part.control - {"raise"}:
        return reason_of(part, tuple(sorted(part.control - {"raise"})))
    if part.mutates:
        return reason_of(part, ("mutates",))
    for effect in (PAUSES, STREAMS, PLACE):
        if part.does(effect):
            return reason_of(part, (effect,))
    places = [*ordered_places(part.changes), *(p for p in part.changes if _is_shown(p))]
    if places:
        return f"it changes {places[0]}"
    if part.resources:
        return f"it uses {min(part.resources)!r}, which only one may use at a time"
    if CACHES in part.changes:
        return "it keeps its answers: what is asked again is not called again"
    if any(place.kind == "world" and place.owner == "database" for place in part.looks_at):
        return "a connection to a database may belong to the thread that made it"
    return _why_not_by_name(call, lazy, is_awaited=is_awaited)


def _is_shown(place: Location) -> bool:
    return place.kind == "world" and place.owner in _SHOWN


def _why_not_by_name(call: ast.Call, lazy: frozenset[str], *, is_awaited: bool) -> str:
    if any(isinstance(node, ast.Lambda) for node in own_nodes(call)):
        return "it is handed a function that is made for it"
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if not is_awaited and name in lazy:
        return "it only makes a coroutine or generator, which runs somewhere else"
    makers = (getattr(n.func, "id", "") for n in own_nodes(call.func) if isinstance(n, ast.Call))
    if any(maker[:1].isupper() for maker in makers):
        return "it is a method of an object that is made for it"
    if name in _OPENING:
        return "what it gives is used up by reading"
    if name in _LAZY:
        return "it asks nothing before its result is looped over"
    if not is_awaited and name in ("ainvoke", "abatch", "acall", "arun", "agenerate"):
        return "it only makes a coroutine, which is awaited somewhere else"
    return ""


def reason_of(part: Part, effects: tuple[str, ...]) -> str:
    """Return the first reason that a part has for one of some effects."""
    found = next((e for e in map(part.does, effects) if e is not None), None)
    return str(found) if found is not None else f"it may {' or '.join(effects)}"


def fence_of(statement: ast.AST, watch: Watch) -> str:
    """Return why no call may pass a statement; empty if it may."""
    part = watch.parts.get(statement)
    if part is None:
        return "" if _is_idle(statement) else "it was not seen to run"
    if yields(statement):
        return "it hands a value to whoever runs the function"
    if not part.external <= _EARLY:
        return reason_of(part, ("unknown", "write"))
    if "interrupt" in part.control:
        return reason_of(part, ("interrupt",))
    for effect in (PAUSES, STREAMS):
        if part.does(effect):
            return reason_of(part, (effect,))
    return ""


def _is_idle(statement: ast.AST) -> bool:
    return isinstance(statement, (ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal))


def met(part: Part | None, site: Site) -> tuple[Location, ...]:
    """Return the places that a part changes and a call looks at."""
    if part is None:
        return ()
    changes = set(part.changes)
    if part.mutates:
        changes.add(ANYWHERE)  # a value of the state may be an object that others know, too
    return meeting(changes, site.part.looks_at)
