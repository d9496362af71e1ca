"""Failed attempts: retries, fail-over, time-outs; in virtual time."""

import asyncio
import random
import threading

import pytest
from langchain_core.exceptions import ModelAPIError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import BaseModel
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import (
    CallTimeoutError,
    Engine,
    QueueTimeoutError,
    ScheduledChatModel,
    program,
    schedule,
)
from langgraph_rsm.telemetry import Outcome

BUSY = ModelAPIError("busy")


class Point(BaseModel):
    """A point."""

    x: int


class Flaky(ScriptedModel):
    """Fails `failures` times before it works."""

    failures: int = 0
    says_hello_first: bool = False
    """Whether a stream opens with an empty chunk, as servers do before the first token."""

    def _fail(self):
        if self.failures:
            self.failures -= 1
            raise self.error or BUSY

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._fail()
        return super()._generate(messages, stop, run_manager, **kwargs)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(self.delay_s)
        self._fail()
        return await super()._agenerate(messages, stop, run_manager, **kwargs)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        if self.says_hello_first:
            yield ChatGenerationChunk(message=AIMessageChunk(content=""))
        self._fail()
        yield from super()._stream(messages, stop, run_manager, **kwargs)

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        if self.says_hello_first:
            yield ChatGenerationChunk(message=AIMessageChunk(content=""))
        await asyncio.sleep(self.delay_s)
        self._fail()
        async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
            yield chunk


@pytest.fixture(params=["wrapper", "subclass"])
def single(request, make_scheduler):
    """A scheduled model with one slot of one engine."""

    def make(inner, **settings):
        scheduler = make_scheduler(**settings)
        scheduler.rng = random.Random(1)
        if request.param == "wrapper":
            engines = [Engine(inner, capacity=1)]
            return ScheduledChatModel(engines=engines, scheduler=scheduler), inner
        model = schedule(inner, scheduler=scheduler, capacity=1)
        return model, model  # `schedule` copies: the copy is the one that counts down

    return make


def outcomes(finished):
    return [record.outcome for record in finished()]


@pytest.mark.looptime
async def test_passing_errors_are_tried_again_after_growing_pauses(single, finished):
    model, _ = single(Flaky(failures=2), max_retries=2, retry_base_s=4)
    assert (await model.ainvoke("hi")).content == "one two three"
    assert outcomes(finished) == [Outcome.FAILED, Outcome.FAILED, Outcome.DONE]
    assert 2 + 4 <= asyncio.get_running_loop().time() <= 4 + 8


@pytest.mark.looptime
async def test_slot_is_free_during_the_pause(single, finished):
    model, _ = single(Flaky(failures=1, delay_s=1), max_retries=1, retry_base_s=100)
    first = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(2)
    await model.ainvoke("hi")
    assert asyncio.get_running_loop().time() == pytest.approx(4, abs=1e-6)
    assert not first.done()
    await first


@pytest.mark.looptime
async def test_retry_stands_where_it_stood_in_the_queue(single, finished):
    model, _ = single(Flaky(failures=1, delay_s=10), max_retries=1, retry_base_s=1, policy="fcfs")
    answered = []

    async def call(name):
        with program("one"):  # between programs, service decides as well
            await model.ainvoke(name)
        answered.append(name)

    tasks = [asyncio.create_task(call("first"))]
    await asyncio.sleep(1)
    tasks += [asyncio.create_task(call(name)) for name in ("second", "third", "fourth")]
    await asyncio.gather(*tasks)
    assert answered == ["second", "first", "third", "fourth"]


@pytest.mark.parametrize("error", [ModelInvalidRequestError("bad"), KeyError("bug")])
async def test_final_errors_are_not_tried_again(single, finished, error):
    model, _ = single(Flaky(failures=1, error=error), max_retries=5)
    with pytest.raises(type(error)):
        await model.ainvoke("hi")
    assert outcomes(finished) == [Outcome.FAILED]


@pytest.mark.looptime
async def test_last_error_is_the_answer_when_retries_are_used_up(single, finished):
    model, _ = single(Flaky(failures=9), max_retries=2)
    with pytest.raises(ModelAPIError):
        await model.ainvoke("hi")
    assert len(finished()) == 3


async def test_model_that_takes_no_orders_gets_no_retries(single, finished):
    model, _ = single(Flaky(failures=1))
    with pytest.raises(ModelAPIError):
        await model.ainvoke("hi")
    assert len(finished()) == 1


def test_sync_calls_and_streams_are_tried_again(single, finished):
    model, inner = single(Flaky(failures=2), max_retries=2, retry_base_s=0)
    assert model.invoke("hi").content == "one two three"
    inner.failures = 2
    assert [chunk.content for chunk in model.stream("hi")][:3] == ["one", "two", "three"]
    assert len(finished()) == 6


@pytest.mark.parametrize("hello", [False, True])
async def test_stream_is_begun_anew_only_before_its_first_token(single, finished, hello):
    model, _ = single(Flaky(failures=1, says_hello_first=hello), max_retries=1, retry_base_s=0)
    said = [chunk.content async for chunk in model.astream("hi")]
    assert "".join(said) == "onetwothree"
    assert said.count("") <= 3
    assert outcomes(finished) == [Outcome.FAILED, Outcome.DONE]


