"""From foreseeable runs to the plan of early starts: which node, and after whom.

Only true dependences (a key that one node writes and another reads) and contact with the world
outside the state keep a node waiting. Writes of one key, reducer order and routing need nothing:
results are committed in order, by LangGraph itself. Dependences on state keys are a hint that
saves wasted runs; what is outside the state cannot be checked afterwards, so there the rules are
strict:

* A node whose effects are not known, or which changes values in place or memory, writes to the
  world or may pause, never starts early.
* Nothing starts before a node of unknown effects, or one that writes to the world, changes values
  in place, pauses or routes, has ended: it may fail, and then nothing after it may have happened.
* A node that looks at a place in memory starts after every earlier node that changes it, and not
  early at all where a reducer changes it, which runs when LangGraph commits.
* Users of one resource follow one another.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langgraph_parallel.effects import Effects
from langgraph_parallel.locations import (
    ANYWHERE,
    HANDLERS,
    Location,
    is_given,
    meeting,
    ordered_places,
)
from langgraph_parallel.lowering.exact.rows import Rows, forecast
from langgraph_parallel.lowering.exact.stays import why_in_place
from langgraph_parallel.ordering.dependence import Step, fence_of
from langgraph_parallel.reading.model import Refusal
from langgraph_parallel.reading.nodes import places_changed_by_reducers
from langgraph_parallel.reading.regions import GraphView


@dataclass(frozen=True, kw_only=True)  # no slots: it keeps what it derives
class PlannedRegion:
    """One foreseeable run of a graph, and which of its nodes may start early."""

    rows: Rows
    """The nodes of each superstep."""
    choices: frozenset[str]
    """Nodes of which one may come after the last row, by the choice of a router."""
    after: Mapping[str, frozenset[str]]
    """For each node, the earlier ones of the region that must have ended before it starts early."""
    early: frozenset[str]
    """Nodes that may start early."""
    watchful: frozenset[str]
    """Early nodes that read the world, which other branches of the graph may change meanwhile."""
    is_alone: bool
    """Whether no other branch runs beside it when it is entered at its first row."""
    is_sent: bool
    """Whether a `Send` starts its first row, so that early starts begin with the second."""
    remaining: Mapping[str, float]
    """For each node, the longest way from its start to the end of the region."""

    @functools.cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each node; the choices of the router stand behind the last one."""
        rows = {name: len(self.rows) for name in self.choices}
        return rows | {name: i for i, row in enumerate(self.rows) for name in row}

    @functools.cached_property
    def dependents(self) -> dict[str, list[str]]:
        """For each node, those that wait for it."""
        found: dict[str, list[str]] = {}
        for name, before in self.after.items():
            for other in before:
                found.setdefault(other, []).append(name)
        return found

    @property
    def width(self) -> int:
        """Most nodes that LangGraph itself runs at a time."""
        return max(map(len, self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyPlan:
    """What may start early in a graph."""

    regions: tuple[PlannedRegion, ...]
    """Those in which some node may start early."""
    runs: tuple[PlannedRegion, ...]
    """All foreseeable runs."""
    place: Mapping[str, PlannedRegion]
    """The region in which to look for what follows a node."""
    refusals: tuple[Refusal, ...]
    """Nodes that never start early, and why."""

    @property
    def members(self) -> frozenset[str]:
        """Every node of a region in which some node may start early."""
        return frozenset(name for region in self.regions for name in region.row_of)

    def remaining(self, name: str) -> float:
        """Return the longest way from the start of a member to the end of any of its regions."""
        return max(region.remaining.get(name, 0.0) for region in self.regions)


def plan_early(
    view: GraphView,
    steps: Mapping[str, Step],
    *,
    costs: Mapping[str, float],
    limits: Mapping[str, int],
    trusts_calls: bool,
    speculates: bool,
    freed: frozenset[str] = frozenset(),
) -> EarlyPlan:
    """Decide which nodes may start early, and after whom.

    Args:
        view: The graph and the effects of every node.
        steps: The effects, spelled out over the state's keys; empty where the whole graph stays as
            it is.
        costs: Predicted duration of every node.
        limits: How many nodes may use a named resource at a time; 1 when not named.
        trusts_calls: Take calls that are not known to be without effects.
        speculates: Let nodes start whose turn a router has yet to decide.
        freed: Nodes that may start early whatever they are.
    """
    if not steps:
        return EarlyPlan(regions=(), runs=(), place={}, refusals=())
    effects = view.effects
    folded = places_changed_by_reducers(view.graph)
    stays = {
        name: reason
        for name, node in view.graph.nodes.items()
        if name not in freed
        if (reason := why_in_place(node, effects[name], folded, trusts_calls=trusts_calls))
    }
    planner = _Planner(
        effects=effects,
        steps=steps,
        costs=costs,
        limits=limits,
        stays=frozenset(stays),
        trusts_calls=trusts_calls,
    )
    regions = []
    for coming in forecast(view):
        made = planner.region(coming.rows, coming.choices if speculates else frozenset())
        regions.append(replace(made, is_alone=coming.is_alone, is_sent=coming.is_sent))
    active = [region for region in regions if region.early]
    return EarlyPlan(
        regions=tuple(active),
        runs=tuple(regions),
        place=_place(active),
        refusals=tuple(
            Refusal(rule="stays-in-place", nodes=(name,), reason=reason)
            for name, reason in stays.items()
        ),
    )


def _place(regions: Iterable[PlannedRegion]) -> dict[str, PlannedRegion]:
    """Return the region of each node: where it is first, else where most is still to come."""
    place: dict[str, PlannedRegion] = {}
    for region in regions:
        for index, row in enumerate(region.rows):
            for name in row:
                known = place.get(name)
                if known is None or index < known.row_of[name]:
                    place[name] = region
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planner:
    """Plans the regions of one graph."""

    effects: Mapping[str, Effects]
    steps: Mapping[str, Step]
    costs: Mapping[str, float]
    limits: Mapping[str, int]
    stays: frozenset[str]
    trusts_calls: bool

    def region(self, rows: Rows, choices: frozenset[str]) -> PlannedRegion:
        """Plan one foreseeable run, whose last row `choices` follow."""
        walk = _Walk(self)
        after: dict[str, frozenset[str]] = {}
        early: set[str] = set()
        for index, row in enumerate(rows):
            waits = {name: walk.wait_for(name) for name in row}
            after |= waits
            if index:
                early |= {name for name in row if walk.gains(waits[name], rows[index - 1])}
            walk.pass_by(row, waits)
        outside = set(self.effects) - set(after)
        disturbed = any(
            self.is_opaque(n) or ordered_places(self.effects[n].changes) for n in outside
        )
        guesses = frozenset(filter(self._may_guess, choices - set(after)))
        after |= {name: walk.wait_for(name, guess=True) for name in guesses}
        starts = frozenset(early | guesses) - self.stays
        readers = {
            name
            for name in starts
            if "read" in self.effects[name].external
            or not all(map(is_given, self.effects[name].looks_at))
        }
        return PlannedRegion(
            rows=rows,
            choices=guesses,
            after=after,
            early=starts,
            watchful=frozenset(readers if disturbed else ()),
            is_alone=False,
            is_sent=False,
            remaining=self._remaining(after),
        )

    def _may_guess(self, name: str) -> bool:
        found = self.effects[name]
        leaves_nothing = found.changes <= {HANDLERS} and found.external <= {"model", "read"}
        return name not in self.stays and leaves_nothing

    def is_opaque(self, name: str) -> bool:
        """Tell whether nothing at all may start before a node has ended."""
        found = self.effects[name]
        if "interrupt" in found.control:
            return True
        if "raise" in found.control and ordered_places(found.changes):
            return True
        if found.certain and not found.mutates and found.external <= {"model", "read"}:
            return False
        return fence_of(found, trust_unknown_calls=self.trusts_calls) is not None

    def is_hard(self, name: str) -> bool:
        """Tell whether what follows a node starts only when it has ended."""
        return self.is_opaque(name) or bool(self.effects[name].control & {"goto", "send"})

    def _remaining(self, after: Mapping[str, frozenset[str]]) -> dict[str, float]:
        remaining: dict[str, float] = {}
        for name in reversed(list(after)):
            remaining[name] = remaining.get(name, 0.0) + self.costs[name]
            for before in after[name]:
                remaining[before] = max(remaining.get(before, 0.0), remaining[name])
        return remaining


class _Walk:
    """What the rows passed so far, in program order, mean for the next one."""

    def __init__(self, planner: _Planner) -> None:
        self._planner = planner
        self._writers: dict[str, set[str]] = {}
        self._changers: dict[object, list[tuple[str, Location]]] = {}
        """By owner, nodes that change a place outside the state."""
        self._users: dict[str, list[str]] = {}
        self._number: dict[str, int] = {}
        self._before: dict[str, int] = {}
        """For each node, itself and all that have ended when it has, as a bit set of numbers."""
        self._level: dict[str, int] = {}
        """Rows that a node has to wait for, at the least."""
        self._hard: set[str] = set()
        self._opaque: set[str] = set()
        self._passed = 0
        """How many rows were passed."""

    def wait_for(self, name: str, *, guess: bool = False) -> frozenset[str]:
        """Return the nodes that must have ended before a node starts early.

        Args:
            name: The node.
            guess: Start it although a router has yet to choose it.
        """
        step, planner = self._planner.steps[name], self._planner
        waits = set(self._opaque if guess else self._hard)
        for key in step.reads:
            waits |= self._writers.get(key, set())
        waits |= self._changed_before(planner.effects[name].looks_at)
        for resource in step.resources:
            users = self._users.get(resource, [])
            waits.update(users[: len(users) + 1 - planner.limits.get(resource, 1)])
        covered = 0
        for other in waits:
            covered |= self._before[other] ^ 1 << self._number[other]
        return frozenset(other for other in waits if not covered >> self._number[other] & 1)

    def _changed_before(self, looks_at: frozenset[Location]) -> set[str]:
        """Return the nodes passed so far that change a place at which a later one looks."""
        found: set[str] = set()
        for owner in _owners_near(looks_at, self._changers):
            found |= {n for n, p in self._changers[owner] if meeting((p,), looks_at)}
        return found

    def gains(self, waits: frozenset[str], previous: Sequence[str]) -> bool:
        """Tell whether a node need not wait for all of the row before its own."""
        reach = self._reach(waits)
        if any(not reach >> self._number[name] & 1 for name in previous):
            return True
        return max((self._level[name] for name in waits), default=-1) + 1 < self._passed

    def _reach(self, waits: Iterable[str]) -> int:
        reach = 0
        for other in waits:
            reach |= self._before[other]
        return reach

    def pass_by(self, row: Sequence[str], waits: Mapping[str, frozenset[str]]) -> None:
        """Take the nodes of one superstep into account."""
        planner = self._planner
        for name in row:
            self._pass_node(name, waits[name])
        for kept, check in ((self._hard, planner.is_hard), (self._opaque, planner.is_opaque)):
            if found := set(filter(check, row)):
                kept.clear()
                kept.update(found)
        self._passed += 1

    def _pass_node(self, name: str, waits: frozenset[str]) -> None:
        planner, step = self._planner, self._planner.steps[name]
        number = self._number[name] = len(self._number)
        reach = self._reach(waits)
        self._before[name] = reach | 1 << number
        stays = name in planner.stays
        self._level[name] = (
            self._passed if stays else max((self._level[w] + 1 for w in waits), default=0)
        )
        for key in step.writes:
            writers = self._writers.setdefault(key, set())
            writers -= {other for other in writers if reach >> self._number[other] & 1}
            writers.add(name)
        for place in planner.effects[name].changes:
            self._changers.setdefault(place.owner_key, []).append((name, place))
        for resource in step.resources:
            self._users.setdefault(resource, []).append(name)


def _owners_near(looks_at: frozenset[Location], known: Mapping[object, Any]) -> set[object]:
    """Return the owners among `known` of which some place may be one of `looks_at`."""
    owners = {place.owner_key for place in looks_at}
    if ANYWHERE.owner_key in owners:
        return set(known)
    return (owners | ({ANYWHERE.owner_key} if owners else set())) & set(known)
