"""Schedule the model calls of many LangGraph runs by the program that each call belongs to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_rsm.chat_model import ScheduledChatModel
    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.engine import Engine
    from langgraph_rsm.errors import (
        CallTimeoutError,
        ConfigError,
        EngineError,
        InvalidTransitionError,
        InvariantError,
        QueueFullError,
        QueueTimeoutError,
        SchedulerError,
    )
    from langgraph_rsm.model_class import schedule, scheduled_class
    from langgraph_rsm.openai import ScheduledChatOpenAI
    from langgraph_rsm.programs import keep_context, program
    from langgraph_rsm.registry import get_scheduler
    from langgraph_rsm.scheduler import Scheduler

__all__ = (
    "CallTimeoutError",
    "ConfigError",
    "Engine",
    "EngineError",
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
    "Engine": "engine",
    "EngineError": "errors",
    "InvalidTransitionError": "errors",
    "InvariantError": "errors",
    "QueueFullError": "errors",
    "QueueTimeoutError": "errors",
    "ScheduledChatModel": "chat_model",
    "ScheduledChatOpenAI": "openai",
    "Scheduler": "scheduler",
    "SchedulerConfig": "config",
    "SchedulerError": "errors",
    "get_scheduler": "registry",
    "keep_context": "programs",
    "program": "programs",
    "schedule": "model_class",
    "scheduled_class": "model_class",
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
