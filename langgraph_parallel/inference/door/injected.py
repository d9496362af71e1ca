"""What LangGraph hands to a node beside the state: `config`, `runtime`, `store`, `writer`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.machine.annotations import (
    hints_of,
    leaves_open,
    value_of_annotation,
)
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    MESSAGE,
    NONE,
    SCALAR,
    STATE,
    Chain,
    Injected,
    Value,
    const,
    data,
    join,
    opaque,
    tame,
)
from langgraph_parallel.locations import CONTEXT, SETTINGS, context_part

_STEP_KEYS: Final = frozenset({"checkpoint_id", "checkpoint_ns", "checkpoint_map", "metadata"})
_NUMBERS: Final = frozenset(
    {
        *("langgraph_step", "langgraph_triggers", "langgraph_path", "langgraph_checkpoint_ns"),
        *("checkpoint_id", "checkpoint_ns"),
    }
)
"""Names of plain data that the superstep decides."""
_HANDED_DATA: Final = data(frozenset({GIVEN}))


def injected_part(
    frame: Frame, atom: Injected, keys: frozenset[str] | None, node: ast.AST
) -> Value:
    """Return a part of `config` or `runtime`; the parts that reach into the engine are refused."""
    if keys is not None and len(keys) > 1:
        return join(*(injected_part(frame, atom, frozenset({key}), node) for key in keys))
    part = next(iter(keys)) if keys else None
    if atom.name in ("settings", "metadata") and part is not None and not _is_private(part):
        return _given_setting(frame, node)
    if atom.name == "config" and part == "tags":
        return _given_setting(frame, node)
    if atom.name == "metadata" and part == "langgraph_node":
        return SCALAR
    if atom.name in ("settings", "metadata") and part in _NUMBERS:
        _leave_by_step(frame, atom, node)
        return tame()
    if atom.name == "context" and part is not None:
        return _part_of_context(frame, part, node)
    if atom.name == "context":
        return whole_injected(frame, atom, node)
    found = _PARTS.get(atom.name, {}).get(part or "")
    return _part_of_engine(frame, atom, node) if found is None else found


def _part_of_engine(frame: Frame, atom: Injected, node: ast.AST) -> Value:
    """Return something that only the superstep's own place in the run decides."""
    where = frame.where(node)
    _leave_by_step(frame, atom, node)
    frame.recorder.contact("unknown", f"{atom.name} used in a way not known", where)
    frame.recorder.read_all(f"through {atom.name}", where)
    return opaque(ALL)


def _leave_by_step(frame: Frame, atom: Injected, node: ast.AST) -> None:
    what = f"looks at the superstep through {atom.name}"
    frame.recorder.leave("step", what, frame.where(node))


def _given_setting(frame: Frame, node: ast.AST) -> Value:
    frame.recorder.look(SETTINGS, frame.where(node))
    return _TAME


def _part_of_context(frame: Frame, part: str, node: ast.AST) -> Value:
    """Return one field of the run's context, taken for plain data unless its annotation forbids it.

    Each run makes sure of it: a context with an object in such a field has the original order.
    """
    roots = frozenset({GIVEN})
    hint = hints_of(frame.recorder.shape.context).get(part)
    promised = _TAME if hint is None or leaves_open(hint) else value_of_annotation(hint, roots)
    if promised != _TAME and not is_deep(promised):
        return opaque(roots)
    frame.recorder.look(context_part(part), frame.where(node))
    return promised


def injected_attribute(frame: Frame, atom: Injected, name: str, node: ast.AST) -> Value:
    """Return an attribute of something handed in; of a mapping that is a method, not called yet."""
    if atom.name in ("config", "settings", "metadata"):
        return _part_of_engine(frame, atom, node)
    return injected_part(frame, atom, frozenset({name}), node)


def whole_injected(frame: Frame, atom: Injected, node: ast.AST) -> Value:
    """Return what stands anywhere in something that was handed in, where all of it is looked at."""
    if atom.name == "context":
        frame.recorder.look(CONTEXT, frame.where(node))
        return _TAME
    if atom.name == "config":
        return _ALL_OF_CONFIG
    if atom.name in ("settings", "metadata", "engine"):
        return _part_of_engine(frame, atom, node)
    return opaque(frame.escape(frozenset({atom}), "unpacked", frame.where(node)))


def chosen_settings(
    frame: Frame, atom: Injected, names: frozenset[str] | None, node: ast.AST
) -> tuple[Value, Value] | None:
    """Return the keys and values of those settings that have one of some names.

    None: a name is not known, or one that the engine uses.
    """
    if atom.name not in ("settings", "metadata") or names is None or any(map(_is_private, names)):
        return None
    return join(*map(const, names)), _given_setting(frame, node)


def _is_private(key: str) -> bool:
    return key.startswith(("__", "langgraph_")) or key in _STEP_KEYS


_TAME: Final = tame(frozenset({GIVEN}))
_ALL_OF_CONFIG: Final = frozenset({*map(Injected, ("settings", "metadata", "engine")), *_TAME})
_PARTS: Final[Mapping[str, Mapping[str, Value]]] = {
    "config": {
        "configurable": frozenset({Injected("settings")}),
        "metadata": frozenset({Injected("metadata")}),
        "callbacks": frozenset({Injected("engine")}),
        **dict.fromkeys(("recursion_limit", "run_id", "run_name"), SCALAR),
    },
    "runtime": {
        part: frozenset({Injected(part)}) for part in ("context", "store", "stream_writer")
    },
    "tool_runtime": {
        "state": STATE,
        "context": frozenset({Injected("context")}),
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
"""What is handed to a node, a tool, a hook around an agent's model and one around its tools, by
item or attribute."""
