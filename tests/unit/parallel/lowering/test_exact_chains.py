"""Chains and functions in a `RunnableLambda` as nodes: they start early, and nobody sees it."""

import asyncio
import operator
from typing import Annotated

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import parallelize


class State(TypedDict, total=False):
    q: str
    a: str
    b: str
    log: Annotated[list[str], operator.add]


class Echo(BaseChatModel):
    """Says what it is asked."""

    @property
    def _llm_type(self):
        return "echo"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        message = AIMessage(f"<{messages[-1].content}>", id="fixed")
        return ChatResult(generations=[ChatGeneration(message=message)])


LLM = Echo()
PROMPT = ChatPromptTemplate.from_template("{q}")
TEXT = LLM | StrOutputParser()


def ask(state):
    return {"a": TEXT.invoke(state["q"])}


def ask_with_config(state, config):
    return {"b": TEXT.invoke(state["q"], config)}


async def aask(state):
    return {"b": await TEXT.ainvoke(state["q"])}


LAST = {
    "lambda": lambda: RunnableLambda(lambda state: {"b": TEXT.invoke(state["q"])}),
    "named lambda": lambda: RunnableLambda(ask_with_config, name="asks"),
    "sequence": lambda: PROMPT | TEXT | (lambda text: {"b": text}),
    "sequence of functions": lambda: (
        RunnableLambda(lambda state: {"q": state["q"] + "!"}) | PROMPT | TEXT | (lambda t: {"b": t})
    ),
    "parallel": lambda: RunnableParallel(b=PROMPT | TEXT),
    "parallel of functions": lambda: RunnableParallel(
        b=PROMPT | TEXT, log=RunnableLambda(lambda state: [state["q"]])
    ),
    "picked": lambda: RunnablePick("q") | TEXT | (lambda text: {"b": text}),
    "assigned": lambda: (
        RunnableLambda(lambda state: {"q": state["q"]})
        | RunnablePassthrough.assign(b=PROMPT | TEXT)
        | RunnablePick(["b"])
    ),
    "bound": lambda: (PROMPT | TEXT | (lambda text: {"b": text})).with_config(run_name="bound"),
}


def graph_of(last, first=ask):
    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("last", last)
    builder.add_edge(START, "first")
    builder.add_edge("first", "last")
    builder.add_edge("last", END)
    return builder.compile()


class Events(BaseCallbackHandler):
    """Keeps what it is told: which run, in which one, with what."""

    def __init__(self):
        self.seen = []
        self.names = {None: "-"}

    def _start(self, kind, serialized, given, run_id, parent_run_id, kwargs):
        name = kwargs.get("name") or (serialized or {}).get("name")
        self.names[run_id] = name
        tags = [tag for tag in kwargs.get("tags") or () if not tag.startswith("graph:")]
        marks = {k: v for k, v in (kwargs.get("metadata") or {}).items() if k in _MARKS}
        self.seen.append((kind, name, self.names[parent_run_id], repr(given), tags, marks))

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, **kwargs):
        self._start("chain", serialized, inputs, run_id, parent_run_id, kwargs)

    def on_chat_model_start(self, serialized, messages, *, run_id, parent_run_id=None, **kwargs):
        self._start("model", serialized, messages, run_id, parent_run_id, kwargs)

    def on_chain_end(self, outputs, *, run_id, **kwargs):
        self.seen.append(("end", self.names[run_id], repr(outputs)))

    def on_llm_end(self, response, *, run_id, **kwargs):
        self.seen.append(("end", self.names[run_id], response.generations[0][0].text))


_MARKS = ("langgraph_node", "langgraph_step")


def told(graph, *, is_async):
    handler = Events()
    config = {"callbacks": [handler]}
    if is_async:
        result = asyncio.run(graph.ainvoke({"q": "why"}, config))
    else:
        result = graph.invoke({"q": "why"}, config)
    return result, handler.seen


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
def test_chain_starts_early_and_tells_what_it_would_have_told(last, is_async):
    result, seen = told(graph_of(last()), is_async=is_async)
    exact = parallelize(graph_of(last()), mode="exact")
    found, events = told(exact, is_async=is_async)
    assert exact.parallel_report.runtime.total.hit == 1
    assert found == result
    if "parallel" in str(type(last())).lower():  # its parts run side by side, in any order
        seen, events = sorted(map(repr, seen)), sorted(map(repr, events))
    assert events == seen


def test_async_function_in_a_lambda_starts_early():
    exact = parallelize(graph_of(RunnableLambda(aask)), mode="exact")
    assert asyncio.run(exact.ainvoke({"q": "why"}))["b"] == "<why>"
    assert exact.parallel_report.runtime.total.hit == 1


