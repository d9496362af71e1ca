"""Whose results a step's are, what shows of the adapter, and what the planner says itself."""

import json
from typing import Literal

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from research_lab import ASK, TITLES, Lab, plan_of, shape, stated

from examples.research_flow import Plan, State
from langgraph_parallel import AnalysisError, ParallelConfig
from langgraph_parallel.adapters import deerflow

# What DeerFlow's server sends with every question.
AGAIN = {**ASK, "plan_iterations": 0, "current_plan": "", "observations": [], "citations": []}
THREAD = {"configurable": {"thread_id": "1"}}


@pytest.mark.looptime
async def test_same_plan_asked_for_again_runs_again():
    one, many = Lab(), Lab()
    plain = one.graph().compile(checkpointer=InMemorySaver())
    graph = deerflow.parallelize(many.graph(), **stated()).compile(checkpointer=InMemorySaver())
    for _ in range(3):
        many.calls.clear()
        expected, found = await plain.ainvoke(AGAIN, THREAD), await graph.ainvoke(AGAIN, THREAD)
        assert shape(found) == shape(expected)
        assert sorted(many.calls) == sorted(TITLES)


@pytest.mark.looptime
@pytest.mark.parametrize("stops", [1, 2, 3, 4])
async def test_plan_that_was_stopped_and_is_asked_for_again_starts_from_its_first_step(stops):
    lab = Lab()
    graph = deerflow.parallelize(lab.graph(), **stated())
    saver = InMemorySaver()
    stopping = graph.compile(checkpointer=saver, interrupt_before=["research_team"])
    await stopping.ainvoke(AGAIN, THREAD)
    for _ in range(stops - 1):
        await stopping.ainvoke(None, THREAD)
    lab.calls.clear()
    final = await graph.compile(checkpointer=saver).ainvoke(AGAIN, THREAD)
    assert sorted(lab.calls) == sorted(TITLES)
    assert final["observations"] == [f"found {title}" for title in TITLES]


@pytest.mark.looptime
async def test_plan_that_was_stopped_goes_on_where_it_was():
    lab = Lab()
    graph = deerflow.parallelize(lab.graph(), **stated()).compile(
        checkpointer=InMemorySaver(), interrupt_before=["research_team"]
    )
    await graph.ainvoke(AGAIN, THREAD)
    while (await graph.aget_state(THREAD)).next:
        final = await graph.ainvoke(None, THREAD)
    assert sorted(lab.calls) == sorted(TITLES)
    assert final["observations"] == [f"found {title}" for title in TITLES]


@pytest.mark.looptime
async def test_plan_put_in_the_place_of_another_gets_none_of_its_results():
    lab = Lab()
    graph = deerflow.parallelize(lab.graph(), **stated()).compile(
        checkpointer=InMemorySaver(), interrupt_before=["research_team"]
    )
    await graph.ainvoke(AGAIN, THREAD)
    await graph.ainvoke(None, THREAD)  # prices and sizes are done, and not committed yet
    state = (await graph.aget_state(THREAD)).values
    assert lab.calls == ["prices", "sizes"]
    other = Plan.model_validate(plan_of("prices", "colors"))
    await graph.aupdate_state(THREAD, {"current_plan": other})
    lab.calls.clear()
    while (await graph.aget_state(THREAD)).next:
        final = await graph.ainvoke(None, THREAD)
    assert sorted(lab.calls) == ["colors", "prices"]
    assert [step.execution_res for step in final["current_plan"].steps] == [
        "found prices",
        "found colors",
    ]
    assert state["observations"] == []


@pytest.mark.looptime
async def test_plan_without_steps_ends_as_in_the_original():
    empty = {**plan_of(), "steps": []}
    one, many = Lab(), Lab()
    expected = await one.graph(plan=empty).compile().ainvoke(ASK)
    graph = deerflow.parallelize(many.graph(plan=empty), **stated())
    assert shape(await graph.compile().ainvoke(ASK)) == shape(expected)


