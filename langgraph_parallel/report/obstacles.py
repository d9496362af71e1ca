"""From a report to the changes worth trying: each obstacle with the steps it would turn into.

    obstacle                           tried instead
    a node keeps its place             it does no more than what is certainly known
    a node reads or writes every key   it touches only the keys that are certainly known
    a value may be an `Overwrite`      it is a plain operand of the reducer
    two folds against name order       the later node renamed, so that it sorts last
    memory that two nodes touch        the later node touches none
    unknown calls, all of them         `unknown_calls="independent"`
    several nodes that need a word     a declaration for each, at once

The changes are only described here; `blockers` builds the schedule again with each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from langgraph_parallel.effects import ALL, Effects, Evidence, union
from langgraph_parallel.locations import Location, kept_places, meeting
from langgraph_parallel.ordering.dependence import Rule, Step, constrain, fold_order
from langgraph_parallel.report.costs import Durations, span_of
from langgraph_parallel.report.declarations import (
    changes_in_place,
    decorator_line,
    keyword_line,
    narrow,
)
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.reasons import cause_of
from langgraph_parallel.report.region import RegionReport

NODES_NAMED: Final = 3
"""Nodes that a hint for several of them spells out."""

_MOST_DECLARED: Final = 5
"""Nodes up to which one line declares them all; a longer line helps nobody."""

BlockerKind: TypeAlias = Literal[
    "unknown-calls", "external", "mutation", "control", "all-keys", "fold-value", "fold-order",
    "routing", "memory",
    "several",
]  # fmt: skip
"""What kind of obstacle it is: the first column of the table at the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change to some steps, before it is known what it saves."""

    changes: tuple[tuple[RegionReport, dict[int, Step]], ...]
    """The steps to replace in each region concerned, by index."""
    bound: float
    """More than this the change cannot save."""
    kind: BlockerKind
    nodes: tuple[str, ...]
    cause: str
    declaration: str
    remedy: str


def find_trials(report: GraphReport, now: Durations) -> Iterator[Trial]:
    """Yield one trial for each obstacle, in program order, those of several nodes first.

    Args:
        report: The report whose obstacles are wanted.
        now: How long its nodes take.
    """
    hint = _all_unknown_calls(report, now)
    if hint is not None:
        yield hint
    every = _all_declarations(report, now)
    if every is not None:
        yield every
    for part in report.regions:
        costs = now.of(part)
        bounds = _fence_bounds(part, costs)
        folded = frozenset().union(*(step.folds for step in part.steps))
        for i, step in enumerate(part.steps):
            effects = part.effects[step.name]
            if step.fence is not None:
                yield _without_fence(part, i, bounds[i])
            elif places := _places_in_the_way(part, i):
                yield _without_memory(part, i, costs[i], places)
            elif effects.reads is ALL or effects.writes is ALL:
                yield _with_known_keys(part, i, costs[i])
            elif unsure := (step.writes & folded) - step.folds:
                yield _with_plain_value(part, i, costs[i], unsure)
            elif (before := _folded_before(part, i)) is not None:
                yield _renamed(part, before, i, min(costs[before], costs[i]))


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


def _without_fence(part: RegionReport, index: int, bound: float) -> Trial:
    step = part.steps[index]
    effects = part.effects[step.name]
    assert step.fence is not None
    cause = cause_of(effects, step.fence)
    kind, declaration, remedy = _unlock(step.fence, _on_reducers(step, effects))
    freed = _narrowed(step, effects)
    if changes_in_place(effects):
        freed = replace(freed, writes=freed.writes | _keys_changed(step, effects))
    return Trial(
        changes=((part, {index: freed}),),
        bound=bound,
        kind=kind,
        nodes=(step.name,),
        cause=f"{cause}, so it keeps its place",
        declaration=declaration,
        remedy=remedy,
    )


def _unlock(fence: Rule, effects: Effects) -> tuple[BlockerKind, str, str]:
    if fence is Rule.CONTROL:
        return "control", "", "Move the pause or the routing into a node of its own."
    if fence is Rule.FAILURE:
        return "memory", decorator_line(effects), _KEEP_IN_STATE
    if changes_in_place(effects):
        mended = replace(
            effects, mutates=frozenset(), writes=union(effects.writes, effects.mutates)
        )
        remedy = "Return a new value under the key instead of changing the old one"
        then = f"; then declare the node with {_harmless_line(mended)}"
        return "mutation", "", remedy + (then if fence is Rule.EXTERNAL else "") + "."
    if "write" in effects.external:
        return (
            "external",
            _harmless_line(effects),
            "Move the write to the end of the run; or declare the node, if it does no harm when "
            "the write happens earlier, or again after another node has failed.",
        )
    return (
        "unknown-calls",
        decorator_line(effects),
        "Declare the node, if that is all it does; or pass "
        f"`{_TRUSTING}`, if no unknown call has an effect that another node could notice.",
    )


def _harmless_line(effects: Effects) -> str:
    """Return the declaration of a node whose writes to the world its author vouches for."""
    return decorator_line(
        replace(effects, external=(effects.external - {"write", "unknown"}) | {"read"})
    )


_TRUSTING: Final = 'ParallelConfig(unknown_calls="independent")'


def _places_in_the_way(part: RegionReport, index: int) -> tuple[Location, ...]:
    """Return the places outside the state for which a node waits for an earlier one."""
    step = part.steps[index]
    if changed := kept_places(step.changes):
        return tuple(sorted(changed, key=str)) if index else ()
    earlier = frozenset().union(*(other.changes for other in part.steps[:index]))
    return meeting(step.looks_at, earlier)


def _without_memory(
    part: RegionReport, index: int, bound: float, places: tuple[Location, ...]
) -> Trial:
    step = part.steps[index]
    effects = part.effects[step.name]
    verbs = ("changes", "looks at")
    wanted = [f"{verb} {place}" for place in places for verb in verbs]
    found = next((e for e in effects.evidence if e.what in wanted), None)
    return Trial(
        changes=((part, {index: replace(step, looks_at=frozenset(), changes=frozenset())}),),
        bound=bound,
        kind="memory",
        nodes=(step.name,),
        cause=str(found or f"changes {places[0]}"),
        declaration=decorator_line(_on_reducers(step, effects)),
        remedy=_KEEP_IN_STATE,
    )


_KEEP_IN_STATE: Final = (
    "Keep what it remembers in a key of the state; or declare the node, if nobody minds when that "
    "happens."
)


def _with_known_keys(part: RegionReport, index: int, bound: float) -> Trial:
    step = part.steps[index]
    effects = part.effects[step.name]
    start = "reads the whole state" if effects.reads is ALL else "its return value"
    found = next((e for e in effects.evidence if e.what.startswith(start)), None)
    verb = "read" if effects.reads is ALL else "written"
    return Trial(
        changes=((part, {index: _narrowed(step, effects)}),),
        bound=bound,
        kind="all-keys",
        nodes=(step.name,),
        cause=str(found or Evidence(what=f"every key may be {verb}")),
        declaration=decorator_line(_on_reducers(step, effects)),
        remedy="Name the keys in the code; or declare the node and fill in the rest of its keys.",
    )


def _with_plain_value(
    part: RegionReport, index: int, bound: float, unsure: frozenset[str]
) -> Trial:
    step = part.steps[index]
    effects = part.effects[step.name]
    keys = ", ".join(map(repr, sorted(unsure)))
    return Trial(
        changes=((part, {index: replace(step, folds=step.folds | unsure)}),),
        bound=bound,
        kind="fold-value",
        nodes=(step.name,),
        cause=f"its update of {keys} may be an Overwrite, which would drop what others add",
        declaration=decorator_line(replace(effects, folds=step.folds | unsure)),
        remedy=f"Declare the node, if its update of {keys} is always a plain value.",
    )


def _folded_before(part: RegionReport, index: int) -> int | None:
    """Return the node that this one waits for only because its name sorts before that one's."""
    step, levels = part.steps[index], part.schedule.levels
    if not step.folds or not levels[index]:
        return None
    awaited = [p for p in part.schedule.predecessors[index] if levels[p] == levels[index] - 1]
    for p in awaited:
        found = constrain(part.steps[p], step)
        if found is None or found.rule is not Rule.FOLD or not found.strict:
            return None
    last = fold_order([part.steps[p].name for p in awaited])[-1]
    return next(p for p in awaited if part.steps[p].name == last)


