"""What `parallelize` did and why: for people as text, HTML and Mermaid, for programs as fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TextIO

from langgraph_parallel.effects import Effects
from langgraph_parallel.ordering.dependence import Constraint, Rule, Schedule, Step, constrain
from langgraph_parallel.reading.refusals import Refusal
from langgraph_parallel.reading.regions import Region
from langgraph_parallel.report.blockers import Blocker, find_blockers
from langgraph_parallel.report.costs import Durations
from langgraph_parallel.report.early import EarlyRuntime
from langgraph_parallel.report.export import as_dict
from langgraph_parallel.report.html import as_html
from langgraph_parallel.report.reasons import verdict_of
from langgraph_parallel.report.terminal import render, show
from langgraph_parallel.report.text import headline, text_lines

_RENAMED: Final = (Rule.OUTPUT, Rule.FOLD, Rule.ANTI)
"""Orders that need no waiting where results are committed in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The verdict on two nodes of one region, in program order."""

    earlier: str
    later: str
    constraint: Constraint | None
    """What their order keeps; None when they are independent."""
    together: bool
    """True when they run in the same superstep now."""
    reason: str
    """The verdict in a sentence, with the evidence."""

    def __str__(self) -> str:
        return f"{self.earlier} -> {self.later}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionReport:
    """What became of one region."""

    region: Region
    steps: tuple[Step, ...]
    schedule: Schedule
    effects: Mapping[str, Effects]
    costs: Mapping[str, float]
    """Predicted duration of each node, in seconds or in calls."""
    host: str = ""
    """The node whose sub-graph it stands in; empty when it stands in the graph itself."""
    has_barriers: bool = True
    """Whether the nodes of one level start only when all of the level before have ended; False
    where each starts as those that it waits for end (`mode="exact"`)."""

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each superstep, in program order."""
        rows: list[list[str]] = [[] for _ in range(self.schedule.depth)]
        for name, level in zip(self.region.nodes, self.schedule.levels, strict=True):
            rows[level].append(name)
        return tuple(map(tuple, rows))

    @property
    def is_parallel(self) -> bool:
        """Whether any two nodes run in the same superstep."""
        return self.schedule.depth < len(self.region.nodes)

    @property
    def work(self) -> float:
        """Predicted duration of the nodes one after another."""
        return sum(self.costs[name] for name in self.region.nodes)

    @property
    def span(self) -> float:
        """Predicted duration now: with barriers, that of the slowest node of each superstep.

        What is saved inside of sub-graphs counts in the span of the whole report.
        """
        if not self.has_barriers:
            return self._critical_path
        return sum(max(self.costs[name] for name in level) for level in self.levels)

    @property
    def _critical_path(self) -> float:
        ends: list[float] = []
        for name, before in zip(self.region.nodes, self.schedule.predecessors, strict=True):
            ends.append(self.costs[name] + max((ends[p] for p in before), default=0.0))
        return max(ends, default=0.0)

    @property
    def pair_count(self) -> int:
        """How many pairs of nodes there are."""
        return len(self.steps) * (len(self.steps) - 1) // 2

    def pairs(self) -> Iterator[Pair]:
        """Yield the verdict on every pair, in program order; there are n(n-1)/2."""
        for j in range(len(self.steps)):
            for i in range(j):
                yield self.pair(i, j)

    def pair(self, i: int, j: int) -> Pair:
        """Return the verdict on two nodes.

        Args:
            i: Index of the earlier node, in program order.
            j: Index of the later one, above `i`.
        """
        earlier, later = self.steps[i], self.steps[j]
        constraint = constrain(earlier, later)
        if constraint and not self.has_barriers and constraint.rule in _RENAMED:
            constraint = None  # results are committed in order
        together = self.schedule.levels[i] == self.schedule.levels[j]
        reason = verdict_of(earlier, later, constraint, self.effects)
        if not together and (constraint is None or not constraint.strict):
            reason += " (apart only because of other nodes)"
        return Pair(
            earlier=earlier.name,
            later=later.name,
            constraint=constraint,
            together=together,
            reason=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParallelReport:
    """What was made parallel in a graph, and why the rest was not.

    `print(report)` gives it as text, a notebook shows it as HTML, `rich.print(report)` as a tree.
    """

    regions: tuple[RegionReport, ...]
    """Every straight run that was considered, rewritten or not; those of sub-graphs come last."""
    refusals: tuple[Refusal, ...]
    """The parts that stay as they are, with the reason."""
    effects: Mapping[str, Effects]
    """What each node does; a node of a sub-graph is called `host/node`."""
    before: str
    """The graph's edges before, as Mermaid text."""
    after: str
    """The graph's edges after, as Mermaid text."""
    unit: str
    """Unit of the predicted durations: `s` when given, else `calls`."""
    measured: Mapping[str, float] | None = None
    """Recorded seconds of each node (>= 0); None when nothing was recorded. Nodes without an entry
    count as 0."""
    runtime: EarlyRuntime | None = field(default=None, compare=False)
    """What early starts did so far, counted while the graph is used; None but in `mode="exact"`."""
    what_if: Callable[[Mapping[str, Effects]], ParallelReport] | None = field(
        default=None, compare=False
    )
    """Explains the same graph with these effects of nodes; None when the graph is not at hand."""

    @property
    def is_parallel(self) -> bool:
        """Whether anything was rewritten."""
        return any(part.is_parallel for part in self.regions)

    @property
    def work(self) -> float:
        """Predicted duration of all regions' nodes one after another."""
        return self.predicted.work(self.regions)

    @property
    def span(self) -> float:
        """Predicted duration of all regions now."""
        return self.predicted.span(self.regions)

    @property
    def speedup(self) -> float:
        """Predicted speed-up of the regions: work over span; 1.0 when there is nothing to gain."""
        return self.predicted.speedup(self.regions)

    @property
    def measured_speedup(self) -> float | None:
        """Speed-up with the recorded seconds; None when nothing was recorded."""
        return None if self.measured is None else self.recorded.speedup(self.regions)

    @property
    def predicted(self) -> Durations:
        """The predicted duration of every node that stands in a region."""
        costs = {name: cost for part in self.regions for name, cost in part.costs.items()}
        return Durations(by_node=costs, unit=self.unit)

    @property
    def recorded(self) -> Durations:
        """The recorded seconds of the nodes; without an entry when nothing was recorded."""
        return Durations(by_node=self.measured or {}, unit="s")

    def with_measured(self, seconds: Mapping[str, float]) -> ParallelReport:
        """Return the report with the recorded seconds of each node (>= 0)."""
        return replace(self, measured=dict(seconds))

    def pairs(self) -> Iterator[Pair]:
        """Yield the verdict on every pair of nodes that share a region."""
        for part in self.regions:
            yield from part.pairs()

    def why(self, earlier: str, later: str) -> str:
        """Return why two nodes are, or are not, kept in order.

        Raises:
            KeyError: If they do not share a region, or are not in program order.
        """
        for part in self.regions:
            nodes = part.region.nodes
            if earlier in nodes and later in nodes:
                i, j = nodes.index(earlier), nodes.index(later)
                if i < j:
                    return part.pair(i, j).reason
        msg = f"{earlier!r} and {later!r} do not stand, in this order, in one straight run"
        raise KeyError(msg)

    def blockers(self, limit: int = 5) -> tuple[Blocker, ...]:
        """Return the single changes that would save most, the best first.

        Each is a node or a pair, what it is held by and where, the line that unlocks it, and the
        time that this alone would save: in recorded seconds when there are any, else as predicted.

        Args:
            limit: How many to return (>= 0).

        Returns:
            At most `limit` records; empty when no single change helps.

        Complexity: some 20 schedules at most, fewer for graphs of more than 500 nodes.
        """
        return find_blockers(self, limit)

    def mermaid(self) -> str:
        """Return the graph after the rewrite as Mermaid text."""
        return self.after

    def show(self, file: TextIO | None = None) -> None:
        """Write the report to `file`, or to the output: with rich to a terminal, else as text."""
        show(self, file)

    def to_dict(self, *, max_pairs: int | None = 1000) -> dict[str, Any]:
        """Return the report as plain values.

        The keys are documented at the top of `langgraph_parallel.report.export`.

        Args:
            max_pairs: Pairs to spell out (>= 0), of the n(n-1)/2 of each region; None means all.
        """
        return as_dict(self, max_pairs=max_pairs)

    def to_json(self, *, max_pairs: int | None = 1000) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(max_pairs=max_pairs), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        nodes = sum(len(part.region.nodes) for part in self.regions)
        return f"<ParallelReport of {nodes} nodes: {headline(self)}>"

    def __str__(self) -> str:
        return "\n".join(text_lines(self))

    def __rich__(self) -> Any:
        return render(self)

    def _repr_html_(self) -> str:
        return as_html(self)
