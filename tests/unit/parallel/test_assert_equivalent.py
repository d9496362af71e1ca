"""`assert_equivalent` notices whatever a run shows; lies about effects make the differences."""

import operator
from typing import Annotated

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langgraph_parallel import Effects, EquivalenceError
from langgraph_parallel.testing import assert_equivalent


class State(TypedDict, total=False):
    q: str
    a: str
    b: str
    total: Annotated[int, operator.add]


DONE: list[str] = []


def send_mail(state):
    DONE.append("mail")
    return {"a": "sent"}


def call_home(state):
    DONE.append("call")
    return {"b": "called"}


def fail_on_a(state):
    msg = f"first {state['q']}"
    raise ValueError(msg)


def fail_too(state):
    msg = "second"
    raise KeyError(msg)


def ask_name(state):
    return {"a": interrupt("name?")}


def ask_age(state):
    return {"b": interrupt("age?") + state.get("a", "nobody")}


async def add_two(state):
    return {"total": 2, "a": "x"}


async def add_one(state):
    return {"total": 1, "b": "y"}


async def take_a(state):
    return {"b": state["a"]}


def row(*functions) -> StateGraph:
    builder = StateGraph(State)
    builder.add_sequence(list(functions))
    builder.add_edge(START, functions[0].__name__)
    builder.add_edge(functions[-1].__name__, END)
    return builder


A, B = Effects(reads={"q"}, writes={"a"}), Effects(reads={"q"}, writes={"b"})


def test_the_number_of_runs_is_returned():
    assert assert_equivalent(row(add_two, take_a), [{}, {}]) == 2, "nothing is parallel"
    assert assert_equivalent(row(add_one, add_two), [{}], schedules=5) == 7


def test_effects_are_compared_in_order():
    graph = row(send_mail, call_home)
    assert_equivalent(graph, [{}], effects_log=DONE)
    lie = {"send_mail": A, "call_home": B}
    with pytest.raises(EquivalenceError, match="other effects were logged"):
        # `call_home` comes first when there is one node at a time, by name.
        assert_equivalent(graph, [{}], effects_log=DONE, effects=lie, schedules=9)


def test_a_function_may_say_what_was_done():
    def drain():
        done = list(DONE)
        DONE.clear()
        return done

    assert_equivalent(row(send_mail, call_home), [{}], effects_log=drain)


def test_error_of_a_node_that_runs_sooner_will_do():
    def prepare(state):
        return {"a": state["q"]}

    def fail_on_what_is_prepared(state):
        raise ValueError(state["a"])

    def fail_too_soon(state):
        msg = "soon"
        raise ValueError(msg)

    assert_equivalent(row(prepare, fail_on_what_is_prepared, fail_too_soon), [{"q": "x"}])


def test_any_error_of_nodes_that_run_together_will_do():
    assert_equivalent(row(fail_on_a, fail_too), [{"q": "x"}], schedules=5)
    seen = []

    def fail_sometimes(state):
        seen.append(1)
        msg = f"time {len(seen)}"
        raise ValueError(msg)

    with pytest.raises(EquivalenceError, match="another error was raised"):
        assert_equivalent(row(fail_sometimes), [{}])


def test_interrupts_are_compared_and_answered():
    graph = row(ask_name, ask_age)
    assert_equivalent(graph, [{"q": "x"}], resume=["Ada", "36"])
    lie = {"ask_name": A, "ask_age": B}
    with pytest.raises(EquivalenceError, match="other interrupts were raised"):
        assert_equivalent(graph, [{"q": "x"}], resume=[], effects=lie)


def test_updates_are_compared_even_where_the_sum_is_the_same():
    graph = row(add_two, add_one)
    assert_equivalent(graph, [{}])
    both = {"total"}
    lie = {
        "add_two": Effects(writes={"a", "total"}, folds=both),
        "add_one": Effects(writes={"b"}),
    }
    with pytest.raises(EquivalenceError, match="the updates of 'total' differ"):
        assert_equivalent(graph, [{}], effects=lie)


async def test_it_may_be_called_from_a_coroutine():
    assert_equivalent(row(add_two, add_one), [{"q": "x"}])


def test_an_input_is_not_shared_between_runs():
    def change(state):
        state["q"].append(1)
        return {"a": str(state["q"])}

    given = {"q": []}
    assert_equivalent(row(change, add_one), [given])
    assert given == {"q": []}
