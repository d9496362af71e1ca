"""Nesting: tells a model's call from what that call asks of the same model, which is no other call.

A provider's `_generate` may be made of its own `_stream`, an async method of the sync one.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_inside: ContextVar[int] = ContextVar("langgraph_rsm_inside", default=0)


def is_inside(model: Any) -> bool:
    """Tell whether a call of this very object is under way in this context."""
    return _inside.get() == id(model)


@contextmanager
def inside(model: Any) -> Iterator[None]:
    """Mark a call of the model as under way."""
    token = _inside.set(id(model))
    try:
        yield
    finally:
        _inside.reset(token)
