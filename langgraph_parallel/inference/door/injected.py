"""What LangGraph hands to a node beside the state: `config`, `runtime`, `store`, `writer`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    SCALAR,
    STATE,
    Injected,
    Value,
    opaque,
)

_STEP_KEYS: Final = frozenset({"checkpoint_id", "checkpoint_ns", "checkpoint_map", "metadata"})


def injected_part(
    frame: Frame, atom: Injected, keys: frozenset[str] | None, node: ast.AST
) -> Value:
    """Return a part of `config` or `runtime`; the parts that reach into the engine are refused."""
    wanted = keys or frozenset({"?"})
    if atom.name == "config" and wanted <= {"configurable", "tags", "get"}:
        return frozenset({Injected("settings")})
    if atom.name == "settings" and keys is not None and not any(map(_is_private, keys)):
        return opaque(frozenset({GIVEN}))
    if atom.name == "runtime" and len(wanted) == 1:
        part = next(iter(wanted))
        if part == "context":
            return opaque(frozenset({GIVEN}))
        if part in ("store", "stream_writer"):
            return frozenset({Injected(part)})
    if atom.name == "tool_runtime" and len(wanted) == 1:
        part = next(iter(wanted))
        if part in _TOOL_PARTS:
            return _TOOL_PARTS[part]
    where = frame.where(node)
    frame.recorder.leave("step", f"looks at the superstep through {atom.name}", where)
    frame.recorder.contact("unknown", f"{atom.name} used in a way not known", where)
    frame.recorder.read_all(f"through {atom.name}", where)
    return opaque(ALL)


_TOOL_PARTS: Final[Mapping[str, Value]] = {
    "state": STATE,
    "context": opaque(frozenset({GIVEN})),
    "config": frozenset({Injected("config")}),
    "store": frozenset({Injected("store")}),
    "stream_writer": frozenset({Injected("stream_writer")}),
    "tool_call_id": SCALAR,
}
"""What `ToolNode` hands to a tool that asks for its runtime."""


def _is_private(key: str) -> bool:
    return key.startswith("__") or key in _STEP_KEYS
