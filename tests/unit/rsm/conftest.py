"""Fixtures: a scheduler that validates itself after every step, and what it recorded."""

import asyncio
import contextlib

import pytest
from core_driver import CoreDriver

from langgraph_rsm import Scheduler, SchedulerConfig
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.telemetry import CallFinished, Timeline


@pytest.fixture
def drive():
    return CoreDriver


@pytest.fixture
def records():
    return []


@pytest.fixture
def make_scheduler(records):
    """A factory; inside a running loop the clock is the loop's, so that time can be virtual."""

    def make(policy="fcfs", *, hooks=(), **settings):
        config = SchedulerConfig(validate_steps=True, **settings)
        extra = {}
        with contextlib.suppress(RuntimeError):
            extra["clock"] = asyncio.get_running_loop().time
        return Scheduler(policy, config, hooks=[records.append, *hooks], **extra)

    return make


@pytest.fixture
def finished(records):
    return lambda: [record for record in records if isinstance(record, CallFinished)]


@pytest.fixture
def timeline():
    return Timeline()


@pytest.fixture(autouse=True)
def _no_run_left_behind():
    before = run_tree.count_links()
    yield
    assert run_tree.count_links() == before, "a run was entered and never left"
