"""Schedule the model calls of many LangGraph runs by the program that each call belongs to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.errors import (
        CallTimeoutError,
        ConfigError,
        EngineError,
        EngineRestingError,
        InvalidTransitionError,
        InvariantError,
        QueueFullError,
        QueueTimeoutError,
        SchedulerError,
    )
    from langgraph_rsm.identity.programs import keep_context, program
    from langgraph_rsm.models.chat_model import ScheduledChatModel
    from langgraph_rsm.models.model_class import scheduled_class
    from langgraph_rsm.models.openai import ScheduledChatOpenAI
    from langgraph_rsm.models.schedule import schedule
    from langgraph_rsm.runtime.engine import Engine
    from langgraph_rsm.runtime.registry import get_scheduler
    from langgraph_rsm.runtime.scheduler import Scheduler

__all__ = (
    "CallTimeoutError",
    "ConfigError",
    "Engine",
    "EngineError",
    "EngineRestingError",
    "InvalidTransitionError",
    "InvariantError",
    "QueueFullError",
    "QueueTimeoutError",
    "ScheduledChatModel",
    "ScheduledChatOpenAI",
    "Scheduler",
    "SchedulerConfig",
    "SchedulerError",
    "get_scheduler",
    "keep_context",
    "program",
    "schedule",
    "scheduled_class",
)

_HOMES = {
    "CallTimeoutError": "errors",
    "ConfigError": "errors",
    "Engine": "runtime.engine",
    "EngineError": "errors",
    "EngineRestingError": "errors",
    "InvalidTransitionError": "errors",
    "InvariantError": "errors",
    "QueueFullError": "errors",
    "QueueTimeoutError": "errors",
    "ScheduledChatModel": "models.chat_model",
    "ScheduledChatOpenAI": "models.openai",
    "Scheduler": "runtime.scheduler",
    "SchedulerConfig": "config",
    "SchedulerError": "errors",
    "get_scheduler": "runtime.registry",
    "keep_context": "identity.programs",
    "program": "identity.programs",
    "schedule": "models.schedule",
    "scheduled_class": "models.model_class",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pydantic and LangChain are slow to load."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
