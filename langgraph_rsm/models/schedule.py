"""`schedule`: any form of a chat model to the same form, scheduled."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from langchain_core.runnables import Runnable

from langgraph_rsm.models.model_class import exchange_for_scheduled
from langgraph_rsm.runtime.registry import find_scheduler
from langgraph_rsm.runtime.scheduler import Scheduler

T = TypeVar("T", bound=Runnable[Any, Any])


def schedule(
    model: T, *, scheduler: Scheduler | str | None = None, capacity: int | None = None
) -> T:
    """Return a model like the given one whose calls wait for a slot of a shared scheduler.

    Args:
        model: A chat model; or bindings, retries, fallbacks or a chain of models, of which every
            model is scheduled; or a model of `init_chat_model`, configurable ones included; or its
            name, such as `"openai:gpt-4o"`. Functions are not looked into.
        scheduler: Shared with all models whose calls compete, or its name (see `get_scheduler`);
            None takes the process-global one.
        capacity: Most calls in flight at the model's endpoint; None as for `Engine`.

    Returns:
        The same kind of object, of the same class to `isinstance`; the argument is not changed.

    Raises:
        ConfigError: There is no model in it, or it is scheduled already.

    Example:
        `llm = schedule(ChatOpenAI(model="llama", base_url="http://gpu-1:8000/v1"))`
    """
    shared = find_scheduler(scheduler)
    if isinstance(model, str) or _is_configurable(model):
        from langgraph_rsm.models.init_chat_model import schedule_by_name

        return cast("T", schedule_by_name(model, scheduler=shared, capacity=capacity))
    return exchange_for_scheduled(model, shared, capacity)


def _is_configurable(model: Any) -> bool:
    return type(model).__name__ == "_ConfigurableModel"
