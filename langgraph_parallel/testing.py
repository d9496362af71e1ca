"""Check in your own tests that `parallelize` does not change what your graph answers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any, Final, Literal

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel.errors import EquivalenceError
from langgraph_parallel.parallelize import parallelize

_LONGEST_DELAY_S: Final = 0.01
"""Long against the time between two starts in one superstep, short for a test suite."""


def assert_equivalent(
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
    inputs: Iterable[Any],
    *,
    mode: Literal["fanout", "exact"] = "fanout",
    schedules: int = 2,
    **options: Any,
) -> None:
    """Run a graph and its parallel form on the same inputs and compare what comes out.

    Every input is run by the original and several times by the parallel form: as it is, with one
    node at a time, and with nodes held up by a few milliseconds, at random, so that they end in
    other orders. Final states are compared by value, messages without their generated ids; a run
    that fails must fail with the same type of error and the same message.

    Args:
        graph: A graph whose nodes can be run repeatedly, without a checkpointer.
        inputs: Inputs as given to `invoke`.
        mode: The mode of `parallelize`.
        schedules: How many runs with delays each input gets (>= 0).
        **options: Further arguments of `parallelize`.

    Raises:
        EquivalenceError: If any answer differs; the message shows both.
    """
    rewritten = parallelize(graph, mode=mode, **options)  # type: ignore[type-var]
    before, after = (g.compile() if isinstance(g, StateGraph) else g for g in (graph, rewritten))
    for given in inputs:
        expected = _outcome(before, given, {})
        delayed = [{"callbacks": [_Delays(seed)]} for seed in range(schedules)]
        for config in ({}, {"max_concurrency": 1}, *delayed):
            found = _outcome(after, given, config)
            if found != expected:
                msg = (
                    f"On input {given!r} the original graph gave\n  {expected!r}\nand the parallel "
                    f"one\n  {found!r}\n\n{after.parallel_report}"  # type: ignore[attr-defined]
                )
                raise EquivalenceError(msg)


class _Delays(BaseCallbackHandler):
    """Holds up every node before it starts, on the thread that runs it."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def on_chain_start(self, *_args: Any, metadata: Any = None, **_: Any) -> None:
        if "langgraph_node" in (metadata or {}):
            time.sleep(self._rng.uniform(0, _LONGEST_DELAY_S))


def _outcome(graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, config: Any) -> Any:
    try:
        return _comparable(graph.invoke(given, config))
    except Exception as error:
        return type(error), str(error)


def _comparable(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return type(value), value.model_dump(exclude={"id"})
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(part) for part in value]
    return value
