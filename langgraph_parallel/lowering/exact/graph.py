"""The graph that `parallelize(..., mode="exact")` returns: LangGraph's own, with early starts."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from langchain_core.runnables.config import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.builder import compile_like
from langgraph_parallel._compat.tasks import input_reader, update_reader
from langgraph_parallel._compat.tracing import adds_handlers_anywhere
from langgraph_parallel.effects import Effects
from langgraph_parallel.lowering.exact.launchers import TaskLauncher, ThreadLauncher
from langgraph_parallel.lowering.exact.lower import LoweredExact
from langgraph_parallel.lowering.exact.node import ExactNode
from langgraph_parallel.lowering.exact.program import EarlyProgram, NodeEntry
from langgraph_parallel.lowering.exact.sandbox import NodeSetting
from langgraph_parallel.lowering.exact.session import CURRENT, Session
from langgraph_parallel.lowering.guard import ReportedGraph, stands_for
from langgraph_parallel.lowering.settings import odd_in_run
from langgraph_parallel.ordering.dependence import Step
from langgraph_parallel.report.report import ParallelReport


class ExactGraph(ReportedGraph[Any, Any, Any, Any]):
    """A compiled graph whose nodes may start before their superstep.

    Supersteps, checkpoints and streams are those of the graph it was made from, and so every thread
    that one of them has begun the other can go on with.
    """

    parallel_program: EarlyProgram

    def __init__(self, *, parallel_program: EarlyProgram, **settings: Any) -> None:
        self.parallel_program = parallel_program
        super().__init__(**settings)

    @property
    def parallel_report(self) -> ParallelReport:
        """What may start early and why the rest may not; `.runtime` counts what did."""
        return self.parallel_rewrite.report

    def _may_start_early(self, config: RunnableConfig | None, options: Mapping[str, Any]) -> bool:
        """Whether there is anything to start, and no setting that counts what a superstep does.

        Nor one that shows every call at once: what comes to nothing would be seen.
        """
        counted = self.step_timeout is not None or self.cache_policy is not None
        has_some = bool(self.parallel_program.plan.regions)
        if not has_some or counted or adds_handlers_anywhere():
            return False
        return not odd_in_run(self, self.parallel_rewrite.reliance, config, options)

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any
    ) -> Iterator[Any]:
        """Stream a run, as `CompiledStateGraph.stream` does."""
        if not self._may_start_early(config, options):
            yield from super().stream(input, config, **options)
            return
        launcher = ThreadLauncher(self.parallel_program.most_runs)
        session = Session(self.parallel_program, launcher, _stops(self, options))
        parts = super().stream(input, config, **options)
        try:
            while True:
                token = CURRENT.set(session)
                try:
                    part = next(parts)
                except StopIteration:
                    return
                finally:
                    CURRENT.reset(token)
                yield part
        finally:
            try:
                parts.close()  # type: ignore[attr-defined]
            finally:
                session.close()
                launcher.close()

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any
    ) -> AsyncIterator[Any]:
        """Stream a run, as `CompiledStateGraph.astream` does."""
        parts = super().astream(input, config, **options)
        launcher = TaskLauncher(self.parallel_program.most_runs)
        session = Session(self.parallel_program, launcher, _stops(self, options))
        try:
            while True:
                token = CURRENT.set(session if self._may_start_early(config, options) else None)
                try:
                    part = await anext(parts)
                except StopAsyncIteration:
                    return
                finally:
                    CURRENT.reset(token)
                yield part
        finally:
            try:
                await parts.aclose()  # type: ignore[attr-defined]
            finally:
                await launcher.close(session.close())


def _stops(graph: ExactGraph, options: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the nodes before and after which a run pauses."""
    before = options.get("interrupt_before") or graph.interrupt_before_nodes
    after = options.get("interrupt_after") or graph.interrupt_after_nodes
    return _named(before), _named(after)


def _named(nodes: Any) -> frozenset[str]:
    return frozenset({nodes} if isinstance(nodes, str) else nodes or ())


def as_exact(
    compiled: CompiledStateGraph[Any, Any, Any, Any], lowered: LoweredExact, base: type
) -> ExactGraph:
    """Make a freshly compiled graph an `ExactGraph` that is also an instance of `base`.

    Args:
        compiled: Compiled from `lowered.builder`.
        lowered: What may start early.
        base: The class of the graph that this one stands for.
    """
    compiled.__class__ = _exact_class(base)
    compiled.parallel_rewrite = lowered.rewrite  # type: ignore[attr-defined]
    compiled.parallel_program = EarlyProgram(  # type: ignore[attr-defined]
        graph=compiled,
        plan=lowered.plan,
        nodes={
            name: _entry(compiled, lowered, name)
            for name in lowered.plan.members
            if isinstance(compiled.nodes[name].bound, ExactNode)
        },
        runtime=lowered.runtime,
        most_runs=lowered.most_runs,
        most_guesses=lowered.most_guesses,
        is_live=lowered.is_live,
        relied_on=lowered.relied_on,
    )
    assert isinstance(compiled, ExactGraph)
    return compiled


def compile_exact(
    lowered: LoweredExact, model: CompiledStateGraph[Any, Any, Any, Any]
) -> ExactGraph:
    """Compile a lowered graph with every setting of `model`, as a graph of its class too."""
    return as_exact(compile_like(lowered.builder, model), lowered, type(model))


def _entry(
    compiled: CompiledStateGraph[Any, Any, Any, Any], lowered: LoweredExact, name: str
) -> NodeEntry:
    node, plan = compiled.nodes[name], lowered.plan
    keys, make_state = input_reader(compiled, name)
    return NodeEntry(
        runnable=node.bound,
        setting=NodeSetting(
            name=name,
            triggers=tuple(sorted(node.triggers)),
            metadata=dict(node.metadata or {}),
            tags=tuple(node.tags or ()),
            remaining=plan.remaining(name),
            unit=lowered.rewrite.report.unit,
        ),
        keys=keys,
        lazy=_given_back(lowered.effects[name], lowered.steps[name]),
        reads=lowered.steps[name].reads,
        writes=lowered.steps[name].writes,
        make_state=make_state,
        read_updates=update_reader(compiled, name),
    )


@functools.cache
def _exact_class(base: type) -> type[ExactGraph]:
    if issubclass(ExactGraph, base):
        return ExactGraph
    if issubclass(base, ReportedGraph):
        return _exact_class(stands_for(base))
    return type(f"Exact{base.__name__}", (ExactGraph, base), {})


def _given_back(effects: Effects, step: Step) -> frozenset[str]:
    """Return the keys of the state that a node only gives back, or copies and writes anew.

    `{**state, "x": ...}` copies the old value of `x` too, and looks at it no more than at others.
    """
    return (effects.keeps | step.writes if effects.keeps else effects.keeps) - step.reads
