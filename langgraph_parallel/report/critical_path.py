"""From a graph with its schedule to the calls on its critical path, before and after.

    superstep    a | n | b c | d            before: one after another, each as long as its slowest
    fan-out      {a n} | b c | d            after: a straight run in its new supersteps
    early start  n and d start with a       after: a superstep ends when its nodes have ended, of
                                            which some have started in an earlier one

Durations are of whole runs, sub-graphs included, with as many nodes at a time as there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from langgraph_parallel.reading.course import Course, Row
from langgraph_parallel.report.region import RegionReport


class Window(Protocol):
    """A foreseeable part of a run, in which nodes may start early."""

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each superstep."""

    @property
    def row_of(self) -> Mapping[str, int]:
        """The row of each node; of nodes that a router may choose, the one behind the last."""

    @property
    def choices(self) -> frozenset[str]:
        """Nodes that start before a router has chosen."""

    @property
    def after(self) -> Mapping[str, frozenset[str]]:
        """For each node, the ones that must have ended before it starts early."""

    @property
    def early(self) -> frozenset[str]:
        """Nodes that may start early."""

    @property
    def watchful(self) -> frozenset[str]:
        """Those that start early only where no other branch runs."""

    @property
    def is_alone(self) -> bool:
        """Whether no other branch runs beside it when it is entered at its first row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStarts:
    """Where nodes of a graph may start early."""

    place: Mapping[str, Window]
    """The window that opens with a node."""
    pauses: frozenset[str] = frozenset()
    """Nodes before or after which a run stops; `*` for all."""
    most_guesses: int = 0
    """Nodes that start before one choice of a router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A straight run of nodes with its new supersteps."""

    nodes: tuple[str, ...]
    levels: tuple[int, ...]

    @classmethod
    def of(cls, part: RegionReport, levels: tuple[int, ...] | None = None) -> Chain:
        """Return a region with its supersteps, or with others, under the names in its own graph."""
        start = f"{part.host}/" if part.host else ""
        return cls(
            nodes=tuple(name.removeprefix(start) for name in part.region.nodes),
            levels=part.schedule.levels if levels is None else levels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """How a graph runs, before and after."""

    courses: tuple[Course, ...]
    """The runs that count, with equal weight."""
    chains: Mapping[str, Chain] = field(default_factory=dict)
    """The straight runs that have new supersteps, by their first node."""
    starts: EarlyStarts | None = None
    """What may start early; None where results are not committed in order."""
    inside: Mapping[str, Timeline] = field(default_factory=dict)
    """Those of its sub-graphs, by node."""

    def before(self, costs: Mapping[str, float]) -> float:
        """Return the duration of a run of the graph as it was, on average of its courses.

        Args:
            costs: Duration of each node (>= 0), of one inside of a sub-graph by `host/node`; one
                without an entry takes none, or what its sub-graph takes.
        """
        inner = {name: part.before(_within(costs, name)) for name, part in self.inside.items()}
        spent = {**inner, **costs}
        return _mean(sum(_longest(row, spent) for row in course.rows) for course in self.courses)

    def after(self, costs: Mapping[str, float]) -> float:
        """Return the same for the graph as it is now."""
        spent = {**costs, **{n: self._inside(n, part, costs) for n, part in self.inside.items()}}
        if self.starts is not None:
            starts = self.starts
            return _mean(_with_early_starts(c.rows, spent, starts) for c in self.courses)
        return _mean(_with_chains(course.rows, spent, self.chains) for course in self.courses)

    def with_chain(self, host: str, chain: Chain) -> Timeline:
        """Return the same with one more, or another, order of a straight run.

        Args:
            host: The node whose sub-graph the run stands in, such as `outer/inner`; empty for the
                graph itself.
            chain: The run and its supersteps.
        """
        if not host:
            return replace(self, chains={**self.chains, chain.nodes[0]: chain})
        first, _, rest = host.partition("/")
        if first not in self.inside:  # the name of a node may have a slash in it
            first = next((name for name in self.inside if host.startswith(name)), "")
            rest = host.removeprefix(first).removeprefix("/")
        if not first:
            return self
        inner = self.inside[first].with_chain(rest, chain)
        return replace(self, inside={**self.inside, first: inner})

    def unchanged(self) -> Timeline:
        """Return the same where nothing was moved and nothing starts early."""
        inside = {name: part.unchanged() for name, part in self.inside.items()}
        return Timeline(courses=self.courses, inside=inside)

    @staticmethod
    def _inside(name: str, part: Timeline, costs: Mapping[str, float]) -> float:
        within = _within(costs, name)
        before = part.before(within)
        given = costs.get(name, before)
        return given * part.after(within) / before if before else given


def _within(costs: Mapping[str, float], host: str) -> dict[str, float]:
    start = f"{host}/"
    return {n.removeprefix(start): cost for n, cost in costs.items() if n.startswith(start)}


def _mean(durations: Iterable[float]) -> float:
    found = list(durations)
    return sum(found) / len(found) if found else 0.0


def _longest(row: Row, costs: Mapping[str, float]) -> float:
    return max((costs.get(name, 0.0) for name in row.nodes), default=0.0)


def span_of(levels: Sequence[int], costs: Sequence[float]) -> float:
    """Return how long a run takes when each superstep takes as long as its slowest node.

    Args:
        levels: The superstep of each node.
        costs: The duration of each node, in the same order, in any unit.

    >>> span_of([0, 0, 1], [3.0, 1.0, 2.0])
    5.0
    """
    slowest: dict[int, float] = {}
    for level, cost in zip(levels, costs, strict=True):
        slowest[level] = max(slowest.get(level, 0.0), cost)
    return sum(slowest[level] for level in sorted(slowest))


def _with_chains(
    rows: Sequence[Row], costs: Mapping[str, float], chains: Mapping[str, Chain]
) -> float:
    """Return the duration of rows of which straight runs have new supersteps.

    A straight run is passed from its first node to its last one; where the rows end before that, a
    node has failed, and what stands in the rows counts.
    """
    total, index = 0.0, 0
    while index < len(rows):
        row = rows[index]
        chain = chains.get(row.nodes[0]) if len(row.nodes) == 1 else None
        passed = rows[index : index + len(chain.nodes)] if chain is not None else ()
        if chain is not None and [other.nodes for other in passed] == [(n,) for n in chain.nodes]:
            total += span_of(chain.levels, [costs.get(name, 0.0) for name in chain.nodes])
            index += len(chain.nodes)
        else:
            total += _longest(row, costs)
            index += 1
    return total


@dataclass(slots=True)
class _Open:
    """The window that is open while a run passes its rows."""

    window: Window
    entry: int
    """The row of the run that is the window's first one."""
    row: int
    """The row of the window at which it was opened."""
    since: float
    """When that was."""
    ends: dict[str, float] = field(default_factory=dict)
    """When its nodes have ended."""

    def row_at(self, index: int) -> int:
        return index - self.entry

    def start(self, name: str, row: int) -> float | None:
        """Return when a node of a row starts early; None when it does not."""
        window = self.window
        if name not in window.early or window.row_of[name] != row or row <= self.row:
            return None
        if name in window.watchful and not (window.is_alone and self.row == 0):
            return None
        awaited = [other for other in window.after[name] if window.row_of[other] >= self.row]
        if not self.ends.keys() >= {*awaited}:
            return None
        return max([self.since, *(self.ends[other] for other in awaited)])

    def guesses(self, costs: Mapping[str, float], most: int) -> dict[str, float]:
        """Return when those nodes have ended that start before the router has chosen."""
        row = len(self.window.rows)
        starts = {name: self.start(name, row) for name in sorted(self.window.choices)}
        first = sorted((s, name) for name, s in starts.items() if s is not None)[:most]
        return {name: start + costs.get(name, 0.0) for start, name in first}


