"""Runs of real agent stacks: each takes a model, calls it in its own way, and tells what came out.

The model may be a scripted one or a client of a server; what comes out is compared between the bare
model and the scheduled one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm
from pydantic import BaseModel

Run = Callable[[Any], Awaitable[Any]]


class Point(BaseModel):
    """A point."""

    x: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def ask(text: str = "add 1 and 2") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def said(state: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in state["messages"]]


def script(messages: list[Any], options: dict[str, Any]) -> AIMessage:
    """Answer as a well-behaved model: each tool is called once, then a final word is said."""
    if options.get("response_format"):
        return AIMessage('{"x": 3}')
    names = [one["function"]["name"] for one in options.get("tools", ())]
    used = {message.name for message in messages if isinstance(message, ToolMessage)}
    for name, arguments in _ARGUMENTS.items():
        if name in names and name not in used and not used & _HANDOFFS:
            call = {"name": name, "args": arguments, "id": f"id-{name}-{len(messages)}"}
            return AIMessage("", tool_calls=[call])
    return AIMessage("three it is")


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "add": {"a": 1, "b": 2},
    "task": {"description": "look", "subagent_type": "looker"},
    "write_todos": {"todos": [{"content": "add", "status": "pending"}]},
    "transfer_to_bob": {},
    "Point": {"x": 3},
}
_HANDOFFS = {"transfer_to_bob", "transfer_back_to_supervisor"}


async def agent_without_tools(model: Any) -> Any:
    return said(await create_agent(model).ainvoke(ask()))


async def agent_with_tools(model: Any) -> Any:
    return said(await create_agent(model, [add]).ainvoke(ask()))


async def agent_in_sync_code(model: Any) -> Any:
    import asyncio

    return said(await asyncio.to_thread(create_agent(model, [add]).invoke, ask()))


async def agent_stream(model: Any) -> Any:
    agent = create_agent(model, [add])
    return [list(step) async for step in agent.astream(ask(), stream_mode="updates")]


async def agent_message_stream(model: Any) -> Any:
    agent = create_agent(model, [add])
    steps = [step async for step in agent.astream(ask(), stream_mode="messages")]
    return "".join(str(message.content) for message, _ in steps)


async def agent_events_v2(model: Any) -> Any:
    agent = create_agent(model, [add])
    events = [event["event"] async for event in agent.astream_events(ask(), version="v2")]
    return [kind for kind in events if kind.startswith("on_chat_model")]


async def agent_events_v3(model: Any) -> Any:
    stream = await create_agent(model, [add]).astream_events(ask(), version="v3")
    return said(await stream.output())


async def agent_schema(model: Any) -> Any:
    state = await create_agent(model, [add], response_format=Point).ainvoke(ask())
    return state["structured_response"]


async def agent_tool_strategy(model: Any) -> Any:
    agent = create_agent(model, [add], response_format=ToolStrategy(Point))
    return (await agent.ainvoke(ask()))["structured_response"]


async def agent_provider_strategy(model: Any) -> Any:
    agent = create_agent(model, response_format=ProviderStrategy(Point))
    return (await agent.ainvoke(ask()))["structured_response"]


async def agent_summarization(model: Any) -> Any:
    summarize = SummarizationMiddleware(model, trigger=("messages", 3), keep=("messages", 1))
    agent = create_agent(model, [add], middleware=[summarize])
    history = [HumanMessage("a"), AIMessage("b"), HumanMessage("c"), AIMessage("d")]
    return said(await agent.ainvoke({"messages": [*history, HumanMessage("add")]}))


async def agent_todo_fallback_retry(model: Any) -> Any:
    middleware = [TodoListMiddleware(), ModelFallbackMiddleware(model), ModelRetryMiddleware()]
    return said(await create_agent(model, [add], middleware=middleware).ainvoke(ask()))


async def agent_limits(model: Any) -> Any:
    middleware = [ModelCallLimitMiddleware(run_limit=1), ToolCallLimitMiddleware(run_limit=3)]
    return said(await create_agent(model, [add], middleware=middleware).ainvoke(ask()))


async def react_agent(model: Any) -> Any:
    return said(await create_react_agent(model, [add]).ainvoke(ask()))


async def react_agent_schema(model: Any) -> Any:
    agent = create_react_agent(model, [add], response_format=Point)
    return (await agent.ainvoke(ask()))["structured_response"]


async def supervisor(model: Any) -> Any:
    bob = create_react_agent(model, [add], name="bob")
    graph = create_supervisor([bob], model=model).compile()
    return said(await graph.ainvoke(ask()))


async def swarm(model: Any) -> Any:
    alice = create_react_agent(model, [create_handoff_tool(agent_name="bob")], name="alice")
    bob = create_react_agent(model, [add], name="bob")
    graph = create_swarm([alice, bob], default_active_agent="alice").compile()
    return said(await graph.ainvoke(ask()))


async def deep_agent(model: Any) -> Any:
    looker = {"name": "looker", "description": "looks", "system_prompt": "look", "tools": [add]}
    agent = create_deep_agent(model, [add], subagents=[looker])
    return said(await agent.ainvoke(ask()))


async def chain(model: Any) -> Any:
    prompt = ChatPromptTemplate.from_messages([("human", "{text}")])
    whole = prompt | model.bind_tools([add]).with_retry()
    return [message.tool_calls for message in await whole.abatch([{"text": "a"}, {"text": "b"}])]


async def structured(model: Any) -> Any:
    plain = await model.with_structured_output(Point, method="function_calling").ainvoke("hi")
    raw = model.with_structured_output(Point, method="function_calling", include_raw=True)
    return plain, (await raw.ainvoke("hi"))["parsed"]


async def fallbacks(model: Any) -> Any:
    both = model.with_fallbacks([model]).bind_tools([add])
    return (await both.ainvoke("hi")).tool_calls


RUNS: dict[str, Run] = {
    run.__name__: run
    for run in (
        agent_without_tools,
        agent_with_tools,
        agent_in_sync_code,
        agent_stream,
        agent_message_stream,
        agent_events_v2,
        agent_events_v3,
        agent_schema,
        agent_tool_strategy,
        agent_provider_strategy,
        agent_summarization,
        agent_todo_fallback_retry,
        agent_limits,
        react_agent,
        react_agent_schema,
        supervisor,
        swarm,
        deep_agent,
        chain,
        structured,
        fallbacks,
    )
}
