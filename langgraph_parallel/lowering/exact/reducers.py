"""Whether a reducer may be called beside LangGraph: for a forecast that nobody else notices."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, Final

from langgraph.graph.message import add_messages

from langgraph_parallel.inference.infer import reducer_effects
from langgraph_parallel.locations import ordered_places

_GENTLE: Final = (
    *(operator.add, operator.or_, operator.and_, operator.mul, max, min),
    add_messages,
)
"""Reducers that leave their operands as they are; new messages may get their id, which is what
makes the ids of an early run those of the real one."""


def is_gentle(reducer: Callable[..., Any]) -> bool:
    """Tell whether a reducer is known to leave its operands as they are."""
    while isinstance(reducer, functools.partial):
        reducer = reducer.func
    return reducer in _GENTLE


@functools.lru_cache(maxsize=256)
def does_nothing_else(reducer: Callable[..., Any]) -> bool:
    """Tell whether a reducer has no effect but on its operands, and may be called more often.

    One that counts its calls, or draws random numbers, would answer otherwise from then on.
    """
    if is_gentle(reducer):
        return True

    found = reducer_effects(reducer)
    outside = found.external or found.looks_at or ordered_places(found.changes)
    return not outside and not found.mutates and not found.control - {"raise"}
