"""A slot is held to the last chunk and comes back however the stream ends."""

import asyncio
import gc

import pytest
from scripted_model import ScriptedModel
from shell_views import in_flight, run_elsewhere

from langgraph_rsm import Engine, ScheduledChatModel, program
from langgraph_rsm.telemetry import FirstToken, Outcome


@pytest.fixture
def scheduler(make_scheduler):
    return make_scheduler()


@pytest.fixture
def outcomes(finished):
    return lambda: [record.outcome for record in finished()]


def schedule(inner, scheduler, capacity=1):
    return ScheduledChatModel(engines=[Engine(inner, capacity=capacity)], scheduler=scheduler)


def test_slot_is_held_until_the_last_chunk(scheduler, outcomes):
    stream = schedule(ScriptedModel(), scheduler).stream("hi")
    next(stream)
    assert in_flight(scheduler) == 1
    for _ in stream:
        pass
    assert in_flight(scheduler) == 0
    assert outcomes() == [Outcome.DONE]


def test_close_gives_the_slot_back(scheduler, outcomes):
    inner = ScriptedModel()
    stream = schedule(inner, scheduler).stream("hi")
    next(stream)
    stream.close()
    assert (in_flight(scheduler), inner.open_streams) == (0, 0)
    assert outcomes() == [Outcome.CANCELLED]


def test_break_and_forget_gives_the_slot_back(scheduler, outcomes):
    inner = ScriptedModel()
    for _ in schedule(inner, scheduler).stream("hi"):
        break
    gc.collect()
    assert (in_flight(scheduler), inner.open_streams) == (0, 0)
    assert outcomes() == [Outcome.CANCELLED]


@pytest.mark.parametrize("after", [0, 2])
def test_error_in_the_stream_gives_the_slot_back(scheduler, outcomes, after):
    inner = ScriptedModel(error=ConnectionResetError("gone"), error_after_chunks=after)
    got = []
    with pytest.raises(ConnectionResetError):
        got.extend(schedule(inner, scheduler).stream("hi"))
    assert in_flight(scheduler) == 0
    assert outcomes() == [Outcome.FAILED]


def test_stream_that_is_never_read_takes_no_slot(scheduler, outcomes):
    stream = schedule(ScriptedModel(), scheduler).stream("hi")
    assert in_flight(scheduler) == 0
    stream.close()
    assert outcomes() == []


@pytest.mark.looptime
async def test_async_stream_holds_its_slot_and_times_the_first_token(make_scheduler, records):
    scheduler = make_scheduler()
    model = schedule(ScriptedModel(delay_s=2), scheduler)
    held = [in_flight(scheduler) async for _ in model.astream("hi")]
    assert held[:4] == [1, 1, 1, 1]
    assert in_flight(scheduler) == 0
    (first,) = [record for record in records if isinstance(record, FirstToken)]
    assert first.ttft_s == pytest.approx(2, abs=1e-6)


@pytest.mark.looptime
async def test_aclose_gives_the_slot_back(make_scheduler, outcomes):
    scheduler = make_scheduler()
    inner = ScriptedModel(delay_s=1)
    stream = schedule(inner, scheduler).astream("hi")
    await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0.1)  # LangChain leaves the inner generator to its finalizer
    assert (in_flight(scheduler), inner.open_streams) == (0, 0)
    assert outcomes() == [Outcome.CANCELLED]


@pytest.mark.looptime
async def test_async_break_and_forget_gives_the_slot_back(make_scheduler, outcomes):
    scheduler = make_scheduler()
    inner = ScriptedModel(delay_s=1)
    async for _ in schedule(inner, scheduler).astream("hi"):
        break
    gc.collect()
    await asyncio.sleep(0.1)
    assert (in_flight(scheduler), inner.open_streams) == (0, 0)
    assert outcomes() == [Outcome.CANCELLED]


def test_async_stream_left_open_at_the_end_of_its_loop(scheduler, outcomes):
    inner = ScriptedModel()

    async def leave_open():
        stream = schedule(inner, scheduler).astream("hi")
        await anext(stream)
        return stream  # survives the loop; `asyncio.run` closes it on its way out

    stream = run_elsewhere(leave_open())
    gc.collect()
    assert in_flight(scheduler) == 0
    assert outcomes() == [Outcome.CANCELLED]
    del stream


@pytest.mark.looptime
@pytest.mark.parametrize("after_s", [0.5, 1.5])
async def test_cancelling_the_reader_gives_the_slot_back(make_scheduler, outcomes, after_s):
    scheduler = make_scheduler()
    inner = ScriptedModel(delay_s=1)
    model = schedule(inner, scheduler)

    async def read():
        return [chunk async for chunk in model.astream("hi")]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), after_s)
    await asyncio.sleep(0.1)
    assert (in_flight(scheduler), inner.open_streams) == (0, 0)
    assert outcomes() == [Outcome.CANCELLED]


@pytest.mark.looptime
async def test_cancelled_invoke_gives_the_slot_back(make_scheduler, outcomes):
    scheduler = make_scheduler()
    model = schedule(ScriptedModel(delay_s=5), scheduler)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(model.ainvoke("hi"), 1)
    assert in_flight(scheduler) == 0
    assert outcomes() == [Outcome.CANCELLED]


def test_model_may_be_called_while_its_stream_is_read(scheduler):
    model = schedule(ScriptedModel(), scheduler)
    answers = [model.invoke(str(chunk.content)).content for chunk in model.stream("hi")]
    assert len(answers) >= 3
    assert in_flight(scheduler) == 0


@pytest.mark.looptime
async def test_streams_wait_for_one_another(make_scheduler):
    scheduler = make_scheduler()
    model = schedule(ScriptedModel(delay_s=1), scheduler)

    async def read():
        return [chunk async for chunk in model.astream("hi")]

    await asyncio.gather(read(), read())
    assert asyncio.get_running_loop().time() == pytest.approx(8, abs=1e-6)


@pytest.mark.parametrize("error", [ConnectionRefusedError(111, "refused"), KeyError("other")])
def test_unreachable_engine_is_named_and_the_error_kept(scheduler, error):
    inner = ScriptedModel(base_url="http://gpu:8000/v1", error=error)
    with pytest.raises(type(error)) as caught:
        schedule(inner, scheduler).invoke("hi")
    notes = getattr(caught.value, "__notes__", [])
    if isinstance(error, ConnectionError):
        assert "http://gpu:8000/v1 could not be reached. Is the server running" in notes[0]
    else:
        assert notes == []


def test_wrapped_connection_error_is_recognized(scheduler):
    class ProviderError(Exception):
        pass

    def fail():
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError as cause:
            raise ProviderError from cause

    with pytest.raises(ProviderError) as caught:
        schedule(ScriptedModel(on_call=fail), scheduler).invoke("hi")
    assert "could not be reached" in caught.value.__notes__[0]


def test_stream_collected_in_the_middle_of_a_step(make_scheduler, monkeypatch):
    scheduler = make_scheduler(default_capacity=2)
    model = ScheduledChatModel(inner=ScriptedModel(), scheduler=scheduler)

    def abandon():
        cycle = [model.stream("hi")]
        next(cycle[0])
        cycle.append(cycle)

    handle = scheduler._core.handle

    def collecting(event):
        gc.collect()
        return handle(event)

    abandon()
    with program("unrelated"):
        monkeypatch.setattr(scheduler._core, "handle", collecting)
        model.invoke("hi")
        assert in_flight(scheduler) == 0
    assert scheduler.snapshot().programs == ()
