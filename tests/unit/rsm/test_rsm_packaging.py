"""The package: what it exports, what importing it loads, how its errors are built."""

import subprocess
import sys

import pytest

import langgraph_rsm
from langgraph_rsm.errors import ConfigError, QueueFullError, SchedulerError

HEAVY = ("langchain_openai", "openai", "matplotlib", "rich", "aiohttp")
PUBLIC = (
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


def loaded_by(code):
    watched = (*HEAVY, "langchain_core")
    probe = f"import sys; {code}; print(*(name for name in {watched} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import langgraph_rsm") == []


def test_only_the_openai_model_loads_openai():
    others = ", ".join(name for name in PUBLIC if name != "ScheduledChatOpenAI")
    assert loaded_by(f"from langgraph_rsm import {others}") == ["langchain_core"]


def test_exports_are_the_frozen_list():
    assert langgraph_rsm.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(langgraph_rsm))
    for name in PUBLIC:
        assert getattr(langgraph_rsm, name).__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = langgraph_rsm.nothing


def test_errors_share_one_base():
    errors = [getattr(langgraph_rsm, name) for name in PUBLIC if name.endswith("Error")]
    assert all(issubclass(error, SchedulerError) for error in errors)
    assert issubclass(ConfigError, TypeError)
    assert not issubclass(QueueFullError, RuntimeError | ValueError | OSError)
