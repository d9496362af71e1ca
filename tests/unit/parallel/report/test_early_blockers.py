"""Where nodes start early, each one that is held is named with its calls and what frees it."""

import gc

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, model_validator
from typing_extensions import TypedDict

from langgraph_parallel import ParallelConfig, effects, explain


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str


def chain(*nodes):
    builder = StateGraph(State).add_sequence(nodes)
    names = [node.__name__ for node in nodes]
    return builder.add_edge(START, names[0]).add_edge(names[-1], END)


def give_a(state: State):
    return {"a": state["text"]}


def give_b(state: State):
    return {"b": state["text"]}


def count_c(state: State):
    return {"c": str(gc.get_count()) + state["text"]}


def count_a(state: State):
    return {"a": str(gc.get_threshold()) + str(gc.get_count()) + state["text"]}


def pasted(line):
    scope = {}
    exec(f"{line}\ndef marked(state): ...", {"effects": effects}, scope)
    return scope["marked"].__langgraph_parallel_effects__[0]


DURATIONS = ParallelConfig(durations={"give_a": 4.0, "count_c": 2.0, "count_a": 2.0, "give_b": 3.0})


def test_one_unknown_call_is_named_and_pasting_the_line_saves_what_is_predicted():
    graph = chain(give_a, count_c, give_b)
    report = explain(graph, mode="exact", config=DURATIONS)
    (blocker,) = report.blockers()
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("unknown-calls", ("count_c",), 5.0)
    assert "get_count" in blocker.cause
    assert "test_early_blockers.py:" in blocker.cause
    found = {"count_c": pasted(blocker.declaration)}
    again = explain(graph, mode="exact", config=DURATIONS, effects=found)
    assert again.span == report.span - blocker.saves == 4.0


def test_every_node_with_an_unknown_call_is_named_with_all_its_calls():
    report = explain(chain(count_a, count_c, give_b), mode="exact", config=DURATIONS)
    reasons = {refusal.nodes: refusal.reason for refusal in report.refusals}
    assert set(reasons) == {("count_a",), ("count_c",)}
    for call in ("get_threshold", "get_count"):
        assert call in reasons["count_a",]
    assert "test_early_blockers.py:" in reasons["count_c",]
    hint = report.blockers()[0]
    assert hint.nodes == ("count_a", "count_c")
    trusting = DURATIONS.model_copy(update={"unknown_calls": "independent"})
    again = explain(chain(count_a, count_c, give_b), mode="exact", config=trusting)
    assert again.span == report.span - hint.saves


def test_pairs_and_their_reasons_stand_in_the_report_where_nothing_starts_early():
    report = explain(chain(count_a, count_c), mode="exact")
    assert not report.is_parallel
    assert report.why("count_a", "count_c").startswith("ordered: count_a keeps its place")
    assert [(pair.earlier, pair.later) for pair in report.pairs()] == [("count_a", "count_c")]


def test_a_node_that_is_no_function_is_named_with_what_that_costs():
    chained = RunnableLambda(give_a) | RunnableLambda(lambda made: {"b": made["a"]})
    chained = chained.with_retry()
    builder = StateGraph(State).add_sequence([give_a, ("chained", chained)])
    builder.add_edge(START, "give_a")
    report = explain(builder, mode="exact")
    (blocker,) = report.blockers()
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("node-kind", ("chained",), 1.0)
    assert "it is not a function" in blocker.cause
    assert "chained never starts early" in report.why("give_a", "chained")


_late = None


def late():
    global _late
    if _late is None:
        _late = open("/dev/null")  # noqa: SIM115
    return _late


def read_a(state: State):
    return {"a": state["text"] + late().mode}


def read_b(state: State):
    return {"b": state["text"] + late().mode}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_global_that_nodes_fill_is_to_be_made_where_the_module_is_loaded(mode):
    report = explain(chain(read_a, read_b), mode=mode)
    remedies = " ".join(blocker.remedy for blocker in report.blockers())
    assert "where the module is loaded" in remedies


class Checked(BaseModel):
    text: str = ""
    a: str = ""
    b: str = ""

    @model_validator(mode="after")
    def is_short(self):
        assert len(self.a) + len(self.b) < 80
        return self


class OnlyText(BaseModel):
    text: str = ""


def checked_a(state: Checked):
    return {"a": state.text}


def checked_b(state: Checked):
    return {"b": state.text}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_state_object_that_checks_its_fields_is_named_and_a_smaller_one_helps(mode):
    def build(schema):
        builder = StateGraph(Checked)
        builder.add_node("a_", checked_a)
        builder.add_node("b_", checked_b, input_schema=schema)
        return builder.add_edge(START, "a_").add_edge("a_", "b_")

    report = explain(build(Checked), mode=mode)
    (blocker,) = report.blockers()
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("state-object", ("b_",), 1.0)
    assert "so 'a' counts as read" in blocker.cause
    assert "input_schema=" in blocker.remedy
    if blocker.declaration:
        found = {"b_": pasted(blocker.declaration)}
        assert explain(build(Checked), mode=mode, effects=found).span == 1.0
    assert explain(build(OnlyText), mode=mode).span == report.span - blocker.saves


class Door:
    @property
    def key(self):
        return str(gc.get_count())


door = Door()


def open_a(state: State):
    return {"a": state["text"].upper() + door.key}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_call_inside_of_a_property_is_named_where_it_stands(mode):
    config = ParallelConfig(durations={"give_b": 1.0, "open_a": 1.0})
    report = explain(chain(give_b, open_a), mode=mode, config=config)
    (blocker,) = report.blockers()
    line = Door.key.fget.__code__.co_firstlineno + 2
    assert "get_count" in blocker.cause
    assert f"test_early_blockers.py:{line}" in blocker.cause
