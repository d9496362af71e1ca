"""What a node does: the state keys it reads and writes, and its contact with the world outside.

Effects are upper bounds. A key that a node might touch is in the set; what could not be understood
is `ALL`. Declared effects (`@effects`, `effects={...}`, node metadata) replace inferred ones.

What lies outside of the state has keys of its own, `Location`s: `looks_at` and `changes` are to
memory what `reads` and `writes` are to the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias, TypeVar

from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.locations import Location, ordered_places

EFFECTS_ATTRIBUTE: Final = "__langgraph_parallel_effects__"
TASK_CALL: Final = "task"
"""The kind of evidence that says which task of LangGraph's functional API a node calls."""
LEFT_RUNNING: Final = "left running"
"""The kind of evidence that says which work a node may not wait for."""
METADATA_KEY: Final = "langgraph_parallel"


class _All(Enum):
    ALL = "ALL"

    def __repr__(self) -> str:
        return "ALL"


ALL: Final = _All.ALL
"""Every state key: the bound of a read or write that was not understood."""

Keys: TypeAlias = frozenset[str] | Literal[_All.ALL]
"""A set of state keys, or `ALL`."""

External: TypeAlias = Literal["model", "read", "write", "unknown"]
"""Contact with the world: a model call, a read, a write, or not known (the worst)."""

Control: TypeAlias = Literal["raise", "interrupt", "goto", "send", "step", "identity"]
"""How a node may leave the straight line: `goto` names one target, `send` may start several; `step`
means that its result depends on the number of its superstep, `identity` that it asks which object a
value of the state is, and not only what it holds."""

