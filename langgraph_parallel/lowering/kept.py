"""From a graph that has no edges to rewrite to one that does the same and carries its report."""

from __future__ import annotations

import functools
from typing import Any

from langgraph.pregel import Pregel

from langgraph_parallel.report.report import ParallelReport


class KeptGraph(Pregel[Any, Any, Any, Any]):
    """The graph that `parallelize` returns for one made by `@entrypoint`, or for a plain `Pregel`.

    It is used like that one; `parallel_report` says why nothing was done.
    """

    parallel_report: ParallelReport
    original: Pregel[Any, Any, Any, Any]

    def __init__(self, *, parallel_report: ParallelReport, original: Any, **settings: Any) -> None:
        self.parallel_report, self.original = parallel_report, original
        super().__init__(**settings)


def keep(graph: Any, report: ParallelReport) -> Any:
    """Return a copy of a graph, of its class too, that carries a report."""
    made = graph.copy()
    kind: type = type(graph)
    made.__class__ = _kept_class(kind)
    made.parallel_report, made.original = report, getattr(graph, "original", graph)
    return made


@functools.cache
def _kept_class(base: type[Any]) -> type[KeptGraph]:
    if issubclass(base, KeptGraph):
        return base
    return KeptGraph if base is Pregel else type(f"Kept{base.__name__}", (KeptGraph, base), {})