@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
@pytest.mark.parametrize("stream_mode", ["messages", "updates", "values", "debug"])
def test_streams_are_those_of_the_original(last, stream_mode):
    def parts(graph):
        found = list(graph.stream({"q": "why"}, stream_mode=stream_mode))
        if stream_mode == "messages":
            return [
                (m.content, meta["langgraph_node"], meta["langgraph_step"]) for m, meta in found
            ]
        if stream_mode == "debug":
            return [(p["step"], p["type"], p["payload"].get("result")) for p in found]
        return found

    exact = parallelize(graph_of(last()), mode="exact")
    assert parts(exact) == parts(graph_of(last()))


def test_graph_with_early_chains_may_be_part_of_another():
    exact = parallelize(graph_of(LAST["sequence"]()), mode="exact")
    outer = StateGraph(State)
    outer.add_node("inner", exact)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)
    assert parallelize(outer.compile()).invoke({"q": "why"})["b"] == "<why>"


# -- what is run in its turn -----------------------------------------------------------------------


def changes_the_question(state):
    return {"a": "x", "q": "other"}


@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
def test_chain_that_needs_what_the_node_before_writes_gets_it(last):
    graph = graph_of(last(), changes_the_question)
    exact = parallelize(graph, mode="exact")
    assert exact.invoke({"q": "why"}) == graph.invoke({"q": "why"})


def looks_at_all(state):
    return {"b": ",".join(sorted(state))}


def returns_a_runnable(state):
    return RunnableLambda(lambda given: {"b": str(sorted(given))})


@pytest.mark.parametrize("function", [looks_at_all, returns_a_runnable])
def test_function_that_looks_at_the_whole_state_sees_the_real_one(function):
    graph = graph_of(RunnableLambda(function))
    exact = parallelize(graph, mode="exact")
    assert exact.invoke({"q": "why"}) == graph.invoke({"q": "why"})


def hidden_reader(state):
    return {"q": dict.get(state, "q"), "rest": len(state)}


def test_step_that_reads_around_the_state_runs_in_its_turn():
    last = RunnableLambda(hidden_reader) | (lambda given: {"b": f"{given['q']} {given['rest']}"})
    exact = parallelize(graph_of(last), mode="exact")
    assert exact.invoke({"q": "why"})["b"] == "why 3"


SEEN = []


def keeps_a_record(state):
    SEEN.append(state["q"])
    return {"b": str(len(SEEN))}


@pytest.mark.parametrize(
    "last",
    [
        lambda: RunnableLambda(keeps_a_record),
        lambda: RunnableLambda(lambda state: state["q"]) | TEXT | keeps_a_record_of_text,
        lambda: RunnableParallel(b=RunnableLambda(keeps_a_record) | RunnablePick("b")),
    ],
)
def test_chain_with_an_effect_never_starts_early(last):
    exact = parallelize(graph_of(last()), mode="exact")
    SEEN.clear()
    exact.invoke({"q": "why"})
    assert exact.parallel_report.runtime.total.early == 0
    assert len(SEEN) == 1


def keeps_a_record_of_text(text):
    SEEN.append(text)
    return {"b": text}


class ShoutingPrompt(ChatPromptTemplate):
    def format_prompt(self, **kwargs):
        SEEN.append(sorted(kwargs))
        return super().format_prompt(**kwargs)


def test_prompt_of_the_users_keeps_its_place():
    last = ShoutingPrompt.from_template("{q}") | TEXT | (lambda text: {"b": text})
    exact = parallelize(graph_of(last), mode="exact")
    SEEN.clear()
    exact.invoke({"q": "why"})
    assert exact.parallel_report.runtime.total.early == 0
    assert len(SEEN) == 1


def test_failing_chain_fails_in_its_turn():
    def fail(text):
        raise ValueError(text)

    graph = graph_of(PROMPT | TEXT | fail)
    with pytest.raises(ValueError, match="<why>"):
        parallelize(graph, mode="exact").invoke({"q": "why"})


def test_missing_variable_of_a_prompt_is_the_originals_error():
    last = ChatPromptTemplate.from_template("{log} {b}") | TEXT | (lambda text: {"b": text})
    graph = graph_of(last)
    with pytest.raises(KeyError) as original:
        graph.invoke({"q": "why"})
    with pytest.raises(KeyError) as exact:
        parallelize(graph, mode="exact").invoke({"q": "why"})
    assert str(exact.value) == str(original.value)
