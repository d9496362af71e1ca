"""Which earlier calls are a call's parents: in synthetic runs, and in real LangGraph graphs."""

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from scripted_model import ScriptedModel
from typing_extensions import TypedDict

from langgraph_rsm import ScheduledChatModel, keep_context, program
from langgraph_rsm.identity.lineage import Lineage
from langgraph_rsm.runtime.prompt import measure_prompt
from langgraph_rsm.telemetry import CallSubmitted


class State(TypedDict):
    said: Annotated[list[str], operator.add]


@pytest.fixture
def scheduler(make_scheduler):
    return make_scheduler()


@pytest.fixture
def model(scheduler):
    return ScheduledChatModel(inner=ScriptedModel(), scheduler=scheduler)


@pytest.fixture
def calls(records):
    return lambda: [record.call for record in records if isinstance(record, CallSubmitted)]


def family(calls):
    """Parents as numbers of calls in order of submission."""
    numbers = {call.call_id: number for number, call in enumerate(calls)}
    return [sorted(numbers[parent] for parent in call.parents) for call in calls]


def grown(*steps):
    """Play `+task` (begins) and `task=call` (a call in it ends); namespaces use `|`."""
    lineage = Lineage()
    for step in steps:
        if step.startswith("+"):
            lineage.step(step[1:])
        else:
            namespace, call_id = step.split("=")
            strand = lineage.strand(namespace)
            lineage.call_left(strand, lineage.call_began(strand), call_id)
    return lineage


def parents(lineage, namespace):
    return lineage.parents(lineage.strand(namespace))


def test_steps_of_a_chain_follow_one_another():
    lineage = grown("+a:1", "a:1=c1", "+b:2", "b:2=c2", "+c:3")
    assert parents(lineage, "b:2") == ("c2",)
    assert parents(lineage, "c:3") == ("c2",)


def test_branches_of_one_superstep_are_not_parents():
    lineage = grown("+a:1", "a:1=c1", "+b:2", "+b:3", "b:2=c2")
    assert parents(lineage, "b:3") == ("c1",)


def test_join_has_all_branches_as_parents():
    lineage = grown("+a:1", "a:1=c1", "+b:2", "+b:3", "b:2=c2", "b:3=c3", "+j:4")
    assert parents(lineage, "j:4") == ("c3", "c2")


def test_sub_graph_is_part_of_its_task():
    lineage = grown("+m:1", "m:1=c1", "+t:2", "+t:3", "+t:2|m:5", "t:2|m:5=c2", "+t:3|m:6")
    assert parents(lineage, "t:3|m:6") == ("c1",)
    assert parents(lineage, "t:2|m:7") == ("c2",)


def test_unknown_task_is_later_than_everything():
    assert parents(grown("a:1=c1"), "b:2") == ("c1",)
    assert parents(grown("=c1"), "") == ("c1",)
    assert parents(Lineage(), "a:1") == ()


def test_memory_is_bounded():
    lineage = Lineage()
    for number in range(10_000):
        lineage.step(f"a:{number}")
        strand = lineage.strand(f"a:{number}")
        lineage.call_left(strand, lineage.call_began(strand), str(number))
    assert len(lineage._tasks) <= 4096
    assert len(lineage._ended) <= 64
    assert parents(lineage, "b:0") == ("9999",)
    assert lineage.strand("b:0").depth == 0


async def test_map_reduce_graph(model, calls):
    async def ask(state):
        return {"said": [(await model.ainvoke("hi")).content]}

    def join(state):
        return {"said": [model.invoke("hi").content]}

    graph = StateGraph(State)
    graph.add_node("plan", ask)
    graph.add_node("work", ask)
    stamp = {"remaining_critical_path": 2.5, "unit": "s"}
    graph.add_node("join", join, metadata={"langgraph_parallel": stamp})
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda _: [Send("work", {"said": []})] * 3, ["work"])
    graph.add_edge("work", "join")
    graph.add_edge("join", END)
    await graph.compile(name="report").ainvoke({"said": []})
    assert family(calls()) == [[], [0], [0], [0], [1, 2, 3]]
    assert [call.remaining_path_s for call in calls()] == [None, None, None, None, 2.5]
    assert {call.graph for call in calls()} == {"report"}
    assert len({call.thread_id for call in calls()}) == 5


async def test_functional_api(model, calls):
    @task
    async def ask(text):
        return (await model.ainvoke(text)).content

    @entrypoint()
    async def flow(text):
        first = await ask(text)
        both = await asyncio.gather(ask(first), ask(first))
        return await ask("".join(both))

    await flow.ainvoke("hi")
    assert family(calls()) == [[], [0], [0], [1, 2]]
    assert len({call.program_id for call in calls()}) == 1
    assert {call.call_site for call in calls()} == {"ask"}


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        3,
        {},
        {"remaining_critical_path": 2},
        {"remaining_critical_path": 2, "unit": ["s"]},
        {"remaining_critical_path": "x", "unit": "s"},
        {"remaining_critical_path": -1, "unit": "s"},
    ],
)
async def test_unusable_stamps_are_ignored(model, calls, stamp):
    config = {"metadata": {"langgraph_parallel": stamp}}
    await model.ainvoke("hi", config=config)
    assert calls()[0].remaining_path_s is None


def test_kept_context_carries_the_program_into_raw_threads(model, calls):
    with program("mine"), ThreadPoolExecutor(4) as pool:
        kept = keep_context(model.invoke)
        list(pool.map(kept, ["a", "b", "c"]))
        pool.submit(model.invoke, "d").result()
    assert [call.program_id for call in calls()].count("mine") == 3
    assert keep_context(len)("abc") == 3


def test_kept_context_carries_the_graph_run_into_raw_threads(model, calls):
    def node(state):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(keep_context(model.invoke), ["a", "b"]))
        return {"said": []}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node").compile(name="g")
    graph.invoke({"said": []})
    assert {call.call_site for call in calls()} == {"g/node"}
    assert len({call.program_id for call in calls()}) == 1


def test_prompt_is_measured_and_not_kept(model, calls):
    system = SystemMessage("secret " * 100)
    model.invoke([system, HumanMessage("hi")])
    model.invoke([system, HumanMessage([{"type": "text", "text": "x" * 400}, "y"])])
    first, second = calls()
    assert first.prefix_id == second.prefix_id != ""
    assert first.prefix_tokens == 178
    assert second.prompt_tokens - first.prompt_tokens == 100
    assert "secret" not in repr(first)
    assert measure_prompt([]).tokens == 0
    assert measure_prompt([HumanMessage("hi")]).prefix_id == ""
