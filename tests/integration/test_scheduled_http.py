"""Both forms over `ChatOpenAI` clients and HTTP: options, usage, faults, configuration files."""

import asyncio
import importlib

import pytest
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import APIError, DefaultAsyncHttpxClient

from langgraph_rsm import (
    CallTimeoutError,
    Engine,
    ScheduledChatModel,
    Scheduler,
    SchedulerConfig,
    get_scheduler,
    schedule,
)
from langgraph_rsm.emulation import serve
from langgraph_rsm.runtime.clients import adapt_options, limit_time, own_retries, without_retries
from langgraph_rsm.telemetry import CallFinished, Outcome


@pytest.fixture
def records():
    return []


@pytest.fixture
def make_scheduler(records):
    def make(**settings):
        config = SchedulerConfig(**settings)
        return Scheduler(
            config=config,
            hooks=[lambda one: records.append(one) if isinstance(one, CallFinished) else None],
        )

    return make


@pytest.fixture(params=["wrapper", "subclass"])
def form(request):
    def make(model, scheduler):
        if request.param == "wrapper":
            return ScheduledChatModel(inner=model, scheduler=scheduler)
        return schedule(model, scheduler=scheduler)

    return make


def client(server=None, **settings):
    address = {"base_url": "http://127.0.0.1:9/v1", "model": "none"}
    if server is not None:
        address = {"base_url": server.base_url, "model": server.model}
    return ChatOpenAI(**{**address, "api_key": "none", **settings})


def in_flight(scheduler):
    return sum(engine.in_flight for engine in scheduler.snapshot().engines)


# What is told to the client


def test_body_of_a_call_is_merged_into_that_of_the_model():
    model = client(extra_body={"priority": 3, "cache_salt": "a"})
    options = adapt_options(model, {"extra_body": {"cache_salt": "b"}}, usage=False)
    payload = model._get_request_payload("hi", **options)
    assert payload["extra_body"] == {"priority": 3, "cache_salt": "b"}
    assert adapt_options(model, {}, usage=False) == {}


@pytest.mark.parametrize(
    ("settings", "options", "asks"),
    [
        ({}, {}, True),
        ({"stream_usage": False}, {}, False),
        ({"stream_usage": True}, {}, False),  # the model asks by itself
        ({}, {"stream_usage": False}, False),
        ({}, {"stream_options": {"include_usage": False}}, False),
        ({"use_responses_api": True}, {}, False),
    ],
)
def test_usage_is_asked_for_where_nobody_decided(settings, options, asks):
    adapted = adapt_options(client(**settings), options, usage=True)
    assert (adapted == {**options, "stream_usage": True}) is asks


@pytest.mark.parametrize(("asked", "made"), [(None, 2), (0, 0), (7, 7)])
def test_scheduler_makes_the_retries_that_the_client_would_have_made(asked, made):
    model = client(max_retries=asked)
    quiet = without_retries(model)
    assert own_retries(model) == own_retries(quiet) == made
    assert quiet.root_client.max_retries == quiet.root_async_client.max_retries == 0
    assert quiet.client._client is quiet.root_client
    assert model.root_client.max_retries == made
    assert quiet.root_client._client is model.root_client._client  # one pool of connections
    assert without_retries(model).root_client is quiet.root_client


def test_settings_changed_on_the_wrapped_model_take_effect(make_scheduler):
    with serve("gpu-8b", speed=100) as server:
        inner = client(server, max_tokens=30)
        model = ScheduledChatModel(inner=inner, scheduler=make_scheduler())
        inner.max_tokens = 3
        assert model.invoke("hi").usage_metadata["output_tokens"] == 3


def test_time_left_is_handed_to_the_client():
    assert limit_time(client(), {}, 2.5) == {"timeout": 2.5}
    assert limit_time(client(), {"timeout": 1}, 2.5) == {"timeout": 1}


# On the wire


async def test_stream_is_metered(form, make_scheduler, records):
    with serve("gpu-8b", speed=50) as server:
        async with DefaultAsyncHttpxClient() as http:
            model = form(client(server, http_async_client=http, max_tokens=20), make_scheduler())
            count = len([chunk async for chunk in model.astream("hi")])
    (record,) = records
    assert record.tokens.output_tokens == 20
    assert record.chunks <= count
    assert 0 < record.mean_gap_s <= record.longest_gap_s


