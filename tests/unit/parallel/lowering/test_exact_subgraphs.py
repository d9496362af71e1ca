"""`mode="exact"` inside of sub-graphs: their nodes start early, and nobody sees a difference."""

import asyncio
import operator
from typing import Annotated

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from side_by_side import awatch, watch
from typing_extensions import TypedDict

from langgraph_parallel import explain, parallelize
from langgraph_parallel.testing import assert_equivalent


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str
    log: Annotated[list[str], operator.add]


def a(state):
    return {"a": "a" + state["text"], "log": ["a"]}


def b(state):
    return {"b": "b" + state["text"], "log": ["b"]}


def c(state):
    return {"c": state["a"] + state["b"], "log": ["c"]}


def ask(state):
    return {"b": interrupt("which?"), "log": ["ask"]}


def fail(state):
    raise ValueError(state["a"])


def chain(*nodes, **settings):
    builder = StateGraph(State)
    builder.add_sequence(list(nodes))
    builder.add_edge(START, getattr(nodes[0], "name", None) or nodes[0].__name__)
    builder.add_edge(nodes[-1].__name__, END)
    return builder.compile(**settings)


def outer(inner):
    builder = StateGraph(State)
    builder.add_node("before", lambda state: {"text": state["text"] + "!"})
    builder.add_node("inner", inner)
    builder.add_node("after", lambda state: {"text": state["c"]})
    for u, v in ((START, "before"), ("before", "inner"), ("inner", "after"), ("after", END)):
        builder.add_edge(u, v)
    return builder


def test_nodes_of_a_sub_graph_start_early():
    graph = parallelize(outer(chain(a, b, c)).compile(), mode="exact")
    assert graph.invoke({"text": "x", "log": []})["c"] == "ax!bx!"
    counts = graph.parallel_report.runtime.by_node
    assert counts["inner/b"].hit == 1
    assert graph.parallel_report.runtime.total.hit >= 1


async def test_nodes_of_a_sub_graph_start_early_in_async():
    graph = parallelize(outer(chain(a, b, c)).compile(), mode="exact")
    assert (await graph.ainvoke({"text": "x", "log": []}))["c"] == "ax!bx!"
    assert graph.parallel_report.runtime.by_node["inner/b"].hit == 1


def test_the_user_s_graphs_stay_as_they_are():
    inner = chain(a, b, c)
    graph = outer(inner).compile()
    bound = [node.bound for node in inner.nodes.values()]
    parallelize(graph, mode="exact").invoke({"text": "x", "log": []})
    assert graph.builder.nodes["inner"].runnable is inner
    assert [node.bound for node in inner.nodes.values()] == bound


def test_graphs_in_graphs_in_graphs():
    graph = parallelize(outer(outer(chain(a, b, c)).compile()).compile(), mode="exact")
    assert graph.invoke({"text": "x", "log": []})["c"] == "ax!!bx!!"
    assert graph.parallel_report.runtime.by_node["inner/inner/b"].hit == 1


def test_report_names_the_nodes_of_sub_graphs():
    report = explain(outer(chain(a, b, c)), mode="exact")
    assert any(part.host == "inner" for part in report.regions)
    assert "inner/b" in str(report)


def test_sub_graph_with_a_thread_of_its_own_stays():
    inner = chain(a, b, c, checkpointer=True)
    graph = parallelize(outer(inner).compile(InMemorySaver()), mode="exact")
    assert graph.builder.nodes["inner"].runnable is inner
    assert not any(part.host for part in graph.parallel_report.regions)
    assert "own-thread" in {refusal.rule for refusal in graph.parallel_report.refusals}


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("nodes", [(a, b, c), (a, ask, b, c), (a, b, fail)])
@pytest.mark.parametrize("watcher", [watch, awatch])
def test_streams_and_history_are_equal(nodes, watcher, durability):
    def seen(graph):
        inputs = [{"text": "x", "log": []}, Command(resume="B"), None]
        found = watcher(graph, *inputs, subgraphs=True, durability=durability)
        found = asyncio.run(found) if asyncio.iscoroutine(found) else found
        config = {"configurable": {"thread_id": "1"}}
        return [*map(repr, found), repr(graph.get_state(config, subgraphs=True).values)]

    builder = outer(chain(*nodes))
    original = builder.compile(InMemorySaver())
    assert seen(parallelize(original, mode="exact")) == seen(builder.compile(InMemorySaver()))


@pytest.mark.parametrize("swap", [False, True])
def test_thread_paused_inside_moves_between_the_graphs(swap):
    saver = InMemorySaver()
    original = outer(chain(a, ask, b, c)).compile(saver)
    graphs = original, parallelize(original, mode="exact")
    config = {"configurable": {"thread_id": "1"}}
    graphs[swap].invoke({"text": "x", "log": []}, config)
    result = graphs[not swap].invoke(Command(resume="B"), config)
    assert result["c"] == "ax!bx!"
    assert result["log"] == ["a", "ask", "b", "c"]


def test_equivalent_under_delays():
    assert assert_equivalent(outer(chain(a, b, c)), [{"text": "x", "log": []}], mode="exact") > 0
