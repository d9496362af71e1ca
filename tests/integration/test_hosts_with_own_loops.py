"""Hosts that build a model per agent from a configuration and run agents on loops of their own.

The shape is that of an agent server: the lead agent runs on one thread and loop; its sub-agents run
at the same time on one persistent loop in another thread, in a copy of the lead's context; a model
is made anew for each of them, from a class that a configuration file names.
"""

import asyncio
import contextvars
import importlib
import threading
from concurrent.futures import Future

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai.chat_models.base import BaseChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from openai import DefaultAsyncHttpxClient

from langgraph_rsm import SchedulerConfig, get_scheduler
from langgraph_rsm.emulation import serve
from langgraph_rsm.identity.run_tree import run_tree

SUBAGENTS = 3


@pytest.fixture
def entry(request):
    """A model's entry in the host's configuration."""
    with serve("gpu-8b", speed=100) as server:
        name = request.node.name
        get_scheduler(name, config=SchedulerConfig(validate_steps=True, default_capacity=2))
        yield {
            "use": "langgraph_rsm:ScheduledChatOpenAI",
            "model": server.model,
            "base_url": server.base_url,
            "api_key": "none",
            "max_tokens": 5,
            "scheduler": name,
            "server": server,
        }


def create_model(entry, http_client, *, thinking):
    """As a factory does it that resolves a class, looks what it is, and passes the settings on."""
    settings = {key: value for key, value in entry.items() if key not in ("use", "server")}
    module, _, name = entry["use"].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if issubclass(kind, BaseChatOpenAI):
        settings |= {"stream_usage": True, "stream_chunk_timeout": 240}
    if thinking:
        settings["extra_body"] = {"chat_template_kwargs": {"enable_thinking": True}}
    # langchain-openai's default asynchronous client is one for all loops, which it cannot serve.
    model = kind(**settings, http_async_client=http_client)
    model.callbacks = []  # set after construction, when tracing is on
    return model.model_copy(update={"temperature": 0.3}) if thinking else model


class IsolatedLoop:
    """One loop for all sub-agents, on a thread that lives as long as the host."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def run(self, coroutine):
        """Run it over there in a copy of this context, and wait for it over here."""
        context, outcome = contextvars.copy_context(), Future()

        async def work():
            try:
                outcome.set_result(await coroutine)
            except BaseException as error:
                outcome.set_exception(error)

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(work(), context=context))
        return await asyncio.wrap_future(outcome)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def isolated():
    loop = IsolatedLoop()
    yield loop
    loop.close()


def build_lead(entry, isolated):
    async def answer(state: MessagesState):
        async with DefaultAsyncHttpxClient() as http_client:
            model = create_model(entry, http_client, thinking=False)
            return {"messages": [await model.ainvoke(state["messages"])]}

    subagent = StateGraph(MessagesState).add_node("model", answer).add_edge(START, "model")
    subagent = subagent.compile(name="researcher")

    async def plan(state: MessagesState):
        async with DefaultAsyncHttpxClient() as http_client:
            model = create_model(entry, http_client, thinking=True)
            chunks = [chunk.content async for chunk in model.astream(state["messages"])]
        return {"messages": [AIMessage("".join(chunks))]}

    async def delegate(state: MessagesState):
        runs = (
            isolated.run(
                subagent.ainvoke(
                    {"messages": [HumanMessage(f"part {number}")]},
                    {"tags": ["subagent:researcher"]},
                    context={"run_id": "run-7", "is_subagent": True},
                )
            )
            for number in range(SUBAGENTS)
        )
        return {"messages": [state["messages"][-1] for state in await asyncio.gather(*runs)]}

    graph = StateGraph(MessagesState, context_schema=dict)
    graph.add_sequence([plan, delegate, ("report", answer)]).add_edge(START, "plan")
    return graph.compile(name="lead")


@pytest.fixture
def calls(request, monkeypatch):
    """Calls that the scheduler was given."""
    made = []
    scheduler = get_scheduler(request.node.name)
    slot = type(scheduler).slot

    def record(self, call, **options):
        made.append(call)
        return slot(self, call, **options)

    monkeypatch.setattr(type(scheduler), "slot", record)
    return made


def test_lead_and_subagents_are_one_program(request, entry, isolated, calls):
    lead = build_lead(entry, isolated)
    for _ in range(2):  # each lead run has a loop of its own, as each request of a server may
        ask = {"messages": [HumanMessage("write a report")]}
        asyncio.run(lead.ainvoke(ask, context={"run_id": "run-7", "thread_id": "t"}))
    scheduler = get_scheduler(request.node.name)
    counters = entry["server"].stats().counters
    assert counters.finished_length + counters.finished_stop == len(calls) == 2 * (SUBAGENTS + 2)
    assert {call.program_id for call in calls} == {"run-7"}

    planned, *parts, reported = calls[: SUBAGENTS + 2]
    assert [call.call_site for call in (planned, reported)] == ["lead/plan", "lead/report"]
    assert {call.call_site for call in parts} == {"lead/model"}
    assert {call.parents for call in parts} == {(planned.call_id,)}
    assert set(reported.parents) == {call.call_id for call in parts}
    assert len({call.thread_id for call in parts}) == SUBAGENTS

    (engine,) = scheduler.snapshot().engines
    assert (engine.capacity, engine.in_flight) == (2, 0)
    assert scheduler.snapshot().programs == ()
    assert run_tree.count_links() == 0
