"""Methods of the state that the node received."""

from __future__ import annotations

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.door.filling import cell_at
from langgraph_parallel.inference.door.state_keys import from_state, store_in_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import NONE, STATE, Value, join, opaque


def state_method(frame: Frame, method: str, given: Arguments) -> Value:
    """Return what a method of the state gives."""
    where = frame.where(given.node)
    if method in ("get", "pop", "setdefault") and given.positional:
        value = from_state(frame, given.positional[0], given.node)
        default = join(*given.positional[1:], given.unpacked, *given.named.values())
        if method == "setdefault":
            store_in_state(frame, given.positional[0], default, where)
        if method == "pop" and len(given.positional) > 1:
            return join(value, default)
        return join(value, default or NONE)
    if method == "update":
        store_in_state(frame, opaque(ALL), given.all, where)
        return NONE
    if method == "copy" and not frame.recorder.shape.attributes:
        cell = cell_at(frame, given.node)
        frame.recorder.grown |= cell.copy_state()
        return frozenset({cell})
    frame.recorder.read_all(f".{method}()", where)
    if method in ("copy", "model_copy"):
        frame.recorder.stored = ALL
        return STATE  # a copy reads like the original; what is stored in it is returned as ALL
    return opaque(ALL)
