"""The scheduler and an engine that tells of itself, over HTTP."""

import asyncio
import time

import pytest
from langchain_openai import ChatOpenAI

from langgraph_rsm import Engine, ScheduledChatModel, Scheduler
from langgraph_rsm.emulation import serve
from langgraph_rsm.emulation import server as emulated
from langgraph_rsm.runtime import watch
from langgraph_rsm.runtime.servers import ServerFacts, root_of


def client(server, **settings):
    body = {"ignore_eos": True}
    return ChatOpenAI(
        base_url=server.base_url, api_key="x", model=server.model, extra_body=body, **settings
    )


@pytest.mark.parametrize("streams", [False, True])
async def test_default_settings_find_four_seats(streams):
    with serve("gpu-8b", max_num_seqs=4, speed=0.5) as server:
        scheduler = Scheduler()
        model = ScheduledChatModel(inner=client(server), scheduler=scheduler)
        end = time.monotonic() + 5

        async def caller(number):
            while time.monotonic() < end:
                if streams:
                    async for _ in model.astream(f"question {number}", max_tokens=20):
                        pass
                else:
                    await model.ainvoke(f"question {number}", max_tokens=20)

        await asyncio.gather(*(caller(number) for number in range(16)))
        (engine,) = scheduler.snapshot().engines
    assert 3 <= engine.limit <= 5
    assert engine.server.startswith("vllm")
    assert engine.engine_running is not None


@pytest.fixture
def priorities(monkeypatch):
    """Priorities of all requests that reached the embedded engine."""
    seen, parse = [], emulated.parse_chat_request

    def spy(body):
        request = parse(body)
        seen.append(request.priority)
        return request

    monkeypatch.setattr(emulated, "parse_chat_request", spy)
    return seen


def believe(server, sign):
    root = root_of(server.base_url)
    watch._facts[root] = ServerFacts(kind="vllm", version="0", priority_sign=sign)
    return root


@pytest.mark.parametrize("sign", [1, -1])
def test_our_level_becomes_the_engines_priority(priorities, sign):
    with serve("tiny-cpu", speed=100, scheduling_policy="priority") as server:
        believe(server, sign)
        scheduler = Scheduler("auto")
        engines = [Engine(client(server, max_tokens=3), capacity=4)]
        ScheduledChatModel(engines=engines, scheduler=scheduler).invoke("x")
    assert len(priorities) == 1
    assert sign * priorities[0] > 0
    assert priorities[0] % 16 == 0


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_server_that_takes_no_priority_is_asked_without(priorities, way):
    with serve("tiny-cpu", speed=100, scheduling_policy="fcfs") as server:
        root = believe(server, 1)
        engines = [Engine(client(server, max_tokens=3, max_retries=0), capacity=4)]
        model = ScheduledChatModel(engines=engines, scheduler=Scheduler("auto"))
        for _ in range(2):
            assert model.invoke("x").text if way == "invoke" else list(model.stream("x"))
    assert len(priorities) == 3
    assert priorities[0] > 0
    assert priorities[1:] == [0, 0]
    assert watch.priority_sign(root) == 0
