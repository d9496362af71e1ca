"""`ScheduledChatModel` over real `ChatOpenAI` clients and HTTP, against the embedded engine."""

from __future__ import annotations

import asyncio
import operator
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from openai import APIConnectionError, DefaultAsyncHttpxClient, DefaultHttpxClient
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_rsm import Engine, ScheduledChatModel, Scheduler, SchedulerConfig
from langgraph_rsm.emulation import EmulatedServer, serve
from langgraph_rsm.telemetry import CallFinished, Outcome, Timeline


class State(TypedDict):
    said: Annotated[list[str], operator.add]


class Point(BaseModel):
    """A point."""

    x: int


@pytest.fixture(scope="module")
def servers() -> Iterator[list[EmulatedServer]]:
    with serve("gpu-8b", speed=50) as one, serve("gpu-8b", speed=50) as two:
        yield [one, two]


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def records() -> list[Any]:
    return []


@pytest.fixture
def scheduler(timeline: Timeline, records: list[Any]) -> Scheduler:
    config = SchedulerConfig(validate_steps=True)
    return Scheduler("plas", config, hooks=[timeline, records.append])


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., ChatOpenAI]]:
    """Makes clients whose connections end with the test; langchain-openai's default ones are
    shared by the whole process, hence by the event loops of all tests."""
    async with DefaultAsyncHttpxClient() as http_async:
        with DefaultHttpxClient() as http_sync:

            def make(server: EmulatedServer | None = None, **settings: Any) -> ChatOpenAI:
                if server is not None:
                    settings = {"base_url": server.base_url, "model": server.model} | settings
                return ChatOpenAI(
                    api_key="none",
                    max_retries=0,
                    max_tokens=20,
                    stream_usage=True,
                    http_async_client=http_async,
                    http_client=http_sync,
                    **settings,
                )

            yield make


def in_flight(scheduler: Scheduler) -> int:
    return sum(engine.in_flight for engine in scheduler.snapshot().engines)


async def test_all_calls_are_scheduled_and_counted(servers, client, scheduler, records):
    model = ScheduledChatModel(inner=client(servers[0]), scheduler=scheduler)
    assert (await model.ainvoke("hi")).content
    assert (await asyncio.to_thread(model.invoke, "hi")).content
    streamed = [chunk async for chunk in model.astream("hi")]
    assert len(streamed) > 2
    await asyncio.to_thread(lambda: list(model.stream("hi")))
    ended = [record for record in records if isinstance(record, CallFinished)]
    assert [record.outcome for record in ended] == [Outcome.DONE] * 4
    assert all(record.tokens.output_tokens > 0 for record in ended)
    assert [record.ttft_s is not None for record in ended] == [False, False, True, True]


async def test_two_clients_of_one_server_share_its_slots(servers, client, scheduler, timeline):
    engines = [Engine(client(servers[0]), capacity=2), Engine(client(servers[0], temperature=1))]
    models = [ScheduledChatModel(engines=[engine], scheduler=scheduler) for engine in engines]
    assert len(scheduler.snapshot().engines) == 1
    await asyncio.gather(*(models[n % 2].ainvoke("hi") for n in range(8)))
    assert {span.lane for span in timeline.spans} == {0, 1}


async def test_two_servers_share_the_load(servers, client, scheduler, timeline):
    engines = [Engine(client(server), capacity=2) for server in servers]
    model = ScheduledChatModel(engines=engines, scheduler=scheduler)
    await asyncio.gather(*(model.ainvoke("hi") for _ in range(12)))
    used = [span.engine_id for span in timeline.spans]
    assert {used.count(engine.engine_id) > 2 for engine in engines} == {True}
    assert in_flight(scheduler) == 0


async def test_graph_run_is_one_program(servers, client, scheduler, timeline):
    model = ScheduledChatModel(inner=client(servers[0]), scheduler=scheduler)

    async def worker(state: State) -> Any:
        return {"said": [(await model.ainvoke("hi")).content]}

    def writer(state: State) -> Any:
        return {"said": ["".join(chunk.content for chunk in model.stream("hi"))]}

    graph = StateGraph(State)
    graph.add_node("worker", worker)
    graph.add_node("writer", writer)
    graph.add_conditional_edges(START, lambda _: [Send("worker", {"said": []})] * 3, ["worker"])
    graph.add_edge("worker", "writer")
    graph.add_edge("writer", END)
    app = graph.compile(name="report")
    await asyncio.gather(*(app.ainvoke({"said": []}) for _ in range(2)))
    spans = timeline.spans
    assert len(spans) == 8
    assert len({span.program_id for span in spans}) == 2
    assert {span.call_site for span in spans} == {"report/worker", "report/writer"}
    assert scheduler.snapshot().programs == ()


async def test_structured_output_and_tools_are_scheduled(servers, client, scheduler, timeline):
    model = ScheduledChatModel(inner=client(servers[0]), scheduler=scheduler)
    point = await model.with_structured_output(Point).ainvoke("a point")
    assert isinstance(point, Point)
    await model.bind_tools([Point]).ainvoke("hi")
    assert len(timeline.spans) == 2


async def test_abandoned_stream_frees_slot_and_engine(servers, client, scheduler):
    model = ScheduledChatModel(inner=client(servers[1]), scheduler=scheduler)
    stream = model.astream("hi", max_tokens=400)
    await anext(stream)
    assert in_flight(scheduler) == 1
    await stream.aclose()
    for _ in range(5):  # LangChain leaves its inner generator to the loop's finalizer
        await asyncio.sleep(0)
        if not in_flight(scheduler):
            break
    assert in_flight(scheduler) == 0


async def test_unreachable_server_keeps_the_error_and_says_what_to_do(client, scheduler):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    inner = client(base_url=url, model="none")
    model = ScheduledChatModel(inner=inner, scheduler=scheduler)
    with pytest.raises(APIConnectionError) as caught:
        await model.ainvoke("hi")
    (note,) = caught.value.__notes__
    assert url in note
    assert "Is the server running" in note
    assert in_flight(scheduler) == 0
