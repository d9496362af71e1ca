"""`langgraph dev`: one run of the server is one program, nothing blocks its loop, nothing stays."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from langgraph_sdk import get_client

from langgraph_rsm.emulation import serve

SITES = ["think", "write", "speak"]


@pytest.fixture
def engine():
    with serve("gpu-8b", speed=4) as server:
        yield server


@pytest.fixture
def url(engine, tmp_path):
    app = shutil.copytree(Path(__file__).with_name("dev_app"), tmp_path / "app")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "ENGINE_URL": engine.base_url,
        "LANGGRAPH_NO_VERSION_CHECK": "1",
        "LANGSMITH_TRACING": "false",
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
    }
    command = [Path(sys.executable).with_name("langgraph"), "dev", "--no-browser", "--no-reload"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=app, env=environment, stdout=log, stderr=log)
        try:
            wait_until_up(server, f"http://127.0.0.1:{port}/ok")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def wait_until_up(server, url):
    while True:
        assert server.poll() is None, "langgraph dev did not start"
        try:
            urllib.request.urlopen(url).close()
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return


@pytest.fixture
async def client(url):
    async with get_client(url=url) as client:
        yield client


def served(engine):
    counters = engine.stats().counters
    return counters.finished_stop + counters.finished_length + counters.finished_abort


async def until(happened):
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)


async def test_runs_of_the_server_are_programs(client, engine):
    empty = {"said": []}
    runs = [client.runs.wait(None, "agent", input=empty) for _ in range(4)]
    assert [len(state["said"]) for state in await asyncio.gather(*runs)] == [3] * 4

    thread = await client.threads.create()
    stream = client.runs.stream(
        thread["thread_id"], "agent", input=empty, stream_mode=["messages-tuple", "updates"]
    )
    events = [part.event async for part in stream]
    assert events.count("updates") == 3
    assert events.count("messages") > 40

    cancelled = await client.runs.create(thread["thread_id"], "agent", input=empty)
    where = thread["thread_id"], cancelled["run_id"]
    await until(lambda: engine.stats().running)
    await client.runs.cancel(*where, wait=True)
    assert (await client.runs.get(*where))["status"] == "interrupted"

    report = await client.runs.wait(None, "report", input={})
    assert (report["programs"], report["in_flight"]) == ([], 0)
    assert report["links"] == 2, "the report's own run, and its node"
    assert len(report["calls"]) == served(engine)
    programs = {}
    for call in report["calls"]:
        programs.setdefault(call["program_id"], []).append(call)
    stopped = programs.pop(cancelled["run_id"])
    assert [call["outcome"] for call in stopped][-1] == "cancelled"
    assert len(programs) == 5
    for calls in programs.values():
        assert [call["call_site"].rpartition("/")[2] for call in calls] == SITES
        assert [len(call["parents"]) for call in calls] == [0, 1, 1]
        assert {call["outcome"] for call in calls} == {"done"}
        assert len({call["thread_id"] for call in calls}) == 3

    # The control: this server does notice who blocks its loop.
    blocked = await client.runs.wait(None, "blocking", input=empty, raise_error=False)
    assert "BlockingError" in str(blocked)


async def test_the_planning_agent_is_served_with_its_progress(client):
    thread = await client.threads.create()
    question = {"question": "Which of Oslo and Bergen is larger, and by how much?"}
    stream = client.runs.stream(
        thread["thread_id"], "planning", input=question, stream_mode=["custom", "values"]
    )
    parts = [part async for part in stream]
    told = [part.data for part in parts if part.event == "custom"]
    assert {entry["is"] for entry in told} == {"started", "done"}
    assert parts[-1].data["answer"]
