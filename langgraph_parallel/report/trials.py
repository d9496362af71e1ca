"""From a report to the changes worth trying: each obstacle with what would be in its place.

    obstacle                           tried instead
    a node keeps its place             it does no more than what is certainly known
    a node reads or writes every key   it touches only the keys that are certainly known
    its state object reads a key       it does not
    a value may be an `Overwrite`      it is a plain operand of the reducer
    two folds against name order       the later node renamed, so that it sorts last
    two write one key                  the later node writes another one
    memory that two nodes touch        the later node touches none
    unknown calls, all of them         `unknown_calls="independent"`
    several nodes that need a word     a declaration for each, at once
    a node that is no function ...     it starts early like any other (`mode="exact"`)

The changes are only described here; `blockers` works out what each of them would save.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from langgraph_parallel.effects import ALL, Effects
from langgraph_parallel.ordering.dependence import Rule, Step, constrain, fold_order
from langgraph_parallel.report.costs import Durations
from langgraph_parallel.report.critical_path import span_of
from langgraph_parallel.report.declarations import changes_in_place, narrow
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.obstacles import (
    Obstacle,
    at_all_keys,
    at_choice,
    at_fence,
    at_memory,
    at_state_object,
    at_unknown_calls,
    at_value,
    declare_all,
    implied_reads,
    on_reducers,
    only_unknown_calls,
    places_in_the_way,
)
from langgraph_parallel.report.region import RegionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change, before it is known what it saves."""

    obstacle: Obstacle
    changes: tuple[tuple[RegionReport, dict[int, Step]], ...] = ()
    """The steps to replace in each region concerned, by index; not where nodes start early."""
    freed: frozenset[str] = frozenset()
    """Nodes to start early whatever they are, beside what the obstacle's declaration frees."""
    bound: float
    """More than this the change cannot save."""


def find_trials(report: GraphReport, now: Durations) -> Iterator[Trial]:
    """Yield one trial for each obstacle, in program order.

    Args:
        report: The report whose obstacles are wanted.
        now: How long its nodes take.
    """
    seen: set[str] = set()
    for part in report.regions:
        if part.has_barriers:
            yield from _in_supersteps(part, now.of(part))
            continue
        for i, step in enumerate(part.steps):
            if step.name not in seen and (found := _early(part, i)) is not None:
                seen.add(step.name)
                freed = frozenset() if found.declared else frozenset({step.name})
                yield Trial(obstacle=found, freed=freed, bound=report.timeline.before(now.by_node))


def find_joint_trials(report: GraphReport, now: Durations) -> Iterator[Trial]:
    """Yield the trials of several nodes: all unknown calls, and all that could be declared."""
    bound = report.timeline.before(now.by_node)
    fenced = {
        s.name: (part, i) for part in report.regions for i, s in enumerate(part.steps) if s.fence
    }
    unknown = {
        name: part.steps[i]
        for name, (part, i) in fenced.items()
        if only_unknown_calls(part.effects[name])
    }
    if len(unknown) > 1:
        is_all = len(unknown) == len(fenced) and not _is_refused(report)
        yield Trial(
            obstacle=at_unknown_calls(unknown, report.effects, is_all=is_all),
            changes=tuple(
                (
                    part,
                    {
                        i: replace(s, fence=None)
                        for i, s in enumerate(part.steps)
                        if s.name in unknown
                    },
                )
                for part in report.regions
            ),
            bound=bound,
        )
    changes = tuple((part, _declarable(part)) for part in report.regions)
    found = {
        part.steps[i].name: on_reducers(part.steps[i], part.effects[part.steps[i].name])
        for part, new in changes
        for i in new
    }
    if len(found) > 1:
        yield Trial(obstacle=declare_all(found), changes=changes, bound=bound)


def _is_refused(report: GraphReport) -> bool:
    return any(refusal.rule != "stays-in-place" for refusal in report.refusals)


def _declarable(part: RegionReport) -> dict[int, Step]:
    steps: dict[int, Step] = {}
    for i, step in enumerate(part.steps):
        effects = part.effects[step.name]
        is_open = effects.reads is ALL or effects.writes is ALL
        if only_unknown_calls(effects) if step.fence is not None else is_open:
            steps[i] = _narrowed(step, effects)
    return steps


# -- nodes that start early ------------------------------------------------------------------------


def _early(part: RegionReport, index: int) -> Obstacle | None:
    """Return what keeps a node from starting early, or others from starting before it has ended."""
    step = part.steps[index]
    effects = part.effects[step.name]
    if step.fence is not None:
        return at_fence(part, index)
    if places := places_in_the_way(part, index):
        return at_memory(part, index, places)
    if (found := at_choice(part, index)) is not None:
        return found
    if effects.reads is ALL or effects.writes is ALL:
        return at_all_keys(part, index)
    if implied := _implied(part, index):
        return at_state_object(part, index, implied)
    if why := part.stays.get(step.name):
        return Obstacle(
            kind="node-kind",
            nodes=(step.name,),
            cause=f"never starts early: {why.rstrip('.')}",
            declaration="",
            remedy="Make it a plain function without such a setting, where that is possible.",
        )
    return None


# -- nodes in supersteps ---------------------------------------------------------------------------


