"""A pytest plugin that sends every compiled `StateGraph` through `parallelize`.

Loaded with `-p parallelize_plugin` by run.py; what it did is appended, one JSON object for each
compiled graph, to the file that `LANGGRAPH_PARALLEL_UPSTREAM_LOG` names.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections import Counter
from typing import Any

import pytest
from langgraph.graph import StateGraph

from langgraph_parallel import ParallelConfig, ParallelReport, parallelize

LOG = os.environ.get("LANGGRAPH_PARALLEL_UPSTREAM_LOG")
MODE: Any = os.environ.get("LANGGRAPH_PARALLEL_UPSTREAM_MODE", "fanout")
INSIDE = bool(os.environ.get("LANGGRAPH_PARALLEL_UPSTREAM_INSIDE"))
UNKNOWN_CALLS: Any = os.environ.get("LANGGRAPH_PARALLEL_UPSTREAM_UNKNOWN_CALLS", "ordered")

_compile = StateGraph.compile
_records: list[dict[str, Any]] = []
_current = ""


@functools.wraps(_compile)
def compile_in_parallel(self: StateGraph[Any, Any, Any, Any], *args: Any, **settings: Any) -> Any:
    compiled = _compile(self, *args, **settings)
    caller = sys._getframe(1).f_globals.get("__name__", "")
    if caller.partition(".")[0] == "langgraph_parallel":
        return compiled  # its own clones and the original topology that it falls back to
    try:
        config = ParallelConfig(unknown_calls=UNKNOWN_CALLS)
        graph = parallelize(compiled, mode=MODE, config=config, inside=INSIDE)
    except Exception as error:
        _records.append({"test": _current, "error": repr(error)})
        raise
    _records.append({"test": _current, **describe(graph.parallel_report)})  # type: ignore[attr-defined]
    return graph


def describe(report: ParallelReport) -> dict[str, Any]:
    """Return what became of one graph."""
    kept = [part for part in report.regions if not part.is_parallel]
    rules = Counter(
        pair.constraint.rule.value
        for part in kept
        for pair in part.pairs()
        if pair.constraint is not None
    )
    return {
        "regions": len(report.regions),
        "parallel": len(report.regions) - len(kept),
        "saved": sum(len(part.region.nodes) - part.schedule.depth for part in report.regions),
        "refused": sorted({refusal.rule for refusal in report.refusals}),
        "held": sorted(rules),
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    global _current
    _current = item.nodeid
    return (yield)


def pytest_configure() -> None:
    StateGraph.compile = compile_in_parallel  # type: ignore[method-assign]


def pytest_unconfigure() -> None:
    StateGraph.compile = _compile  # type: ignore[method-assign]
    if LOG:
        with open(LOG, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in _records)
