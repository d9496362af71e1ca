"""`ScheduledChatModel` stands in for the model it wraps, and nothing bypasses the scheduler."""

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from pydantic import BaseModel
from scripted_model import ScriptedModel

from langgraph_rsm import ConfigError, Engine, EngineError, ScheduledChatModel, get_scheduler
from langgraph_rsm.models.rebase import rebase
from langgraph_rsm.telemetry import Outcome


class Point(BaseModel):
    """A point."""

    x: int


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def calls_point(messages, kwargs):
    return AIMessage("", tool_calls=[{"name": "Point", "args": {"x": 3}, "id": "1"}])


@pytest.fixture
def schedule(make_scheduler):
    return lambda inner: ScheduledChatModel(inner=inner, scheduler=make_scheduler())


async def test_every_way_to_call_is_scheduled_once(schedule, finished):
    inner = ScriptedModel()
    model = schedule(inner)
    assert (await asyncio.to_thread(model.invoke, "hi")).content == "one two three"
    assert (await model.ainvoke("hi")).content == "one two three"
    assert [c.content for c in await asyncio.to_thread(lambda: list(model.stream("hi")))][:2] == [
        "one",
        "two",
    ]
    assert len([chunk async for chunk in model.astream("hi")]) >= 4
    await asyncio.to_thread(model.batch, ["a", "b"])
    await model.abatch(["a", "b"])
    await asyncio.to_thread(model.generate, [[HumanMessage("a")], [HumanMessage("b")]])
    assert len(inner.seen) == len(finished()) == 10
    assert {record.outcome for record in finished()} == {Outcome.DONE}


async def test_events_are_streamed_through_the_scheduler(schedule, finished):
    inner = ScriptedModel()
    model = schedule(inner)
    kinds = [event["event"] async for event in model.astream_events("hi", version="v2")]
    assert kinds.count("on_chat_model_stream") >= 3
    assert len(inner.seen) == len(finished()) == 1


def test_bound_tools_are_scheduled_and_reach_the_engine(schedule, finished):
    inner = ScriptedModel()
    bound = schedule(inner).bind_tools([add], tool_choice="any")
    bound.with_config(tags=["x"]).invoke("hi")
    bound.with_retry().invoke("hi")
    assert len(finished()) == 2
    assert inner.seen[0]["tools"][0]["function"]["name"] == "add"
    assert inner.seen[0]["tool_choice"] == "any"


@pytest.mark.parametrize("include_raw", [False, True])
def test_structured_output_is_scheduled(schedule, finished, include_raw):
    inner = ScriptedModel(answer=calls_point)
    got = schedule(inner).with_structured_output(Point, include_raw=include_raw).invoke("hi")
    assert (got["parsed"] if include_raw else got) == Point(x=3)
    assert len(inner.seen) == len(finished()) == 1


def test_fallbacks_and_composition_are_rebased(schedule, finished):
    inner = ScriptedModel()
    model = schedule(inner)
    tree = RunnableParallel(a=inner.bind(stop=["x"]), b=inner.with_fallbacks([inner])) | (
        lambda found: found["a"]
    )
    rebase(tree, inner, model).invoke("hi")
    assert len(inner.seen) == len(finished()) == 2


def test_what_hides_the_model_is_refused(schedule):
    inner = ScriptedModel()
    with pytest.raises(EngineError, match="cannot schedule the RunnableLambda"):
        rebase(RunnableLambda(inner.invoke), inner, schedule(inner))


def test_identity_towards_langchain_is_that_of_the_wrapped_model(schedule):
    inner = ScriptedModel(model_name="llama", temperature=0.5)
    model = schedule(inner)
    assert model.model_name == "llama"
    assert model.temperature == 0.5
    assert model._llm_type == "scripted"
    assert model._identifying_params == inner._identifying_params
    assert model._get_ls_params() == inner._get_ls_params()
    assert model._get_llm_string(stop=["x"]) == inner._get_llm_string(stop=["x"])
    assert model._get_invocation_params() == inner._get_invocation_params()
    assert model.get_num_tokens("a b c") == 3
    assert model.get_token_ids("a b") == [0, 1]
    with pytest.raises(AttributeError):
        _ = model.no_such_thing
    assert not hasattr(model, "_no_such_hook")


def test_no_field_is_named_model():
    assert "model" not in ScheduledChatModel.model_fields


def test_settings_of_the_wrapped_model_are_adopted_unless_given(schedule, make_scheduler):
    limiter = InMemoryRateLimiter(requests_per_second=1e6)
    inner = ScriptedModel(
        cache=InMemoryCache(),
        tags=["t"],
        metadata={"k": "v"},
        disable_streaming=True,
        output_version="v1",
        profile={"max_input_tokens": 9},
        rate_limiter=limiter,
    )
    model = schedule(inner)
    assert model.cache is inner.cache
    assert model.rate_limiter is limiter
    assert model.tags == ["t"]
    assert model.metadata["k"] == "v"
    assert model.disable_streaming is True
    assert model.output_version == "v1"
    assert model.profile == {"max_input_tokens": 9}
    own = ScheduledChatModel(inner=inner, tags=["own"], scheduler=make_scheduler())
    assert own.tags == ["own"]


