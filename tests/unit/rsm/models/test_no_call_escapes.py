"""Unusual ways to call a model with one slot: each is scheduled once, and the slot comes back."""

import asyncio
import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField, RunnableBranch, RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import ScheduledChatModel, SchedulerConfig, get_scheduler, keep_context, schedule

made = []
"""Calls that reached a model, copies of it and pickled ones included."""


@pytest.fixture(autouse=True)
def _forget():
    made.clear()


class Counted(ScriptedModel):
    def _generate(self, *args, **kwargs):
        made.append(1)
        return super()._generate(*args, **kwargs)

    async def _agenerate(self, *args, **kwargs):
        made.append(1)
        return await super()._agenerate(*args, **kwargs)

    def _stream(self, *args, **kwargs):
        made.append(1)
        yield from super()._stream(*args, **kwargs)

    async def _astream(self, *args, **kwargs):
        made.append(1)
        async for chunk in super()._astream(*args, **kwargs):
            yield chunk


class Point(BaseModel):
    """A point."""

    x: int


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.fixture(params=["wrapper", "subclass"])
def model(request):
    name = request.node.name
    scheduler = get_scheduler(
        name, config=SchedulerConfig(validate_steps=True, default_capacity=1, max_retries=0)
    )
    plain = Counted(base_url="http://engine")
    if request.param == "wrapper":
        yield ScheduledChatModel(inner=plain, scheduler=scheduler)
    else:
        yield schedule(plain, scheduler=scheduler)
    gc.collect()
    snapshot = scheduler.snapshot()
    assert in_flight(scheduler) == 0
    assert (snapshot.waiting, snapshot.programs) == ({}, ())


@pytest.fixture
def check(model, monkeypatch):
    """Run a way to call, and compare what reached the model with what the scheduler began."""
    scheduler = get_scheduler(model.scheduler.name)
    begun = []
    begin = type(scheduler)._begin

    def count(self, call, engine_id):
        begun.append(call)
        return begin(self, call, engine_id)

    monkeypatch.setattr(type(scheduler), "_begin", count)

    def run(way, calls):
        way(model)
        assert len(made) == len(begun) == calls

    return run


def alternatives(model):
    field = ConfigurableField(id="which")
    either = model.configurable_alternatives(field, default_key="a", b=model.bind(stop=["x"]))
    either.invoke("hi")
    either.with_config(configurable={"which": "b"}).invoke("hi")


def copies(model):
    copy.copy(model).invoke("hi")
    copy.deepcopy(model).invoke("hi")
    model.model_copy(deep=True).invoke("hi")
    type(model).model_validate(model).invoke("hi")
    pickle.loads(pickle.dumps(model)).invoke("hi")
    pickle.loads(pickle.dumps(model.bind(stop=["x"]))).invoke("hi")


def batches(model):
    few = {"max_concurrency": 2}
    model.batch(["a", "b", "c"], few, return_exceptions=True)
    list(model.batch_as_completed(["a", "b"], few))
    model.map().invoke(["a", "b"])
    model.generate([[HumanMessage("a")], [HumanMessage("b")]])

    async def many():
        await model.abatch(["a", "b", "c"], few)
        [_ async for _ in model.abatch_as_completed(["a", "b"])]
        await model.agenerate([[HumanMessage("a")], [HumanMessage("b")]])

    asyncio.run(many())


def compositions(model):
    model.bind_tools([add]).with_retry().with_fallbacks([model]).invoke("hi")
    model.with_listeners(on_start=lambda *_: None).with_config(tags=["x"]).invoke("hi")
    RunnableBranch((lambda _: True, model), model).invoke("hi")
    as_tool = (RunnableLambda(lambda given: given["q"]) | model).as_tool(
        name="ask", description="asks", arg_types={"q": str}
    )
    as_tool.invoke({"q": "hi"})
    list(model.transform(iter(["hi"])))
    list(model.model_copy(update={"disable_streaming": True}).stream("hi"))
    model.invoke("hi", stream=True)


def loops_one_after_the_other(model):
    async def crowd():
        await asyncio.gather(*(model.ainvoke("hi") for _ in range(3)))

    for _ in range(3):
        asyncio.run(crowd())


def loops_at_once(model):
    async def read():
        return [chunk async for chunk in model.astream("hi")]

    async def crowd():
        await asyncio.gather(*(model.ainvoke("hi") for _ in range(3)), *(read() for _ in range(3)))

    threads = [threading.Thread(target=asyncio.run, args=(crowd(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def calls_while_a_stream_is_read(model):
    stream = model.stream("hi")
    next(stream)
    RunnableLambda(model.invoke).invoke("hi")
    model.batch(["a", "b"])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(keep_context(model.invoke), "hi").result()
    list(stream)

    async def inside():
        async for _ in model.astream("hi"):
            await asyncio.gather(model.ainvoke("hi"), asyncio.to_thread(model.invoke, "hi"))
            break

    asyncio.run(inside())


def streams_that_are_dropped(model):
    next(model.stream("hi"))
    cycle = [model.stream("hi")]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()
    stream = model.stream("hi")
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError("caller"))

    async def dropped():
        await anext(model.astream("hi"))
        gc.collect()
        stream = model.astream("hi")
        await anext(stream)
        with pytest.raises(KeyError):
            await stream.athrow(KeyError("caller"))

    asyncio.run(dropped())
    model.invoke("hi")  # the only slot is free


def cancelled_while_waiting(model):
    async def leave():
        stream = model.astream("hi")
        await anext(stream)
        fresh = [asyncio.Task(model.ainvoke("hi")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in fresh:
            task.cancel()
        await asyncio.gather(*fresh, return_exceptions=True)
        await stream.aclose()
        await model.ainvoke("hi")

    asyncio.run(leave())


@pytest.mark.parametrize(
    ("way", "calls"),
    [
        (alternatives, 2),
        (copies, 6),
        (batches, 16),
        (compositions, 7),
        (loops_one_after_the_other, 9),
        (loops_at_once, 24),
        (calls_while_a_stream_is_read, 8),
        (streams_that_are_dropped, 6),
        (cancelled_while_waiting, 2),
    ],
)
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_scheduled_once_and_released(check, way, calls):
    with ThreadPoolExecutor(1) as pool:  # `asyncio.run` would drop the loop of this thread
        pool.submit(check, way, calls).result()
