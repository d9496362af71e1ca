"""From the effects of a run of nodes, in program order, to the earliest superstep of each.

Bernstein's conditions per state key, on LangGraph's superstep semantics: the nodes of one superstep
all read the state as it was before it, and their writes are folded in the order of their names, or
in program order if they take turns.

    rule        earlier -> later                  what is kept
    FLOW        writes k -> reads k  (RAW)        a later superstep
    OUTPUT      writes k -> writes k (WAW)        the same superstep at the earliest, where both
                                                  take turns; else a later one
    FOLD        both add to reducer key k         the same superstep at the earliest, where both
                                                  take turns or their names are in program order
    ANTI        reads k  -> writes k (WAR)        the same superstep at the earliest
    MEMORY      both touch one place outside the  a later superstep; there are no snapshots of
                state, and one of them changes it memory
    FAILURE     later one changes memory          a later superstep: if the earlier one fails,
                                                  nothing of it may have happened
    EXTERNAL    contact that must keep its place  a later superstep, for everything around it
    MUTATION    changes a value in place          likewise
    CONTROL     may pause or route                likewise
    RESOURCE    both use one exclusive resource   another superstep

What is not understood reads and writes every key and touches the world, and so keeps its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from langgraph_parallel.effects import Effects, bounded
from langgraph_parallel.locations import ANYWHERE, Location, kept_places, meeting, ordered_places


class Rule(Enum):
    """Why two nodes keep an order."""

    FLOW = "RAW"
    OUTPUT = "WAW"
    FOLD = "fold order"
    ANTI = "WAR"
    MEMORY = "memory"
    FAILURE = "failure"
    EXTERNAL = "external effect"
    MUTATION = "in-place change"
    CONTROL = "control"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of a region, with its effects spelled out over the state's keys."""

    name: str
    reads: frozenset[str]
    writes: frozenset[str]
    folds: frozenset[str]
    """Written reducer keys that take a plain operand: they may share a superstep."""
    turns: frozenset[str] = frozenset()
    """Written keys that are taken in program order whatever the names of the nodes are."""
    reduced: frozenset[str] = frozenset()
    """All written reducer keys."""
    resources: frozenset[str]
    looks_at: frozenset[Location] = frozenset()
    """Places outside the state that it looks at."""
    changes: frozenset[Location] = frozenset()
    """Places outside the state that it changes."""
    fence: Rule | None = None
    """Set when the node must keep its place among all its neighbors."""
    closes: bool = False
    """Whether the node must be in the last superstep of its region: a conditional edge leaves it,
    and whatever it leads to comes after all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What a pair of nodes must keep."""

    rule: Rule
    keys: tuple[str, ...] = ()
    strict: bool = True
    """True: the later node needs a later superstep. False: the same one will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The superstep of every node of a region, and the edges that bring it about."""

    levels: tuple[int, ...]
    """For each node, in program order, its superstep counted from the region's entry."""
    predecessors: tuple[tuple[int, ...], ...]
    """For each node, the nodes it waits for, by index; empty for a node at level 0."""

    @property
    def depth(self) -> int:
        """Return the number of supersteps."""
        return max(self.levels, default=-1) + 1

    @property
    def sinks(self) -> tuple[int, ...]:
        """Return the nodes that no other node of the region waits for."""
        awaited = {p for before in self.predecessors for p in before}
        return tuple(i for i in range(len(self.levels)) if i not in awaited)


def build_steps(
    names: Sequence[str],
    effects: Mapping[str, Effects],
    keys: frozenset[str],
    folding: frozenset[str],
    *,
    trust_unknown_calls: bool = False,
    taking_turns: Collection[str] = (),
) -> tuple[Step, ...]:
    """Spell out the effects of a region's nodes.

    Args:
        names: The nodes in program order.
        effects: Effects by node name.
        keys: Every key of the state.
        folding: Keys with a reducer.
        trust_unknown_calls: Take calls that are not known to be without effects.
        taking_turns: The nodes whose writes LangGraph is told to take in program order.
    """
    return tuple(
        _step(
            name,
            effects[name],
            keys,
            folding,
            trust_unknown_calls=trust_unknown_calls,
            takes_turns=name in taking_turns,
        )
        for name in names
    )


def _step(
    name: str,
    effects: Effects,
    keys: frozenset[str],
    folding: frozenset[str],
    *,
    trust_unknown_calls: bool,
    takes_turns: bool,
) -> Step:
    writes = bounded(effects.writes, keys)
    return Step(
        name=name,
        reads=bounded(effects.reads, keys),
        writes=writes,
        folds=effects.folds & folding,
        turns=writes if takes_turns else frozenset(),
        reduced=writes & folding,
        resources=effects.resources,
        looks_at=effects.looks_at,
        changes=effects.changes,
        fence=fence_of(effects, trust_unknown_calls=trust_unknown_calls),
    )


