"""Nodes that run agents: what an agent holds is what its node does, and nothing else."""

from functools import lru_cache
from typing import Annotated

import pytest
import requests
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    after_model,
    before_model,
    dynamic_prompt,
    wrap_model_call,
    wrap_tool_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import InjectedState, InjectedStore, ToolRuntime
from langgraph.store.base import BaseStore
from langgraph.types import Command, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects, parallelize
from langgraph_parallel.locations import SCREEN

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
SMALL = ChatOpenAI(model="small", api_key="none", base_url="http://127.0.0.1:9/v1")
COUNTED = []


class State(TypedDict, total=False):
    a: str
    b: str
    c: str


class Answer(BaseModel):
    text: str


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def asking(agent):
    """Return a node that asks an agent and gives the last word."""

    def node(state):
        return {"b": agent.invoke({"messages": [HumanMessage(state["a"])]})["messages"][-1].text}

    return node


def effects_of(node):
    return infer_effects(node, State)


def is_a_model_call(node):
    found = effects_of(node)
    free = not found.mutates and not found.control and not found.changes - _HANDLERS
    return found.external == {"model"} and free and (found.reads, found.writes) == ({"a"}, {"b"})


_HANDLERS = effects_of(asking(create_agent(LLM, []))).changes | {SCREEN}


@pytest.mark.parametrize("tools", [[], [add]], ids=["no tools", "a pure tool"])
def test_agent_run_in_a_node_does_what_its_model_does(tools):
    assert is_a_model_call(asking(create_agent(LLM, tools, system_prompt="Be brief.")))


async def in_a_coroutine(state):
    answer = await create_agent(LLM, [add]).ainvoke({"messages": [("user", state["a"])]})
    return {"b": answer["messages"][-1].content}


def made_in_the_node(state):
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    agent = create_agent(model=LLM, tools=[shout, add], system_prompt="Be brief.")
    return {"b": agent.invoke({"messages": [("user", state["a"])]})["messages"][-1].content}


@lru_cache
def cached_agent():
    return create_agent(LLM, [add])


def made_once(state):
    return {"b": cached_agent().invoke({"messages": [("user", state["a"])]})["messages"][-1].text}


AGENT = create_agent(LLM, [add])
BY_NAME = {"adder": AGENT}


def streamed(state):
    last = None
    for chunk in AGENT.stream({"messages": [("user", state["a"])]}, stream_mode="values"):
        last = chunk
    return {"b": last["messages"][-1].content}


def found_by_name(state, config):
    answer = BY_NAME["adder"].invoke(input={"messages": [("user", state["a"])]}, config=config)
    return {"b": answer["messages"][-1].content}


STRUCTURED = create_agent(LLM, [], response_format=Answer)


def structured(state):
    answer = STRUCTURED.invoke({"messages": [("user", state["a"])]})
    return {"b": answer["structured_response"].text}


def structured_in_the_node(state):
    agent = create_agent(LLM, [], response_format=ToolStrategy(Answer))
    answer = agent.invoke({"messages": [("user", state["a"])]})
    return {"b": answer["structured_response"].text.strip()}


@pytest.mark.parametrize(
    "node",
    [
        *(in_a_coroutine, made_in_the_node, made_once, streamed, found_by_name),
        *(structured, structured_in_the_node),
    ],
)
def test_other_ways_to_run_an_agent_are_model_calls_too(node):
    found = effects_of(node)
    assert found.external == {"model"}
    assert (found.reads, found.writes) == ({"a"}, {"b"})


# -- middleware ------------------------------------------------------------------------------------


@dynamic_prompt
def prompt_by_length(request):
    return f"There are {len(request.messages)} messages, {request.state['messages'][0].content}."


@wrap_model_call
def try_twice(request, handler):
    try:
        return handler(request)
    except ValueError:
        return handler(request.override(model=SMALL))


@before_model(can_jump_to=["end"])
def stop_late(state, runtime):
    return {"jump_to": "end"} if len(state["messages"]) > 100 else None


class Polite(AgentMiddleware):
    def __init__(self, most=3):
        super().__init__()
        self.most = most

    def after_model(self, state, runtime):
        if len(state["messages"]) > self.most * 100:
            return {"jump_to": "end"}

    def wrap_tool_call(self, request, handler):
        print(request.tool_call["name"])
        return handler(request)


LIBRARYS = [
    SummarizationMiddleware(SMALL, trigger=("messages", 50)),
    ModelCallLimitMiddleware(run_limit=3),
    PIIMiddleware("email"),
    TodoListMiddleware(),
    ModelFallbackMiddleware(SMALL),
]


