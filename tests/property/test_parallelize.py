"""Whatever the graph does, its parallel form answers the same."""

import copy

import pytest
from case_counts import CASES, cases
from generated_graphs import CALM, INPUT, STEADY, calm_chains, graphs, pausing_graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.types import Command

from langgraph_parallel import parallelize
from langgraph_parallel.testing import assert_equivalent

FAILURES = (ValueError, InvalidUpdateError)

RELAXED = settings(
    max_examples=cases(200),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


INPUTS = [INPUT, {**INPUT, "a": "zA", "b": "longer B", "items": [], "other": ["o", "p"]}]


@pytest.mark.timeout(240)
@given(graphs(beside=CALM, others=STEADY))
@RELAXED
def test_answers_updates_and_errors_are_equal(builder):
    CASES["graphs"] += 1
    CASES["runs"] += assert_equivalent(builder, INPUTS, schedules=1)


@pytest.mark.timeout(240)
@given(calm_chains())
@settings(RELAXED, max_examples=cases(300))
def test_whatever_runs_side_by_side_answers_as_it_did_in_a_row(builder):
    CASES["graphs"] += 1
    CASES["runs"] += assert_equivalent(builder, INPUTS, schedules=3)


def outcome(graph, config):
    try:
        return graph.invoke(copy.deepcopy(INPUT), config)
    except FAILURES as error:
        return str(error)


@given(graphs(beside=CALM))
@settings(RELAXED, max_examples=cases(80))
def test_a_failed_run_resumes_to_the_same_answer(builder):
    """A thread that fails in either topology and is resumed ends where the other one ends."""
    if "INVALID_CONCURRENT_GRAPH_UPDATE" in str(outcome(builder.compile(), {})):
        return  # the graph was wrong before: LangGraph cannot even show such a thread's state
    results = []
    for graph in (builder.compile(InMemorySaver()), parallelize(builder).compile(InMemorySaver())):
        config = {"configurable": {"thread_id": "1"}}
        errors = []
        for given_input in (copy.deepcopy(INPUT), None, None):
            try:
                # Saved while the next node runs, a value changed in place may show either way.
                graph.invoke(given_input, config, durability="sync")
            except FAILURES as error:
                errors.append(str(error))
        state = graph.get_state(config)
        results.append((bool(errors), bool(state.next), state.values if not errors else None))
    assert results[0] == results[1]


@given(graphs())
@settings(RELAXED, max_examples=cases(40))
def test_a_thread_paused_by_the_original_is_finished_by_the_rewritten(builder):
    if isinstance(outcome(builder.compile(), {}), str):
        return
    rewritten = parallelize(builder)
    config = {"configurable": {"thread_id": "1"}}
    for node in builder.nodes:
        saver = InMemorySaver()
        # Paused once: nodes that run side by side may change a value in another order next time.
        builder.compile(saver).invoke(
            copy.deepcopy(INPUT), config, interrupt_after=[node], durability="sync"
        )
        ends = []
        for finisher in (builder, rewritten):
            copied = copy.deepcopy(saver)
            original, finishing = builder.compile(copied), finisher.compile(copied)
            for _ in range(30):
                if not original.get_state(config).next:
                    break
                finishing.invoke(None, config, durability="sync")
            ends.append(original.get_state(config).values)
        assert ends[0] == ends[1]


@given(pausing_graphs(), st.booleans(), st.booleans())
@settings(RELAXED, max_examples=cases(60))
def test_a_thread_paused_inside_a_sub_graph_is_finished_by_the_rewritten(builder, ours, goes_back):
    saver = InMemorySaver()
    original, rewritten = builder.compile(saver), parallelize(builder).compile(saver)
    ends = []
    for starter, finisher in ((original, original), (rewritten if ours else original, rewritten)):
        config = {"configurable": {"thread_id": str(len(ends))}}
        try:
            starter.invoke(copy.deepcopy(INPUT), config, durability="sync")
            pause = finisher.get_state(config, subgraphs=True)
            inner = pause.tasks[0].state
            assert inner.next == ("ask",)
            ends.append([finisher.invoke(Command(resume="!"), config, durability="sync")])
            if goes_back:
                again = finisher.invoke(None, pause.config, durability="sync")
                ends[-1].append(again["__interrupt__"][0].value)
                ends[-1].append(finisher.invoke(Command(resume="?"), config, durability="sync"))
        except FAILURES:
            ends.append("failed")  # where several nodes would, the error may be that of another one
    assert ends[0] == ends[1]


def test_assert_equivalent_notices_a_lie():
    from langgraph.graph import START, StateGraph
    from typing_extensions import TypedDict

    from langgraph_parallel import Effects, EquivalenceError

    class State(TypedDict, total=False):
        x: str
        y: str

    builder = StateGraph(State)
    builder.add_node("first", lambda state: {"x": "1"})
    builder.add_node("second", lambda state: {"y": state.get("x", "0")})
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    assert_equivalent(builder, [{}])
    with pytest.raises(EquivalenceError, match="'y': '0'"):
        assert_equivalent(builder, [{}], effects={"second": Effects(writes={"y"})})
