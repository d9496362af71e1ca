"""Nesting: tells a model's call from what that call asks of the same model, which is no other call.

A provider's `_generate` may be made of its own `_stream`, an async method of the sync one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
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


def inside_each(model: Any, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield from a stream of a model, whose call is under way while it makes a chunk.

    Not between two of them: whoever reads the stream may call the model as well.
    """
    with inside(model):
        chunks = begin()
    try:
        while True:
            with inside(model):
                chunk = next(chunks, _OVER)
            if chunk is _OVER:
                return
            yield chunk
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


async def ainside_each(model: Any, begin: Callable[[], AsyncIterator[Any]]) -> AsyncIterator[Any]:
    """Yield from an asynchronous stream like `inside_each`."""
    with inside(model):
        chunks = begin()
    try:
        while True:
            with inside(model):
                chunk = await anext(chunks, _OVER)
            if chunk is _OVER:
                return
            yield chunk
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


_OVER = object()
