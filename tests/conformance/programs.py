"""What the programs of `test_kinds` share: how one is registered, built, run and compared."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph
from runs import normal

from langgraph_parallel import parallelize

PAUSE_S = 0.02
"""Long against the millisecond after which a node that starts too early has read its input."""


class State(TypedDict, total=False):
    x: int
    text: str
    items: list
    tags: set
    table: dict
    thing: Any
    a: Any
    b: Any
    c: Any
    d: Any


@dataclass(frozen=True, kw_only=True)
class Program:
    """A graph that is made afresh for every run, and how to run it."""

    graph: Any
    given: dict[str, Any] = field(default_factory=dict)
    seen: Callable[[], Any] = lambda: None
    """What the world outside of the state saw of the run."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the run."""
    is_async: bool = False
    times: int = 1
    """How often the graph is run."""


MODES = ("fanout", "exact")
PROGRAMS: dict[str, tuple[Callable[[], Program], dict[str, Any]]] = {}
"""By kind and name: what makes a program, and further arguments of `parallelize`."""
RUNS: list[tuple[str, str]] = []
"""Programs and the modes in which they answer as the original."""


def program(
    kind: str, *, modes: tuple[str, ...] = MODES, **settings: Any
) -> Callable[..., Callable[[], Program]]:
    """Register the function that makes one program of a kind.

    Nodes that share a superstep end together, so what is about time may hold in one mode only.
    """

    def register(make: Callable[[], Program]) -> Callable[[], Program]:
        name = f"{kind}/{make.__name__}"
        PROGRAMS[name] = (make, settings)
        RUNS.extend((name, mode) for mode in modes)
        return make

    return register


def chain(*nodes: Any, given: dict[str, Any] | None = None, **options: Any) -> Program:
    """Return a program of nodes one after another."""
    builder = StateGraph(State)
    builder.add_sequence([(f"n{i}", node) for i, node in enumerate(nodes)])
    builder.add_edge(START, "n0")
    is_async = any(map(inspect.iscoroutinefunction, nodes))
    return Program(graph=builder.compile(), given=given or {"x": 1}, is_async=is_async, **options)


def pause() -> None:
    """Be slower than a node that starts too early."""
    time.sleep(PAUSE_S)


def observe(name: str, mode: str | None) -> tuple[Any, Any]:
    """Run a program; return its answer or error, and what the world saw."""
    make, settings = PROGRAMS[name]
    made = make()
    graph = parallelize(made.graph, mode=mode, **settings) if mode else made.graph
    try:
        if made.is_async:
            state = asyncio.run(graph.ainvoke(made.given, **made.options))
        else:
            state = [graph.invoke(made.given, **made.options) for _ in range(made.times)][-1]
        answer = {key: normal(value) for key, value in state.items()}
    except Exception as error:
        answer = {"error": normal(error)}
    return answer, made.seen()
