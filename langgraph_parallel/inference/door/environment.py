"""The variables of the environment: from what is asked of `os.environ` to places."""

from __future__ import annotations

import ast

from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import NONE, SCALAR, Value, fresh, join, opaque
from langgraph_parallel.locations import world


def look_at_environment(frame: Frame, index: Value, node: ast.AST) -> None:
    """Record a look at variables of the environment."""
    names = strings_of(index)
    for name in [None] if names is None else names:
        part = None if name is None else f"[{name!r}]"
        frame.recorder.look(world("environment", part), frame.where(node))


def change_environment(frame: Frame, index: Value, node: ast.AST) -> None:
    """Record a change of variables of the environment."""
    names = strings_of(index)
    for name in [None] if names is None else names:
        part = None if name is None else f"[{name!r}]"
        frame.recorder.change(world("environment", part), frame.where(node), SCALAR)


def environment_method(frame: Frame, name: str, given: Arguments) -> Value:
    """Return what `os.environ.name(...)` gives."""
    index = given.positional[0] if given.positional else opaque()
    if name in ("get", "pop", "setdefault", "__getitem__", "__contains__"):
        look_at_environment(frame, index, given.node)
        if name in ("pop", "setdefault"):
            change_environment(frame, index, given.node)
        return join(SCALAR, *given.positional[1:], NONE)
    look_at_environment(frame, opaque(), given.node)
    if name in ("update", "clear", "popitem", "__setitem__", "__delitem__"):
        change_environment(frame, opaque(), given.node)
    return fresh()
