"""The state as a whole and its keys: from looking at them and storing to reads and writes."""

from __future__ import annotations

import ast
from typing import Final

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.code.bindings import bindings_of
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, used
from langgraph_parallel.inference.machine.values import STATE, Data, State, Value, join, opaque

_STATE_OPERATORS: Final = frozenset(
    f"__{name}__"
    for name in (
        *("str", "repr", "format", "bool", "len", "hash", "contains", "iter", "next", "getitem"),
        *("eq", "ne", "lt", "le", "gt", "ge", "getattr", "getattribute"),
    )
)
"""Operators of a state's class that using the state as a whole may run."""


def use_values(frame: Frame, node: ast.AST) -> None:
    """Let something look at all of the state and at all that its values hold."""
    use_state(frame, node)
    frame.use(values_of_state(frame), node)


def values_of_state(frame: Frame) -> Value:
    """Return what any value of the state may be."""
    shape = frame.recorder.shape
    unknown_key = opaque(ALL)
    return join(*(shape.hints.get(key, unknown_key) for key in shape.keys))


def use_state(frame: Frame, node: ast.AST) -> None:
    """Let something look at all of the state, and not into its values."""
    frame.recorder.read_all("used as a whole", frame.where(node))
    if frame.recorder.shape.own_code & _STATE_OPERATORS:
        what = "runs an operator of the state's class"
        frame.recorder.contact("unknown", what, frame.where(node))


@used(State)
def _use_whole_state(frame: Frame, atom: State, node: ast.AST) -> Value:
    del atom  # there is only one
    use_values(frame, node)
    return frozenset({Data(ALL, deep=False, parts=values_of_state(frame))})


def from_state(frame: Frame, index: Value, node: ast.AST) -> Value:
    """Read the state at `index`."""
    from_keys = strings_of(index)
    if from_keys is None:
        frame.recorder.read_all("the key is not a known string", frame.where(node))
        return opaque(ALL)
    return join(*(frame.recorder.read(key, frame.where(node)) for key in from_keys))


def store_in_state(frame: Frame, index: Value, value: Value, where: str) -> None:
    """Store `value` in the node's own copy of the state, which shows when it is returned."""
    roots = frame.escape(value, "stored in the state", where)
    keys = strings_of(index)
    frame.recorder.overlay = union(frame.recorder.overlay, roots)
    frame.recorder.stored = union(frame.recorder.stored, ALL if keys is None else keys)
    frame.recorder.memory.contents.put(ALL if keys is None else keys, value)


def is_own_value(frame: Frame, node: ast.expr | None, key: str) -> bool:
    """Tell whether an expression is certainly the value that the state was handed with at a key.

    It is `state["key"]` or `state.key`, or a variable that is never bound to anything else.
    """
    if isinstance(node, ast.Name):
        bound = bindings_of(frame.source.node).get(node.id)
        return bool(bound) and all(_is_part_of_state(frame, value, key) for value in bound or ())
    return node is not None and _is_part_of_state(frame, node, key)


def _is_part_of_state(frame: Frame, node: ast.expr, key: str) -> bool:
    if isinstance(node, ast.NamedExpr):
        return _is_part_of_state(frame, node.value, key)
    if not isinstance(node, (ast.Attribute, ast.Subscript)) or _key_of(frame, node) != key:
        return False
    base = node.value
    if not isinstance(base, ast.Name) or base.id in bindings_of(frame.source.node):
        return False
    return frame.parent is None and (frame.env or {}).get(base.id) == STATE


def _key_of(frame: Frame, node: ast.Attribute | ast.Subscript) -> object:
    """Return the key at which an expression would read the state; None when it runs other code."""
    shape = frame.recorder.shape
    if isinstance(node, ast.Subscript):
        known = not shape.attributes and isinstance(node.slice, ast.Constant)
        return node.slice.value if known and isinstance(node.slice, ast.Constant) else None
    own_code = shape.own_code & {node.attr, "__getattribute__", "__getattr__"}
    return node.attr if shape.attributes and not own_code else None
