"""What LangGraph hands to a node beside the state: `config`, `runtime`, `store`, `writer`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    MESSAGE,
    NONE,
    SCALAR,
    STATE,
    Chain,
    Data,
    Injected,
    Value,
    const,
    join,
    opaque,
    tame,
)
from langgraph_parallel.locations import SETTINGS

_STEP_KEYS: Final = frozenset({"checkpoint_id", "checkpoint_ns", "checkpoint_map", "metadata"})


def injected_part(
    frame: Frame, atom: Injected, keys: frozenset[str] | None, node: ast.AST
) -> Value:
    """Return a part of `config` or `runtime`; the parts that reach into the engine are refused."""
    wanted = keys or frozenset({"?"})
    if atom.name == "config" and wanted <= {"configurable", "tags", "get"}:
        return frozenset({Injected("settings")})
    if atom.name == "config" and wanted == {"recursion_limit"}:
        return SCALAR
    if atom.name == "settings" and keys is not None and not any(map(_is_private, keys)):
        return _given_setting(frame, node)
    if atom.name == "runtime" and len(wanted) == 1:
        part = next(iter(wanted))
        if part == "context":
            return opaque(frozenset({GIVEN}))
        if part in ("store", "stream_writer"):
            return frozenset({Injected(part)})
    if atom.name in _PARTS and len(wanted) == 1:
        found = _PARTS[atom.name].get(next(iter(wanted)))
        if found is not None:
            return found
    where = frame.where(node)
    frame.recorder.leave("step", f"looks at the superstep through {atom.name}", where)
    frame.recorder.contact("unknown", f"{atom.name} used in a way not known", where)
    frame.recorder.read_all(f"through {atom.name}", where)
    return opaque(ALL)


def _given_setting(frame: Frame, node: ast.AST) -> Value:
    frame.recorder.look(SETTINGS, frame.where(node))
    return tame(frozenset({GIVEN}))


def chosen_settings(
    frame: Frame, atom: Injected, names: frozenset[str] | None, node: ast.AST
) -> tuple[Value, Value] | None:
    """Return the keys and values of those settings that have one of some names.

    None: a name is not known, or one that the engine uses.
    """
    if atom.name != "settings" or names is None or any(map(_is_private, names)):
        return None
    return join(*map(const, names)), _given_setting(frame, node)


def _is_private(key: str) -> bool:
    return key.startswith(("__", "langgraph_")) or key in _STEP_KEYS


_HANDED_DATA: Final = frozenset({Data(frozenset({GIVEN}))})
_TAME: Final = tame(frozenset({GIVEN}))
_PARTS: Final[Mapping[str, Mapping[str, Value]]] = {
    "tool_runtime": {
        "state": STATE,
        "context": opaque(frozenset({GIVEN})),
        "tool_call_id": SCALAR,
        **{part: frozenset({Injected(part)}) for part in ("store", "stream_writer", "config")},
    },
    "model_request": {
        "state": _TAME,
        "tools": _TAME,
        "tool_choice": _TAME,
        "response_format": _TAME,
        "model_settings": _HANDED_DATA,
        "messages": _HANDED_DATA,
        "system_message": join(MESSAGE, NONE),
        "system_prompt": join(SCALAR, NONE),
        "model": frozenset({Chain(frozenset({"model"}), MESSAGE)}),
        "runtime": frozenset({Injected("runtime")}),
    },
    "tool_request": {
        "state": _TAME,
        "tool": _TAME,
        "tool_call": _HANDED_DATA,
        "runtime": frozenset({Injected("tool_runtime")}),
    },
}
"""What a tool, a hook around an agent's model and one around its tools are handed, by attribute."""
