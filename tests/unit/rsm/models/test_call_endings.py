"""How calls end: swallowed cancellations, time-outs, rests in a notebook, calls inside of calls."""

import asyncio
import contextlib
import time
from types import SimpleNamespace

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models._compat_bridge import chunks_to_events
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import (
    CallTimeoutError,
    Engine,
    EngineError,
    EngineRestingError,
    ScheduledChatModel,
    schedule,
)


class Deaf(ScriptedModel):
    """Drops a cancellation that comes while it waits for a chunk, as `asyncio.wait_for` may."""

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for _ in range(1000):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
            yield ChatGenerationChunk(message=AIMessageChunk(content="x"))

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return await super()._agenerate(messages, stop, run_manager, **kwargs)


@pytest.mark.looptime
@pytest.mark.parametrize("way", ["stream", "invoke"])
async def test_a_cancellation_that_the_client_drops_ends_the_call(make_scheduler, way):
    scheduler = make_scheduler()
    model = ScheduledChatModel(engines=[Engine(Deaf(), capacity=1)], scheduler=scheduler)

    async def read():
        if way == "invoke":
            return await model.ainvoke("hi")
        return [chunk async for chunk in model.astream("hi")]

    task = asyncio.create_task(read())
    await asyncio.sleep(0.25)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert in_flight(scheduler) == 0
    assert asyncio.get_running_loop().time() == pytest.approx(0.25)


class Limited(Exception):
    status_code = 429

    def __init__(self, after):
        self.response = SimpleNamespace(headers={"retry-after": after})


@pytest.mark.parametrize("after", ["86400", "inf"])
def test_calls_fail_at_once_while_the_engine_rests_for_long(make_scheduler, after):
    model = schedule(ScriptedModel(error=Limited(after)), scheduler=make_scheduler(), capacity=4)
    with pytest.raises(Limited):
        model.invoke("x")
    with pytest.raises(EngineRestingError, match="asked to be left alone") as caught:
        model.invoke("y")
    assert caught.value.retry_after_s == pytest.approx(float(after), abs=60)


@pytest.mark.looptime
async def test_waiting_calls_fail_when_the_rest_begins(make_scheduler):
    class Slow(ScriptedModel):
        async def _agenerate(self, *args, **kwargs):
            await asyncio.sleep(1)
            raise Limited("86400")

    engines = [Engine(Slow(), capacity=1)]
    model = ScheduledChatModel(engines=engines, scheduler=make_scheduler())
    ends = await asyncio.gather(*(model.ainvoke(str(n)) for n in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [Limited, EngineRestingError, EngineRestingError]


async def test_in_a_running_loop_a_synchronous_call_waits_for_the_rest(make_scheduler, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    plain = ScriptedModel(error=Limited("2"))
    model = schedule(plain, scheduler=make_scheduler(max_retries=0), capacity=1)
    with pytest.raises(Limited):
        model.invoke("a")
    with pytest.raises(Limited):
        model.invoke("b")
    assert slept == [pytest.approx(2, abs=0.5)]


class APITimeoutError(Exception):
    """Named as the OpenAI client's."""


class Impatient(ScriptedModel):
    """Gives up when its clock has passed the bound, as a client does that was told it."""

    clock: SimpleNamespace

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.clock.now += 1.0
        raise APITimeoutError

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self.clock.now += 1.0
        raise APITimeoutError
        yield


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_time_out_is_the_same_error_in_sync_and_async(make_scheduler, way):
    scheduler = make_scheduler(call_timeout_s=0.5)
    clock = SimpleNamespace(now=0.0)
    scheduler.clock = lambda: clock.now
    model = schedule(Impatient(clock=clock), scheduler=scheduler)
    with pytest.raises(CallTimeoutError):
        model.invoke("x") if way == "invoke" else list(model.stream("x"))


def test_the_clients_own_bound_stays_if_it_is_tighter():
    from langgraph_rsm.runtime.clients import limit_time

    llm = ChatOpenAI(model="m", api_key="k", base_url="http://127.0.0.1:9/v1", timeout=5)
    assert limit_time(llm, {}, 60.0) == {"timeout": 5}
    assert limit_time(llm, {}, 2.0) == {"timeout": 2.0}


class Native(BaseChatModel):
    """Makes events of its own stream, as providers do."""

    model_name: str = "native"

    @property
    def _llm_type(self):
        return "native"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("a b"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("a", " b"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("a", " b"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))

    def _stream_chat_model_events(self, messages, *, stop=None, run_manager=None, **kwargs):
        chunks = self._stream(messages, stop=stop, run_manager=run_manager, **kwargs)
        yield from chunks_to_events(chunks, message_id="m")


def test_a_stream_made_of_the_models_own_stream_takes_one_slot(make_scheduler, finished):
    model = schedule(Native(), scheduler=make_scheduler(), capacity=1)
    assert model.stream_events("hi", version="v3").output.text == "a b"
    assert len(finished()) == 1


def test_between_two_chunks_the_model_is_called_anew(make_scheduler, finished):
    model = schedule(ScriptedModel(), scheduler=make_scheduler(), capacity=2)
    stream = model.stream("hi")
    next(stream)
    model.invoke("another call")
    list(stream)
    assert len(finished()) == 2


def test_a_later_capacity_is_honored_or_refused(make_scheduler):
    scheduler = make_scheduler()
    first = schedule(ScriptedModel(base_url="http://e/v1"), scheduler=scheduler)
    first.invoke("x")
    first.model_copy(update={"capacity": 3}).invoke("x")
    assert [engine.capacity for engine in scheduler.snapshot().engines] == [3]
    with pytest.raises(EngineError, match="has capacity 3 and is registered again with 5"):
        first.model_copy(update={"capacity": 5}).invoke("x")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:SECRET@host:1/v1",
        "http://SECRET@host:1/v1",
        "http://host:1/v1?api_key=SECRET",
        "http://host:1/v1#SECRET",
    ],
)
def test_credentials_are_no_part_of_names(url):
    engine = Engine(ScriptedModel(base_url=url))
    assert engine.engine_id == "ScriptedModel@http://host:1/v1#scripted"
    assert engine.base_url == "http://host:1/v1"
