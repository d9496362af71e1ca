"""From a node and its effects to the reason for which it never starts early."""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.effects import Effects
from langgraph_parallel.inference.code.state_classes import has_fields
from langgraph_parallel.inference.code.tasks import task_called
from langgraph_parallel.locations import Location, meeting, ordered_places
from langgraph_parallel.reading.model import Node
from langgraph_parallel.reading.validation import makes_silently


def why_in_place(
    node: Node, found: Effects, folded: frozenset[Location], *, trusts_calls: bool
) -> str:
    """Return why a node never starts early, or an empty string.

    Args:
        node: The node.
        found: Its effects.
        folded: Places outside the state that reducers change.
        trusts_calls: Take calls that are not known to be without effects.
    """
    if not node.is_plain:
        return "it is not a function, so that it cannot be handed a state that notes reads."
    if node.cache_policy is not None:
        return "its cache_policy is LangGraph's to keep."
    if node.is_timed:
        return "its timeout is LangGraph's to keep."
    if not _is_made_quietly(node.schema):
        return "making its state object runs code of its class, which counts as often as it runs."
    if node.handles_errors:
        return "it handles errors."
    if node.is_deferred:
        return "a deferred node waits for the progress of the whole graph."
    if task := task_called(found):
        return f"it {task}, whose result is the run's own to keep."
    return _why_effects(found, trusts_calls=trusts_calls) or _why_folded(found, folded)


def _is_made_quietly(schema: Any) -> bool:
    """Tell whether making one more state object of a schema is noticed by nobody."""
    return not has_fields(schema) or makes_silently(schema)


def _why_folded(found: Effects, folded: frozenset[Location]) -> str:
    places = meeting(folded, found.looks_at)
    return f"it looks at {places[0]}, which a reducer changes." if places else ""


def _why_effects(found: Effects, *, trusts_calls: bool) -> str:
    trusted = trusts_calls and found.certain
    if not found.certain:
        return f"some of its code could not be read{_because(found, 'unknown', or_last=True)}."
    if "unknown" in found.external and not trusted:
        return f"it makes a call whose effects are not known{_because(found, 'unknown')}."
    if "write" in found.external:
        return f"it writes to the world outside the state{_because(found, 'write')}."
    if places := sorted(map(str, ordered_places(found.changes))):
        return f"it changes {places[0]}."
    if found.mutates:
        return f"it changes state values in place{_because(found, 'mutates')}."
    if "identity" in found.control:
        return "it asks which object a value of the state is, and an early run gets copies."
    if "interrupt" in found.control:
        return f"it may pause the run{_because(found, 'interrupt')}."
    if "step" in found.control:
        return "it looks at its superstep or checkpoint."
    return ""


def _because(found: Effects, kind: str, *, or_last: bool = False) -> str:
    """Return the evidence for one kind of effect, in source order, after a colon."""
    reasons = [str(evidence) for evidence in found.evidence if evidence.effect == kind]
    if or_last and not reasons:
        reasons = [str(evidence) for evidence in found.evidence[-1:]]
    more = [f"{len(reasons) - _MOST_REASONS} more"] if len(reasons) > _MOST_REASONS else []
    shown = [r.replace(", which is not known", "") for r in reasons[:_MOST_REASONS]]
    return ": " + "; ".join(shown + more) if shown else ""


_MOST_REASONS: Final = 4
"""Calls, or other evidence, of one node that a refusal spells out."""