def _renamed(part: RegionReport, before: int, index: int, bound: float) -> Trial:
    earlier, later = part.steps[before], part.steps[index]
    name = f"{earlier.name}_{later.name}"
    keys = ", ".join(map(repr, sorted(earlier.folds & later.folds)))
    return Trial(
        changes=((part, {index: replace(later, name=name)}),),
        bound=bound,
        kind="fold-order",
        nodes=(earlier.name, later.name),
        cause=f"both add to {keys}, and LangGraph folds one superstep in the order of node names",
        declaration="",
        remedy=f"Rename {later.name!r} so that it sorts after {earlier.name!r}, such as {name!r}.",
    )


def _narrowed(step: Step, effects: Effects) -> Step:
    known = narrow(effects)
    assert known.reads is not ALL
    assert known.writes is not ALL
    reads = step.reads & known.reads if effects.reads is ALL else step.reads
    writes = step.writes & known.writes if effects.writes is ALL else step.writes
    # What it does to memory is known, but where that is what makes it keep its place.
    changes = frozenset() if step.fence is Rule.FAILURE else step.changes
    return replace(
        step, reads=reads, writes=writes, folds=step.folds & writes, changes=changes, fence=None
    )


def _on_reducers(step: Step, effects: Effects) -> Effects:
    """Leave out of `folds` the keys without a reducer, for which it says nothing."""
    return replace(effects, folds=step.folds)


