"""From a graph to the course of its longest run: the nodes of each superstep, START to end.

    START -> a -> {b, c};  [b, c] -> d -?-> a, e, END          a | b c | d | e

A run may take many ways. Of those that routers choose from, the longest counts; a way back to a
superstep that the run has passed ends there, so that loops count once. What a recording has seen of
real runs takes the place of this guess.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.reading.model import END, START
from langgraph_parallel.reading.regions import GraphView

_MOST_FRONTS: Final = 20_000
"""Different sets of active nodes that are looked at; behind more, a run is taken to end."""

_MOST_CHOICES: Final = 64
"""Combinations of what several routers choose at a time."""

_Join = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The nodes of one superstep."""

    nodes: tuple[str, ...]
    """By name, in the order of names."""
    is_sent: bool = False
    """Whether a `Send` may have started them, once or several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One run of a graph."""

    rows: tuple[Row, ...] = ()
    """Its supersteps."""
    loops: tuple[str, ...] = ()
    """Nodes on the way that may lead back; the way back is not counted."""
    choices: tuple[str, ...] = ()
    """Nodes on the way that could have led elsewhere."""
    is_seen: bool = False
    """Whether it is a run that was recorded."""


@dataclass(frozen=True, slots=True)
class _Front:
    """What is active in one superstep, and who has arrived at waiting edges."""

    nodes: frozenset[str]
    arrived: frozenset[tuple[_Join, str]] = frozenset()
    is_sent: bool = False

    @property
    def place(self) -> object:
        """What it has in common with a front that the run has come back to."""
        return self.nodes, self.arrived


@dataclass(slots=True)
class _Found:
    """What is known of the ways from one front."""

    options: list[_Front]
    is_choice: bool
    """Whether the run may go another way, or end."""
    length: float = 0.0
    bonus: float = 0.0
    best: _Front | None = None
    leads_back: bool = False


def find_course(
    view: GraphView, costs: Mapping[str, float], gains: Mapping[str, float] | None = None
) -> Course:
    """Return the longest run of a graph.

    Args:
        view: The graph, the effects of its nodes and the targets of its routers.
        costs: Duration of each node, in any unit; one without an entry takes none.
        gains: What is saved where a node starts; of ways that are equally long, the one with the
            larger gains is taken.

    Complexity: linear in the number of fronts, of which there are as many as nodes in most graphs.
    """
    if not view.effects:
        return Course()
    return _Search(view, costs, gains or {}).course()


@dataclass(slots=True)
class _Search:
    view: GraphView
    costs: Mapping[str, float]
    gains: Mapping[str, float]
    plain: dict[str, set[str]] = field(default_factory=dict)
    joins: dict[str, list[_Join]] = field(default_factory=dict)
    found: dict[_Front, _Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source, target in self.view.graph.edges:
            self.plain.setdefault(source, set()).add(target)
        for join in self.view.graph.joins:
            for source in join[0]:
                self.joins.setdefault(source, []).append(join)

    def course(self) -> Course:
        """Return the longest way from START."""
        start = _Front(frozenset({START}))
        self._explore(start)
        rows, loops, choices = [], [], []
        front = self.found[start].best
        while front is not None:
            rows.append(Row(nodes=tuple(sorted(front.nodes)), is_sent=front.is_sent))
            found = self.found[front]
            if found.leads_back:
                loops += sorted(front.nodes)
            elif found.is_choice:
                choices += sorted(front.nodes)
            front = found.best
        return Course(rows=tuple(rows), loops=tuple(loops), choices=tuple(choices))

    def _explore(self, start: _Front) -> None:
        """Find the longest way from every front, the last ones first."""
        self.found[start] = self._next(start)
        path = [(start, iter(self.found[start].options))]
        on_path = {start.place}
        while path:
            front, options = path[-1]
            following = next(options, None)
            if following is None:
                path.pop()
                on_path.discard(front.place)
                self._add_up(front)
                if path:
                    self._compare(path[-1][0], front)
            elif following.place in on_path:
                self.found[front].leads_back = True
            elif following in self.found:
                self._compare(front, following)
            else:
                is_end = len(self.found) >= _MOST_FRONTS
                self.found[following] = (
                    _Found([], is_choice=False) if is_end else self._next(following)
                )
                path.append((following, iter(self.found[following].options)))
                on_path.add(following.place)

    def _add_up(self, front: _Front) -> None:
        found = self.found[front]
        found.length += max((self.costs.get(name, 0.0) for name in front.nodes), default=0.0)
        found.bonus += sum(self.gains.get(name, 0.0) for name in front.nodes)

    def _compare(self, front: _Front, following: _Front) -> None:
        found, other = self.found[front], self.found[following]
        if found.best is None or (other.length, other.bonus) > (found.length, found.bonus):
            found.best, found.length, found.bonus = following, other.length, other.bonus

    def _next(self, front: _Front) -> _Found:
        """Return the fronts that may follow, in a fixed order; without an empty one."""
        following: set[str] = set()
        arrived = set(front.arrived)
        for name in front.nodes:
            following |= self.plain.get(name, set())
            for join in self.joins.get(name, ()):
                arrived.add((join, name))
                if all((join, source) in arrived for source in join[0]):
                    arrived -= {(join, source) for source in join[0]}
                    following.add(join[1])
        chosen = itertools.product(*(list(self._choices(n)) for n in sorted(front.nodes)))
        fronts: dict[_Front, None] = {}
        may_end = False
        for picks in itertools.islice(chosen, _MOST_CHOICES):
            nodes = following.union(*(names for names, _ in picks)) & self.view.graph.nodes.keys()
            is_sent = any(sent for _, sent in picks)
            if nodes:
                fronts[_Front(frozenset(nodes), frozenset(arrived), is_sent)] = None
            may_end |= not nodes
        return _Found(list(fronts), is_choice=len(fronts) + may_end > 1)

    def _choices(self, name: str) -> Iterator[tuple[frozenset[str], bool]]:
        """Yield what the routers of a node may choose at a time, and whether a `Send` may do so."""
        ways = [list(self._options(t, several=s, may_pass=p)) for t, s, p in self._ways(name)]
        for picks in itertools.islice(itertools.product(*ways), _MOST_CHOICES):
            yield frozenset().union(*(names for names, _ in picks)), any(sent for _, sent in picks)

    def _ways(self, name: str) -> Iterator[tuple[list[str], bool, bool]]:
        """Yield the targets of each router, if it may choose several, and if it may choose none."""
        for route in self.view.routes.get(name, ()):
            yield self._spelled(route.targets), not route.is_single, False
        found = self.view.effects.get(name)
        if found is not None and found.control & {"goto", "send"}:
            leaves_anyway = name in self.plain or name in self.joins or self.view.routes.get(name)
            if found.goto is not ALL or not leaves_anyway:
                yield self._spelled(found.goto), "send" in found.control, True

    def _spelled(self, targets: Keys) -> list[str]:
        return sorted(self.view.graph.nodes if targets is ALL else targets)

    @staticmethod
    def _options(
        targets: Sequence[str], *, several: bool, may_pass: bool
    ) -> Iterator[tuple[frozenset[str], bool]]:
        """Yield the choices of one router: of several at a time, the longest takes as long."""
        names = [name for name in targets if name != END]
        yield from ((frozenset({name}), several) for name in names)
        if may_pass or len(names) < len(targets) or not names:
            yield frozenset(), False
