"""Rebase: put scheduled models in the place of plain ones inside runnables composed of them.

`ChatOpenAI.bind_tools` and `with_structured_output` return runnables around the plain model. Left
alone, every call through them would bypass the scheduler, so the tree is copied with the model
exchanged. The plain model's own methods build it, so provider-specific details stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableSerializable

from langgraph_rsm.errors import EngineError

if TYPE_CHECKING:
    Swap = Callable[[BaseChatModel], Any]


def rebase(tree: Runnable[Any, Any], old: BaseChatModel, new: BaseChatModel) -> Runnable[Any, Any]:
    """Return a copy of `tree` in which `new` stands wherever the very object `old` stood.

    Raises:
        EngineError: `old` is not found, so that calls through the result would not be scheduled.
    """
    rebased: Runnable[Any, Any] = exchange_models(
        tree, lambda model: new if model is old else model
    )
    if rebased is tree:
        msg = (
            f"cannot schedule the {type(tree).__name__} that {type(old).__name__} returned: the "
            "model inside it was not found; bind with .bind(...) on the scheduled model instead"
        )
        raise EngineError(msg)
    return rebased


def exchange_models(tree: Any, swap: Swap) -> Any:
    """Return a copy of a composed runnable with every chat model in it exchanged.

    Args:
        tree: A model, or bindings, retries, fallbacks, sequences, branches … of models. Functions
            are not looked into.
        swap: Returns the replacement of a model, or the model itself to keep it.

    Returns:
        `tree` itself when nothing changed; O(parts of the tree).
    """
    if isinstance(tree, BaseChatModel):
        return swap(tree)
    if not isinstance(tree, RunnableSerializable):
        return tree
    changed = {
        name: after
        for name in type(tree).model_fields
        if (after := _exchange_part(before := getattr(tree, name), swap)) is not before
    }
    return tree.model_copy(update=changed) if changed else tree


def _exchange_part(value: Any, swap: Swap) -> Any:
    if isinstance(value, Runnable):
        return exchange_models(value, swap)
    if isinstance(value, Mapping):
        items = {key: _exchange_part(item, swap) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    if isinstance(value, list | tuple):
        rebuilt = [_exchange_part(item, swap) for item in value]
        same = all(after is before for after, before in zip(rebuilt, value, strict=True))
        return value if same else type(value)(rebuilt)
    return value
