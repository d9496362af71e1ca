"""`mode="exact"` from outside: who watches a run, or waits for it, cannot tell it from the original."""

import asyncio
from typing import Any, Literal

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import ParallelConfig, parallelize


class State(TypedDict, total=False):
    x: Any
    a: Any
    b: Any
    c: Any
    d: Any


# -- runs that come to nothing ---------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_guess_may_end_when_its_region_has_been_left():
    def node(name, delay_s):
        async def run(state) -> dict[str, Any]:
            await asyncio.sleep(delay_s)
            return {name: state["x"]}

        return run

    def from_a(state) -> Literal["b", "end"]:
        return "b" if state["a"] else "end"

    def from_b(state) -> Literal["c", "end"]:
        return "c" if state["b"] else "end"

    builder = StateGraph(State).add_node("end", node("d", 5))
    for name, delay_s in {"a": 1, "b": 2, "c": 1}.items():
        builder.add_node(name, node(name, delay_s))
    builder.add_edge(START, "a").add_edge("c", "end")
    builder.add_conditional_edges("a", from_a).add_conditional_edges("b", from_b)
    config = ParallelConfig(speculate="pure", max_guesses=1)
    ours = parallelize(builder.compile(), mode="exact", config=config)
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    assert await ours.ainvoke({"x": 0}) == {"x": 0, "a": 0, "d": 0}
    assert ours.parallel_report.runtime.by_node["b"].early == 1
    assert problems == []