async def test_stream_that_broke_after_its_first_token_is_an_error(single, finished):
    model, _ = single(
        ScriptedModel(error=BUSY, error_after_chunks=1), max_retries=5, retry_base_s=0
    )
    stream = model.astream("hi")
    assert (await anext(stream)).content == "one"
    with pytest.raises(ModelAPIError):
        await anext(stream)
    assert outcomes(finished) == [Outcome.FAILED]


@pytest.mark.looptime
async def test_another_engine_takes_over_at_once(make_scheduler, finished):
    broken, sound = (
        ScriptedModel(base_url="http://a", error=BUSY),
        ScriptedModel(base_url="http://b"),
    )
    model = ScheduledChatModel(
        engines=[Engine(broken, capacity=4), Engine(sound, capacity=1)],
        scheduler=make_scheduler(max_retries=1, retry_base_s=50),
    )
    answers = await asyncio.gather(*(model.ainvoke("hi") for _ in range(6)))
    assert {answer.content for answer in answers} == {"one two three"}
    assert len(sound.seen) == 6
    assert asyncio.get_running_loop().time() == pytest.approx(0, abs=1e-6)


@pytest.mark.looptime
async def test_wait_for_a_slot_is_bounded(single, finished):
    model, _ = single(ScriptedModel(delay_s=10), queue_timeout_s=3)
    first = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(1)
    with pytest.raises(QueueTimeoutError, match=r"no slot of .* within 3 s"):
        await model.ainvoke("hi")
    assert asyncio.get_running_loop().time() == pytest.approx(4, abs=1e-6)
    await first
    assert sorted(outcomes(finished)) == [Outcome.CANCELLED, Outcome.DONE]


@pytest.mark.looptime
@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_whole_call_is_bounded(single, finished, how):
    model, _ = single(ScriptedModel(delay_s=2), call_timeout_s=5, max_retries=9)
    answers = []

    async def call():
        if how == "invoke":
            return await model.ainvoke("hi")
        return [chunk async for chunk in model.astream("hi")]

    answers = await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)
    late = [answer for answer in answers if isinstance(answer, Exception)]
    assert {type(error) for error in late} <= {CallTimeoutError, QueueTimeoutError}
    assert len(late) == (1 if how == "invoke" else 3)
    assert asyncio.get_running_loop().time() == pytest.approx(5, abs=1e-6)


@pytest.mark.looptime
async def test_time_out_counts_as_a_failure_of_the_engine(single, finished):
    model, _ = single(ScriptedModel(delay_s=9), call_timeout_s=5)
    with pytest.raises(CallTimeoutError, match="within 5 s, lastly from engine"):
        await model.ainvoke("hi")
    (record,) = finished()
    assert (record.outcome, record.error_type) == (Outcome.FAILED, "CallTimeoutError")


def test_sync_wait_for_a_slot_is_bounded(single):
    gate = threading.Event()
    model, _ = single(ScriptedModel(on_call=gate.wait), queue_timeout_s=0.01)
    holder = threading.Thread(target=model.invoke, args=("hi",))
    holder.start()
    while not in_flight(model.scheduler):
        pass
    with pytest.raises(QueueTimeoutError):
        model.invoke("hi")
    gate.set()
    holder.join()


# Engines of different kinds


class OtherProvider(ScriptedModel):
    """Binds tools in words of its own."""

    model_name: str = "other"

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        names = [getattr(one, "__name__", None) or one.name for one in tools]
        return self.bind(functions=names, function_call=tool_choice, **kwargs)

    def with_structured_output(self, schema, **kwargs):
        raise NotImplementedError


def calls_point(messages, kwargs):
    return AIMessage("", tool_calls=[{"name": "Point", "args": {"x": 3}, "id": "1"}])


@pytest.fixture
def two_kinds(make_scheduler):
    one = ScriptedModel(answer=calls_point, error=BUSY)
    other = OtherProvider(answer=calls_point)
    model = ScheduledChatModel(
        engines=[one, other], scheduler=make_scheduler(max_retries=1, retry_base_s=0)
    )
    return model, one, other


def test_tools_are_bound_in_the_words_of_the_chosen_engine(two_kinds):
    model, one, other = two_kinds
    bound = model.bind_tools([Point], tool_choice="any").bind(stop=["x"]).with_retry()
    assert bound.invoke("hi").tool_calls[0]["args"] == {"x": 3}
    assert one.seen[0].keys() == {"tools", "tool_choice"}
    assert other.seen == [{"functions": ["Point"], "function_call": "any"}]


def test_structured_output_is_asked_of_all_engines_alike(two_kinds):
    model, one, other = two_kinds
    assert model.with_structured_output(Point).invoke("hi") == Point(x=3)
    assert one.seen[0]["tools"][0]["function"]["name"] == "Point"
    assert other.seen[0]["functions"] == ["Point"]


def test_per_call_options_go_to_every_engine(two_kinds):
    model, one, other = two_kinds
    model.bind_tools([Point]).invoke("hi", temperature=0.5)
    assert one.seen[0]["temperature"] == other.seen[0]["temperature"] == 0.5
