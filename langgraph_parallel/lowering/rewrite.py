"""From the new order of a graph's regions to a builder of LangGraph's that brings it about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.graph import StateGraph

from langgraph_parallel._compat.builder import clone_builder
from langgraph_parallel._compat.runnables import amend
from langgraph_parallel.lowering.amend import Amendment
from langgraph_parallel.lowering.fanout import rewire
from langgraph_parallel.lowering.guard import Rewrite, fingerprint
from langgraph_parallel.lowering.inside import Inside, place_inside, with_inside
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
    return LoweredFanout(original=original, builder=clone, graph=made, moved=moved)


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


def record_rewrite(source: Any, lowered: LoweredFanout, report: ParallelReport) -> Rewrite:
    """Return what the rewritten graph remembers of its making.

    Args:
        source: What the user gave.
        lowered: The graph.
        report: The report on it.
    """
    moved = lowered.moved
    return Rewrite(
        source=source,
        builder=lowered.original,
        report=report,
        moved=frozenset(name for part in moved for name in part.region.nodes),
        ends={
            frozenset(part.levels[-1]): part.region.nodes[-1]
            for part in moved
            if part.region.exit in (None, END)
        },
        cuts=dict(cut for part in moved for cut in _cuts(part)),
        width=max((len(level) for part in moved for level in part.levels), default=1),
        mark=fingerprint(lowered.builder),
    )


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