def _in_supersteps(part: RegionReport, costs: Sequence[float]) -> Iterator[Trial]:
    bounds = _fence_bounds(part, costs)
    folded = frozenset().union(*(step.reduced for step in part.steps))
    for i, step in enumerate(part.steps):
        effects = part.effects[step.name]
        bound, freed = costs[i], step
        if step.fence is not None:
            found = at_fence(part, i)
            bound = bounds[i]
            freed = _narrowed(step, effects)
            if changes_in_place(effects):
                freed = replace(freed, writes=freed.writes | _keys_changed(step, effects))
        elif places := places_in_the_way(part, i):
            found = at_memory(part, i, places)
            freed = replace(step, looks_at=frozenset(), changes=frozenset())
        elif effects.reads is ALL or effects.writes is ALL:
            found = at_all_keys(part, i)
            freed = _narrowed(step, effects)
        elif implied := _implied(part, i):
            found = at_state_object(part, i, implied)
            freed = replace(step, reads=step.reads - implied)
        elif unsure := _unsure(part, i, folded):
            found = at_value(part, i, unsure)
            freed = replace(step, folds=step.folds | unsure)
        elif (before := _folded_before(part, i)) is not None:
            found, freed = _renamed(part, before, i)
            bound = min(costs[before], costs[i])
        elif (before := _overwritten(part, i)) is not None:
            found, freed = _with_other_key(part, before, i)
        else:
            continue
        yield Trial(obstacle=found, changes=((part, {i: freed}),), bound=bound)


def _fence_bounds(part: RegionReport, costs: Sequence[float]) -> dict[int, float]:
    """Return, for each fence, how much could be saved without it.

    What stands on its two sides takes at least as long as the longer side.
    """
    fences = [i for i, step in enumerate(part.steps) if step.fence is not None]
    edges = [-1, *fences, len(part.steps)]
    levels = part.schedule.levels
    sides = [span_of(levels[a + 1 : b], costs[a + 1 : b]) for a, b in pairwise(edges)]
    return {
        fence: costs[fence] + sides[k] + sides[k + 1] - max(costs[fence], sides[k], sides[k + 1])
        for k, fence in enumerate(fences)
    }


def _implied(part: RegionReport, index: int) -> frozenset[str]:
    """Return the keys that hold a node only because its state object is made of them."""
    earlier = frozenset().union(*(other.writes for other in part.steps[:index]))
    return implied_reads(part.effects[part.steps[index].name]) & earlier


def _unsure(part: RegionReport, index: int, folded: frozenset[str]) -> frozenset[str]:
    """Return the reducer keys that a node may overwrite, if others add to them too."""
    step = part.steps[index]
    others = (s.reduced for i, s in enumerate(part.steps) if i != index)
    return (step.reduced & folded & frozenset().union(*others)) - step.folds


def _folded_before(part: RegionReport, index: int) -> int | None:
    """Return the node that this one waits for only because its name sorts before that one's."""
    return _awaited_for(part, index, Rule.FOLD)


def _overwritten(part: RegionReport, index: int) -> int | None:
    """Return the node that this one waits for only because both write one key."""
    return _awaited_for(part, index, Rule.OUTPUT)


def _awaited_for(part: RegionReport, index: int, rule: Rule) -> int | None:
    step, levels = part.steps[index], part.schedule.levels
    if not step.writes or not levels[index]:
        return None
    awaited = [p for p in part.schedule.predecessors[index] if levels[p] == levels[index] - 1]
    for p in awaited:
        found = constrain(part.steps[p], step)
        if found is None or found.rule is not rule or not found.strict:
            return None
    last = fold_order([part.steps[p].name for p in awaited])[-1]
    return next(p for p in awaited if part.steps[p].name == last)


def _renamed(part: RegionReport, before: int, index: int) -> tuple[Obstacle, Step]:
    earlier, later = part.steps[before], part.steps[index]
    name = f"{earlier.name}_{later.name}"
    keys = ", ".join(map(repr, sorted(earlier.folds & later.folds)))
    obstacle = Obstacle(
        kind="fold-order",
        nodes=(earlier.name, later.name),
        cause=f"both add to {keys}, and LangGraph folds one superstep in the order of node names",
        declaration="",
        remedy=f"Rename {later.name!r} so that it sorts after {earlier.name!r}, such as {name!r}.",
    )
    return obstacle, replace(later, name=name)


def _with_other_key(part: RegionReport, before: int, index: int) -> tuple[Obstacle, Step]:
    earlier, later = part.steps[before], part.steps[index]
    both = earlier.writes & later.writes
    keys = ", ".join(map(repr, sorted(both)))
    obstacle = Obstacle(
        kind="same-key",
        nodes=(earlier.name, later.name),
        cause=f"both write {keys}, and the value of {later.name} has to be the one that stays",
        declaration="",
        remedy=f"Let {later.name!r} write a key of its own.",
    )
    return obstacle, replace(later, writes=later.writes - both, folds=later.folds - both)


def _narrowed(step: Step, effects: Effects) -> Step:
    """Return a step as the pasted declaration makes it."""
    known = narrow(effects)
    assert known.reads is not ALL
    assert known.writes is not ALL
    reads = step.reads & known.reads if effects.reads is ALL else step.reads
    writes = step.writes & known.writes if effects.writes is ALL else step.writes
    return replace(
        step,
        reads=reads,
        writes=writes,
        folds=step.folds & writes,
        reduced=step.reduced & writes,
        looks_at=frozenset(),
        changes=frozenset(),
        fence=None,
    )


def _keys_changed(step: Step, effects: Effects) -> frozenset[str]:
    return step.reads if effects.mutates is ALL else effects.mutates
