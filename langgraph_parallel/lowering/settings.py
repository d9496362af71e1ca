"""The settings of a run, its `configurable`, into whether they are plain data.

A node that reads a setting is analyzed as if it got text, numbers or built-in containers of them.
An object may run any code when it is looked at: a run with such a setting has the original order.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any, Final

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langgraph.graph.state import CompiledStateGraph

_SCALARS: Final = frozenset(
    {str, int, float, bool, bytes, type(None), uuid.UUID, datetime.datetime, datetime.date}
)
_OF_THE_ENGINE: Final = ("__", "langgraph_", "checkpoint_")
"""How the names of settings begin that no node is taken to read."""
_MOST_LEVELS: Final = 20
"""Deeper than any setting; a container that holds itself has no end."""


def has_plain_settings(
    graph: CompiledStateGraph[Any, Any, Any, Any], config: RunnableConfig | None
) -> bool:
    """Tell whether every setting that a caller gives to a run is plain data."""
    given = (graph.config, var_child_runnable_config.get(), config)
    return all(
        _is_plain(value, 0)
        for part in given
        for key, value in ((part or {}).get("configurable") or {}).items()
        if not key.startswith(_OF_THE_ENGINE)
    )


def _is_plain(value: Any, level: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if level > _MOST_LEVELS:
        return False
    if kind is dict:
        return all(_is_plain(k, level + 1) and _is_plain(v, level + 1) for k, v in value.items())
    return kind in (list, tuple, set) and all(_is_plain(part, level + 1) for part in value)
