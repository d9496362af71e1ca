"""Shared by all tests."""

import asyncio
import contextlib
import gc
import warnings

import pytest
from case_counts import CASES

from langgraph_parallel.inference import infer

infer.RAISES_OWN_ERRORS = True
asyncio.set_event_loop(None)


@pytest.fixture(scope="session", autouse=True)
def _no_stray_event_loop():
    """Close the loop that looptime makes by asking for one in a sync test; nobody else does.

    Up to Python 3.13 asyncio makes a loop for whoever asks for the current one.
    """
    with warnings.catch_warnings(), contextlib.suppress(RuntimeError):
        warnings.simplefilter("ignore")
        asyncio.get_event_loop_policy().get_event_loop().close()
    asyncio.set_event_loop(None)


def pytest_collection_finish():
    """Spare every later garbage collection what was imported and collected."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session):
    """Send what a worker of xdist counted to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cases"] = dict(CASES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    CASES.update(getattr(node, "workeroutput", {}).get("cases", {}))


def pytest_terminal_summary(terminalreporter):
    if CASES:
        terminalreporter.write_line(
            f"{CASES['runs']} runs of {CASES['graphs']} generated graphs agreed with the original"
        )
