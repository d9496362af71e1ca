"""From one node that is held to the obstacle: what it is, where, and what removes it.

The same words serve both modes; what a change would save is worked out by `blockers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from langgraph_parallel.effects import (
    ALL,
    DECLARED,
    Effects,
    Evidence,
    is_unforeseen,
    union,
)
from langgraph_parallel.locations import Location, kept_places, meeting, ordered_places
from langgraph_parallel.ordering.dependence import Rule, Step
from langgraph_parallel.report.declarations import (
    changes_in_place,
    declared,
    decorator_line,
    keyword_line,
    narrow,
)
from langgraph_parallel.report.reasons import cause_of
from langgraph_parallel.report.region import RegionReport

NODES_NAMED: Final = 3
"""Nodes that a hint for several of them spells out."""

MOST_DECLARED: Final = 5
"""Nodes up to which one line declares them all; a longer line helps nobody."""

BlockerKind: TypeAlias = Literal[
    "unknown-calls", "external", "mutation", "control", "all-keys", "fold-value", "fold-order",
    "same-key", "state-object", "routing", "memory", "node-kind", "refusal", "several",
]  # fmt: skip
"""What kind of obstacle it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What stands in the way of one node, or of several."""

    kind: BlockerKind
    nodes: tuple[str, ...]
    cause: str
    declaration: str
    remedy: str
    declared: Mapping[str, Effects] = field(default_factory=dict)
    """The effects that the declaration declares, by node; empty without one."""


def at_fence(part: RegionReport, index: int) -> Obstacle:
    """Return what makes a node keep its place among all its neighbors."""
    step = part.steps[index]
    effects = on_reducers(step, part.effects[step.name])
    assert step.fence is not None
    cause = cause_of(effects, step.fence)
    kind, line, remedy = _unlock(step.fence, effects)
    return Obstacle(
        kind=kind,
        nodes=(step.name,),
        cause=f"{cause}, so it keeps its place",
        declaration="" if line is None else decorator_line(line),
        remedy=remedy,
        declared={} if line is None else {step.name: declared(line)},
    )


def _unlock(fence: Rule, effects: Effects) -> tuple[BlockerKind, Effects | None, str]:
    if fence is Rule.CONTROL and is_unforeseen(effects) and not _leaves_for_sure(effects):
        remedy = "Declare all that it does, and fill in what `...` stands for."
        return "routing", effects, remedy
    if fence is Rule.CONTROL:
        return "control", None, "Move the pause or the routing into a node of its own."
    if fence is Rule.FAILURE:
        return "memory", effects, _KEEP_IN_STATE
    if changes_in_place(effects):
        mended = replace(
            effects, mutates=frozenset(), writes=union(effects.writes, effects.mutates)
        )
        remedy = "Return a new value under the key instead of changing the old one"
        line = decorator_line(_harmless(mended))
        then = f"; then declare the node with {line}"
        return "mutation", None, remedy + (then if fence is Rule.EXTERNAL else "") + "."
    if "write" in effects.external:
        return (
            "external",
            _harmless(effects),
            "Move the write to the end of the run; or declare the node, if it does no harm when "
            "the write happens earlier, or again after another node has failed.",
        )
    return (
        "unknown-calls",
        effects,
        f"{_declare(effects)}; or pass `{TRUSTING}`, {TRUST_TERMS}.{_filled_late([effects])}",
    )


def _leaves_for_sure(effects: Effects) -> bool:
    """Tell whether a pause or a choice of what comes next was seen, and not only not ruled out."""
    return any(e.effect in ("interrupt", "goto", "send") for e in effects.evidence)


def _declare(effects: Effects) -> str:
    """Return what has to be true for a declaration that leaves out the places a node changes."""
    text = "Declare the node, if that is all it does"
    places = sorted(map(str, ordered_places(effects.changes)))
    if not places:
        return text
    return f"{text}, and if nobody minds when it changes {', '.join(places[:NODES_NAMED])}"


def _filled_late(found: Sequence[Effects]) -> str:
    """Return what to do about globals that nodes assign, after a space; empty when none do."""
    named = (p for effects in found for p in effects.changes if p.kind == "name")
    names = sorted({str(place) for place in named})[:NODES_NAMED]
    if not names:
        return ""
    return (
        f" Or make what {' and '.join(names)} {'hold' if len(names) > 1 else 'holds'} where the "
        "module is loaded, so that it is known."
    )


def _harmless(effects: Effects) -> Effects:
    """Return the effects of a node whose writes to the world its author vouches for."""
    return replace(effects, external=(effects.external - {"write", "unknown"}) | {"read"})


TRUSTING: Final = 'ParallelConfig(unknown_calls="independent")'
TRUST_TERMS: Final = (
    "if no unknown call has an effect that another node could notice, nor one that must not happen "
    "when an earlier node fails, such as saving or sending something"
)


def places_in_the_way(part: RegionReport, index: int) -> tuple[Location, ...]:
    """Return the places outside the state for which a node waits for an earlier one."""
    step = part.steps[index]
    if changed := kept_places(step.changes):
        return tuple(sorted(changed, key=str)) if index else ()
    earlier = frozenset().union(*(other.changes for other in part.steps[:index]))
    return meeting(step.looks_at, earlier)


def at_memory(part: RegionReport, index: int, places: Sequence[Location]) -> Obstacle:
    """Return which place outside the state keeps a node behind an earlier one."""
    step = part.steps[index]
    effects = on_reducers(step, part.effects[step.name])
    wanted = [f"{verb} {place}" for verb in ("changes", "looks at") for place in places]
    known = {evidence.what: evidence for evidence in effects.evidence}
    found = next((known[what] for what in wanted if what in known), None)
    return Obstacle(
        kind="memory",
        nodes=(step.name,),
        cause=str(found or f"changes {places[0]}"),
        declaration=decorator_line(effects),
        remedy=_remedy_for(places),
        declared={step.name: declared(effects)},
    )


def _remedy_for(places: Sequence[Location]) -> str:
    if any(place.kind == "name" for place in places):
        return _MAKE_EARLIER
    is_chance = all(place.kind == "world" and place.owner == "random" for place in places)
    return _DRAW_APART if is_chance else _KEEP_IN_STATE


_DRAW_APART: Final = (
    "Draw from a generator that the node makes, `random.Random()`; or declare the node, if nobody "
    "ever seeds the generator that all share, which the code of a graph cannot show."
)
_KEEP_IN_STATE: Final = (
    "Keep what it remembers in a key of the state; or declare the node, if nobody minds when that "
    "happens, nor that it happens where an earlier node fails."
)
_MAKE_EARLIER: Final = (
    "Make what the global holds where the module is loaded, not in a node; or declare the node, if "
    "nobody minds when the global is assigned, nor that it is where an earlier node fails."
)


def at_all_keys(part: RegionReport, index: int) -> Obstacle:
    """Return why every key counts as read or written by a node."""
    step = part.steps[index]
    effects = on_reducers(step, part.effects[step.name])
    return Obstacle(
        kind="all-keys",
        nodes=(step.name,),
        cause=str(_open_keys(effects)),
        declaration=decorator_line(effects),
        remedy="Name the keys in the code; or declare the node and fill in the rest of its keys.",
        declared={step.name: declared(effects)},
    )


def _open_keys(effects: Effects) -> Evidence:
    """Return why every key counts as read or written."""
    start = "reads the whole state" if effects.reads is ALL else "its return value"
    found = next((e for e in effects.evidence if e.what.startswith(start)), None)
    return found or Evidence(what=f"may {'read' if effects.reads is ALL else 'write'} every key")


def implied_reads(effects: Effects) -> frozenset[str]:
    """Return the keys that count as read though the node's code does not look at them.

    Making its state object validates or converts them, or its cache key is made of them.
    """
    if effects.reads is ALL or not effects.evidence or DECLARED in effects.evidence:
        return frozenset()
    known = narrow(replace(effects, reads=ALL)).reads
    assert known is not ALL
    return effects.reads - known


def at_state_object(part: RegionReport, index: int, implied: frozenset[str]) -> Obstacle:
    """Return which keys count as read because the node's state object is made of them."""
    step = part.steps[index]
    effects = on_reducers(step, part.effects[step.name])
    assert effects.reads is not ALL
    found = next((e for e in effects.evidence if e.what.startswith("is handed a ")), None)
    keys = ", ".join(map(repr, sorted(implied)))
    calm = replace(effects, reads=effects.reads - implied)
    helps = found is None or not part.has_barriers
    return Obstacle(
        kind="state-object",
        nodes=(step.name,),
        cause=f"{found or 'its state object is checked when it is made'}, "
        f"so {keys} count{'s' * (len(implied) == 1)} as read",
        declaration=decorator_line(calm) if helps else "",
        remedy="Give the node a state with only the keys that it reads, "
        "add_node(..., input_schema=...)" + (_OR_DECLARE if helps else "."),
        declared={step.name: declared(calm)} if helps else {},
    )


