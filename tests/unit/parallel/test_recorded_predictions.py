"""A recording tells how often loops are passed and which ways are taken, in sub-graphs too."""

import asyncio

import pytest
from echo_model import ScriptedModel
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_parallel import AnalysisError, explain, parallelize, record
from langgraph_parallel.reading.trace import Recording

llm = ScriptedModel()


class State(TypedDict, total=False):
    q: str
    a: str
    b: str
    c: str
    n: int


def thrice(state: State):
    answers = [llm.invoke(state["q"] + str(i)).content for i in range(3)]
    return {"a": "".join(answers)}


def once(state: State):
    return {"b": llm.invoke(state["q"]).content}


async def aonce(state: State):
    return {"b": (await llm.ainvoke(state["q"])).content}


def draft(state: State):
    return {"c": llm.invoke(state["a"] + state["b"]).content, "n": state.get("n", 0) + 1}


def graph(second=once):
    inner = StateGraph(State).add_sequence([thrice, ("once", second)]).add_edge(START, "thrice")
    builder = StateGraph(State).add_sequence([("inner", inner.compile()), draft])
    builder.add_edge(START, "inner")
    return builder.add_conditional_edges(
        "draft", lambda state: "draft" if state["n"] < 6 else END, ["draft", END]
    )


def check(recording):
    line = thrice.__code__.co_firstlineno + 1
    assert recording.runs == {"inner": 1, "draft": 6, "inner/thrice": 1, "inner/once": 1}
    assert recording.calls["inner/thrice"] == {f"model test_recorded_predictions.py:{line}": 3}
    assert sum(recording.calls["draft"].values()) == 6
    (course,) = recording.courses()
    assert [row.nodes for row in course.rows] == [("inner",), *[("draft",)] * 6]
    (inside,) = recording.courses("inner")
    assert [row.nodes for row in inside.rows] == [("thrice",), ("once",)]


def test_nodes_of_sub_graphs_are_watched_and_calls_counted_by_place():
    recording = record(graph())
    recording.graph.invoke({"q": "?"})
    check(recording)
    again = Recording.from_json(recording.to_json())
    check(again)
    assert again.to_json() == recording.to_json()


def test_the_same_in_async():
    recording = record(graph(aonce))
    asyncio.run(recording.graph.ainvoke({"q": "?"}))
    check(recording)


class Other(BaseCallbackHandler):
    def __init__(self):
        self.seen = 0

    def on_chat_model_start(self, *args, **given):
        self.seen += 1


@pytest.mark.parametrize("where", ["call", "graph"])
def test_callbacks_of_the_user_are_kept(where):
    other = Other()
    made = graph().compile()
    if where == "graph":
        made = made.with_config(callbacks=[other])
    recording = record(made)
    recording.graph.invoke({"q": "?"}, {"callbacks": [other]} if where == "call" else None)
    assert other.seen == 10
    check(recording)


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_passes_of_a_loop_count_as_they_were_seen(mode):
    recording = record(graph())
    recording.graph.invoke({"q": "?"})
    report = explain(graph(), recording=recording, mode=mode)
    seconds = recording.durations
    assert report.work == pytest.approx(seconds["inner"] + 6 * seconds["draft"])
    assert str(report).splitlines()[0].endswith("in the recorded run")


def test_runs_of_a_rewritten_graph_say_nothing_of_the_supersteps_of_its_source():
    builder = StateGraph(State).add_sequence([thrice, once]).add_edge(START, "thrice")
    recording = record(parallelize(builder.compile()))
    recording.graph.invoke({"q": "?"})
    assert recording.courses() == ()
    assert explain(builder, recording=recording).work == pytest.approx(
        sum(recording.durations.values())
    )


def test_runs_that_fail_are_no_courses_and_sends_are_told():
    def fails(state: State):
        raise ValueError(state["q"])

    failing = record(StateGraph(State).add_node(fails).add_edge(START, "fails"))
    with pytest.raises(ValueError, match="!"):
        failing.graph.invoke({"q": "!"})
    assert failing.courses() == ()
    builder = StateGraph(State).add_node(once)
    builder.add_conditional_edges(START, lambda state: [Send("once", state)], ["once"])
    recording = record(builder)
    recording.graph.invoke({"q": "?"})
    assert [row.is_sent for row in recording.courses()[0].rows] == [True]


def test_a_skipped_node_may_stand_in_a_sub_graph():
    recording = record(graph(), skip=["inner/once"])
    recording.graph.invoke({"q": "?"})
    check(recording)
    with pytest.raises(AnalysisError, match="skip="):
        record(graph(), skip=["inner/nobody"])