@pytest.mark.parametrize("kind", ["error", "cut"])
def test_faults_of_the_server_are_retried(form, make_scheduler, records, kind):
    with serve("gpu-8b", speed=50, fault_rate=0.5, fault_kinds=(kind,), seed=3) as server:
        scheduler = make_scheduler(max_retries=8, retry_base_s=0)
        model = form(client(server, max_tokens=20), scheduler)
        answers = [model.invoke("hi").content for _ in range(6)]
    assert all(answers)
    outcomes = [record.outcome for record in records]
    assert outcomes.count(Outcome.DONE) == 6
    assert outcomes.count(Outcome.FAILED) >= 1
    assert in_flight(scheduler) == 0


def test_rate_limit_is_an_error_when_the_server_asks_for_too_long(form, make_scheduler, records):
    with serve("gpu-8b", speed=50, rate_limit_rpm=2) as server:
        model = form(client(server, max_tokens=5), make_scheduler(retry_cap_s=1))
        for _ in range(2):
            model.invoke("hi")
        with pytest.raises(APIError, match="rate limit"):
            model.invoke("hi")
    assert [record.error_type for record in records][2:] == ["OpenAIRateLimitError"]


def test_dead_engine_is_replaced_by_a_live_one(make_scheduler, records):
    with serve("gpu-8b", speed=50) as server:
        model = ScheduledChatModel(
            engines=[Engine(client(), capacity=9), Engine(client(server, max_tokens=5))],
            scheduler=make_scheduler(),
        )
        for _ in range(3):
            assert model.invoke("hi").content
            assert list(model.stream("hi"))
    assert [record.outcome for record in records].count(Outcome.DONE) == 6


async def test_stalled_engine_is_given_up_in_time(form, make_scheduler, records):
    with serve("gpu-8b", speed=50, fault_rate=1, fault_kinds=("stall",), stall_s=20) as server:
        async with DefaultAsyncHttpxClient() as http:
            scheduler = make_scheduler(call_timeout_s=0.3)
            model = form(client(server, http_async_client=http), scheduler)
            with pytest.raises(CallTimeoutError):
                await model.ainvoke("hi")
            with pytest.raises(CallTimeoutError):
                [chunk async for chunk in model.astream("hi")]
    assert in_flight(scheduler) == 0
    assert [record.outcome for record in records] == [Outcome.FAILED] * 2


async def test_crowd_on_a_faulty_server(form, make_scheduler, records):
    faults = {"fault_rate": 0.3, "fault_kinds": ("error", "cut"), "seed": 5}
    with serve("gpu-8b", speed=200, **faults) as server:
        async with DefaultAsyncHttpxClient() as http:
            scheduler = make_scheduler(retry_base_s=0, max_retries=3)
            model = form(client(server, http_async_client=http, max_tokens=8), scheduler)

            async def stream():
                return [chunk async for chunk in model.astream("hi")]

            tasks = [
                asyncio.create_task(stream() if number % 2 else model.ainvoke("hi"))
                for number in range(120)
            ]
            await asyncio.sleep(0)
            for task in tasks[::10]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 12
    assert sum(not isinstance(result, BaseException) for result in results) > 60
    assert in_flight(scheduler) == 0
    assert scheduler.snapshot().waiting == {}


# Frameworks that name a class in a configuration file


def test_class_named_in_a_configuration_file(tmp_path):
    """As a model factory does it that resolves `package:Class` and passes the rest as arguments."""
    settings = tmp_path / "rsm.toml"
    settings.write_text('policy = "fcfs"\ndefault_capacity = 3\n')
    with serve("gpu-8b", speed=100) as server:
        entry = {
            "use": "langgraph_rsm:ScheduledChatOpenAI",
            "model": server.model,
            "base_url": server.base_url,
            "api_key": "none",
            "max_tokens": 5,
            "scheduler": str(settings),
        }
        module, _, name = entry.pop("use").partition(":")
        kind = getattr(importlib.import_module(module), name)
        assert isinstance(kind, type)
        assert issubclass(kind, BaseChatOpenAI)
        models = [kind(**entry) for _ in range(2)]
        models[0].callbacks = []
        for model in models:
            assert model.invoke("hi").content
    scheduler = get_scheduler(str(settings))
    (engine,) = scheduler.snapshot().engines
    assert (engine.capacity, engine.in_flight) == (3, 0)
