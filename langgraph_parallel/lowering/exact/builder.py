"""The `StateGraph` that `parallelize(..., mode="exact")` returns for a `StateGraph`."""

from __future__ import annotations

import functools
from typing import Any, cast

from langgraph_parallel.errors import RewriteError
from langgraph_parallel.lowering.exact.graph import as_exact
from langgraph_parallel.lowering.exact.lower import LoweredExact
from langgraph_parallel.lowering.guard import AnyReported, ReportedBuilder
from langgraph_parallel.lowering.record import fingerprint
from langgraph_parallel.report.report import ParallelReport


class ExactBuilder(ReportedBuilder[Any, Any, Any, Any]):
    """A `StateGraph` whose nodes may start early; compile it, or add it to another graph."""

    parallel_lowered: LoweredExact

    @property
    def parallel_report(self) -> ParallelReport:
        """What may start early, and why the rest may not."""
        return self.parallel_lowered.rewrite.report

    @property
    def original(self) -> Any:
        """The graph that was given to `parallelize`."""
        return self.parallel_lowered.rewrite.source

    def compile(self, *args: Any, **settings: Any) -> AnyReported:
        """Compile the graph, as `StateGraph.compile` does.

        Raises:
            RewriteError: If nodes or edges were added after `parallelize`.
        """
        if fingerprint(self) != self.parallel_lowered.rewrite.mark and not self.compiled:
            msg = (
                "This graph was changed after parallelize(); add nodes and edges to the source "
                "graph first and call parallelize() on it again."
            )
            raise RewriteError(msg)
        compiled = super().compile(*args, **settings)
        return as_exact(compiled, self.parallel_lowered, type(compiled))


def as_exact_builder(lowered: LoweredExact) -> ExactBuilder:
    """Make the lowered clone an `ExactBuilder` that is also an instance of its own class."""
    builder: Any = lowered.builder
    builder.__class__ = _exact_class(cast("Any", type(builder)))
    builder.parallel_lowered = lowered
    assert isinstance(builder, ExactBuilder)
    return builder


@functools.cache
def _exact_class(base: type) -> type[ExactBuilder]:
    if issubclass(ExactBuilder, base):
        return ExactBuilder
    return type(f"Exact{base.__name__}", (ExactBuilder, base), {})
