"""Shared by all tests."""

import asyncio
import contextlib
import warnings

import pytest

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
