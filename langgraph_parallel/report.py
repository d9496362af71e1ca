"""What `parallelize` did and why: for people as text and Mermaid, for programs as fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from langgraph_parallel.dependence import Constraint, Rule, Schedule, Step, constrain
from langgraph_parallel.effects import Effects
from langgraph_parallel.graph import Refusal, Region

_MOST_PAIRS_IN_TEXT = 60
"""Pairs that the text spells out; a region of n nodes has n(n-1)/2 of them."""


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

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each superstep, in program order."""
        return tuple(
            tuple(
                n for n, at in zip(self.region.nodes, self.schedule.levels, strict=True) if at == i
            )
            for i in range(self.schedule.depth)
        )

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
        """Predicted duration now: each superstep takes as long as its slowest node."""
        return sum(max(self.costs[name] for name in level) for level in self.levels)

    def pairs(self) -> Iterator[Pair]:
        """Yield the verdict on every pair, in program order."""
        for j, later in enumerate(self.steps):
            for i in range(j):
                yield self._pair(i, j, self.steps[i], later)

    def _pair(self, i: int, j: int, earlier: Step, later: Step) -> Pair:
        constraint = constrain(earlier, later)
        together = self.schedule.levels[i] == self.schedule.levels[j]
        reason = self._reason(earlier, later, constraint)
        if not together and (constraint is None or not constraint.strict):
            reason += " (apart only because of other nodes)"
        return Pair(
            earlier=earlier.name,
            later=later.name,
            constraint=constraint,
            together=together,
            reason=reason,
        )

    def _reason(self, earlier: Step, later: Step, constraint: Constraint | None) -> str:
        if constraint is None:
            shared = earlier.resources & later.resources
            if shared:
                return f"ordered: both use the resource {', '.join(sorted(shared))}"
            return "independent: no state key or outside effect connects them"
        keys = ", ".join(map(repr, constraint.keys))
        match constraint.rule:
            case Rule.FLOW:
                return f"ordered: {later.name} reads {keys}, which {earlier.name} writes" + (
                    self._place(later.name, constraint.keys)
                )
            case Rule.OUTPUT:
                return f"ordered: both write {keys}, and the last one must win"
            case Rule.FOLD if constraint.strict:
                return f"ordered: both add to {keys}, and LangGraph would fold them by name"
            case Rule.FOLD:
                return f"independent: both add to {keys}, in the same order as before"
            case Rule.ANTI:
                return f"independent: {later.name} writes {keys} only after {earlier.name} has read"
            case _:
                return f"ordered: {self._fence_reason(earlier if earlier.fence else later)}"

    def _place(self, name: str, keys: tuple[str, ...]) -> str:
        wanted = [f"reads {key!r}" for key in keys]
        for evidence in self.effects[name].evidence:
            if evidence.what in wanted or evidence.what.startswith("reads the whole"):
                return f" ({evidence.where})" if evidence.where else ""
        return ""

    def _fence_reason(self, step: Step) -> str:
        effects = self.effects[step.name]
        prefix = {
            Rule.EXTERNAL: ("calls ", "store.", "changes an object", "a ", "enters ", "imports "),
            Rule.MUTATION: ("changes a state value",),
            Rule.CONTROL: ("calls interrupt", "builds a Send"),
        }
        assert step.fence is not None
        starts = prefix.get(step.fence, ())
        cause = next((str(e) for e in effects.evidence if e.what.startswith(starts)), "")
        if not cause:
            cause = str(effects.evidence[-1]) if effects.evidence else "it was declared so"
        return f"{step.name} keeps its place ({step.fence.value}: {cause})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelReport:
    """What was made parallel in a graph, and why the rest was not."""

    regions: tuple[RegionReport, ...]
    """Every straight run that was considered, rewritten or not."""
    refusals: tuple[Refusal, ...]
    """The parts that stay as they are, with the reason."""
    effects: Mapping[str, Effects]
    """What each node does."""
    before: str
    """The graph's edges before, as Mermaid text."""
    after: str
    """The graph's edges after, as Mermaid text."""
    unit: str
    """Unit of the predicted durations: `s` when given, else `calls`."""

    @property
    def is_parallel(self) -> bool:
        """Whether anything was rewritten."""
        return any(part.is_parallel for part in self.regions)

    @property
    def work(self) -> float:
        """Predicted duration of all regions' nodes one after another."""
        return sum(part.work for part in self.regions)

    @property
    def span(self) -> float:
        """Predicted duration of all regions now."""
        return sum(part.span for part in self.regions)

    @property
    def speedup(self) -> float:
        """Predicted speed-up of the regions: work over span; 1.0 when there is nothing to gain."""
        return self.work / self.span if self.span else 1.0

    def pairs(self) -> Iterator[Pair]:
        """Yield the verdict on every pair of nodes that share a region."""
        for part in self.regions:
            yield from part.pairs()

    def why(self, earlier: str, later: str) -> str:
        """Return why two nodes are, or are not, kept in order.

        Raises:
            KeyError: If they do not share a region, or are not in program order.
        """
        for pair in self.pairs():
            if (pair.earlier, pair.later) == (earlier, later):
                return pair.reason
        msg = f"{earlier!r} and {later!r} do not stand, in this order, in one straight run"
        raise KeyError(msg)

    def mermaid(self) -> str:
        """Return the graph after the rewrite as Mermaid text."""
        return self.after

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.is_parallel:
            yield (
                f"Parallel: {self.work:g} -> {self.span:g} {self.unit}, "
                f"predicted speed-up {self.speedup:.2f}x"
            )
        else:
            yield "Nothing was made parallel."
        for part in self.regions:
            yield from _region_lines(part)
        if self.refusals:
            yield "Left as it is:"
            yield from (f"  - {refusal}" for refusal in self.refusals)


def _region_lines(part: RegionReport) -> Iterator[str]:
    yield f"Run {' -> '.join(part.region.nodes)}"
    for number, level in enumerate(part.levels, start=1):
        yield f"  superstep {number}: {', '.join(level)}"
    yield "  Effects:"
    yield from (f"    {name}: {part.effects[name]}" for name in part.region.nodes)
    yield "  Pairs:"
    count = len(part.region.nodes) * (len(part.region.nodes) - 1) // 2
    for shown, pair in enumerate(part.pairs()):
        if shown == _MOST_PAIRS_IN_TEXT:
            yield f"    ... and {count - shown} more (see report.pairs())"
            return
        yield f"    {pair}"
