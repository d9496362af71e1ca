"""Graphs inside of graphs: each is rewritten on its own, and nothing changes around it."""

import operator
from typing import Annotated

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, RewriteError, explain, parallelize
from langgraph_parallel.testing import assert_equivalent


class State(TypedDict, total=False):
    q: str
    a: str
    b: str
    c: str
    d: str
    log: Annotated[list, operator.add]


BROKEN: list = []


def give_a(state):
    return {"a": state["q"] + "a"}


def give_b(state):
    return {"b": state["q"] + "b"}


def flaky_b(state):
    if BROKEN:
        msg = "not now"
        raise RuntimeError(msg)
    return {"b": state["q"] + "b"}


def use_both(state):
    return {"c": state["a"] + state["b"], "log": ["use_both"]}


def ask(state):
    return {"d": interrupt("q") + state["c"], "log": ["ask"]}


def finish(state):
    return {"d": state.get("d", "") + "!", "log": ["finish"]}


def row(*nodes) -> StateGraph:
    builder = StateGraph(State)
    names = [name for name, _ in nodes]
    for name, node in nodes:
        builder.add_node(name, node)
    for u, v in zip([START, *names], [*names, END], strict=False):
        builder.add_edge(u, v)
    return builder


def inner_graph(*extra, b=give_b, **settings):
    nodes = [("a", give_a), ("b", b), ("c", use_both), *extra]
    return row(*nodes).compile(**settings)


def outer_graph(inner, **settings):
    return row(("inner", inner), ("finish", finish)).compile(**settings)


def inner_of(graph):
    return graph.builder.nodes["inner"].runnable


def test_the_regions_of_a_sub_graph_are_rewritten_and_named_after_it():
    inner = inner_graph(name="mine")
    graph = outer_graph(inner)
    edges = set(inner.builder.edges)
    rewritten = parallelize(graph)
    report = rewritten.parallel_report
    assert report.regions[-1].levels == (("inner/a", "inner/b"), ("inner/c",))
    assert report.regions[-1].host == "inner"
    assert "inner/a" in report.why("inner/a", "inner/c")
    assert "inner/a: reads {q}, writes {a}" in str(report)
    assert (report.work, report.span) == (4.0, 3.0)
    assert inner_of(rewritten).name == "mine"
    assert inner_of(rewritten).original is inner
    assert inner_of(graph) is inner
    assert inner.builder.edges == edges
    assert_equivalent(graph, [{"q": "Q"}])


def test_a_drawing_shows_what_happened_inside():
    report = explain(outer_graph(inner_graph()))
    assert '  subgraph n1["inner"]\n    n1_0(["__start__"])' in report.before
    assert "    n1_1 --> n1_2" in report.before
    assert "    n1_1 ==> n1_3\n    n1_2 ==> n1_3" in report.after
    assert "subgraph" not in explain(outer_graph(row(("a", give_a)).compile())).after


def test_depth_does_not_matter():
    graph = outer_graph(outer_graph(inner_graph()))
    report = parallelize(graph).parallel_report
    assert report.regions[-1].levels == (("inner/inner/a", "inner/inner/b"), ("inner/inner/c",))
    assert report.regions[-1].host == "inner/inner"
    assert (report.work, report.span) == (5.0, 4.0)
    assert_equivalent(graph, [{"q": "Q"}])


def test_declarations_and_durations_reach_inside():
    graph = outer_graph(inner_graph())
    report = explain(graph, effects={"inner/b": Effects(reads={"a"}, writes={"b"})})
    assert not report.is_parallel
    durations = {"inner/a": 3.0, "inner/b": 4.0, "inner/c": 1.0, "finish": 2.0}
    report = explain(graph, config=ParallelConfig(durations=durations))
    assert (report.work, report.span, report.unit) == (10.0, 7.0, "s")
    # What is known of the whole sub-graph is shared out among its nodes.
    report = explain(graph, config=ParallelConfig(durations={"inner": 9.0, "finish": 1.0}))
    assert (report.work, report.span) == (10.0, 7.0)


def test_a_graph_that_keeps_threads_of_its_own_stays():
    inner = inner_graph(checkpointer=True)
    rewritten = parallelize(outer_graph(inner))
    assert inner_of(rewritten) is inner
    assert "inner: inside of it, it is compiled with checkpointer=True" in str(
        rewritten.parallel_report
    )


def test_a_builder_compiled_to_keep_threads_of_its_own_stays_as_it_was():
    inner = inner_graph()
    builder = row(("inner", inner), ("finish", finish))
    kept = parallelize(builder).compile(checkpointer=True)
    assert inner_of(kept) is inner
    assert not builder.compiled


def test_a_graph_called_from_a_function_stays():
    inner = inner_graph()

    def call(state):
        return {"c": inner.invoke({"q": state["q"]})["c"]}

    report = parallelize(row(("call", call), ("c", use_both)).compile()).parallel_report
    assert [part.host for part in report.regions] == [""]


