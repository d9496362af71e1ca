"""What `parallelize` did and why: the facts, which every form of the report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from langgraph_parallel.effects import Effects
from langgraph_parallel.reading.model import Refusal
from langgraph_parallel.report.bodies import BodyReport
from langgraph_parallel.report.costs import Durations
from langgraph_parallel.report.critical_path import Timeline
from langgraph_parallel.report.early import EarlyRuntime
from langgraph_parallel.report.region import Pair, RegionReport


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GraphReport:
    """What was made parallel in a graph, and why the rest was not, as plain fields and numbers."""

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
    costs: Mapping[str, float] = field(default_factory=dict)
    """Predicted duration of every node, in `unit`; of one inside of a sub-graph by `host/node`."""
    timeline: Timeline = field(default=Timeline(courses=()), compare=False)
    """How a run of the whole graph passes its nodes, before and after."""
    measured: Mapping[str, float] | None = None
    """Recorded seconds of each node (>= 0); None when nothing was recorded. Nodes without an entry
    count as 0."""
    bodies: Mapping[str, tuple[BodyReport, ...]] = field(default_factory=dict)
    """With `inside=True`, what becomes of the calls inside of each node, and of the functions that
    it calls; a node of a sub-graph is called `host/node`."""
    runtime: EarlyRuntime | None = field(default=None, compare=False)
    """What early starts did so far, counted while the graph is used; None but in `mode="exact"`."""
    what_if: Callable[..., GraphReport] | None = field(default=None, compare=False)
    """Explains the same graph with other effects of nodes, `what_if({"node": Effects(...)})`; None
    when the graph is not at hand. In `mode="exact"` also with `freed=`, nodes that start early
    whatever they are, and `trusting=True`, without effects of calls that are not known."""

    @property
    def is_parallel(self) -> bool:
        """Whether the order of any nodes was changed."""
        return any(part.is_parallel for part in self.regions)

    @property
    def is_parallel_inside(self) -> bool:
        """Whether any calls inside of a node run together."""
        return any(body.is_parallel for bodies in self.bodies.values() for body in bodies)

    @property
    def work(self) -> float:
        """Predicted duration of a run of the whole graph as it was.

        It is a run that passes each loop once and takes the longest of the ways that routers may
        choose; with a recording, the runs that were seen, on average.
        """
        return self.timeline.before(self.costs)

    @property
    def span(self) -> float:
        """Predicted duration of the same run now."""
        return self.timeline.after(self.costs)

    @property
    def speedup(self) -> float:
        """Predicted speed-up of a run: work over span; 1.0 when there is nothing to gain."""
        return _ratio(self.work, self.span)

    @property
    def measured_speedup(self) -> float | None:
        """Speed-up with the recorded seconds; None when nothing was recorded."""
        if self.measured is None:
            return None
        return _ratio(self.timeline.before(self.measured), self.timeline.after(self.measured))

    @property
    def predicted(self) -> Durations:
        """The predicted duration of every node."""
        return Durations(by_node=self.costs, unit=self.unit)

    @property
    def recorded(self) -> Durations:
        """The recorded seconds of the nodes; without an entry when nothing was recorded."""
        return Durations(by_node=self.measured or {}, unit="s")

    def with_measured(self, seconds: Mapping[str, float]) -> Self:
        """Return the report with the recorded seconds of each node (>= 0)."""
        return replace(self, measured=dict(seconds))

    def pairs(self) -> tuple[Pair, ...]:
        """Return the verdict on every pair of nodes that share a region, in program order.

        Complexity: n(n-1)/2 verdicts for a region of n nodes; `regions[i].pairs()` yields them.
        """
        return tuple(pair for part in self.regions for pair in part.pairs())

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
        about = (str(r) for r in self.refusals if not r.nodes or {earlier, later} & {*r.nodes})
        msg = f"{earlier!r} and {later!r} do not stand, in this order, in one straight run"
        raise KeyError("; ".join((msg, *about)))


def _ratio(before: float, after: float) -> float:
    return before / after if after else 1.0
