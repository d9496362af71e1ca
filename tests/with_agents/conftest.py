"""Agent stacks under test; they are optional, `make test-agents` installs them."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit" / "rsm"))

for needed in (
    "langchain",
    "langchain_tests",
    "deepagents",
    "langgraph_supervisor",
    "langgraph_api",
):
    try:
        __import__(needed)
    except ModuleNotFoundError:
        collect_ignore_glob = ["*"]
        break
else:

    def pytest_configure(config):
        # LangChain's suites make clients in many event loops and close none of them.
        for what in ("socket", "transport", "event loop"):
            config.addinivalue_line("filterwarnings", f"ignore:unclosed .*{what}:ResourceWarning")
        # What public graphs import is not maintained any more, and says so.
        config.addinivalue_line("filterwarnings", "ignore:.*is being sunset:DeprecationWarning")


_MADE_UP = ("test_tool_calling[", "test_tool_calling_async", "test_unicode_tool_call_integration")
"""Tests of LangChain's suites that look at the values in tool calls, which the engine makes up."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name.startswith(_MADE_UP) and item.path.name == "test_langchain_suites.py":
            item.add_marker(pytest.mark.xfail(strict=True, reason="the engine makes values up"))
        # Compares with a recorded snapshot; ours is compared with the bare model's elsewhere.
    items[:] = [item for item in items if item.name != "test_serdes"]


@pytest.fixture
def records():
    return []


@pytest.fixture
def scheduler(records):
    from langgraph_rsm import Scheduler, SchedulerConfig

    return Scheduler(config=SchedulerConfig(validate_steps=True), hooks=[records.append])


@pytest.fixture
def finished(records):
    from langgraph_rsm.telemetry import CallFinished

    return lambda: [record for record in records if isinstance(record, CallFinished)]