def test_cache_hit_needs_no_slot(schedule, finished):
    model = schedule(ScriptedModel(cache=InMemoryCache()))
    model.invoke("hi")
    model.invoke("hi")
    assert len(finished()) == 1


def test_streaming_is_used_exactly_when_the_wrapped_model_would(schedule, finished):
    model = schedule(ScriptedModel(disable_streaming=True))
    assert len(list(model.stream("hi"))) == 1
    assert finished()[0].ttft_s is None


def test_model_without_stream_falls_back_to_invoke(make_scheduler):
    from langchain_core.language_models import BaseChatModel

    class Plain(BaseChatModel):
        @property
        def _llm_type(self):
            return "plain"

        def _generate(self, messages, stop=None, **kwargs):
            return ScriptedModel()._generate(messages)

    model = ScheduledChatModel(inner=Plain(), scheduler=make_scheduler())
    assert [chunk.content for chunk in model.stream("hi")] == ["one two three"]
    assert model.model_name == ""


def test_callbacks_of_the_wrapped_model_see_its_calls(schedule):
    starts = []

    class Spy(BaseCallbackHandler):
        def on_chat_model_start(self, *args, **kwargs):
            starts.append(kwargs["run_id"])

    model = schedule(ScriptedModel(callbacks=[Spy()]))
    model.invoke("hi")
    assert len(starts) == 1


@pytest.mark.looptime
async def test_calls_go_to_the_engine_chosen_with_their_tools(make_scheduler, finished):
    inner = [ScriptedModel(base_url=url, delay_s=1) for url in ("http://a", "http://b")]
    engines = [Engine(inner[0], capacity=1), Engine(inner[1], capacity=2)]
    model = ScheduledChatModel(engines=engines, scheduler=make_scheduler()).bind_tools([add])
    await asyncio.gather(*(model.ainvoke("hi") for _ in range(6)))
    assert [len(one.seen) for one in inner] == [2, 4]
    assert all("tools" in kwargs for one in inner for kwargs in one.seen)
    assert asyncio.get_running_loop().time() == pytest.approx(2, abs=1e-6)


def test_two_wrappers_of_one_endpoint_keep_their_own_parameters(make_scheduler):
    scheduler = make_scheduler()
    inner = [ScriptedModel(base_url="http://a", temperature=t) for t in (0.1, 0.9)]
    for one in inner:
        ScheduledChatModel(inner=one, scheduler=scheduler).invoke("hi")
    assert [len(one.seen) for one in inner] == [1, 1]
    assert len(scheduler.snapshot().engines) == 1


def test_usage_is_recorded(schedule, finished):
    model = schedule(ScriptedModel())
    model.invoke("hi")
    list(model.stream("hi"))
    for record in finished():
        assert (record.tokens.input_tokens, record.tokens.output_tokens) == (7, 3)


def test_global_scheduler_is_the_default():
    assert ScheduledChatModel(inner=ScriptedModel()).scheduler is get_scheduler()
    assert ScheduledChatModel(inner=ScriptedModel(), scheduler=None).scheduler is get_scheduler()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither of `inner` and `engines`"),
        ({"inner": ScriptedModel(), "engines": [ScriptedModel()]}, "both of `inner`"),
        ({"inner": "gpt-4o"}, r"must be a chat model.*write ChatOpenAI\(model='gpt-4o'\)"),
        ({"inner": ScriptedModel().bind(a=1)}, "wrap the model first"),
        ({"engines": []}, "non-empty list"),
        ({"engines": ScriptedModel()}, "non-empty list"),
        ({"engines": [ScriptedModel(), 3]}, r"\[1\] must be a chat model"),
        ({"engines": [ScriptedModel(), ScriptedModel()]}, "two engines have the identity"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ScheduledChatModel(**arguments)


def test_scheduled_model_is_not_scheduled_again(schedule):
    with pytest.raises(ConfigError, match="scheduled already"):
        ScheduledChatModel(inner=schedule(ScriptedModel()))


def test_settings_can_be_chosen_per_run(make_scheduler, finished):
    seen = []

    class Telling(ScriptedModel):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            seen.append(self.temperature)
            return super()._generate(messages, stop, run_manager, **kwargs)

    model = ScheduledChatModel(inner=Telling(temperature=0.1), scheduler=make_scheduler())
    field = ConfigurableField(id="heat")
    configurable = model.configurable_fields(temperature=field)
    configurable.invoke("hi")
    configurable.with_config(configurable={"heat": 0.7}).invoke("hi")
    configurable.invoke("hi", {"configurable": {"heat": 0.9}})
    assert [spec.id for spec in configurable.config_specs] == ["heat"]
    assert seen == [0.1, 0.7, 0.9]
    assert len(finished()) == 3
    assert len({record.engine_id for record in finished()}) == 1
    with pytest.raises(ValueError, match="no_such_field"):
        model.configurable_fields(no_such_field=field)
