"""Nodes that are sequences, prompts, sub-graphs; and nodes that run them."""

import gc
import operator
from typing import Annotated

import httpx
import pytest
import requests
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough, RunnablePick
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import ALL, explain, infer_effects
from langgraph_parallel.testing import assert_equivalent

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
CHAIN = ChatPromptTemplate.from_template("{a} {b}") | LLM | StrOutputParser()


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    d: str
    log: Annotated[list[str], operator.add]


def show(node) -> str:
    return str(infer_effects(node, State))


def test_prompt_at_the_head_of_a_sequence_reads_its_variables():
    node = CHAIN | RunnableLambda(lambda text: {"c": text})
    chain = "ChatOpenAI, ChatPromptTemplate, StrOutputParser"
    assert show(node) == f"reads {{a, b}}, writes {{c}}, looks at {{{chain}}}, external {{model}}"


def test_parallel_of_runnables_writes_its_keys():
    node = {"c": CHAIN, "d": RunnablePick("a")} | RunnablePassthrough()
    chain = "ChatOpenAI, ChatPromptTemplate, StrOutputParser"
    line = f"reads {{a, b}}, writes {{c, d}}, looks at {{{chain}}}, external {{model}}"
    assert show(node) == line


def test_assign_gives_the_whole_state_back():
    found = infer_effects(RunnablePassthrough.assign(c=RunnablePick("a")), State)
    assert (found.reads, found.writes) == ({"a", "log"}, {"c", "log"})
    assert found.keeps == {"a", "b", "d"}


def test_chain_run_inside_a_node_is_followed():
    def node(state):
        return {"c": CHAIN.invoke({"a": state["a"], "b": "x"}).strip()}

    chain = "ChatOpenAI, ChatPromptTemplate, StrOutputParser"
    assert show(node) == f"reads {{a}}, writes {{c}}, looks at {{{chain}}}, external {{model}}"


def test_runnable_whose_parts_are_not_known_is_unknown():
    def node(state):
        return {"c": RunnableLambda(print).with_listeners().invoke(state["a"])}

    assert "unknown" in infer_effects(node, State).external


def test_stream_writer_fetched_by_name_is_known():
    def node(state):
        get_stream_writer()({"at": state["a"]})
        return {"c": "1"}

    assert show(node) == "reads {a}, writes {c}"


class Inner(TypedDict, total=False):
    a: str
    c: str
    note: str


def sub_graph(step, **options):
    builder = StateGraph(Inner)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    return builder.compile(**options)


def ask(state):
    return {"c": LLM.invoke(state["a"]).text}


def test_sub_graph_reads_and_writes_the_keys_it_shares():
    line = "reads {a, c}, writes {a, c, note}, looks at {LLM}, external {model}"
    assert show(sub_graph(ask)) == line


def test_sub_graph_that_pauses_pauses_its_parent():
    assert infer_effects(sub_graph(lambda state: {"c": interrupt("?")}), State).control == {
        "interrupt"
    }
    paused = sub_graph(ask, interrupt_before=["step"])
    assert infer_effects(paused, State).control == {"interrupt"}


def test_sub_graph_that_may_leave_to_its_parent_routes_anywhere():
    graph = sub_graph(lambda state: Command(goto="d", graph=Command.PARENT))
    assert infer_effects(graph, State).goto is ALL


def test_sub_graph_with_a_thread_of_its_own_has_an_effect():
    assert "write" in infer_effects(sub_graph(ask, checkpointer=True), State).external


FOLDED = []


def fold_and_note(old, new):
    FOLDED.append(new)
    return new


def test_sub_graph_whose_reducer_keeps_a_record_changes_it():
    class Noted(TypedDict, total=False):
        a: Annotated[str, fold_and_note]

    inner = StateGraph(Noted)
    inner.add_node("step", lambda state: {"a": "x"})
    inner.add_edge(START, "step")
    graph = inner.compile()

    def node(state):
        return {"b": graph.invoke({"a": state["a"]})["a"]}

    assert any(place.owner is FOLDED for place in infer_effects(node, State).changes)


def test_sub_graph_knows_what_the_nodes_around_it_store():
    box = {"llm": LLM}

    def look(state):
        return {"c": box["llm"].invoke(state["a"]).text}

    inner = sub_graph(look)

    def put(state):
        box["llm"] = state["a"]
        return {"b": "1"}

    def node(state):
        return {"d": inner.invoke({"a": state["a"]})["c"]}

    builder = StateGraph(State)
    builder.add_sequence([put, node])
    builder.add_edge(START, "put")
    builder.add_edge("node", END)
    assert explain(builder.compile()).speedup == 1.0


def test_sub_graph_run_inside_a_node_is_followed():
    graph = sub_graph(ask)

    def node(state):
        return {"d": graph.invoke({"a": state["b"]})["c"]}

    assert show(node) == "reads {b}, writes {d}, looks at {LLM}, external {model}"


@pytest.mark.parametrize("saver", [None, InMemorySaver()])
def test_sub_graph_beside_an_independent_node(saver):
    class Other(TypedDict, total=False):
        a: str
        note: str

    inner = StateGraph(Other)
    inner.add_node("look", lambda state: {"note": state["a"] + "!"})
    inner.add_edge(START, "look")

    class Parent(State, total=False):
        note: str

    builder = StateGraph(Parent)
    builder.add_node("sub", inner.compile())
    builder.add_node("side", lambda state: {"d": state["b"] + "?"})
    builder.add_node("both", lambda state: {"c": state["note"] + state["d"]})
    builder.add_edge(START, "sub")
    builder.add_edge("sub", "side")
    builder.add_edge("side", "both")
    builder.add_edge("both", END)
    assert explain(builder).regions[0].levels == (("sub", "side"), ("both",))
    assert_equivalent(builder, [{"a": "x", "b": "y"}])


