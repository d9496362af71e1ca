"""Runs the pair of nodes of a case: by hand, in the original graph, and in its parallel forms."""

from __future__ import annotations

import ast
import asyncio
import inspect
import itertools
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.graph import START, StateGraph

from langgraph_parallel import ParallelConfig, parallelize

MODES: dict[str, dict[str, Any] | None] = {
    "fanout": {"mode": "fanout"},
    "exact": {"mode": "exact"},
    "exact+pure": {"mode": "exact", "config": ParallelConfig(speculate="pure")},
}
_LONG_PAUSE_S = 0.015
"""The first node of a pair that shares a superstep sleeps so long before its effect; the second
one starts within 1 ms."""
_SHORT_PAUSE_S = 0.002
_IDS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}")
"""Addresses and UUIDs."""
_NUMBERS = itertools.count()


@dataclass(slots=True)
class Tally:
    """What the cases of one test session came to."""

    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many runs were `moved` or `kept`, or `FAILED`, by mode."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Case and mode."""
    seen: dict[str, Counter[str]] = field(default_factory=dict)
    """How many cases had each operation, receiver, position and so on."""
    controls: dict[str, dict[str, bool]] = field(default_factory=dict)
    """By mode, whether each pair that shares nothing was moved."""

    def count(self, **parts: str) -> None:
        for kind, name in parts.items():
            self.seen.setdefault(kind, Counter())[name] += 1

    def judge(self, case: str, mode: str, *, equal: bool, moved: bool) -> None:
        self.verdicts[mode, "moved" if moved else "kept"] += 1
        if not equal:
            self.verdicts[mode, "FAILED"] += 1
            self.failures.append((case, mode))

    def as_text(self) -> str:
        """Return what was counted, for the process that reports."""
        return repr((dict(self.verdicts), self.failures, self._seen(), self.controls))

    def _seen(self) -> dict[str, dict[str, int]]:
        return {kind: dict(counts) for kind, counts in self.seen.items()}

    def take_in(self, text: str) -> None:
        """Add what another process has counted."""
        verdicts, failures, seen, controls = ast.literal_eval(text)
        self.verdicts.update(verdicts)
        self.failures += failures
        for kind, counts in seen.items():
            self.seen.setdefault(kind, Counter()).update(counts)
        for mode, moved in controls.items():
            self.controls.setdefault(mode, {}).update(moved)

    def control(self, name: str, mode: str, *, moved: bool) -> None:
        self.controls.setdefault(mode, {})[name] = moved


TALLY = Tally()


def normal(value: Any) -> Any:
    """Return what a value shows, without what is drawn anew in each run."""
    return _IDS.sub("ID", repr(value))


@contextmanager
def written(source: str, folder: Path) -> Iterator[Callable[[], types.ModuleType]]:
    """Write a module to a file of its own; give a function that executes it afresh."""
    name = f"conformance_case_{next(_NUMBERS)}"
    path = folder / f"{name}.py"
    path.write_text(source)
    code = compile(source, str(path), "exec", dont_inherit=True)

    def fresh() -> types.ModuleType:
        module = types.ModuleType(name)
        module.__file__ = str(path)
        module.PAUSE = 0.0
        sys.modules[name] = module
        exec(code, vars(module))
        return module

    try:
        yield fresh
    finally:
        sys.modules.pop(name, None)
        path.unlink()


def by_hand(module: types.ModuleType, order: tuple[int, int]) -> list[Any]:
    """Call the nodes in an order; return what they gave."""
    *nodes, given, context, settings = module.make()
    options = {
        "runtime": types.SimpleNamespace(context=context),
        "config": {"configurable": settings or {}},
    }
    for place in order:
        node = nodes[place]
        asked = inspect.signature(node).parameters
        result = node(given, **{k: v for k, v in options.items() if k in asked})
        if inspect.iscoroutine(result):
            result = asyncio.run(_awaited(result))
        given = {**given, **result}
    return [normal(given[key]) for key in "ab"]


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


def shows_order(fresh: Callable[[], types.ModuleType]) -> bool:
    """Tell whether the nodes give something else in the other order, and work in theirs."""
    try:
        expected = by_hand(fresh(), (0, 1))
    except Exception:
        return False
    try:
        return by_hand(fresh(), (1, 0)) != expected
    except Exception:
        return True


def build(module: types.ModuleType, shape: str) -> tuple[Any, dict[str, Any], bool]:
    """Return the graph of a case, the arguments of its run, and whether it is async."""
    first, second, given, context, settings = module.make()
    builder = StateGraph(module.State)
    is_async = inspect.iscoroutinefunction(first)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    if shape == "model":
        builder.add_node("model", module.amodel if is_async else module.model)
        builder.add_edge("first", "model")
        builder.add_edge("model", "second")
    elif shape == "routed":
        builder.add_conditional_edges("first", module.route, ["second", "__end__"])
    else:
        builder.add_edge("first", "second")
    options: dict[str, Any] = {"input": given}
    if context is not None:
        options["context"] = context
    if settings is not None:
        options["config"] = {"configurable": settings}
    return builder.compile(), options, is_async


def outcome(module: types.ModuleType, shape: str, mode: str | None = None) -> tuple[Any, bool]:
    """Run a graph; return the answer of its nodes and whether anything was moved."""
    graph, options, is_async = build(module, shape)
    if mode is None:
        # LangGraph reads what the nodes' names and attributes mean, properties included, whenever
        # it compiles; a parallel graph has been compiled twice.
        graph.builder.compile()
    else:
        graph = parallelize(graph, **MODES[mode])
        parallel = graph.parallel_report.is_parallel
        module.PAUSE = _LONG_PAUSE_S if parallel or shape == "routed" else _SHORT_PAUSE_S
    try:
        state = asyncio.run(graph.ainvoke(**options)) if is_async else graph.invoke(**options)
        seen = [normal(state.get(key)) for key in "ab"]
    except Exception as error:
        seen = [type(error).__name__, normal(error)]
    return seen, mode is not None and moved(graph)


def moved(graph: Any) -> bool:
    """Tell whether a parallel graph ran any node at another time than the original would."""
    runtime = graph.parallel_report.runtime
    return runtime.total.early > 0 if runtime else graph.parallel_report.is_parallel
