"""Keeps a rewritten graph from being used in a way that would change its meaning.

A fan-out has other supersteps than the chain that it came from. Whatever depends on them is run by
the original topology, compiled with the same settings, or refused with a clear error:

* a thread paused under the original topology resumes there: its checkpoints lack our mark; one
  that another rewriting of the graph paused is refused;
* `interrupt_before` / `interrupt_after` given at run time and naming a moved node;
* an input `Command(goto=...)`;
* an input, or a state saved by others, with objects where the analysis took it for plain data;
* settings (`configurable`), metadata or parts of the context that are no plain data, where a node
  reads them;
* a `step_timeout` set on the rewritten graph: it counts what one superstep does;
* `update_state` in the middle of a region;
* a node that goes where nobody foresaw: from there on the run has the edges of the original.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias
from weakref import WeakKeyDictionary

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot, StateUpdate
from langgraph.typing import ContextT, InputT, OutputT, StateT

from langgraph_parallel._compat.builder import clone_builder, compile_like, settings_of
from langgraph_parallel._compat.edges import follow_either
from langgraph_parallel._compat.turns import take_turns
from langgraph_parallel.inference.code.plain import find_odd
from langgraph_parallel.lowering.record import (
    Rewrite,
    check_updates,
    is_inside,
    is_ours,
    name_last,
)
from langgraph_parallel.lowering.settings import odd_in_run
from langgraph_parallel.lowering.threads import (
    TOPOLOGY_KEY,
    Thread,
    address,
    names_subgraph,
    read_thread,
    unmarked,
    with_mark,
)
from langgraph_parallel.report.report import ParallelReport

_LOGGER: Final = logging.getLogger(__name__)


class ReportedGraph(CompiledStateGraph[StateT, ContextT, InputT, OutputT]):
    """The compiled graph that `parallelize` returns.

    It is used like any `CompiledStateGraph`; `parallel_report` says what was done and `original` is
    the graph it was made from.
    """

    parallel_rewrite: Rewrite

    def __init__(self, *, parallel_rewrite: Rewrite, **settings: Any) -> None:
        self.parallel_rewrite = parallel_rewrite
        super().__init__(**settings)

    @property
    def parallel_report(self) -> ParallelReport:
        """What was made parallel, and why the rest was not."""
        return self.parallel_rewrite.report

    @property
    def original(self) -> Any:
        """The graph that was given to `parallelize`."""
        return self.parallel_rewrite.source


class ReportedBuilder(StateGraph[StateT, ContextT, InputT, OutputT]):
    """The builder that `parallelize` returns: compile it, or add it to another graph."""

    @property
    def parallel_report(self) -> ParallelReport:
        """What was made parallel, and why the rest was not."""
        raise NotImplementedError

    @property
    def original(self) -> Any:
        """The graph that was given to `parallelize`."""
        raise NotImplementedError

    if TYPE_CHECKING:

        def compile(
            self, *args: Any, **settings: Any
        ) -> ReportedGraph[StateT, ContextT, InputT, OutputT]:
            """Compile the graph, as `StateGraph.compile` does; the result carries the report."""


AnyReported: TypeAlias = ReportedGraph[Any, Any, Any, Any]
"""One whose state may be of any type."""


class RewrittenGraph(ReportedGraph[Any, Any, Any, Any]):
    """A compiled graph in which nodes moved to other supersteps."""

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any
    ) -> Iterator[Any]:
        """Stream a run, as `CompiledStateGraph.stream` does."""
        thread = self._thread(config)
        if self._runs_here(thread, input, config, options):
            yield from super().stream(input, self._with_threads(self._marked(config)), **options)
        else:
            yield from self._unchanged().stream(input, unmarked(config), **options)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **options: Any
    ) -> AsyncIterator[Any]:
        """Stream a run, as `CompiledStateGraph.astream` does."""
        thread = await self._athread(config)
        if self._runs_here(thread, input, config, options, is_async=True):
            parts = super().astream(input, self._marked(config), **options)
        else:
            parts = self._unchanged().astream(input, unmarked(config), **options)
        try:
            async for part in parts:
                yield part
        finally:
            await parts.aclose()  # type: ignore[attr-defined]

    def _runs_here(
        self,
        thread: Thread | None,
        given: Any,
        config: RunnableConfig | None,
        options: Mapping[str, Any],
        *,
        is_async: bool = False,
    ) -> bool:
        """Tell whether the rewritten topology runs this call.

        Raises:
            RewriteError: If neither topology can.
        """
        rewrite = self.parallel_rewrite
        conflict = _conflict(self, given, config, options, is_async=is_async)
        if not is_ours(rewrite, thread, given, conflict):
            return False
        if thread is not None and not rewrite.moved.isdisjoint(thread.following):
            return True  # what it began with was looked at then
        began = thread.values if thread is not None else None
        odd = find_odd(given, rewrite.relied_on) or find_odd(began, rewrite.relied_on)
        if odd:
            _LOGGER.info("%s, of which the analysis knew nothing: the original order runs", odd)
        return not odd

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a thread's state, as `CompiledStateGraph.get_state` does."""
        state = super().get_state(config, subgraphs=subgraphs)
        if names_subgraph(config) or not self._is_foreign(state):
            return state
        return self._unchanged().get_state(config, subgraphs=subgraphs)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a thread's state, as `CompiledStateGraph.aget_state` does."""
        state = await super().aget_state(config, subgraphs=subgraphs)
        if names_subgraph(config) or not self._is_foreign(state):
            return state
        return await self._unchanged().aget_state(config, subgraphs=subgraphs)

    def _is_foreign(self, state: StateSnapshot) -> bool:
        """Tell whether a saved state was written by another topology, which knows what is due."""
        mark = (state.metadata or {}).get(TOPOLOGY_KEY)
        return state.created_at is not None and mark != self.parallel_rewrite.mark

    def bulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Update a thread, as `CompiledStateGraph.bulk_update_state` does.

        Raises:
            RewriteError: If the update would stand in the middle of a region.
        """
        if names_subgraph(config):
            return super().bulk_update_state(config, supersteps)
        thread = self._thread(config)
        rewrite = self.parallel_rewrite
        if thread is not None and thread.jumped:
            return super().bulk_update_state(self._marked(config), supersteps)
        if thread is None or not is_inside(rewrite, thread, supersteps):
            # Nothing of a region is under way: the original topology may go on from here.
            named = [name_last(rewrite, thread, step) for step in supersteps]
            return self._unchanged().bulk_update_state(unmarked(config), named)
        checked = [check_updates(rewrite, thread, step) for step in supersteps]
        return super().bulk_update_state(self._marked(config), checked)

    async def abulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Update a thread, as `CompiledStateGraph.abulk_update_state` does.

        Raises:
            RewriteError: If the update would stand in the middle of a region.
        """
        if names_subgraph(config):
            return await super().abulk_update_state(config, supersteps)
        thread = await self._athread(config)
        rewrite = self.parallel_rewrite
        if thread is not None and thread.jumped:
            return await super().abulk_update_state(self._marked(config), supersteps)
        if thread is None or not is_inside(rewrite, thread, supersteps):
            # Nothing of a region is under way: the original topology may go on from here.
            named = [name_last(rewrite, thread, step) for step in supersteps]
            return await self._unchanged().abulk_update_state(unmarked(config), named)
        checked = [check_updates(rewrite, thread, step) for step in supersteps]
        return await super().abulk_update_state(self._marked(config), checked)

    def _thread(self, config: RunnableConfig | None) -> Thread | None:
        found = address(self, config)
        if found is None:
            return None
        saver, thread_config = found
        saved = saver.get_tuple(thread_config)
        if saved is None:
            return None
        state = self.get_state(thread_config)
        return read_thread(saved, state, config, self.parallel_rewrite.mark)

    async def _athread(self, config: RunnableConfig | None) -> Thread | None:
        found = address(self, config)
        if found is None:
            return None
        saver, thread_config = found
        saved = await saver.aget_tuple(thread_config)
        if saved is None:
            return None
        state = await self.aget_state(thread_config)
        return read_thread(saved, state, config, self.parallel_rewrite.mark)

    def _unchanged(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return the original topology with the present settings of this graph."""
        settings = settings_of(self)
        kept = _ORIGINALS.get(self)
        if kept is None or not _same(kept[0], settings):
            original = compile_like(clone_builder(self.parallel_rewrite.builder), self)
            kept = _ORIGINALS[self] = (settings, original)
        return kept[1]

    def _with_threads(self, config: RunnableConfig) -> RunnableConfig:
        """Give a sync run one thread for each node of the widest superstep.

        LangGraph's pool has `min(32, cpus + 4)` threads unless `max_concurrency` says otherwise; on
        a small machine it would run a wide fan-out in several waves.
        """
        width, usual = self.parallel_rewrite.width, min(32, (os.cpu_count() or 1) + 4)
        # A node that waits for its tasks holds a thread: each may need as many as one had alone.
        needed = width * usual if self.parallel_rewrite.starts_tasks else width
        if self._limit(config) is not None or needed <= usual:
            return config
        return {**config, "max_concurrency": needed}

    def _limit(self, config: RunnableConfig | None) -> int | None:
        """Return how many things a run may do at a time; None when nothing limits it."""
        inherited = var_child_runnable_config.get() or {}
        found = (c.get("max_concurrency") for c in (config or {}, self.config or {}, inherited))
        return next((limit for limit in found if limit), None)

    def _marked(self, config: RunnableConfig | None) -> RunnableConfig:
        return with_mark(config, self.parallel_rewrite.mark)


_ORIGINALS: Final[
    WeakKeyDictionary[
        RewrittenGraph, tuple[Mapping[str, Any], CompiledStateGraph[Any, Any, Any, Any]]
    ]
] = WeakKeyDictionary()
"""The original topology of each graph that needed it, with the settings that it was compiled for.
Compiling takes milliseconds, and a thread may need it for each call."""


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all(a[name] is b[name] for name in a)


def guard(
    compiled: CompiledStateGraph[Any, Any, Any, Any], rewrite: Rewrite, base: type
) -> AnyReported:
    """Make a freshly compiled graph a `ReportedGraph` that is also an instance of `base`.

    Where no node moved nothing needs guarding, and the graph behaves as it did.
    """
    if rewrite.turns:
        places = {name: place for place, name in enumerate(rewrite.turns)}
        take_turns(compiled, places, frozenset().union(*rewrite.turns.values()))
    # Last: it keeps the writers that it finds.
    if rewrite.moved and rewrite.foreseen:
        original = compile_like(clone_builder(rewrite.builder), compiled)
        follow_either(compiled, original, rewrite.foreseen)
    compiled.__class__ = _guarded_class(RewrittenGraph if rewrite.moved else ReportedGraph, base)
    compiled.parallel_rewrite = rewrite  # type: ignore[attr-defined]
    assert isinstance(compiled, ReportedGraph)
    return compiled


def compile_guarded(
    builder: StateGraph[Any, Any, Any, Any],
    model: CompiledStateGraph[Any, Any, Any, Any],
    rewrite: Rewrite,
) -> AnyReported:
    """Compile a rewritten builder with every setting of `model`, as a graph of its class too."""
    return guard(compile_like(builder, model), rewrite, type(model))


def stands_for(made: type) -> type:
    """Return the class of the graphs for which those of a class of ours stand."""
    return [base for base in made.__bases__ if base is not Generic][-1]


@functools.cache
def _guarded_class(kind: type[AnyReported], base: type) -> type[AnyReported]:
    if issubclass(kind, base):
        return kind
    if issubclass(base, ReportedGraph):
        return _guarded_class(kind, stands_for(base))
    return type(f"Rewritten{base.__name__}", (kind, base), {})


def _conflict(
    graph: RewrittenGraph, given: Any, config: Any, options: Any, *, is_async: bool = False
) -> str:
    """Return what in a run's arguments needs the original supersteps, or an empty string."""
    for option in ("interrupt_before", "interrupt_after"):
        nodes = options.get(option) or ()
        if nodes == "*" or graph.parallel_rewrite.moved.intersection(nodes):
            return f"{option}={nodes!r}"
    if odd := odd_in_run(graph, graph.parallel_rewrite.reliance, config, options):
        return odd
    if graph.parallel_rewrite.sees_steps and address(graph, config) is not None:
        # The next run of the thread counts on from the supersteps of this one.
        return "A checkpointer, with a node that looks at the number of its superstep,"
    if graph.step_timeout is not None:
        return f"step_timeout={graph.step_timeout!r}"
    if graph.cache_policy is not None and graph.parallel_rewrite.turns:
        # What a cache keeps may come from a run of the original, which did not say whose it is.
        return f"cache_policy={graph.cache_policy!r}"
    # Nodes that wait for tasks side by side might take all places, and the tasks none.
    limit = graph._limit(config)
    if limit is not None and graph.parallel_rewrite.starts_tasks:
        return f"max_concurrency={limit!r}"
    if is_async and graph.parallel_rewrite.waits_on_threads:
        return "An async run of sync nodes that wait for tasks"
    return "Command(goto=...)" if isinstance(given, Command) and given.goto else ""
