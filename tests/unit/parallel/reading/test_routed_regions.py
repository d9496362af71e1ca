"""Straight runs that end in a conditional edge: the router must see what it saw."""

import operator
from typing import Annotated

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_parallel import explain, parallelize
from langgraph_parallel.testing import assert_equivalent


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    n: int
    log: Annotated[list, operator.add]


BROKEN: list = []
SEEN: list = []


def read_a(state):
    if BROKEN:
        msg = "not now"
        raise RuntimeError(msg)
    return {"a": state["text"] + "a"}


def read_b(state):
    return {"b": state["text"] + "b"}


def on_b(state):
    return "left" if state["b"] == "xb" else "right"


def on_a(state):
    return "left" if state.get("a") == "xa" else "right"


def on_everything(state):
    return "left" if len(str(state)) % 2 else "right"


def on_luck(state):
    SEEN.append(state["b"])
    return "left" if len(SEEN) % 2 else "right"


def send_both(state):
    return [Send("left", state), Send("right", state)]


def in_place(state):
    state["log"].append("r")
    return "left"


def go_left(state):
    return {"log": ["left", state.get("a"), state.get("b")]}


def go_right(state):
    return {"log": ["right", state.get("a"), state.get("b")]}


def routed(route, **settings):
    builder = StateGraph(State)
    builder.add_sequence([read_a, read_b])
    builder.add_edge(START, "read_a")
    builder.add_node("left", go_left)
    builder.add_node("right", go_right)
    builder.add_conditional_edges("read_b", route, ["left", "right"])
    return builder.compile(**settings)


INPUTS = [{"text": "x"}, {"text": "y"}]


def test_router_that_reads_its_own_node_lets_the_others_run_beside_it():
    graph = routed(on_b)
    assert explain(graph).regions[0].levels == (("read_a", "read_b"),)
    assert_equivalent(graph, INPUTS, schedules=5)


@pytest.mark.parametrize("route", [on_a, on_everything, on_luck, send_both, in_place])
def test_other_routers_hold_their_node_back(route):
    graph = routed(route)
    assert not explain(graph).is_parallel
    if route is not on_luck:
        assert_equivalent(graph, INPUTS)


def test_report_says_where_the_router_reads_and_how_to_free_its_node():
    report = explain(routed(on_a))
    assert "test_routed_regions.py:" in report.why("read_a", "read_b")
    held = next(r for r in report.refusals if r.rule == "router-at-the-end")
    assert str(held).startswith("read_b: its conditional edge reads a, and would not see")


def test_remedy_for_a_router_that_reads_both_works():
    builder = StateGraph(State)
    builder.add_sequence([read_a, read_b, ("route", lambda state: {}), ("left", go_left)])
    builder.edges.discard(("route", "left"))
    builder.add_edge(START, "read_a")
    builder.add_node("right", go_right)
    builder.add_conditional_edges(
        "route", lambda s: "left" if s["a"] < s["b"] else "right", ["left", "right"]
    )
    assert explain(builder).regions[0].levels == (("read_a", "read_b"), ("route",))
    assert_equivalent(builder, INPUTS)


def test_router_runs_after_the_slowest_of_the_run():
    """Nothing that the run still has to do may be left behind when the router moves on."""
    builder = StateGraph(State)

    def use_a(state):
        return {"n": len(state["a"])}

    builder.add_sequence([read_a, use_a, read_b])
    builder.add_edge(START, "read_a")
    builder.add_node("left", lambda state: {"log": [state["n"]]})
    builder.add_conditional_edges("read_b", lambda s: "left" if s["b"] else END, ["left", END])
    assert explain(builder).regions[0].levels == (("read_a",), ("use_a", "read_b"))
    assert_equivalent(builder, INPUTS)


def test_loop_through_a_router():
    builder = StateGraph(State)
    builder.add_node("count", lambda state: {"n": state.get("n", 0) + 1})
    builder.add_sequence([read_a, read_b])
    builder.add_edge(START, "count")
    builder.add_edge("count", "read_a")
    builder.add_conditional_edges(
        "read_b", lambda s: "count" if s["n"] < 3 and s["b"] else END, ["count", END]
    )
    assert explain(builder).regions[0].levels == (("read_a", "read_b"),)
    assert_equivalent(builder, INPUTS)


@pytest.mark.parametrize("first", ["original", "rewritten"])
def test_a_failed_run_goes_on_to_where_the_router_leads(first):
    saver = InMemorySaver()
    original = routed(on_b, checkpointer=saver)
    rewritten = parallelize(original)
    config = {"configurable": {"thread_id": "1"}}
    BROKEN[:] = [True]
    with pytest.raises(RuntimeError, match="not now"):
        (original if first == "original" else rewritten).invoke({"text": "x"}, config)
    BROKEN.clear()
    assert rewritten.invoke(None, config)["log"] == ["left", "xa", "xb"]


@pytest.mark.parametrize(
    ("starter", "finisher"),
    [("original", "original"), ("original", "rewritten"), ("rewritten", "rewritten")],
)
def test_a_thread_paused_behind_the_router_goes_on_in_either_form(starter, finisher):
    saver = InMemorySaver()
    original = routed(on_b, checkpointer=saver, interrupt_before=["left", "right"])
    forms = {"original": original, "rewritten": parallelize(original)}
    assert forms["rewritten"].parallel_report.is_parallel
    config = {"configurable": {"thread_id": "1"}}
    forms[starter].invoke({"text": "x"}, config)
    assert forms[finisher].get_state(config).next == ("left",)
    # An update stands for the last node of the chain, whose router decides anew.
    forms[finisher].update_state(config, {"b": "other"})
    assert forms[finisher].get_state(config).next == ("right",)
    assert forms[finisher].invoke(None, config)["log"] == ["right", "xa", "other"]
