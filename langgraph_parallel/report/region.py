"""What became of one straight run of nodes, and the verdict on every pair of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from langgraph_parallel.effects import Effects
from langgraph_parallel.ordering.dependence import (
    Constraint,
    Rule,
    Schedule,
    Step,
    constrain,
)
from langgraph_parallel.ordering.turns import keys_in_turn
from langgraph_parallel.reading.model import Region
from langgraph_parallel.report.reasons import verdict_of

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
    rows: tuple[tuple[str, ...], ...] = ()
    """The nodes of each superstep before, where some run side by side already; empty where they
    follow one another."""
    guesses: frozenset[str] = frozenset()
    """Nodes of the last row that start before a router has chosen one of them."""
    stays: Mapping[str, str] = field(default_factory=dict)
    """Why a node never starts early, for those that do not (`mode="exact"`)."""

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each superstep, in program order."""
        rows: list[list[str]] = [[] for _ in range(self.schedule.depth)]
        for name, level in zip(self.region.nodes, self.schedule.levels, strict=True):
            rows[level].append(name)
        return tuple(map(tuple, rows))

    @property
    def turns(self) -> Mapping[str, frozenset[str]]:
        """The keys that nodes of one superstep write in program order and not by name, by node."""
        steps = {step.name: step for step in self.steps}
        if not self.has_barriers:
            return {}
        found: dict[str, frozenset[str]] = {}
        for level in self.levels:
            keys = keys_in_turn([steps[name] for name in level])
            found |= {name: keys for name in level if keys}
        return found

    @property
    def depth_before(self) -> int:
        """How many supersteps there were."""
        return len(self.rows or self.region.nodes)

    @property
    def is_parallel(self) -> bool:
        """Whether any node starts in an earlier superstep than before."""
        if not self.rows:
            return self.schedule.depth < len(self.region.nodes)
        level_of = dict(zip(self.region.nodes, self.schedule.levels, strict=True))
        return any(level_of[name] < at for at, row in enumerate(self.rows) for name in row)

    @property
    def work(self) -> float:
        """Predicted duration of the nodes as they were, one superstep after another."""
        rows = self.rows or [(name,) for name in self.region.nodes]
        return sum(max(self.costs[name] for name in row) for row in rows)

    @property
    def span(self) -> float:
        """Predicted duration now: with barriers, that of the slowest node of each superstep.

        What is saved inside of sub-graphs counts in the span of the whole report.
        """
        if not self.has_barriers:
            return self._critical_path
        return sum(max(self.costs[name] for name in level) for level in self.levels)

    @property
    def gain(self) -> float:
        """What is saved of the predicted duration."""
        return self.work - self.span

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
        is_free = constraint is None or not constraint.strict
        if is_free and later.name in self.stays:
            reason = f"ordered: {later.name} never starts early: {self.stays[later.name]}"
        elif is_free and not together and self.has_barriers:
            reason += " (apart only because of other nodes)"
        return Pair(
            earlier=earlier.name,
            later=later.name,
            constraint=constraint,
            together=together,
            reason=reason,
        )
