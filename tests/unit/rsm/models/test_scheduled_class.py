"""`schedule` and `scheduled_class`: the same class to everybody, scheduled underneath."""

import asyncio
import copy
import pickle

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, PrivateAttr
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import (
    ConfigError,
    ScheduledChatModel,
    ScheduledChatOpenAI,
    get_scheduler,
    schedule,
    scheduled_class,
)
from langgraph_rsm.runtime.engine import derive_engine_id
from langgraph_rsm.telemetry import Outcome

OPENAI = {"model": "llama", "base_url": "http://gpu:8000/v1", "api_key": "none"}


class Point(BaseModel):
    """A point."""

    x: int


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.fixture
def scheduler(make_scheduler):
    return make_scheduler()


async def test_every_way_to_call_is_scheduled_once(scheduler, finished):
    plain = ScriptedModel()
    model = schedule(plain, scheduler=scheduler)
    await asyncio.to_thread(model.invoke, "hi")
    await model.ainvoke("hi")
    await asyncio.to_thread(lambda: list(model.stream("hi")))
    assert len([chunk async for chunk in model.astream("hi")]) >= 4
    await asyncio.to_thread(model.batch, ["a", "b"])
    await model.abatch(["a", "b"])
    await model.bind_tools([add]).ainvoke("hi")
    assert len(plain.seen) == len(finished()) == 9
    assert {record.outcome for record in finished()} == {Outcome.DONE}
    assert finished()[0].tokens.output_tokens == 3


def test_to_isinstance_and_serialization_it_is_the_plain_class():
    model = ScheduledChatOpenAI(**OPENAI, scheduler="x", capacity=3)
    plain = ChatOpenAI(**OPENAI)
    assert isinstance(model, ChatOpenAI)
    assert issubclass(ScheduledChatOpenAI, ChatOpenAI)
    assert dumpd(model) == dumpd(plain)
    assert model._get_llm_string() == plain._get_llm_string()
    assert model._get_ls_params() == plain._get_ls_params()
    assert "scheduler" not in repr(model)
    assert ScheduledChatOpenAI is scheduled_class(ChatOpenAI)
    assert type(schedule(plain)) is ScheduledChatOpenAI


def test_plain_model_is_left_alone():
    plain = ChatOpenAI(**OPENAI)
    before = dict(plain.__dict__)
    model = schedule(plain)
    assert plain.__dict__ == before
    assert plain.root_client.max_retries == 2
    assert model.root_client.max_retries == model.root_async_client.max_retries == 0
    assert model.max_retries is None  # what the user asked for, which the scheduler makes


def test_only_methods_that_the_class_has_are_overridden():
    class Plain(BaseChatModel):
        @property
        def _llm_type(self):
            return "plain"

        def _generate(self, messages, stop=None, **kwargs):
            return ScriptedModel()._generate(messages)

    kind = scheduled_class(Plain)
    assert kind._agenerate is BaseChatModel._agenerate
    assert kind._stream is BaseChatModel._stream
    assert kind._astream is BaseChatModel._astream
    assert not hasattr(kind, "_stream_chat_model_events")


async def test_async_call_of_a_sync_model_takes_one_slot(scheduler, finished):
    class SyncOnly(BaseChatModel):
        @property
        def _llm_type(self):
            return "sync"

        def _generate(self, messages, stop=None, **kwargs):
            return ScriptedModel()._generate(messages)

    model = schedule(SyncOnly(), scheduler=scheduler)
    assert (await model.ainvoke("hi")).content == "one two three"
    assert len([chunk async for chunk in model.astream("hi")]) == 1
    assert len(finished()) == 2


async def test_what_a_model_asks_of_itself_is_the_same_call(scheduler, finished):
    class Layered(ScriptedModel):
        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            return await asyncio.to_thread(self._generate, messages, stop, run_manager)

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            list(self._stream(messages, stop))
            return super()._generate(messages, stop, run_manager, **kwargs)

    await schedule(Layered(), scheduler=scheduler).ainvoke("hi")
    assert len(finished()) == 1


def test_native_stream_events_are_scheduled(scheduler, finished):
    class Native(ScriptedModel):
        def _stream_chat_model_events(self, messages, stop=None, run_manager=None, **kwargs):
            from langchain_core.language_models._compat_bridge import chunks_to_events

            yield from chunks_to_events(self._chunks(messages, kwargs), message_id="m")

    for model in (
        schedule(Native(), scheduler=scheduler),
        ScheduledChatModel(inner=Native(), scheduler=scheduler),
    ):
        stream = model.stream_events("hi", version="v3")
        assert stream.output.text == "onetwothree"
    assert len(finished()) == 2
    assert {record.chunks > 2 for record in finished()} == {True}


def test_settings_can_be_changed_on_copies(scheduler, finished):
    model = schedule(ScriptedModel(), scheduler=scheduler)
    assert model.model_copy(update={"temperature": 0.1}).temperature == 0.1
    configurable = model.configurable_fields(temperature=ConfigurableField(id="t"))
    configurable.with_config(configurable={"t": 0.7}).invoke("hi")
    copies = [copy.copy(model), copy.deepcopy(model), model.model_copy()]
    for one in copies:
        one.invoke("hi")
    assert len(finished()) == 4
    assert len(scheduler.snapshot().engines) == 1


def test_pickle_finds_the_scheduler_by_name():
    class Box(BaseModel):
        pass

    model = schedule(ScriptedModel(temperature=0.3), scheduler=get_scheduler("pickled"))
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model)
    assert again.temperature == 0.3
    assert again.scheduler is get_scheduler("pickled")
    assert again.invoke("hi").content == "one two three"


def test_scheduler_without_a_name_cannot_be_pickled(scheduler):
    with pytest.raises(ConfigError, match="make this one with get_scheduler"):
        pickle.dumps(schedule(ScriptedModel(), scheduler=scheduler))


def test_composed_runnables_are_scheduled_throughout(scheduler, finished):
    plain = ScriptedModel()
    chain = RunnableParallel(
        a=plain.bind_tools([add]).with_retry(),
        b=plain.with_fallbacks([plain]),
        c=RunnableLambda(lambda text: text) | plain.with_config(tags=["x"]),
    )
    schedule(chain, scheduler=scheduler).invoke("hi")
    assert len(plain.seen) == len(finished()) == 3


def test_capacity_and_identity_are_those_of_the_plain_model(scheduler):
    plain = ScriptedModel(base_url="http://a")
    schedule(plain, scheduler=scheduler, capacity=3).invoke("hi")
    (engine,) = scheduler.snapshot().engines
    assert (engine.engine_id, engine.capacity) == (derive_engine_id(plain), 3)
    assert in_flight(scheduler) == 0


def test_private_attributes_survive(scheduler):
    class Remembering(ScriptedModel):
        _note: str = PrivateAttr(default="")

    plain = Remembering()
    plain._note = "kept"
    assert schedule(plain, scheduler=scheduler)._note == "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((RunnableLambda(str),), "no chat model to schedule"),
        ((schedule(ScriptedModel()),), "scheduled already"),
        ((ScriptedModel(), 7), "must be a Scheduler, the name"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message):
    plain, *scheduler = arguments
    with pytest.raises(ConfigError, match=message):
        schedule(plain, scheduler=scheduler[0] if scheduler else None)


@pytest.mark.parametrize("kind", [str, 3, scheduled_class(ScriptedModel)])
def test_wrong_classes_are_explained(kind):
    with pytest.raises(ConfigError):
        scheduled_class(kind)
