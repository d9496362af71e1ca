"""Bindings: tools bound once, spoken in the words of whichever engine serves the call.

A provider's `bind_tools` turns tools into keyword arguments of its own. With engines of different
providers it is asked of every one of them; the call carries the first one's words, which are
exchanged for the chosen engine's at the last moment. Options added later stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.base import RunnableBindingBase

from langgraph_rsm.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One `bind_tools`, as every engine puts it."""

    spoken: Mapping[str, Any]
    """Keyword arguments of the first engine, which the call carries."""
    meant: Mapping[str, Mapping[str, Any]]
    """Keyword arguments by engine id."""

    def translate(self, options: dict[str, Any], engine_id: str) -> dict[str, Any]:
        """Return the options for an engine; unchanged if the call does not carry this binding."""
        carried = {
            name for name, value in self.spoken.items() if options.get(name, _ABSENT) is value
        }
        if not carried:
            return options
        kept = {name: value for name, value in options.items() if name not in carried}
        # What the caller bound over it later, such as another tool_choice, wins.
        return {**self.meant[engine_id], **kept}


def bind_everywhere(
    models: Mapping[str, BaseChatModel], tools: Sequence[Any], options: Mapping[str, Any]
) -> Binding:
    """Bind tools for every engine.

    Raises:
        ConfigError: A model's `bind_tools` does something else than to bind arguments.
    """
    meant = {
        engine_id: _bound_arguments(model, model.bind_tools(tools, **options))
        for engine_id, model in models.items()
    }
    return Binding(spoken=next(iter(meant.values())), meant=meant)


def speak_alike(models: Sequence[BaseChatModel], method: str) -> bool:
    """Tell whether all models share one implementation of a method."""
    first: Callable[..., Any] = getattr(type(models[0]), method)
    return all(getattr(type(model), method) is first for model in models)


def _bound_arguments(model: BaseChatModel, bound: Any) -> Mapping[str, Any]:
    if isinstance(bound, RunnableBindingBase) and bound.bound is model:
        return dict(bound.kwargs)
    msg = (
        f"{type(model).__name__}.bind_tools returned a {type(bound).__name__}, not arguments bound "
        "to the model, so its tools cannot be exchanged with those of other engines; schedule it "
        "in a model of its own and join both with .with_fallbacks([...])"
    )
    raise ConfigError(msg)