def test_interrupt_points_and_resources_inside_are_kept():
    inner = inner_graph(interrupt_before=["b"])
    assert not explain(outer_graph(inner)).is_parallel
    reader = Effects(reads={"q"}, writes={"a"}, resources={"api"})
    other = Effects(reads={"q"}, writes={"b"}, resources={"api"})
    declared = {"inner/a": reader, "inner/b": other}
    graph = outer_graph(inner_graph())
    assert not explain(graph, effects=declared, resources={"api": 2}).is_parallel


@pytest.mark.parametrize("first", ["original", "rewritten"])
def test_a_thread_paused_inside_is_finished_by_either_form(first):
    saver = InMemorySaver()
    original = outer_graph(inner_graph(("ask", ask)), checkpointer=saver)
    rewritten = parallelize(original)
    config = {"configurable": {"thread_id": "1"}}
    starter = original if first == "original" else rewritten
    starter.invoke({"q": "Q"}, config)
    for graph in (rewritten, starter):
        nested = graph.get_state(config, subgraphs=True).tasks[0].state
        assert nested.next == ("ask",)
        assert graph.get_state(nested.config).next == ("ask",)
    result = rewritten.invoke(Command(resume="R"), config)
    assert result["d"] == "RQaQb!"
    assert result["log"] == ["use_both", "ask", "finish"]


@pytest.mark.parametrize("first", ["original", "rewritten"])
async def test_a_thread_that_failed_inside_goes_on_where_it_was(first):
    saver = InMemorySaver()
    original = outer_graph(inner_graph(b=flaky_b), checkpointer=saver)
    rewritten = parallelize(original)
    config = {"configurable": {"thread_id": "1"}}
    BROKEN[:] = [True]
    with pytest.raises(RuntimeError, match="not now"):
        await (original if first == "original" else rewritten).ainvoke({"q": "Q"}, config)
    BROKEN.clear()
    result = await rewritten.ainvoke(None, config)
    assert result["d"] == "!"
    assert result["c"] == "QaQb"
    assert result["log"] == ["use_both", "finish"]


def test_going_back_inside_a_sub_graph_runs_the_topology_that_wrote_the_past():
    saver = InMemorySaver()
    original = outer_graph(inner_graph(("ask", ask)), checkpointer=saver)
    rewritten = parallelize(original)
    config = {"configurable": {"thread_id": "1"}}
    original.invoke({"q": "Q"}, config)
    nested = original.get_state(config, subgraphs=True).tasks[0].state.config
    history = [
        s
        for s in original.get_state_history(
            {"configurable": {**nested["configurable"], "checkpoint_id": None}}
        )
        if s.next == ("b",)
    ]
    original.invoke(Command(resume="R"), config)
    for graph in (original, rewritten):
        found = graph.invoke(None, history[0].config)
        assert found["__interrupt__"][0].value == "q"
        assert found["log"] == [], "the sub-graph's updates are not the outer graph's yet"


def test_an_update_inside_a_sub_graph_answers_to_its_own_guard():
    saver = InMemorySaver()
    rewritten = parallelize(outer_graph(inner_graph(b=flaky_b), checkpointer=saver))
    config = {"configurable": {"thread_id": "1"}}
    BROKEN[:] = [True]
    with pytest.raises(RuntimeError, match="not now"):
        rewritten.invoke({"q": "Q"}, config)
    BROKEN.clear()
    nested = rewritten.get_state(config, subgraphs=True).tasks[0].state.config
    with pytest.raises(RewriteError, match="middle of a part that was made parallel"):
        rewritten.update_state(nested, {"a": "x"}, as_node="a")


def test_a_thread_of_another_rewriting_is_refused_while_it_is_paused():
    saver = InMemorySaver()
    builder = row(("a", give_a), ("b", flaky_b), ("c", use_both))
    config = {"configurable": {"thread_id": "1"}}
    BROKEN[:] = [True]
    with pytest.raises(RuntimeError, match="not now"):
        parallelize(builder.compile(saver)).invoke({"q": "Q"}, config)
    BROKEN.clear()
    builder = row(("a", give_a), ("b", flaky_b), ("finish", finish), ("c", use_both))
    changed = parallelize(builder.compile(saver))
    with pytest.raises(RewriteError, match=r"paused at .* in another parallel form"):
        changed.invoke(None, config)
    assert changed.invoke({"q": "Q"}, {"configurable": {"thread_id": "2"}})["c"] == "QaQb"


def test_the_original_topology_is_compiled_once_for_many_uses():
    saver = InMemorySaver()
    original = row(("a", give_a), ("b", give_b), ("c", use_both), ("ask", ask)).compile(saver)
    rewritten = parallelize(original)
    assert rewritten._unchanged() is rewritten._unchanged()
    before = rewritten._unchanged()
    rewritten.debug = not rewritten.debug
    assert rewritten._unchanged() is not before
    assert rewritten._unchanged().debug is rewritten.debug