@pytest.mark.parametrize(
    "middleware",
    [[prompt_by_length, stop_late], [try_twice], [Polite()], LIBRARYS],
    ids=["prompt", "retry", "class", "library"],
)
def test_middleware_that_only_looks_leaves_an_agent_a_model_call(middleware):
    assert is_a_model_call(asking(create_agent(LLM, [add], middleware=middleware)))


def with_middleware_made_in_the_node(state):
    small = SummarizationMiddleware(model=SMALL, trigger=("messages", 50))
    agent = create_agent(LLM, [add], middleware=[small, Polite(4), prompt_by_length])
    return {"b": agent.invoke({"messages": [("user", state["a"])]})["messages"][-1].text}


def test_middleware_may_be_made_in_the_node():
    assert is_a_model_call(with_middleware_made_in_the_node)


# -- what must keep its place ----------------------------------------------------------------------


@tool
def remember(text: str) -> str:
    """Keep a text."""
    COUNTED.append(text)
    return "kept"


@tool
def post(text: str) -> str:
    """Publish a text."""
    return requests.post("http://127.0.0.1:9/", json={"text": text}).text


@tool
def put(key: str, store: Annotated[BaseStore, InjectedStore()]) -> str:
    """Keep a text in the store."""
    store.put(("notes",), key, {"text": key})
    return "kept"


@tool
def put_by_runtime(key: str, runtime: ToolRuntime) -> str:
    """Keep a text in the store."""
    runtime.store.put(("notes",), key, {"text": key})
    return "kept"


@tool
def change_state(key: str, state: Annotated[dict, InjectedState]) -> str:
    """Change the state in place."""
    state["messages"].append(key)
    return "kept"


@tool
def hand_over() -> Command:
    """Hand over to somebody else."""
    return Command(goto="other", graph=Command.PARENT)


@tool
def ask_person(text: str) -> str:
    """Ask a person."""
    return interrupt(text)


class Counter:
    def __init__(self):
        self.calls = 0

    def count(self, text: str) -> str:
        """Count a call."""
        self.calls += 1
        return text


class Counting(AgentMiddleware):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def before_agent(self, state, runtime):
        self.calls += 1

    async def abefore_agent(self, state, runtime):
        self.calls += 1


class AsyncCounting(AgentMiddleware):
    async def awrap_model_call(self, request, handler):
        COUNTED.append(1)
        return await handler(request)


@after_model
def note(state, runtime):
    COUNTED.append(len(state["messages"]))


@wrap_tool_call
def note_tools(request, handler):
    COUNTED.append(request.tool_call["name"])
    return handler(request)


@wrap_model_call
def note_calls(request, handler):
    COUNTED.append(1)
    return handler(request)


class Noting(BaseCallbackHandler):
    def on_llm_start(self, *args, **kwargs):
        COUNTED.append(1)


class Stateful(BaseChatModel):
    """Answers with the number of calls, which it keeps."""

    calls: int = 0

    @property
    def _llm_type(self):
        return "stateful"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.calls += 1
        message = AIMessage(str(self.calls))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(self, tools, **kwargs):
        return self


class Rebinding(ChatOpenAI):
    """Keeps a record of the tools that it is shown."""

    def bind_tools(self, tools, **kwargs):
        COUNTED.append(len(tools))
        return super().bind_tools(tools, **kwargs)


