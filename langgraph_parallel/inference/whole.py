"""All functions of a graph at once: from what `reading` found to the effects of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from langgraph_parallel.effects import ALL, Effects, Evidence, Keys
from langgraph_parallel.inference.infer import node_effects, router_effects, router_targets
from langgraph_parallel.inference.machine.contents import with_contents
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.machine.values import Value


class Subject(Protocol):
    """A node, as far as the analysis looks at it."""

    @property
    def name(self) -> str:
        """The name of it in the graph."""

    @property
    def runnable(self) -> Any:
        """What is run."""

    @property
    def schema(self) -> Any:
        """The class of the state that it is handed."""

    @property
    def shape(self) -> Shape:
        """The keys of that state."""


class Chooser(Protocol):
    """The function of a conditional edge."""

    @property
    def path(self) -> Any:
        """What is run."""

    @property
    def shape(self) -> Shape:
        """The keys of the state that it is handed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one function of a conditional edge does."""

    effects: Effects
    """What it reads and touches; it writes nothing."""
    names: frozenset[str] | None
    """What it may return, as `router_targets` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What the nodes of one graph do."""

    effects: list[Effects]
    """Of each node, in the order of the nodes."""
    contents: Mapping[str, Value] = field(default_factory=dict)
    """What keys hold whose annotation does not say it, if a run begins with plain data in them."""


def infer_nodes(
    subjects: Iterable[Subject],
    *,
    trusts_calls: bool,
    open_keys: frozenset[str] = frozenset(),
    computed: frozenset[str] = frozenset(),
    unknowing: Keys = frozenset(),
    memory: Memory | None = None,
) -> Inferred:
    """Return the effects of nodes, each of which knows what the others store and write.

    Args:
        subjects: The nodes.
        trusts_calls: Take unknown calls to change none of their arguments.
        open_keys: State keys into which nothing else than these nodes puts anything but plain
            data, and whose annotations leave open what they hold.
        computed: Keys whose values a reducer computes, out of plain data plain data.
        unknowing: Names of nodes that may be handed something else than the state.
        memory: What is known of memory by the graph around them, which asks again when it is
            stale; None for a graph by itself.
    """
    nodes = list(subjects)
    if memory is not None:
        found = [node_effects(s.runnable, s.shape, s.schema, memory=memory) for s in nodes]
        return Inferred(effects=found)
    memory = Memory()
    for index in range(_MOST_ROUNDS):
        if index == _MOST_ROUNDS // 2:
            open_keys = frozenset()
        contents = memory.contents.of(open_keys, computed)
        found = []
        for subject in nodes:
            apart = unknowing is ALL or subject.name in unknowing
            known = {} if apart else contents
            found.append(_effects_of(subject, known, memory, trusts_calls=trusts_calls))
        if not memory.is_stale and memory.contents.of(open_keys, computed) == contents:
            effects = [_with_aliases(effects, memory) for effects in found]
            return Inferred(effects=effects, contents=contents)
        memory.forget_assumptions()
    why = Evidence(what="not analyzed: what the nodes store does not settle")
    return Inferred(effects=[Effects.top(why) for _ in nodes])


def _effects_of(
    subject: Subject, contents: Mapping[str, Value], memory: Memory, *, trusts_calls: bool
) -> Effects:
    shape = replace(subject.shape, hints=with_contents(subject.shape.hints, contents))
    found = node_effects(
        subject.runnable, shape, subject.schema, trusts_calls=trusts_calls, memory=memory
    )
    if found.writes is ALL:
        memory.contents.spoil(ALL)
    return found


_MOST_ROUNDS: Final = 16
"""Rounds over the nodes of a graph until none stores what another took for granted; in the second
half of them nothing is taken for granted of what state keys hold."""


def _with_aliases(found: Effects, memory: Memory) -> Effects:
    """Add what a node looks at through state keys whose value may live outside the state."""
    behind = memory.behind(found.reads)
    return replace(found, looks_at=found.looks_at | behind) if behind else found


def infer_routers(choosers: Iterable[Chooser]) -> list[Effects]:
    """Return what the functions of conditional edges read and touch, in their order."""
    return [router_effects(c.path, c.shape) for c in choosers]


def infer_choices(choosers: Iterable[Chooser]) -> list[Choice]:
    """Return the same, with what the functions may choose."""
    return [
        Choice(names=router_targets(c.path, c.shape), effects=router_effects(c.path, c.shape))
        for c in choosers
    ]
