"""From two nodes' constraint, or one node's fence, to a sentence with its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from langgraph_parallel.effects import MAY_ROUTE, Effects, Evidence
from langgraph_parallel.locations import kept_places
from langgraph_parallel.ordering.dependence import Constraint, Rule, Step

_CAUSES: Mapping[Rule, tuple[str, ...]] = {
    Rule.EXTERNAL: ("unknown", "write"),
    Rule.MUTATION: ("mutates",),
    Rule.CONTROL: ("interrupt", "send", "goto", MAY_ROUTE),
    Rule.FAILURE: ("changes",),
}
"""The kinds of effect that make a node keep its place."""


def verdict_of(
    earlier: Step, later: Step, constraint: Constraint | None, effects: Mapping[str, Effects]
) -> str:
    """Return what the order of two nodes of one region must keep, and the evidence for it."""
    if constraint is None:
        shared = earlier.resources & later.resources
        if shared:
            return f"ordered: both use the resource {', '.join(sorted(shared))}"
        return "independent: no state key or outside effect connects them"
    keys = ", ".join(map(repr, constraint.keys))
    match constraint.rule:
        case Rule.FLOW:
            return f"ordered: {later.name} reads {keys}, which {earlier.name} writes" + (
                _place_of_read(effects[later.name], constraint.keys)
            )
        case Rule.OUTPUT if constraint.strict:
            return _output_verdict(earlier, later, constraint.keys, effects)
        case Rule.OUTPUT | Rule.FOLD:
            return _sharing_verdict(constraint, keys)
        case Rule.ANTI:
            return f"independent: {later.name} writes {keys} only after {earlier.name} has read"
        case Rule.MEMORY:
            return _memory_verdict(earlier, later, constraint.keys[0], effects)
        case Rule.FAILURE if constraint.keys:
            place = constraint.keys[0]
            where = _place_of(effects[later.name], f"changes {place}")
            return (
                f"ordered: {later.name} changes {place}{where}, which must not happen "
                f"if {earlier.name} fails"
            )
        case _:
            fenced = earlier if earlier.fence else later
            return f"ordered: {_fence_reason(fenced, effects[fenced.name])}"


def _sharing_verdict(constraint: Constraint, keys: str) -> str:
    """Return what two writes of one key must keep."""
    added = constraint.rule is Rule.FOLD
    if constraint.strict:
        return f"ordered: both add to {keys}, and LangGraph would fold them by name"
    return f"independent: both {'add to' if added else 'write'} {keys}, in the same order as before"


def cause_of(effects: Effects, fence: Rule) -> Evidence:
    """Return the evidence that makes a node keep its place among all its neighbors."""
    if fence is Rule.FAILURE:
        kept = {f"changes {place}" for place in kept_places(effects.changes)}
        for evidence in effects.evidence:
            if evidence.what in kept:
                return evidence
    for kind in _CAUSES.get(fence, ()):
        for evidence in effects.evidence:
            if evidence.effect == kind:
                return evidence
    return effects.evidence[-1] if effects.evidence else Evidence(what="it was declared so")


def _output_verdict(
    earlier: Step, later: Step, keys: tuple[str, ...], effects: Mapping[str, Effects]
) -> str:
    """Return why two writes of one key have an order; of a reducer's key, what is not known."""
    reduced = [key for key in keys if key in earlier.reduced & later.reduced]
    if len(reduced) < len(keys):
        plain = ", ".join(repr(key) for key in keys if key not in reduced)
        return f"ordered: both write {plain}, and the last one must win"
    names = ", ".join(map(repr, reduced))
    unsure = [step for step in (earlier, later) if not step.folds >= {*reduced}]
    said = [step.name for step in unsure if _is_declared(effects[step.name])]
    if said:
        which = "declarations" if len(said) > 1 else "declaration"
        verb = "do" if len(said) > 1 else "does"
        why = f"the {which} of {' and '.join(said)} {verb} not say folds={{{names}}}"
    else:
        why = f"the update of {' and '.join(s.name for s in unsure)} may be an Overwrite"
    return f"ordered: both add to {names}, and {why}"


def _is_declared(effects: Effects) -> bool:
    """Tell whether effects were written by somebody, and not found in code."""
    return not effects.evidence or any(e.what.startswith("declared") for e in effects.evidence)


def _fence_reason(step: Step, effects: Effects) -> str:
    assert step.fence is not None
    cause = cause_of(effects, step.fence)
    return f"{step.name} keeps its place ({step.fence.value}: {cause})"


def _memory_verdict(earlier: Step, later: Step, place: str, effects: Mapping[str, Effects]) -> str:
    """Return which place outside the state two nodes both touch, with both lines."""
    parts: list[str] = []
    for step in (later, earlier):
        changes = place in map(str, step.changes)
        verb = "changes" if changes else "looks at"
        where = _place_of(effects[step.name], f"{verb} {place}")
        parts.append(f"{step.name} {verb} {'it' if parts else place}{where}")
    return f"ordered: {parts[0]}, and {parts[1]}"


def _place_of(effects: Effects, what: str) -> str:
    for evidence in effects.evidence:
        if evidence.what == what and evidence.where:
            return f" ({evidence.where})"
    return ""


def _place_of_read(effects: Effects, keys: tuple[str, ...]) -> str:
    wanted = [f"reads {key!r}" for key in keys]
    for evidence in effects.evidence:
        if evidence.what in wanted or evidence.what.startswith("reads the whole"):
            return f" ({evidence.where})" if evidence.where else ""
    made = next((e.what for e in effects.evidence if e.what.startswith("is handed a ")), "")
    return f": it {made}" if made else ""
