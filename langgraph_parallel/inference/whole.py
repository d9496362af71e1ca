"""All functions of a graph at once: from what `reading` found to the effects of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from langgraph_parallel.effects import Effects, Evidence
from langgraph_parallel.inference.infer import node_effects, router_effects, router_targets
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import Shape


class Subject(Protocol):
    """A node, as far as the analysis looks at it."""

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


def infer_nodes(
    subjects: Iterable[Subject], *, trusts_calls: bool, memory: Memory | None = None
) -> list[Effects]:
    """Return the effects of nodes, in their order, each of which knows what the others store.

    Args:
        subjects: The nodes.
        trusts_calls: Take unknown calls to change none of their arguments.
        memory: What is known of memory by the graph around them, which asks again when it is
            stale; None for a graph by itself.
    """
    nodes = list(subjects)
    if memory is not None:
        return [node_effects(s.runnable, s.shape, s.schema, memory=memory) for s in nodes]
    memory = Memory()
    for _ in range(_MOST_ROUNDS):
        found = [
            node_effects(s.runnable, s.shape, s.schema, trusts_calls=trusts_calls, memory=memory)
            for s in nodes
        ]
        if not memory.is_stale:
            return [_with_aliases(effects, memory) for effects in found]
        memory.forget_assumptions()
    why = Evidence(what="not analyzed: what the nodes store does not settle")
    return [Effects.top(why) for _ in nodes]


_MOST_ROUNDS: Final = 8
"""Rounds over the nodes of a graph until none stores what another took for granted."""


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