def fence_of(effects: Effects, *, trust_unknown_calls: bool) -> Rule | None:
    """Return why a node must keep its place among all others, or None when it need not.

    A write to the world must come after everything that may fail before it, and must not be cut
    short by a sibling that fails: LangGraph cancels the siblings of a failed task and runs them
    again on resume, which would write twice.
    """
    if effects.control & {"interrupt", "goto", "send"}:
        return Rule.CONTROL
    if "raise" in effects.control and kept_places(effects.changes):
        return Rule.FAILURE  # a guard that keeps a record: nothing after it may have happened
    trusted = trust_unknown_calls and effects.certain
    if "write" in effects.external or ("unknown" in effects.external and not trusted):
        return Rule.EXTERNAL
    return Rule.MUTATION if effects.mutates else None


def fold_order(names: list[str]) -> list[str]:
    """Return nodes of one superstep in the order in which their writes are folded.

    LangGraph sorts the tasks of a superstep by path; for nodes started by an edge that is the name.
    """
    return sorted(names)


def constrain(earlier: Step, later: Step) -> Constraint | None:
    """Return what the order of two nodes must keep, or None when they are independent.

    A strict constraint is preferred over a weak one; the rules are tried in the order of the table
    at the top.
    """
    if earlier.fence or later.fence:
        rule = earlier.fence or later.fence
        assert rule is not None
        return Constraint(rule=rule)
    if places := touched_by_both(earlier, later):
        return Constraint(rule=Rule.MEMORY, keys=tuple(map(str, places)))
    if changed := kept_places(later.changes):
        return Constraint(rule=Rule.FAILURE, keys=tuple(sorted(map(str, changed))))
    if flow := earlier.writes & later.reads:
        return Constraint(rule=Rule.FLOW, keys=tuple(sorted(flow)))
    if output := _constrain_writes(earlier, later):
        return output
    if anti := earlier.reads & later.writes:
        return Constraint(rule=Rule.ANTI, keys=tuple(sorted(anti)), strict=False)
    return None


def _constrain_writes(earlier: Step, later: Step) -> Constraint | None:
    """Return what two writes of one key must keep; one that needs a later superstep goes first."""
    both = earlier.writes & later.writes
    folded = both & earlier.folds & later.folds
    plain = both - folded
    turns = earlier.turns & later.turns
    if hard := plain - turns:
        return Constraint(rule=Rule.OUTPUT, keys=tuple(sorted(hard)))
    in_order = fold_order([earlier.name, later.name])[0] == earlier.name
    if not in_order and (hard := folded - turns):
        return Constraint(rule=Rule.FOLD, keys=tuple(sorted(hard)))
    if plain:
        return Constraint(rule=Rule.OUTPUT, keys=tuple(sorted(both)), strict=False)
    return Constraint(rule=Rule.FOLD, keys=tuple(sorted(folded)), strict=False) if folded else None


def touched_by_both(earlier: Step, later: Step) -> tuple[Location, ...]:
    """Return the places outside the state that two nodes touch and one of them changes."""
    return (
        meeting(earlier.changes, later.looks_at)
        or meeting(earlier.changes, later.changes, both_change=True)
        or meeting(earlier.looks_at, later.changes)
    )


def _may_share(earlier: Step, later: Step, key: str) -> bool:
    """Tell whether two nodes that write a key may do so in one superstep."""
    if key in earlier.turns and key in later.turns:
        return True
    names = [earlier.name, later.name]
    return key in earlier.folds and key in later.folds and fold_order(names) == names


@dataclass(slots=True)
class _PlaceUse:
    """Who touched the places of one owner since the order on them was last settled."""

    looks: list[tuple[int, Location]] = field(default_factory=list)
    changes: list[tuple[int, Location]] = field(default_factory=list)

    def before(self, step: Step) -> set[int]:
        """Return the nodes that a later one must wait for."""
        found = {i for i, place in self.changes if meeting((place,), step.looks_at)}
        found |= {i for i, p in self.changes if meeting((p,), step.changes, both_change=True)}
        return found | {i for i, place in self.looks if meeting((place,), step.changes)}

    def settle(self, place: Location) -> None:
        """Forget accesses that whoever comes after a change of `place` need not wait for."""
        self.looks = [entry for entry in self.looks if not _within(entry[1], place)]
        self.changes = [entry for entry in self.changes if not _within(entry[1], place)]


def _within(place: Location, other: Location) -> bool:
    """Tell whether everything that meets `place` also meets `other`."""
    return place.owner_key == other.owner_key and other.part in (None, place.part)