@pytest.mark.looptime
async def test_steps_of_one_interpreter_run_in_their_order():
    kinds = {"code", "more code"}
    plan = plan_of("code", "prices", "more code")
    for step in plan["steps"]:
        step["step_type"] = "processing" if step["title"] in kinds else "research"
    lab = Lab(delays={"prices": 1})
    await deerflow.parallelize(lab.graph(plan=plan), **stated({})).compile().ainvoke(ASK)
    assert lab.spans == {"code": (0, 1), "prices": (0, 1), "more code": (1, 2)}
    free = Lab()
    graph = deerflow.parallelize(free.graph(plan=plan), **stated({}), one_at_a_time=())
    await graph.compile().ainvoke(ASK)
    assert free.spans["more code"] == (0, 1)


@pytest.mark.looptime
@pytest.mark.parametrize("is_compiled", [True, False])
async def test_nothing_of_the_adapter_shows_in_states_and_streams(is_compiled):
    lab = Lab()
    builder, saver = lab.graph(), InMemorySaver()
    if is_compiled:
        graph = deerflow.parallelize(builder.compile(checkpointer=saver), **stated())
    else:
        graph = deerflow.parallelize(builder, **stated()).compile(checkpointer=saver)
    modes = ["values", "updates"]
    shown = [chunk async for _, chunk in graph.astream(ASK, THREAD, stream_mode=modes)]
    assert "parallel_research" not in str(shown)
    assert "parallel_research" not in (await graph.aget_state(THREAD)).values
    async for state in graph.aget_state_history(THREAD):
        assert "parallel_research" not in state.values
    assert set(shown[-1]) <= set(State.__annotations__) | {"messages"}


# -- what the planner says -------------------------------------------------------------------------


def planned(lab, needs, told):
    """A graph whose planner answers with dependencies where it is asked for them."""
    builder = lab.graph()
    plan = plan_of(*TITLES)

    def planner(state) -> Command[Literal["human_feedback", "reporter"]]:
        if state["plan_iterations"]:
            return Command(goto="reporter")
        told.append([message.content for message in state["messages"]])
        steps = [{**step, "depends_on": n} for step, n in zip(plan["steps"], needs, strict=True)]
        text = json.dumps({**plan, "steps": steps})
        message = AIMessage(content=f"```json\n{text}\n```", name="planner")
        return Command(update={"messages": [message], "current_plan": text}, goto="human_feedback")

    builder.nodes["planner"].runnable = RunnableLambda(planner)
    return builder


@pytest.mark.looptime
async def test_planner_can_be_asked_for_dependencies():
    lab, told = Lab(), []
    graph = deerflow.parallelize(planned(lab, [[], [], [1], [2, 3]], told), ask_planner=True)
    final = await graph.compile().ainvoke(ASK)
    assert lab.spans == {"prices": (0, 1), "sizes": (0, 1), "compare": (1, 2), "code": (2, 3)}
    assert told[0][-1].startswith("In the JSON of the plan")
    assert final["observations"] == [f"found {title}" for title in TITLES]
    assert "In the JSON of the plan" not in str(final["messages"])


@pytest.mark.looptime
@pytest.mark.parametrize("needs", [[[], [], [9], []], [[], [2], [], []], [[], "x", [], []]])
async def test_dependencies_that_cannot_be_true_are_not_believed(needs):
    lab = Lab()
    config = ParallelConfig(strategies=("explicit",))
    graph = deerflow.parallelize(planned(lab, needs, []), config=config, ask_planner=True)
    await graph.compile().ainvoke(ASK)
    assert lab.calls == list(TITLES)


@pytest.mark.looptime
async def test_planner_is_not_asked_by_default():
    lab, told = Lab(), []
    await deerflow.parallelize(planned(lab, [[]] * 4, told)).compile().ainvoke(ASK)
    assert told == [["Which shoes?"]]


def test_asking_needs_a_planner():
    builder = Lab().graph()
    del builder.nodes["planner"]
    with pytest.raises(AnalysisError, match="needs DeerFlow's node 'planner'"):
        deerflow.parallelize(builder, ask_planner=True)
