"""Rebase: put the scheduled model in the place of the plain one inside what the plain one built.

`ChatOpenAI.bind_tools` and `with_structured_output` return runnables around the plain model. Left
alone, every call through them would bypass the scheduler, so the tree is copied with the model
exchanged. The plain model's own methods build it, so provider-specific details stay right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import (
    Runnable,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.passthrough import RunnableAssign

from langgraph_rsm.errors import EngineError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def rebase(tree: Runnable[Any, Any], old: BaseChatModel, new: BaseChatModel) -> Runnable[Any, Any]:
    """Return a copy of `tree` in which `new` stands wherever the very object `old` stood.

    Raises:
        EngineError: `old` is not found, so that calls through the result would not be scheduled.
    """
    rebased: Runnable[Any, Any] = _exchange(tree, old, new)
    if rebased is tree:
        msg = (
            f"cannot schedule the {type(tree).__name__} that {type(old).__name__} returned: the "
            "model inside it was not found; bind with .bind(...) on the scheduled model instead"
        )
        raise EngineError(msg)
    return rebased


def _exchange(node: Any, old: BaseChatModel, new: BaseChatModel) -> Any:
    """Return `node` itself when `old` is nowhere below it."""
    if node is old:
        return new
    changed = {
        name: after
        for name, before in _parts(node).items()
        if (after := _exchange_all(before, old, new)) is not before
    }
    return node.model_copy(update=changed) if changed else node


def _exchange_all(value: Any, old: BaseChatModel, new: BaseChatModel) -> Any:
    if isinstance(value, dict):
        items = {key: _exchange(item, old, new) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    if isinstance(value, list | tuple):
        rebuilt = [_exchange(item, old, new) for item in value]
        same = all(after is before for after, before in zip(rebuilt, value, strict=True))
        return value if same else rebuilt
    return _exchange(value, old, new)


def _parts(node: Any) -> dict[str, Any]:
    """Return the fields of a composed runnable that hold runnables; empty for a leaf."""
    for kind, names in _COMPOSED.items():
        if isinstance(node, kind):
            return {name: getattr(node, name) for name in names}
    return {}


_COMPOSED: dict[type, tuple[str, ...]] = {
    RunnableBindingBase: ("bound",),
    RunnableSequence: ("first", "middle", "last"),
    RunnableParallel: ("steps__",),
    RunnableAssign: ("mapper",),
    RunnableWithFallbacks: ("runnable", "fallbacks"),
}
