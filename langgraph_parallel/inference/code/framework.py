"""What the analysis is told of the framework that runs the nodes.

It knows LangGraph's public types by itself. How a node's function is wrapped, what is filled in for
it and what a whole graph does is said by `reading`, which knows graphs and builds on this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph_parallel.effects import Effects


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole graph, run as one step."""

    effects: Effects
    gives: Mapping[str, frozenset[Any]] = field(default_factory=dict)
    """What the values may be that it gives back, by key, as far as it is known."""
    hands_back: bool = True
    """Whether what it gives may be, or hold, a container that it was given."""
    copies: frozenset[str] = frozenset()
    """Keys whose value it copies when it is given it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """What the analysis cannot find out from the code of a node."""

    injected: frozenset[str] = frozenset()
    """Parameters of a node that are filled in by name."""
    getters: Mapping[Callable[..., Any], str] = field(default_factory=dict)
    """Functions that fetch what is also filled in by name, with that name."""
    wrappers: tuple[type, ...] = ()
    """Classes of the objects that it makes of a function, which is their `func` or `afunc`. Other
    objects that are the same to a graph have a class with `stands_for_function`."""
    tasks: tuple[type, ...] = ()
    """Classes of the objects that it makes of a function which a node starts, `func`."""
    handed: Mapping[type, str] = field(default_factory=dict)
    """Classes of what is filled in by annotation, with the name by which it also is."""
    tool_nodes: tuple[type, ...] = ()
    """Classes of nodes that run the tool calls of a message."""
    stores: tuple[type, ...] = ()
    """Classes of its stores, which are one place, whoever holds one."""
    graphs: tuple[type, ...] = ()
    """Classes of whole graphs."""
    summarize: Callable[[Any, Any], Summary] = lambda _graph, _memory: Summary(Effects.top())
    """Return what such a graph does, run as one step, by what is known of memory."""


_USED: Final = [Framework()]


def use_framework(used: Framework) -> None:
    """Analyze nodes as those of this framework from now on."""
    _USED[0] = used


def framework() -> Framework:
    """Return the framework that runs the nodes."""
    return _USED[0]
