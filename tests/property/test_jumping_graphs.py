"""A node that goes where nobody foresaw takes the run over to the original order."""

import copy
import itertools
import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from case_counts import CASES, cases
from generated_graphs import CALM, INPUT, STEADY, State, add_entry, ask, make_node
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.graph import END, StateGraph
from langgraph.types import Command, Send

from langgraph_parallel import parallelize
from langgraph_parallel.testing import assert_equivalent

RELAXED = settings(
    max_examples=cases(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FAILURES = (ValueError, InvalidUpdateError)


class Hopping(State):
    hops: Annotated[list[str], operator.add]


MOST_HOPS = 5
SOURCE = """def node(state):
    hops = state.get("hops", [])
    if len(hops) in WHEN:
        return Command(update={"hops": [NAME]}, goto=GOTO)
    return {"hops": [NAME]}
"""


def make_wild(name: str, goto: Any, when: set[int]) -> Callable[..., Any]:
    """Return a node whose code cannot be read, and which jumps at some of its turns."""
    note(f"# {name} jumps to {goto} at {when}")
    scope = {"Command": Command, "NAME": name, "GOTO": goto, "WHEN": when}
    exec(compile(SOURCE, "<not to be found>", "exec"), scope)
    return scope["node"]


@st.composite
def jumping_graphs(draw, *, pauses: bool = False) -> StateGraph:
    """A chain with nodes in it that may jump to any node of the graph."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=3, max_size=6))
    wild = draw(st.lists(st.sampled_from("uvw"), unique=True, min_size=1, max_size=2))
    chain = list(names)
    for name in wild:
        chain.insert(draw(st.integers(0, len(chain))), name)
    builder = StateGraph(Hopping)
    entry = draw(st.sampled_from(["start", "start", "join", "merge", "map", "sub-graph"]))
    beside = {"start": [], "map": ["x"], "sub-graph": ["inner"]}.get(entry, ["x", "y"])
    for name in chain:
        if name in wild:
            node = make_wild(name, draw(targets([*chain, *beside])), draw(turns()))
        elif pauses and draw(st.integers(0, 3)) == 0:
            node = ask
        else:
            node = make_node(name, draw(CALM))
        builder.add_node(name, node)
    made = [make_node("x", draw(CALM)), *(make_node(n, draw(STEADY)) for n in "yz")]
    add_entry(builder, entry, chain[0], made)
    for u, v in itertools.pairwise(chain):
        if u not in wild or draw(st.integers(0, 3)):  # else it goes on by itself, if at all
            builder.add_edge(u, v)
    if draw(st.booleans()):
        builder.add_node("count", lambda state: {"hops": ["count"]})
        builder.add_edge(chain[-1], "count")
        start = draw(st.sampled_from(chain))
        builder.add_conditional_edges("count", make_loop(start), [start, END])
    return builder


def make_loop(start: str) -> Callable[..., Any]:
    """Route back to `start` as long as there were few turns."""

    def route(state):
        return start if len(state["hops"]) < MOST_HOPS else END

    return route


def targets(names: list[str]) -> st.SearchStrategy:
    """Draw where a node jumps to: one node, several, or by `Send`s."""
    one = st.sampled_from([*names, END])
    late = {**INPUT, "hops": ["sent"] * MOST_HOPS}  # whoever is sent there jumps no more
    sent = st.sampled_from(names).map(lambda name: Send(name, copy.deepcopy(late)))
    return st.one_of(one, one, st.lists(one, max_size=2), st.lists(sent, max_size=2))


def turns() -> st.SearchStrategy:
    """Draw after how many turns of such nodes one jumps."""
    return st.sets(st.integers(0, MOST_HOPS - 1), max_size=3)


@given(jumping_graphs())
@RELAXED
def test_graphs_with_nodes_that_jump_end_the_same(builder):
    CASES["graphs"] += 1
    ends = []
    for graph in (builder.compile(), parallelize(builder).compile()):
        try:
            ends.append(graph.invoke(copy.deepcopy(INPUT), {"recursion_limit": 200}))
        except FAILURES as error:
            ends.append(type(error))
    assert ends[0] == ends[1]


@pytest.mark.timeout(240)
@given(jumping_graphs())
@settings(RELAXED, max_examples=cases(30))
def test_graphs_with_nodes_that_jump_update_and_fail_the_same(builder):
    CASES["graphs"] += 1
    CASES["runs"] += assert_equivalent(builder, [INPUT], schedules=1)


@pytest.mark.timeout(240)
@given(jumping_graphs(pauses=True), st.booleans())
@RELAXED
def test_threads_with_nodes_that_jump_go_on_as_they_did(builder, starts_over):
    """They pause, are resumed and are given another turn in either topology."""
    note(f"# {sorted(builder.edges)}, {sorted(builder.waiting_edges)}")
    ends = []
    for made in (builder, parallelize(builder)):
        graph = made.compile(InMemorySaver())
        config = {"configurable": {"thread_id": "1"}, "recursion_limit": 60}
        seen: list[Any] = []
        given_input: Any = copy.deepcopy(INPUT)
        for turn in range(9):
            try:
                graph.invoke(given_input, config, durability="sync")
            except FAILURES as error:
                seen.append(("failed", type(error)))
                break
            state = graph.get_state(config)
            waits = {wait.id: str(turn) for task in state.tasks for wait in task.interrupts}
            seen.append((sorted(state.next), state.values) if waits else state.values)
            given_input = Command(resume=waits) if waits else copy.deepcopy(INPUT)
            if starts_over and turn == 1:
                given_input = copy.deepcopy(INPUT)
        ends.append(seen)
    assert ends[0] == ends[1]
