"""A graph as everything behind `reading` sees it: immutable, and no object of LangGraph's.

    nodes, edges, joins, routers     what runs after what
    channels, shapes                 what a node is handed and may write
    pauses, own_thread, settings     what keeps a node, or the whole graph, where it is

The user's functions are in it as they are; a node's `runnable` is only looked into by `inference`
and put back by `lowering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph.graph import END as END
from langgraph.graph import START as START

from langgraph_parallel.inference.machine.recorder import Shape

ROOT: Final = "__root__"
"""The channel of a state that is one value without keys."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One node, with the graph's defaults for what it does not say itself."""

    name: str
    runnable: Any
    schema: Any
    """The class of the state that it is handed."""
    shape: Shape
    """The keys of that state, and what is promised of their values."""
    declared: Any = None
    """What its metadata says of its effects; None when nothing."""
    ends: frozenset[str] = frozenset()
    """Where it says that a `Command` may lead; empty when it does not say."""
    cache_policy: Any = None
    """How its result is kept from run to run; None when it is not."""
    takes_turns: bool = False
    """Whether its writes can be taken in program order, whatever its name is."""
    is_retried: bool = False
    """Whether LangGraph runs it again when it fails."""
    is_timed: bool = False
    """Whether LangGraph limits its time."""
    is_deferred: bool = False
    """Whether it waits for the progress of the whole graph."""
    is_handled: bool = False
    """Whether an error handler decides what follows its failure."""
    handles_errors: bool = False
    """Whether it is an error handler."""
    is_plain: bool = False
    """Whether it is one function that is called with the state."""
    can_project: bool = False
    """Whether its update can be cut down to some of its keys."""
    inner: Graph | None = None
    """The graph that it is; None for all other nodes."""
    is_parallel: bool = False
    """Whether it is a graph that went through `parallelize` already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Router:
    """One conditional edge."""

    path: Any
    """The function, as a runnable, that chooses."""
    ends: frozenset[str] | None
    """What its answers stand for; None when they are names of nodes."""
    shape: Shape
    """The state that it is handed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A graph in program order."""

    nodes: Mapping[str, Node]
    """By name, in the order in which they were added."""
    edges: frozenset[tuple[str, str]]
    """Plain edges."""
    joins: frozenset[tuple[tuple[str, ...], str]]
    """Waiting edges: all sources, and the target."""
    routers: Mapping[str, tuple[Router, ...]]
    """Conditional edges by the node that they leave."""
    channels: frozenset[str]
    """Keys of the state that can be written."""
    plain: frozenset[str]
    """Those that keep the last value."""
    folding: frozenset[str]
    """Those that fold updates with a reducer."""
    reducers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """The reducers of those, by key."""
    managed: frozenset[str] = frozenset()
    """Keys whose value LangGraph itself gives."""
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    promises: Mapping[str, Any] = field(default_factory=dict)
    """For each output, what its annotation promises."""
    pauses: frozenset[str] = frozenset()
    """Nodes before or after which a run stops; `*` for all. Empty when not compiled."""
    own_thread: bool = False
    """Whether, as a sub-graph, it is saved in a thread of its own."""
    saves: bool = False
    """Whether it has a checkpointer of its own, in which a run in a node may leave something."""

    @property
    def taking_turns(self) -> frozenset[str]:
        """The nodes whose writes can be taken in program order."""
        return frozenset(name for name, node in self.nodes.items() if node.takes_turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A straight run of nodes in program order."""

    nodes: tuple[str, ...]
    exit: str | None
    """The node or `END` that follows the last node; None when no plain edge leaves it."""
    routed: bool = False
    """Whether a conditional edge leaves the last node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A part of the graph that stays as it is, and why."""

    rule: str
    """Name of the rule that applies."""
    nodes: tuple[str, ...]
    """The nodes concerned; empty for the whole graph."""
    reason: str
    """What stands in the way, in a sentence."""
    remedy: str = ""
    """What its author can do about it, or empty."""

    def __str__(self) -> str:
        subject = ", ".join(map(shown_name, self.nodes)) if self.nodes else "the graph"
        return f"{subject}: {self.reason}" + (f" {self.remedy}" if self.remedy else "")


def shown_name(name: str) -> str:
    """Return how a sentence calls a node."""
    return "START" if name == START else name
