"""From what is certainly known of a node to the line that declares the rest.

The line is complete where the analysis knows everything but one thing, which its author vouches for
by pasting it. Where it does not know a set of keys it leaves `...` in the set: `@effects` refuses
that, so a gap cannot be pasted by mistake.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from langgraph_parallel.effects import ALL, Control, Effects, Keys

_CONTROL_EVIDENCE: Final[Mapping[str, Control]] = {
    "calls interrupt": "interrupt",
    "builds a Send": "send",
    "raises": "raise",
    "asserts": "raise",
}
"""How the evidence for each way to leave the straight line begins."""


def narrow(effects: Effects) -> Effects:
    """Return the effects of a node if it does no more than what is certainly known.

    A call that is not known becomes a read, and changes none of its arguments; what is known to
    happen stays.
    """
    has_unknown = "unknown" in effects.external
    known_control = (
        control
        for evidence in effects.evidence
        for start, control in _CONTROL_EVIDENCE.items()
        if evidence.what.startswith(start)
    )
    return replace(
        effects,
        reads=_known_reads(effects) if effects.reads is ALL else effects.reads,
        writes=frozenset() if effects.writes is ALL else effects.writes,
        mutates=effects.mutates if changes_in_place(effects) else frozenset(),
        external=(effects.external - {"unknown"}) | ({"read"} if has_unknown else set()),
        control=effects.control if effects.certain else frozenset(known_control),
        goto=frozenset() if effects.goto is ALL else effects.goto,
        certain=True,
    )


def declared(effects: Effects) -> Effects:
    """Return the effects that a pasted line declares: as `narrow`, and no place outside the state.

    There is no way to declare such a place, so whoever pastes the line says that it does not count.
    """
    return replace(
        narrow(effects), looks_at=frozenset(), changes=frozenset(), keeps=frozenset(), evidence=()
    )


def changes_in_place(effects: Effects) -> bool:
    """Tell whether a node itself changes a state value, not only perhaps a call it makes."""
    if not effects.mutates:
        return False
    seen = [evidence.what for evidence in effects.evidence]
    in_calls = any(what.endswith("which is not known") for what in seen)
    return not in_calls or any(what.startswith("changes a state value") for what in seen)


def decorator_line(effects: Effects) -> str:
    """Return the `@effects(...)` line for a node that does what `narrow` says."""
    return f"@effects({_arguments(effects)})"


def keyword_line(effects: Mapping[str, Effects]) -> str:
    """Return the `effects={...}` argument that declares several nodes at once."""
    parts = (f"{_quoted(name)}: Effects({_arguments(e)})" for name, e in effects.items())
    return f"parallelize(graph, effects={{{', '.join(parts)}}})"


def _arguments(effects: Effects) -> str:
    known = narrow(effects)
    parts = [
        _argument("reads", known.reads, gap=effects.reads is ALL),
        _argument("writes", known.writes, gap=effects.writes is ALL),
        _argument("mutates", known.mutates, gap=known.mutates is ALL),
        _argument("external", known.external),
        _argument("control", known.control),
        _argument("goto", known.goto, gap=_routes(known) and effects.goto is ALL),
        _argument("folds", known.folds),
        _argument("resources", known.resources),
    ]
    return ", ".join(filter(None, parts))


def _routes(effects: Effects) -> bool:
    return bool(effects.control & {"goto", "send"})


def _argument(name: str, values: Keys | Iterable[str], *, gap: bool = False) -> str:
    """Return one keyword argument, or nothing for an empty set, which is the default."""
    names = [] if values is ALL else [_quoted(value) for value in sorted(values)]
    if name == "external" and len(names) == 1:
        return f"external={names[0]}"
    names += ["..."] if gap else []
    return f"{name}={{{', '.join(names)}}}" if names else ""


def _known_reads(effects: Effects) -> frozenset[str]:
    """Return the keys whose read is in the evidence, which says `reads 'key'`."""
    found = (_key_of(evidence.what) for evidence in effects.evidence)
    return frozenset(key for key in found if key is not None)


def _key_of(what: str) -> str | None:
    if not what.startswith(("reads '", 'reads "')):
        return None
    try:
        key = ast.literal_eval(what.removeprefix("reads "))
    except (SyntaxError, ValueError):  # a user's own `Evidence` may say anything
        return None
    return key if isinstance(key, str) else None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
