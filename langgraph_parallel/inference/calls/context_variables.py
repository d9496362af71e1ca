"""From reading a context variable to what it may hold.

Who called the graph has set it, or a node: every task of a run has a copy of the caller's context.
"""

from __future__ import annotations

import contextvars

from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import WORLD, Live, Value, join, opaque
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import Typed


def context_variable_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what `get` of a context variable gives; None for any other method.

    What it holds is only known where an annotation says it: `LANGUAGE: ContextVar[str]`.
    """
    is_variable = isinstance(atom, Live) and type(atom.obj) is contextvars.ContextVar
    if not is_variable or name != "get" or given.named or given.unpacked:
        return None
    frame.recorder.look(place_of(frame, atom.obj), frame.where(given.node))  # type: ignore[union-attr]
    promised = frame.recorder.promises.get(id(atom.obj))  # type: ignore[union-attr]
    return join(opaque(frozenset({WORLD})) if promised is None else promised, *given.positional)
