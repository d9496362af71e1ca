"""Nesting: tells a model's call from what that call asks of the same model, which is no other call.

A provider's `_generate` may be made of its own `_stream`, an async method of the sync one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_inside: ContextVar[int] = ContextVar("langgraph_rsm_inside", default=0)


def is_inside(model: Any) -> bool:
    """Tell whether a call of this very object is under way in this context."""
    return _inside.get() == id(model)


class inside:  # noqa: N801 - reads as the function it could be, at a third of the cost
    """Context manager that marks a call of the model as under way."""

    __slots__ = ("_model_id", "_token")

    def __init__(self, model: Any) -> None:
        self._model_id = id(model)

    def __enter__(self) -> None:
        self._token = _inside.set(self._model_id)

    def __exit__(self, *_: object) -> None:
        _inside.reset(self._token)
