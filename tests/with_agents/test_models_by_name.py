"""Models that LangChain makes of a name are scheduled, however the name gets there."""

import pytest
from agent_runs import Point, add, ask
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_openai import ChatOpenAI

from langgraph_rsm import schedule
from langgraph_rsm.emulation import serve
from langgraph_rsm.models.init_chat_model import schedule_named_models


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=500) as server:
        yield server


@pytest.fixture(autouse=True)
def _address(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def test_a_name(server, scheduler, finished):
    model = schedule(f"openai:{server.model}", scheduler=scheduler)
    assert isinstance(model, ChatOpenAI)
    model.invoke("hi")
    assert len(finished()) == 1


def test_init_chat_model(server, scheduler, finished):
    schedule(init_chat_model(f"openai:{server.model}"), scheduler=scheduler).invoke("hi")
    assert len(finished()) == 1


def test_configurable_model_with_queued_operations(server, scheduler, finished):
    model = schedule(
        init_chat_model(configurable_fields=("model", "model_provider", "max_tokens")),
        scheduler=scheduler,
    )
    chosen = {"model": server.model, "model_provider": "openai", "max_tokens": 5}
    config = {"configurable": chosen}
    model.invoke("hi", config=config)
    model.bind_tools([add]).invoke("hi", config=config)
    model.bind_tools([add]).with_config(config).invoke("hi")
    point = model.with_structured_output(Point).with_config(
        configurable={**chosen, "max_tokens": 50}
    )
    assert isinstance(point.invoke("hi"), Point)
    assert len(finished()) == 4


async def test_configurable_model_in_an_agent(server, scheduler, finished):
    model = init_chat_model(
        server.model, model_provider="openai", configurable_fields=("temperature",)
    )
    agent = create_agent(schedule(model, scheduler=scheduler), [add])
    state = await agent.ainvoke(ask())
    answers = [message for message in state["messages"] if message.type == "ai"]
    assert len(finished()) == len(answers) > 0


def test_names_given_to_agents_of_someone_else(server, scheduler, finished):
    with schedule_named_models(scheduler):
        schedule(f"openai:{server.model}").bind_tools([add])
        agent = create_agent(f"openai:{server.model}", [add])
    answers = [m for m in agent.invoke(ask())["messages"] if m.type == "ai"]
    assert len(finished()) == len(answers) > 0
    create_agent(f"openai:{server.model}").invoke(ask())
    assert len(finished()) == len(answers)
