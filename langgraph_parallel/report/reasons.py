"""From two nodes' constraint, or one node's fence, to a sentence with its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from langgraph_parallel.effects import Effects, Evidence
from langgraph_parallel.ordering.dependence import Constraint, Rule, Step

_CAUSES: Mapping[Rule, tuple[str, ...]] = {
    Rule.EXTERNAL: (
        "calls ",
        "store.",
        "changes an object",
        "attribute ",
        "a ",
        "enters ",
        "imports ",
    ),
    Rule.MUTATION: ("changes a state value",),
    Rule.CONTROL: ("calls interrupt", "builds a Send"),
}
"""How the evidence for each kind of fence begins."""


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
        case Rule.OUTPUT:
            return f"ordered: both write {keys}, and the last one must win"
        case Rule.FOLD if constraint.strict:
            return f"ordered: both add to {keys}, and LangGraph would fold them by name"
        case Rule.FOLD:
            return f"independent: both add to {keys}, in the same order as before"
        case Rule.ANTI:
            return f"independent: {later.name} writes {keys} only after {earlier.name} has read"
        case _:
            fenced = earlier if earlier.fence else later
            return f"ordered: {_fence_reason(fenced, effects[fenced.name])}"


def cause_of(effects: Effects, fence: Rule) -> Evidence:
    """Return the evidence that makes a node keep its place among all its neighbors."""
    starts = _CAUSES.get(fence, ())
    for evidence in effects.evidence:
        if evidence.what.startswith(starts):
            return evidence
    return effects.evidence[-1] if effects.evidence else Evidence(what="it was declared so")


def _fence_reason(step: Step, effects: Effects) -> str:
    assert step.fence is not None
    cause = cause_of(effects, step.fence)
    return f"{step.name} keeps its place ({step.fence.value}: {cause})"


def _place_of_read(effects: Effects, keys: tuple[str, ...]) -> str:
    wanted = [f"reads {key!r}" for key in keys]
    for evidence in effects.evidence:
        if evidence.what in wanted or evidence.what.startswith("reads the whole"):
            return f" ({evidence.where})" if evidence.where else ""
    return ""
