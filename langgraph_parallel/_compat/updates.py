"""From what a node returns to the keys that LangGraph writes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langgraph.types import Command, Overwrite

try:
    from langgraph._internal._fields import get_cached_annotated_keys, get_update_as_tuples
except ImportError:  # pragma: no cover - a later LangGraph may move them
    get_cached_annotated_keys = None  # type: ignore[assignment]
    get_update_as_tuples = None  # type: ignore[assignment]


def updates_of(result: Any, keys: Sequence[str]) -> dict[str, Any] | None:
    """Return what LangGraph writes of a node's result, by key; None when that cannot be told.

    Args:
        result: A dict, an object with annotated fields, a `Command` with one of them, or None.
        keys: The channels of the graph, in its order.
    """
    if isinstance(result, Command):
        return updates_of(result.update, keys) if result.graph is None else None
    if result is None:
        return {}
    if isinstance(result, dict):
        return {key: value for key, value in result.items() if key in keys}
    if isinstance(result, (list, tuple)) or get_cached_annotated_keys is None:
        return None
    if not get_cached_annotated_keys(type(result)):
        return None
    return dict(get_update_as_tuples(result, keys))


def operand_of(value: Any) -> tuple[Any, bool]:
    """Return what an update of a key holds, and whether it takes the place of what was there."""
    if isinstance(value, Overwrite):
        return value.value, True
    if type(value) is dict and len(value) == 1 and _OVERWRITE in value:
        return value[_OVERWRITE], True
    if type(value) is dict and value.get("type") == _OVERWRITE and "value" in value:
        return value["value"], True
    return value, False


_OVERWRITE: Final = "__overwrite__"
