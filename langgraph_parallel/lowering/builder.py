"""The `StateGraph` that `parallelize` returns for a `StateGraph`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel.errors import RewriteError
from langgraph_parallel.lowering.guard import (
    AnyReported,
    ReportedBuilder,
    guard,
)
from langgraph_parallel.lowering.record import Rewrite, fingerprint
from langgraph_parallel.report.report import ParallelReport

Rewriter: TypeAlias = Callable[[frozenset[str]], tuple[StateGraph[Any, Any, Any, Any], Rewrite]]
"""Makes the rewritten builder anew, keeping the named nodes in place."""


class RewrittenBuilder(ReportedBuilder[Any, Any, Any, Any]):
    """A `StateGraph` whose edges were rewritten; compile it, or add it to another graph."""

    parallel_rewrite: Rewrite
    parallel_rewriter: Rewriter

    @property
    def parallel_report(self) -> ParallelReport:
        """What was made parallel, and why the rest was not."""
        return self.parallel_rewrite.report

    @property
    def original(self) -> Any:
        """The graph that was given to `parallelize`."""
        return self.parallel_rewrite.source

    def compile(self, *args: Any, **settings: Any) -> AnyReported:
        """Compile the graph, as `StateGraph.compile` does.

        Nodes named in `interrupt_before` or `interrupt_after` keep their place in the original
        order, and so may reduce what is parallel.

        Raises:
            RewriteError: If nodes or edges were added after `parallelize`.
        """
        if fingerprint(self) != self.parallel_rewrite.mark and not self.compiled:
            msg = (
                "This graph was changed after parallelize(); add nodes and edges to the source "
                "graph first and call parallelize() on it again."
            )
            raise RewriteError(msg)
        checkpointer = args[0] if args else settings.get("checkpointer")
        if checkpointer is True:
            # A sub-graph that keeps its own thread may have been paused by the original.
            kept = clone_builder(self.original).compile(*args, **settings)
            return cast("AnyReported", kept)  # the one that has no report
        pins = _named(settings.get("interrupt_before")) | _named(settings.get("interrupt_after"))
        if "*" in pins or pins & self.parallel_rewrite.moved:
            pinned, rewrite = self.parallel_rewriter(pins)
            return guard(pinned.compile(*args, **settings), rewrite, CompiledStateGraph)
        compiled = super().compile(*args, **settings)
        return guard(compiled, self.parallel_rewrite, type(compiled))


def as_rewritten(
    builder: StateGraph[Any, Any, Any, Any], rewrite: Rewrite, rewriter: Rewriter
) -> RewrittenBuilder:
    """Make a private clone a `RewrittenBuilder` that is also an instance of its own class."""
    builder.__class__ = _rewritten_class(type(builder))  # type: ignore[arg-type]
    builder.parallel_rewrite = rewrite  # type: ignore[attr-defined]
    builder.parallel_rewriter = rewriter  # type: ignore[attr-defined]
    assert isinstance(builder, RewrittenBuilder)
    return builder


@functools.cache
def _rewritten_class(base: type) -> type[RewrittenBuilder]:
    if issubclass(RewrittenBuilder, base):
        return RewrittenBuilder
    return type(f"Rewritten{base.__name__}", (RewrittenBuilder, base), {})


def _named(nodes: Any) -> frozenset[str]:
    return frozenset({nodes} if isinstance(nodes, str) else nodes or ())