class Calling(AgentMiddleware):
    """Runs another model than the agent's."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def wrap_model_call(self, request, handler):
        return handler(request.override(model=self.model))


COUNTER = Counter()
HOSTILE = {
    "tool with a record": lambda: create_agent(LLM, [remember]),
    "tool that posts": lambda: create_agent(LLM, [post]),
    "tool with a store": lambda: create_agent(LLM, [put]),
    "tool with a store of the runtime": lambda: create_agent(LLM, [put_by_runtime]),
    "tool that changes the state": lambda: create_agent(LLM, [change_state]),
    "tool that hands over": lambda: create_agent(LLM, [hand_over]),
    "tool that asks": lambda: create_agent(LLM, [ask_person]),
    "tool with hidden state": lambda: create_agent(LLM, [COUNTER.count]),
    "middleware with state": lambda: create_agent(LLM, [], middleware=[Counting()]),
    "middleware in coroutines": lambda: create_agent(LLM, [], middleware=[AsyncCounting()]),
    "hook with a record": lambda: create_agent(LLM, [], middleware=[note]),
    "hook around tools": lambda: create_agent(LLM, [add], middleware=[note_tools]),
    "hook around calls": lambda: create_agent(LLM, [], middleware=[note_calls]),
    "two hooks": lambda: create_agent(LLM, [], middleware=[try_twice, note_calls]),
    "person in the loop": lambda: create_agent(
        LLM, [add], middleware=[HumanInTheLoopMiddleware(interrupt_on={"add": True})]
    ),
    "checkpointer": lambda: create_agent(LLM, [add], checkpointer=InMemorySaver()),
    "pause": lambda: create_agent(LLM, [add], interrupt_before=["tools"]),
    "callbacks": lambda: create_agent(LLM, [add]).with_config(callbacks=[Noting()]),
    "callbacks of the model": lambda: create_agent(
        ChatOpenAI(model="none", api_key="none", callbacks=[Noting()]), []
    ),
    "model with state": lambda: create_agent(Stateful(), []),
    "model that is bound": lambda: create_agent(Rebinding(model="none", api_key="none"), [add]),
    "model put in its place": lambda: create_agent(LLM, [], middleware=[Calling(Stateful())]),
    "agent as a tool": lambda: create_agent(LLM, [_as_tool(create_agent(LLM, [remember]))]),
}


def _as_tool(agent):
    @tool
    def ask(text: str) -> str:
        """Ask another agent."""
        return agent.invoke({"messages": [("user", text)]})["messages"][-1].text

    return ask


def keeps_its_place(node):
    builder = StateGraph(State)
    builder.add_node("first", node)
    builder.add_node("second", lambda state: {"c": LLM.invoke(state["a"]).text})
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    found = effects_of(node)
    is_fenced = bool({"write", "unknown"} & found.external or found.control or found.mutates)
    return is_fenced or bool(found.changes - _HANDLERS)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_agent_with_an_effect_keeps_its_place(make):
    assert keeps_its_place(asking(make()))


_OWN = ("middleware with state", "model with state")
MADE_ANEW = {name: make for name, make in HOSTILE.items() if name not in _OWN}
"""Those that have an effect although each run of the node makes another agent."""


@pytest.mark.parametrize("make", MADE_ANEW.values(), ids=MADE_ANEW)
def test_agent_with_an_effect_keeps_its_place_where_it_is_made(make):
    def node(state):
        return {"b": make().invoke({"messages": [("user", state["a"])]})["messages"][-1].text}

    assert keeps_its_place(node)


def test_agents_with_effects_on_one_thing_run_one_after_the_other():
    def first(state):
        agent = create_agent(LLM, [remember])
        return {"b": agent.invoke({"messages": [("user", state["a"])]})["messages"][-1].text}

    def second(state):
        return {"c": str(len(COUNTED))}

    builder = StateGraph(State)
    builder.add_sequence([first, second])
    builder.add_edge(START, "first")
    builder.add_edge("second", END)
    report = parallelize(builder.compile()).parallel_report
    assert report.speedup == 1.0


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools, **kwargs):
        return self


def scripted():
    return Scripted(messages=iter([AIMessage(str(number)) for number in range(9)]))


def two_agents(one, other):
    def first(state):
        return {"b": one.invoke({"messages": [HumanMessage(state["a"])]})["messages"][-1].text}

    def second(state):
        return {"c": other.invoke({"messages": [HumanMessage(state["a"])]})["messages"][-1].text}

    builder = StateGraph(State)
    builder.add_sequence([first, second])
    builder.add_edge(START, "first")
    builder.add_edge("second", END)
    return builder.compile()


def test_agents_of_two_scripts_run_together_and_of_one_in_order():
    apart = parallelize(two_agents(create_agent(scripted(), []), create_agent(scripted(), [add])))
    assert apart.parallel_report.speedup == 2.0
    assert apart.invoke({"a": "x"}) == {"a": "x", "b": "0", "c": "0"}
    model = scripted()
    shared = parallelize(two_agents(create_agent(model, []), create_agent(model, [])))
    assert shared.parallel_report.speedup == 1.0
    assert shared.invoke({"a": "x"}) == {"a": "x", "b": "0", "c": "1"}


def test_agents_answers_from_a_script_are_not_asked_for_early():
    graph = two_agents(create_agent(scripted(), []), create_agent(scripted(), []))
    exact = parallelize(graph, mode="exact")
    assert exact.invoke({"a": "x"}) == {"a": "x", "b": "0", "c": "0"}
    assert exact.parallel_report.runtime.total.early == 0