@dataclass(slots=True)
class _KeyUse:
    """Who touched one key since the order on it was last settled."""

    writers: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Builder:
    """The schedule under construction, one node at a time in program order."""

    steps: Sequence[Step]
    limits: Mapping[str, int]
    levels: list[int] = field(default_factory=list)
    predecessors: list[tuple[int, ...]] = field(default_factory=list)
    ancestors: list[int] = field(default_factory=list)
    """For each node, the nodes before it in the order, as a bit set."""
    uses: dict[str, _KeyUse] = field(default_factory=dict)
    places: dict[object, _PlaceUse] = field(default_factory=dict)
    """By owner, who touched which places."""
    busy: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """Users of each resource in each superstep."""
    sinks: set[int] = field(default_factory=set)
    fence: int | None = None

    def place(self, index: int) -> None:
        """Put one node into the earliest superstep that its constraints allow."""
        step = self.steps[index]
        strict: set[int] = set() if self.fence is None else {self.fence}
        weak: set[int] = set()
        if step.fence or kept_places(step.changes):
            strict |= self.sinks
        else:
            self._constrain_keys(step, strict, weak)
        if step.closes:
            weak.update(range(index))
        level = max((self.levels[p] + 1 for p in strict), default=0)
        latest = max(weak, key=self.levels.__getitem__, default=None)
        if latest is not None and self.levels[latest] > level:
            level = self.levels[latest]
            strict.add(self._one_before(latest))
        level = self._wait_for_resources(step, level, strict)
        self._commit(index, level, strict)

    def _constrain_keys(self, step: Step, strict: set[int], weak: set[int]) -> None:
        for place in self._near(step):
            strict |= place.before(step)
        for key in step.reads:
            strict.update(self._use(key).writers)
        for key in step.writes:
            use = self._use(key)
            for writer in use.writers:
                may_share = _may_share(self.steps[writer], step, key)
                (weak if may_share else strict).add(writer)
            weak.update(use.readers)

    def _near(self, step: Step) -> Iterable[_PlaceUse]:
        """Return the places that those of a node may be; an unknown one may be any."""
        owners = {place.owner_key for place in (*step.looks_at, *step.changes)}
        if ANYWHERE.owner_key in owners:
            return list(self.places.values())
        owners |= {ANYWHERE.owner_key} if owners else set()
        return [self.places[owner] for owner in owners if owner in self.places]

    def _use(self, key: str) -> _KeyUse:
        return self.uses.setdefault(key, _KeyUse())

    def _one_before(self, index: int) -> int:
        """Return a node in the superstep before that of `index`, which is not the first."""
        return next(p for p in self.predecessors[index] if self.levels[p] == self.levels[index] - 1)

    def _wait_for_resources(self, step: Step, level: int, strict: set[int]) -> int:
        waiting = True
        while waiting:
            waiting = False
            for resource in step.resources:
                users = self.busy.get((resource, level), [])
                if len(users) >= self.limits.get(resource, 1):
                    strict.add(users[-1])
                    level += 1
                    waiting = True
        return level

    def _commit(self, index: int, level: int, strict: set[int]) -> None:
        step = self.steps[index]
        before = self._reduce(strict)
        self.levels.append(level)
        self.predecessors.append(before)
        reach = 0
        for p in before:
            reach |= self.ancestors[p] | (1 << p)
        self.ancestors.append(reach)
        self.sinks -= set(before)
        self.sinks.add(index)
        for resource in step.resources:
            self.busy.setdefault((resource, level), []).append(index)
        if step.fence:
            self.uses.clear()
            self.places.clear()
            self.fence = index
        else:
            self._remember(index, step)

    def _reduce(self, strict: set[int]) -> tuple[int, ...]:
        """Drop the nodes that another one already waits for."""
        covered = 0
        for p in strict:
            covered |= self.ancestors[p]
        return tuple(sorted(p for p in strict if not covered >> p & 1))

    def _remember(self, index: int, step: Step) -> None:
        for key in step.writes:
            use = self._use(key)
            # Whoever comes later is bound to this write, which no earlier access can follow; only
            # the writers that share its superstep must still be waited for by name.
            level = self.levels[index]
            use.writers = [w for w in use.writers if self.levels[w] == level] + [index]
            use.readers = []
        for key in step.reads:
            self._use(key).readers.append(index)
        self._remember_places(index, step)

    def _remember_places(self, index: int, step: Step) -> None:
        for place in ordered_places(step.changes):
            if place.owner_key in self.places:
                self.places[place.owner_key].settle(place)
        for place in step.changes:
            self.places.setdefault(place.owner_key, _PlaceUse()).changes.append((index, place))
        for place in step.looks_at:
            self.places.setdefault(place.owner_key, _PlaceUse()).looks.append((index, place))


def build_schedule(steps: Sequence[Step], limits: Mapping[str, int] | None = None) -> Schedule:
    """Return the earliest superstep of each node that keeps every constraint.

    Args:
        steps: The region's nodes in program order.
        limits: How many nodes may use a named resource in one superstep (>= 1); 1 when not named.

    Complexity: linear in the number of nodes and of pairs of reads and writes of one key, times
    the machine words of a bit set over the nodes.
    """
    builder = _Builder(steps, limits or {})
    for index in range(len(steps)):
        builder.place(index)
    return Schedule(levels=tuple(builder.levels), predecessors=tuple(builder.predecessors))
