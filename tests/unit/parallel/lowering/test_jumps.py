"""A node of which nothing is known may go anywhere: then the run has the edges of the original."""

import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import parallelize


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str
    go: Any
    turns: Annotated[list[str], operator.add]


def read_a(state):
    return {"a": state["text"] + "a"}


def read_b(state):
    return {"b": state["text"] + "b"}


def read_c(state):
    return {"c": state["text"] + "c"}


def ask(state):
    return {"c": interrupt("?")}


SOURCE = """def wild(state):
    if state.get("go") and len(state["turns"]) % 2 == 0:
        return Command(goto=state["go"], update={"turns": ["jump"]})
    return {"turns": ["step"]}
"""


def wild() -> Callable[..., Any]:
    """Return a node whose code is nowhere to be found; it jumps at every other turn."""
    scope: dict[str, Any] = {"Command": Command}
    exec(compile(SOURCE, "<nowhere>", "exec"), scope)
    return scope["wild"]


def graph(last=read_c, node=None) -> StateGraph:
    """Build wild -> read_a -> read_b -> last, of which the three can be side by side."""
    builder = StateGraph(State)
    builder.add_sequence([("wild", node or wild()), read_a, read_b, ("last", last)])
    return builder.add_edge(START, "wild")


def steps(compiled, given, config=None) -> list[list[str]]:
    """Return the nodes of each superstep."""
    parts = compiled.stream(given, config, stream_mode="debug")
    found: dict[int, list[str]] = {}
    for part in parts:
        if part["type"] == "task_result":
            found.setdefault(part["step"], []).append(part["payload"]["name"])
    return [sorted(names) for _, names in sorted(found.items())]


def given(go: Any) -> dict[str, Any]:
    return {"text": "x", "go": go, "turns": []}


def test_run_without_a_jump_has_the_new_order():
    compiled = parallelize(graph()).compile()
    assert steps(compiled, given(None)) == [["wild"], ["last", "read_a", "read_b"]]


@pytest.mark.parametrize(
    "go",
    [
        *("read_b", "last", "wild", ["read_b", "last"], Send("read_b", given(None))),
        *([Send("last", given(None)), "read_b"], Send("wild", given(None))),
    ],
)
def test_jump_has_the_supersteps_of_the_original_from_there_on(go):
    original, compiled = graph().compile(), parallelize(graph()).compile()
    assert steps(compiled, given(go)) == steps(original, given(go))
    assert compiled.invoke(given(go)) == original.invoke(given(go))


@pytest.mark.parametrize("go", ["read_a", END, [END, "read_a"]])
def test_where_its_edges_lead_anyway_is_no_jump(go):
    compiled = parallelize(graph()).compile()
    assert steps(compiled, given(go)) == [["wild"], ["last", "read_a", "read_b"]]
    assert compiled.invoke(given(go)) == graph().compile().invoke(given(go))


async def test_async_run_notices_a_jump():
    node = wild()

    async def stands_for(state):
        return node(state)

    made = parallelize(graph(node=stands_for))
    assert made.parallel_report.is_parallel
    original = graph(node=stands_for).compile()
    answer = await made.compile().ainvoke(given("last"))
    assert answer == await original.ainvoke(given("last"))


def test_thread_that_pauses_after_a_jump_is_resumed_and_starts_over_in_the_new_order():
    config = {"configurable": {"thread_id": "1"}}
    seen = []
    for made in (graph(ask), parallelize(graph(ask))):
        compiled = made.compile(InMemorySaver())
        first = steps(compiled, given("read_b"), config)
        paused = compiled.get_state(config)
        again = steps(compiled, Command(resume="yes"), config)
        seen.append((first, paused.next, again, compiled.get_state(config).values))
    assert seen[0] == seen[1]
    assert steps(compiled, {"go": None}, config)[0] == ["wild"]
    assert compiled.get_state(config).next == ("last",)


def test_state_is_updated_after_a_jump_as_in_the_original():
    config = {"configurable": {"thread_id": "1"}}
    seen = []
    for made in (graph(ask), parallelize(graph(ask))):
        compiled = made.compile(InMemorySaver())
        compiled.invoke(given("last"), config)
        compiled.update_state(config, {"b": "given"}, as_node="read_a")
        following = compiled.get_state(config).next
        compiled.invoke(None, config)
        seen.append((following, compiled.get_state(config).values))
    assert seen[0] == seen[1]


def test_jump_to_the_parent_of_a_sub_graph_ends_it():
    class Outer(State):
        done: str

    def finish(state):
        return {"done": state.get("a", "-") + state.get("b", "-")}

    def build(make):
        leave = Command(goto="after", graph=Command.PARENT)
        scope: dict[str, Any] = {"leave": leave}
        exec(compile("def node(state): return leave", "<nowhere>", "exec"), scope)
        inner = make(graph(node=scope["node"])).compile()
        outer = StateGraph(Outer)
        outer.add_sequence([("inner", inner), read_a, read_b, ("after", finish)])
        return make(outer.add_edge(START, "inner")).compile()

    rewritten = build(parallelize)
    assert rewritten.parallel_report.regions[0].levels[1] == ("read_a", "read_b")
    assert rewritten.invoke(given(None)) == build(lambda made: made).invoke(given(None))


def test_drawing_shows_the_edges_of_the_new_order():
    drawn = parallelize(graph()).compile().get_graph()
    assert ("wild", "last") in {(edge.source, edge.target) for edge in drawn.edges}
    assert not any(edge.conditional for edge in drawn.edges)