_EXTERNAL: Final = ("model", "read", "write", "unknown")
_CONTROL: Final = ("raise", "interrupt", "goto", "send", "step", "identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One reason for one effect, and where it stands."""

    what: str
    """The effect and its cause, such as `reads 'topic'`."""
    where: str = ""
    """`file:line`, or empty when the reason is a declaration or a schema."""
    effect: str = ""
    """The kind of effect: a kind of `external` or `control`, `mutates`, `looks` or `changes`."""

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


DECLARED: Final = Evidence(what="declared with @effects")
"""The reason for effects that a node's own function carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """An upper bound of what one node does in one run.

    The default is a node without any effect. `Effects.top()` is the bound of an unreadable node.
    """

    reads: Keys = frozenset()
    """State keys whose value can influence the node."""
    writes: Keys = frozenset()
    """State keys that the node's update may contain."""
    mutates: Keys = frozenset()
    """State keys whose *value* the node may change in place."""
    looks_at: frozenset[Location] = frozenset()
    """Places in memory, or in a named part of the world, that can influence the node."""
    changes: frozenset[Location] = frozenset()
    """Places in memory, or in a named part of the world, that the node may change."""
    external: frozenset[External] = frozenset()
    """Kinds of contact with the world outside the state; empty means none."""
    control: frozenset[Control] = frozenset()
    """Ways in which the node may leave the straight line, beside an error in a call it makes."""
    goto: Keys = frozenset()
    """Nodes that a `goto` or `send` may name; `ALL` when not known."""
    folds: frozenset[str] = frozenset()
    """Written keys whose value is certainly a plain operand of the reducer, not `Overwrite`."""
    keeps: frozenset[str] = frozenset()
    """Keys that the node gives back unchanged (`return {**state, ...}`): no write, but the update
    contains them."""
    made: frozenset[str] = frozenset()
    """Of these, keys that giving back may change all the same: to a default, where they had no
    value, or to what the state's class makes of it."""
    resources: frozenset[str] = frozenset()
    """Names of things outside that only one node may use at a time."""
    evidence: tuple[Evidence, ...] = field(default=(), compare=False)
    """Reasons, in source order."""
    certain: bool = True
    """False when some code could not be read and the sets are bounds for lack of knowledge."""

    def __post_init__(self) -> None:
        for name in ("reads", "writes", "mutates", "goto"):
            object.__setattr__(self, name, _keys(name, getattr(self, name)))
        for name, allowed in (("external", _EXTERNAL), ("control", _CONTROL)):
            object.__setattr__(self, name, _kinds(name, getattr(self, name), allowed))
        for name in ("folds", "keeps", "made", "resources"):
            object.__setattr__(self, name, _kinds(name, getattr(self, name), None))

    @classmethod
    def top(cls, *evidence: Evidence) -> Effects:
        """Return the effects of a node about which nothing is known."""
        return cls(
            reads=ALL,
            writes=ALL,
            mutates=ALL,
            external=frozenset({"unknown"}),
            control=frozenset({"raise", "interrupt", "goto", "send"}),
            goto=ALL,
            evidence=evidence,
            certain=False,
        )

    def __str__(self) -> str:
        parts = [f"reads {_show(self.reads)}", f"writes {_show(self.writes)}"]
        if self.mutates:
            parts.append(f"mutates {_show(self.mutates)}")
        for verb, places in (("looks at", self.looks_at), ("changes", self.changes)):
            if shown := ordered_places(places):
                parts.append(f"{verb} {_show(frozenset(map(str, shown)))}")
        if self.external:
            parts.append(f"external {_show(frozenset(self.external))}")
        if self.control:
            parts.append(f"control {_show(frozenset(self.control))}")
        if self.resources:
            parts.append(f"resources {_show(self.resources)}")
        return ", ".join(parts) + ("" if self.certain else " (not certain)")


def is_unforeseen(found: Effects) -> bool:
    """Tell whether a node may go anywhere only because nothing rules it out."""
    return not found.certain or any(e.effect == MAY_ROUTE for e in found.evidence)


MAY_ROUTE: Final = "may route"
"""The effect of a sub-graph that might send a `Command` to the graph around it."""


def union(a: Keys, b: Keys) -> Keys:
    """Return the keys in either set."""
    return ALL if a is ALL or b is ALL else a | b


def bounded(keys: Keys, universe: frozenset[str]) -> frozenset[str]:
    """Return `keys` with `ALL` spelled out, without names outside `universe`."""
    return universe if keys is ALL else keys & universe


def effects(
    *,
    reads: Iterable[str] | Keys = frozenset(),
    writes: Iterable[str] | Keys = frozenset(),
    mutates: Iterable[str] | Keys = frozenset(),
    external: Iterable[str] | str = frozenset(),
    control: Iterable[str] | str = frozenset(),
    goto: Iterable[str] | Keys = frozenset(),
    folds: Iterable[str] = frozenset(),
    resources: Iterable[str] | str = frozenset(),
) -> Callable[[_F], _F]:
    """Declare what a function does; the declaration is believed and replaces the analysis.

    It may mark a node, or a function that nodes call, such as a client of some service: of that
    one, `reads` are keys of a state that it is given, and `writes` do not matter.

    Args:
        reads: State keys that the node's result depends on, or `ALL`.
        writes: State keys that its update may contain, or `ALL`.
        mutates: State keys whose value it changes in place, or `ALL`.
        external: Kinds of contact with the world: `model`, `read`, `write`, `unknown`.
        control: Ways to leave the straight line: `raise`, `interrupt`, `goto`, `send`, `step`.
        goto: Nodes that a `Command(goto=...)` of this node may name, or `ALL`.
        folds: Written reducer keys whose update is never `Overwrite`.
        resources: Names of things that only one node may use at a time.

    Returns:
        A decorator that marks the function and returns it unchanged.

    Raises:
        AnalysisError: If a name is not a string or a kind is not known.
    """
    declared = Effects(
        reads=reads,  # type: ignore[arg-type]
        writes=writes,  # type: ignore[arg-type]
        mutates=mutates,  # type: ignore[arg-type]
        external=external,  # type: ignore[arg-type]
        control=control,  # type: ignore[arg-type]
        goto=goto,  # type: ignore[arg-type]
        folds=folds,  # type: ignore[arg-type]
        resources=resources,  # type: ignore[arg-type]
        evidence=(DECLARED,),
    )

    def mark(function: _F) -> _F:
        code = getattr(function, "__code__", None)
        if code is None:
            msg = "@effects marks a function; for other nodes use parallelize(effects={...})."
            raise AnalysisError(msg)
        setattr(function, EFFECTS_ATTRIBUTE, (declared, code))
        return function

    return mark


def declared_effects(function: object) -> Effects | None:
    """Return what `@effects` declared on a function, or None.

    `functools.wraps` copies the mark to a wrapper, which may do more than the marked function: the
    mark counts only on the code that it was put on.
    """
    marked = getattr(function, "__dict__", {}).get(EFFECTS_ATTRIBUTE)
    if isinstance(marked, tuple) and marked[1] is getattr(function, "__code__", None):
        declared: Effects = marked[0]
        return declared
    return None


_F = TypeVar("_F", bound=Callable[..., object])


def _keys(field_name: str, value: object) -> Keys:
    if value is ALL:
        return ALL
    return _kinds(field_name, value, None)


def _kinds(field_name: str, value: object, allowed: tuple[str, ...] | None) -> frozenset[str]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        msg = f"Effects.{field_name} must be a set of names, not {value!r}."
        raise AnalysisError(msg)
    names = frozenset(items)
    if bad := sorted(repr(n) for n in names if not isinstance(n, str)):
        msg = f"Effects.{field_name} holds {bad[0]}, which is not a string."
        raise AnalysisError(msg)
    if allowed is not None and (unknown := sorted(names - set(allowed))):
        msg = f"Effects.{field_name} holds {unknown[0]!r}; use one of {', '.join(allowed)}."
        raise AnalysisError(msg)
    return names


def _show(keys: Keys) -> str:
    return "ALL" if keys is ALL else "{" + ", ".join(sorted(keys)) + "}"