_OR_DECLARE: Final = "; or declare the node, if nobody minds where those keys are validated."


def at_value(part: RegionReport, index: int, unsure: frozenset[str]) -> Obstacle:
    """Return which update of a reducer key may be more than an operand."""
    step = part.steps[index]
    effects = replace(part.effects[step.name], folds=step.folds | unsure)
    keys = ", ".join(map(repr, sorted(unsure)))
    return Obstacle(
        kind="fold-value",
        nodes=(step.name,),
        cause=f"its update of {keys} may be an Overwrite, which would drop what others add",
        declaration=decorator_line(effects),
        remedy=f"Declare the node, if its update of {keys} is always a plain value.",
        declared={step.name: declared(effects)},
    )


def at_choice(part: RegionReport, index: int) -> Obstacle | None:
    """Return what a node does that only its own superstep allows, such as asking for its number."""
    step = part.steps[index]
    effects = on_reducers(step, part.effects[step.name])
    for kind, remedy in _ASKS.items():
        if kind in effects.control:
            calm = replace(effects, control=effects.control - {kind})
            found = next((e for e in effects.evidence if e.effect == kind), None)
            return Obstacle(
                kind="control",
                nodes=(step.name,),
                cause=str(found or part.stays.get(step.name, "")),
                declaration=decorator_line(calm),
                remedy=remedy,
                declared={step.name: declared(calm)},
            )
    return None