def _with_early_starts(
    rows: Sequence[Row], costs: Mapping[str, float], starts: EarlyStarts
) -> float:
    """Return the duration of rows of which nodes may start early and are committed in order."""
    now = 0.0
    current: _Open | None = None
    guessed: dict[str, float] = {}
    may_pause = False
    for index, row in enumerate(rows):
        if current is not None and current.row_at(index) >= len(current.window.rows):
            if current.row_at(index) == len(current.window.rows) and not row.is_sent:
                guessed = current.guesses(costs, starts.most_guesses)
            current = None
        pauses = bool(starts.pauses & {"*", *row.nodes})
        if pauses or may_pause:
            current, guessed = None, {}
        may_pause = pauses
        if current is None and not row.is_sent:
            current = _open(row, index, now, starts.place)
        ends = {name: _end_of(name, index, current, now, costs) for name in row.nodes}
        for name in ends.keys() & guessed.keys():
            ends[name] = min(guessed[name], ends[name])
        if current is not None:
            current.ends |= ends
        guessed = {}
        now = max([now, *ends.values()])
    return now


def _open(row: Row, index: int, now: float, place: Mapping[str, Window]) -> _Open | None:
    """Return the window that opens with a row; None when none does."""
    name = next((name for name in row.nodes if name in place), None)
    if name is None:
        return None
    window = place[name]
    at = window.row_of[name]
    return _Open(window=window, entry=index - at, row=at, since=now)


def _end_of(
    name: str, index: int, current: _Open | None, turn: float, costs: Mapping[str, float]
) -> float:
    """Return when a node has ended whose turn comes at `turn`."""
    start = None if current is None else current.start(name, current.row_at(index))
    return (turn if start is None else min(start, turn)) + costs.get(name, 0.0)