@tool
def look_up(query: str) -> str:
    """Look something up."""
    return str(gc.get_referrers(query))


@tool
def shorten(query: str) -> str:
    """Shorten a text."""
    return query[:3]


@tool
def remember(query: str) -> str:
    """Remember a text."""
    REMEMBERED.append(query)
    return query


REMEMBERED: list[str] = []
TOOLS = [shorten, look_up]
HARMLESS = {"shorten": shorten}


class Notes(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(page_content=query)]


class Diary(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        REMEMBERED.append(query)
        return []


class WatchedNotes(Notes):
    def invoke(self, *args, **options):
        REMEMBERED.append("asked")
        return super().invoke(*args, **options)


class Echo(BaseTool):
    name: str = "echo"
    description: str = "Say it again."

    def _run(self, text: str) -> str:
        return text


class WatchedEcho(Echo):
    def _to_args_and_kwargs(self, *args, **options):
        REMEMBERED.append("asked")
        return super()._to_args_and_kwargs(*args, **options)


NOTES, DIARY, WATCHED_NOTES = Notes(), Diary(), WatchedNotes()
ECHO, WATCHED_ECHO = Echo(), WatchedEcho()


def use_tool(state):
    return {"c": look_up.invoke({"query": state["a"]})}


@pytest.mark.parametrize(
    ("hints", "contact"),
    [
        (None, "unknown"),
        ({"readOnlyHint": True}, "read"),
        ({"readOnlyHint": False, "idempotentHint": True}, "write"),
        ({"destructiveHint": False}, "write"),
        ({"annotations": {"readOnlyHint": True}}, "read"),
        ({"title": "Look up"}, "unknown"),
    ],
)
def test_annotations_of_a_tool_say_what_it_does(hints, contact):
    look_up.metadata = hints
    try:
        assert infer_effects(use_tool, State).external == {contact}
    finally:
        look_up.metadata = None


def use_own_tool(state):
    return {"c": shorten.invoke({"query": state["a"]})}


async def use_writing_tool(state):
    return {"c": await remember.ainvoke({"query": state["a"]})}


def use_all_tools(state):
    return {"c": [each.invoke(state["a"]) for each in TOOLS]}


def use_tool_by_name(state):
    return {"c": HARMLESS[state["b"]].invoke(state["a"])}


def retrieve(state):
    return {"c": NOTES.invoke(state["a"])[0].page_content}


def retrieve_and_write(state):
    return {"c": str(DIARY.invoke(state["a"]))}


def retrieve_watched(state):
    return {"c": WATCHED_NOTES.invoke(state["a"])[0].page_content}


def use_tool_object(state):
    return {"c": ECHO.invoke({"text": state["a"]})}


def use_watched_tool(state):
    return {"c": WATCHED_ECHO.invoke({"text": state["a"]})}


def get_page(state):
    reply = requests.get(state["a"], timeout=3)
    reply.raise_for_status()
    return {"c": reply.json()["text"]}


async def get_with_client(state):
    async with httpx.AsyncClient(timeout=3) as client:
        reply = await client.get(state["a"], params={"q": state["b"]})
        return {"c": reply.text}


def post_with_session(state):
    return {"c": requests.Session().post(state["a"]).text}


def get_with_live_client(state):
    return {"c": CLIENT.get(state["a"]).text}


def get_with_hook(state):
    return {"c": CLIENT.get(state["a"], auth=REMEMBERED.append).text}


CLIENT = requests.Session()


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (use_own_tool, "reads {a}, writes {c}, looks at {shorten}"),
        (
            use_writing_tool,
            "reads {a}, writes {c}, looks at {remember}, changes {REMEMBERED}",
        ),
        (
            use_all_tools,
            "reads {a}, writes {c}, looks at {StructuredTool, TOOLS}, external {unknown}",
        ),
        (use_tool_by_name, "reads {a, b}, writes {c}, looks at {HARMLESS, StructuredTool}"),
        (retrieve, "reads {a}, writes {c}, looks at {NOTES}, external {read}"),
        (
            retrieve_and_write,
            "reads {a}, writes {c}, looks at {DIARY}, changes {REMEMBERED}, external {read}",
        ),
        (retrieve_watched, "reads {a}, writes {c}, changes {REMEMBERED}, external {unknown}"),
        (use_tool_object, "reads {a}, writes {c}, looks at {ECHO}"),
        (use_watched_tool, "reads {a}, writes {c}, looks at {WATCHED_ECHO}, external {unknown}"),
        (get_page, "reads {a}, writes {c}, external {read}"),
        (get_with_client, "reads {a, b}, writes {c}, external {read}"),
        (
            get_with_live_client,
            "reads {a}, writes {c}, looks at {CLIENT}, changes {CLIENT}, external {read}",
        ),
        (post_with_session, "reads {a}, writes {c}, external {write}"),
        (
            get_with_hook,
            "reads {a}, writes {c}, looks at {CLIENT}, changes {CLIENT}, external {unknown}",
        ),
    ],
)
def test_tools_retrievers_and_clients(node, expected):
    assert show(node) == expected