_ASKS: Final[Mapping[str, str]] = {
    "identity": "Compare what values hold (`==`) instead of asking which object they are (`is`, "
    "`id`); or declare the node, if a copy will do.",
    "step": "Count in a key of the state; or declare the node, if the number does not matter.",
}


def on_reducers(step: Step, effects: Effects) -> Effects:
    """Leave out of `folds` the keys without a reducer, for which it says nothing."""
    return replace(effects, folds=step.folds)


# -- several nodes -------------------------------------------------------------------------------


def only_unknown_calls(effects: Effects) -> bool:
    """Tell whether a node keeps its place for nothing but calls that are not known."""
    return (
        "unknown" in effects.external
        and "write" not in effects.external
        and effects.certain
        and not effects.control & {"interrupt", "goto", "send"}
        and not changes_in_place(effects)
    )


def at_unknown_calls(
    steps: Mapping[str, Step], effects: Mapping[str, Effects], *, is_all: bool
) -> Obstacle:
    """Return the one hint that stands for all unknown calls.

    Args:
        steps: The nodes that only such calls hold, two or more.
        effects: What they do.
        is_all: Whether nothing else stands in the way of anything.
    """
    names = tuple(steps)
    calls = [call_of(name, effects[name]) for name in names[:NODES_NAMED]]
    more = len(names) - len(calls)
    line = decorator_line(on_reducers(steps[names[0]], effects[names[0]]))
    return Obstacle(
        kind="unknown-calls",
        nodes=names,
        cause=("only " if is_all else "")
        + "calls that are not known stand in the way: "
        + "; ".join(calls)
        + (f"; and {more} more" if more else ""),
        declaration=f"parallelize(graph, config={TRUSTING})",
        remedy=f"Pass it, {TRUST_TERMS}; or declare each node, the first with {line}."
        + _filled_late([effects[name] for name in names]),
    )


def call_of(name: str, effects: Effects) -> str:
    """Return which call of a node is not known, and where it stands."""
    cause = cause_of(effects, Rule.EXTERNAL)
    what = cause.what.removesuffix(", which is not known")
    return f"{name} {what}" + (f" ({cause.where})" if cause.where else "")


def _ignorance_of(name: str, effects: Effects) -> str:
    """Return what of a node is not known, and where it stands."""
    if "unknown" in effects.external:
        return call_of(name, effects)
    return f"{name} {_open_keys(effects)}"


def declare_all(found: Mapping[str, Effects]) -> Obstacle:
    """Return the hint to declare several nodes, of which one alone frees less.

    Args:
        found: What the nodes do, two or more.
    """
    names = tuple(found)
    is_short = len(names) <= MOST_DECLARED
    return Obstacle(
        kind="several",
        nodes=names,
        cause="calls or keys of each are not known, and one of them alone frees less: "
        + "; ".join(_ignorance_of(name, found[name]) for name in names[:NODES_NAMED])
        + (f"; and {len(names) - NODES_NAMED} more" if len(names) > NODES_NAMED else ""),
        declaration=keyword_line(found) if is_short else decorator_line(next(iter(found.values()))),
        remedy="Declare them all, if that is all they do, and fill in the rest of their keys."
        + _filled_late(list(found.values()))
        if is_short
        else "Declare each of them, if that is all it does, the first with:",
        declared={name: declared(effects) for name, effects in found.items()},
    )


def each_of(obstacles: Sequence[Obstacle]) -> Obstacle:
    """Return several obstacles that hide each other as one."""
    line = {name: made for obstacle in obstacles for name, made in obstacle.declared.items()}
    covered = all(obstacle.declared for obstacle in obstacles)
    names = dict.fromkeys(name for obstacle in obstacles for name in obstacle.nodes)
    shown = [f"{o.nodes[0]}: {o.cause}" for o in obstacles[:MOST_DECLARED]]
    more = len(obstacles) - len(shown)
    remedies = dict.fromkeys(o.remedy for o in obstacles[:MOST_DECLARED])
    return Obstacle(
        kind="several",
        nodes=tuple(names),
        cause="each hides the others: " + "; ".join(shown) + (f"; and {more} more" if more else ""),
        declaration=keyword_line(line) if covered and len(line) <= MOST_DECLARED else "",
        remedy=" ".join(remedies),
        declared=line,
    )
