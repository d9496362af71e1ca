"""What LangGraph hands to a node beside the state: `config`, `runtime`, `store`, `writer`."""

from __future__ import annotations

import ast
from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    SCALAR,
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
