"""From the new order of a graph's regions to a builder of LangGraph's that brings it about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.graph import StateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel._compat.edges import Foreseen
from langgraph_parallel._compat.runnables import amend, is_async_only, on_own_thread
from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.code.tasks import task_called
from langgraph_parallel.lowering.amend import Amendment
from langgraph_parallel.lowering.fanout import rewire
from langgraph_parallel.lowering.inside import Inside, place_inside, with_inside
from langgraph_parallel.lowering.record import Rewrite, fingerprint
from langgraph_parallel.lowering.settings import reliance_of
from langgraph_parallel.reading.given_back import Share, shares_of
from langgraph_parallel.reading.model import END, Graph
from langgraph_parallel.reading.validation import checks_of
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.report import ParallelReport


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredFanout:
    """A graph with the new order, ready to be compiled."""

    original: StateGraph[Any, Any, Any, Any]
    """A private clone in the old order, with the new sub-graphs."""
    builder: StateGraph[Any, Any, Any, Any]
    """A private clone in the new order."""
    graph: Graph
    """The same as a model."""
    moved: Sequence[RegionReport]
    """The regions whose order is new."""
    waits_on_threads: bool
    """Whether nodes that share a superstep may hold the threads that their tasks need in async
    runs."""


def lower_fanout(
    builder: StateGraph[Any, Any, Any, Any],
    graph: Graph,
    parts: Sequence[RegionReport],
    inside: Mapping[str, Inside],
) -> LoweredFanout:
    """Bring a new order about.

    Args:
        builder: What `graph` was read from; it is not changed.
        graph: The graph in the old order.
        parts: What becomes of its regions.
        inside: Its sub-graphs after the pass, by node name.
    """
    moved = [part for part in parts if part.is_parallel]
    made = rewire(with_inside(graph, inside), ((p.region, p.schedule) for p in moved))
    original = clone_builder(builder)
    place_inside(original, inside)
    clone = clone_builder(original)
    clone.edges = set(made.edges)
    clone.waiting_edges = set(made.joins)
    for part in moved:
        _amend_updates(clone, graph, part)
    waiting = [name for part in moved for name in _calling_tasks(part)]
    waits = [not _give_a_thread(clone, name) for name in waiting]
    return LoweredFanout(
        original=original, builder=clone, graph=made, moved=moved, waits_on_threads=any(waits)
    )


def _give_a_thread(clone: StateGraph[Any, Any, Any, Any], name: str) -> bool:
    """Let a node that waits for tasks hold no thread that they need; return whether that is so."""
    spec = clone.nodes[name]
    if is_async_only(spec.runnable):
        return True
    apart = on_own_thread(spec.runnable)
    if apart is not None:
        spec.runnable = apart
    return apart is not None


def _amend_updates(clone: StateGraph[Any, Any, Any, Any], graph: Graph, part: RegionReport) -> None:
    """Let nodes that no longer run alone show what they would have written in program order.

    A copy of the state is as old as the superstep and would undo, or clash with, what neighbors
    write; and what a node writes is no longer looked at by the making of its neighbors' states.
    """
    names, levels = part.region.nodes, part.schedule.levels
    shares = shares_of(names, levels, part.effects)
    checks = checks_of(graph, names, levels, part.effects)
    for name in names:
        amendment = Amendment(
            keys=tuple(clone.channels),
            share=shares.get(name, Share()),
            checks=checks.get(name, ()),
        )
        if amendment.share or amendment.checks:
            spec = clone.nodes[name]
            spec.runnable = amend(spec.runnable, amendment.before, amendment.after)


def record_rewrite(
    source: Any,
    lowered: LoweredFanout,
    report: ParallelReport,
    relied_on: Mapping[str, frozenset[type]],
    *,
    sees_steps: bool,
) -> Rewrite:
    """Return what the rewritten graph remembers of its making.

    Args:
        source: What the user gave.
        lowered: The graph.
        report: The report on it.
        relied_on: Keys that are taken to hold plain data when a run begins (`GraphView`).
        sees_steps: Whether some node looks at the number of its superstep (`GraphView`).
    """
    moved = lowered.moved
    return Rewrite(
        source=source,
        builder=lowered.original,
        report=report,
        relied_on=relied_on,
        moved=frozenset(name for part in moved for name in part.region.nodes),
        ends={
            frozenset(part.levels[-1]): part.region.nodes[-1]
            for part in moved
            if part.region.exit in (None, END)
        },
        cuts=dict(cut for part in moved for cut in _cuts(part)),
        foreseen=_foreseen(lowered.original, report),
        reliance=reliance_of(report.effects.values()),
        sees_steps=sees_steps,
        starts_tasks=any(True for part in moved for _ in _calling_tasks(part)),
        waits_on_threads=lowered.waits_on_threads,
        turns={name: keys for part in moved for name, keys in _turns(part).items()},
        width=max((len(level) for part in moved for level in part.levels), default=1),
        mark=fingerprint(lowered.builder),
    )


def _foreseen(
    builder: StateGraph[Any, Any, Any, Any], report: ParallelReport
) -> dict[str, Foreseen]:
    """Return where nodes may go by themselves, as far as the analysis has found it."""
    return {
        name: Foreseen(
            targets=found.goto if found.goto is not ALL else frozenset(),
            plain=frozenset(v for u, v in builder.edges if u == name),
        )
        for name, found in report.effects.items()
        if name in builder.nodes and found.control & {"goto", "send"}
    }


def _calling_tasks(part: RegionReport) -> Iterator[str]:
    """Yield the nodes that call tasks of the functional API and run beside others."""
    for level in part.levels:
        yield from (n for n in level if len(level) > 1 and task_called(part.effects[n]))


def _turns(part: RegionReport) -> dict[str, frozenset[str]]:
    """Return the keys that nodes write in turn, by node, the nodes in program order."""
    turns = part.turns
    return {name: turns[name] for name in part.region.nodes if name in turns}


def _cuts(part: RegionReport) -> Iterator[tuple[frozenset[str], str | None]]:
    """Yield the sets of due nodes at which the run stands where the original one would stand.

    That is so before a superstep when the nodes of all earlier ones form a prefix of the chain.
    """
    nodes, levels = part.region.nodes, part.schedule.levels
    for level, due in enumerate(part.levels):
        done = [i for i, at in enumerate(levels) if at < level]
        if done == list(range(len(done))):
            yield frozenset(due), nodes[len(done) - 1] if done else None
    if part.region.exit is not None:
        yield frozenset({part.region.exit}), nodes[-1]