def _keys_changed(step: Step, effects: Effects) -> frozenset[str]:
    return step.reads if effects.mutates is ALL else effects.mutates


# -- unknown calls, all of them ------------------------------------------------------------------


def only_unknown_calls(effects: Effects) -> bool:
    """Tell whether a node keeps its place for nothing but calls that are not known."""
    return (
        "unknown" in effects.external
        and "write" not in effects.external
        and effects.certain
        and not effects.control & {"interrupt", "goto", "send"}
        and not changes_in_place(effects)
    )


def _all_unknown_calls(report: GraphReport, now: Durations) -> Trial | None:
    """Return the one hint that stands for all unknown calls, if there are several."""
    fenced = [(part, i) for part in report.regions for i, s in enumerate(part.steps) if s.fence]
    unknown = [
        (part, i) for part, i in fenced if only_unknown_calls(part.effects[part.steps[i].name])
    ]
    if len(unknown) < 2:
        return None
    calls = [_call_of(part, i) for part, i in unknown[:NODES_NAMED]]
    more = len(unknown) - len(calls)
    is_all = len(unknown) == len(fenced) and not report.refusals
    first, i = unknown[0]
    line = decorator_line(_on_reducers(first.steps[i], first.effects[first.steps[i].name]))
    return Trial(
        changes=tuple(
            (part, {i: replace(part.steps[i], fence=None) for p, i in unknown if p is part})
            for part in report.regions
        ),
        bound=now.work(report.regions),
        kind="unknown-calls",
        nodes=tuple(part.steps[i].name for part, i in unknown),
        cause=("only " if is_all else "")
        + "calls that are not known stand in the way: "
        + "; ".join(calls)
        + (f"; and {more} more" if more else ""),
        declaration=f"parallelize(graph, config={_TRUSTING})",
        remedy="Pass it, if none of these calls has an effect that another node could notice; or "
        f"declare each node, the first with {line}.",
    )


def _all_declarations(report: GraphReport, now: Durations) -> Trial | None:
    """Return the trial in which every node that a declaration could free has one."""
    changes = tuple((part, _declarable(part)) for part in report.regions)
    found = {
        part.steps[i].name: _on_reducers(part.steps[i], part.effects[part.steps[i].name])
        for part, new in changes
        for i in new
    }
    if len(found) < 2:
        return None
    is_short = len(found) <= _MOST_DECLARED
    return Trial(
        changes=changes,
        bound=now.work(report.regions),
        kind="several",
        nodes=tuple(found),
        cause="calls or keys of each are not known, and one of them alone frees less",
        declaration=keyword_line(found) if is_short else decorator_line(next(iter(found.values()))),
        remedy="Declare them all, if that is all they do, and fill in the rest of their keys."
        if is_short
        else "Declare each of them, if that is all it does, the first with:",
    )


def _declarable(part: RegionReport) -> dict[int, Step]:
    steps: dict[int, Step] = {}
    for i, step in enumerate(part.steps):
        effects = part.effects[step.name]
        is_open = effects.reads is ALL or effects.writes is ALL
        if only_unknown_calls(effects) if step.fence is not None else is_open:
            steps[i] = _narrowed(step, effects)
    return steps


def _call_of(part: RegionReport, index: int) -> str:
    step = part.steps[index]
    cause = cause_of(part.effects[step.name], Rule.EXTERNAL)
    what = cause.what.removesuffix(", which is not known")
    return f"{step.name} {what}" + (f" ({cause.where})" if cause.where else "")
