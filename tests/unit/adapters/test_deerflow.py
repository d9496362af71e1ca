"""DeerFlow's graph with steps side by side: the same answers, and what each step is told."""

import json
from typing import Annotated, Literal

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy
from research_lab import ASK, TITLES, Lab, Stated, agent_of, plan_of, shape, stated

from examples.research_flow import Plan, State, build_graph, next_worker
from langgraph_parallel import AnalysisError, ParallelConfig
from langgraph_parallel.adapters import deerflow
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.planner import ParallelPlanner


@pytest.mark.looptime
@pytest.mark.parametrize("sees", ["dependencies", "finished"])
async def test_final_state_is_that_of_the_sequential_graph(sees):
    delays = {"prices": 3, "sizes": 1, "compare": 2}
    one, many = Lab(delays=delays), Lab(delays=delays)
    expected = await one.graph().compile().ainvoke(ASK)
    rewritten = deerflow.parallelize(many.graph(), **stated(), sees=sees)
    assert shape(await rewritten.compile().ainvoke(ASK)) == shape(expected)
    assert expected["citations"][1] == {"url": "https://x/all", "title": "code"}
    assert many.spans == {"prices": (0, 3), "sizes": (0, 1), "compare": (3, 5), "code": (5, 6)}
    assert max(end for _, end in one.spans.values()) == 7


@pytest.mark.looptime
async def test_step_out_of_turn_is_committed_after_the_one_before():
    after = {"b": ("a",)}
    one, many = Lab(), Lab()
    expected = await one.graph("a", "b", "c").compile().ainvoke(ASK)
    graph = deerflow.parallelize(many.graph("a", "b", "c"), **stated(after)).compile()
    final = await graph.ainvoke(ASK)
    assert shape(final) == shape(expected)
    assert many.spans["c"] == (0, 1)
    assert "found" not in many.prompts["c"]


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("sees", "told"),
    [("dependencies", ["prices"]), ("finished", ["prices", "sizes"])],
)
async def test_step_is_told_what_it_should_see(sees, told):
    lab = Lab()
    await deerflow.parallelize(lab.graph(), **stated(), sees=sees).compile().ainvoke(ASK)
    assert [t for t in TITLES if f"found {t}" in lab.prompts["compare"]] == told
    assert [t for t in TITLES if f"found {t}" in lab.prompts["code"]] == list(TITLES[:3])


@pytest.mark.looptime
async def test_chain_has_the_very_same_prompts():
    one, many = Lab(), Lab()
    await one.graph().compile().ainvoke(ASK)
    chain = deerflow.parallelize(many.graph(), config=ParallelConfig(strategies=("explicit",)))
    await chain.compile().ainvoke(ASK)
    assert many.prompts == one.prompts


@pytest.mark.looptime
async def test_failing_analyzer_leaves_the_plan_in_order(caplog):
    class Broken:
        def analyze(self, tasks, *, goal=""):
            raise ConnectionError("secret")

    lab, config = Lab(), ParallelConfig(strategies=("broken",))
    graph = deerflow.parallelize(lab.graph(), config=config, analyzers={"broken": Broken()})
    await graph.compile().ainvoke(ASK)
    assert lab.calls == list(TITLES)
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.looptime
async def test_failing_step_is_an_error_finding_as_in_the_original():
    one, many = Lab(), Lab()
    one.failing = many.failing = {"sizes"}
    expected = await one.graph().compile().ainvoke(ASK)
    final = await deerflow.parallelize(many.graph(), **stated()).compile().ainvoke(ASK)
    assert shape(final) == shape(expected)
    assert final["current_plan"].steps[1].execution_res == "[ERROR] researcher: sizes broke"
    assert "[ERROR]" in many.prompts["code"]


@pytest.mark.looptime
async def test_review_of_the_plan_pauses_and_goes_on():
    lab = Lab()
    graph = deerflow.parallelize(lab.graph().compile(checkpointer=InMemorySaver()), **stated())
    config = {"configurable": {"thread_id": "1"}}
    paused = await graph.ainvoke({"messages": [("user", "Which?")]}, config)
    assert paused["__interrupt__"][0].value == "Please review the plan."
    await graph.ainvoke(Command(resume="[EDIT_PLAN] more"), config)
    assert not lab.calls
    final = await graph.ainvoke(Command(resume="[ACCEPTED]"), config)
    assert len(final["observations"]) == 4
    assert "parallel_research" not in final


class Crash(BaseException):
    """Not an `Exception`, so that no node can catch it."""


@pytest.mark.looptime
async def test_crash_does_not_lose_finished_steps():
    lab = Lab(delays={"prices": 1, "sizes": 2})
    crash = {"sizes": True, "compare": True}

    async def answer(state):
        title = state["messages"][-1].content.rpartition("Your step: ")[2].partition("\n")[0]
        result = await lab.answer(state)
        if crash.pop(title, False):
            raise Crash
        return result

    class Agent:
        async def astream(self, state, stream_mode):
            yield await answer({"messages": state["messages"]})

    agents = dict.fromkeys(("researcher", "analyst", "coder"), Agent())
    write = RunnableLambda(lambda text: AIMessage(content="w"))
    builder = build_graph(plan=plan_of(*TITLES), agents=agents, write=write)
    saver = InMemorySaver()
    config = {"configurable": {"thread_id": "1"}}
    for _ in range(2):
        # A new process: nothing but the checkpoints is left.
        graph = deerflow.parallelize(builder, **stated()).compile(checkpointer=saver)
        with pytest.raises(Crash):
            await graph.ainvoke(ASK if not lab.calls else None, config)
    final = await graph.ainvoke(None, config)
    assert lab.calls == ["prices", "sizes", "sizes", "compare", "compare", "code"]
    assert final["observations"] == [f"found {title}" for title in TITLES]
    saved = (await graph.aget_state(config)).values["current_plan"]
    assert [step.execution_res for step in saved.steps] == final["observations"]


@pytest.mark.looptime
async def test_thread_paused_by_the_original_graph_goes_on():
    lab = Lab()
    builder, saver = lab.graph(), InMemorySaver()
    config = {"configurable": {"thread_id": "1"}}
    first = builder.compile(checkpointer=saver, interrupt_before=["researcher"])
    await first.ainvoke(ASK, config)
    graph = deerflow.parallelize(builder, **stated()).compile(checkpointer=saver)
    final = await graph.ainvoke(None, config)
    assert final["observations"] == [f"found {title}" for title in TITLES]
    assert lab.calls == list(TITLES)


@pytest.mark.looptime
async def test_streams_name_the_agents_as_before():
    """The front end names `ns[0]`, or `langgraph_node` where `ns` is empty."""

    async def seen(graph):
        shown, nodes = [], set()
        stream = graph.astream(ASK, stream_mode=["messages", "updates"], subgraphs=True)
        async for ns, mode, chunk in stream:
            if mode == "updates":
                nodes |= set() if ns else set(chunk)
                continue
            message, metadata = chunk
            agent = ns[0].partition(":")[0] if ns else metadata["langgraph_node"]
            shown.append((agent, message.type, message.content.rpartition("Your step: ")[2]))
        return sorted(shown), nodes

    one, many = Lab(), Lab()
    one.failing = many.failing = {"sizes"}
    expected = await seen(one.graph().compile())
    assert await seen(deerflow.parallelize(many.graph(), **stated()).compile()) == expected
    assert {agent for agent, *_ in expected[0]} >= {"researcher", "analyst", "coder"}


@pytest.mark.looptime
async def test_empty_answer_counts_as_done():
    lab = Lab()
    lab.empty = {"prices"}
    graph = deerflow.parallelize(lab.graph(), **stated()).compile()
    final = await graph.ainvoke(ASK)
    assert lab.calls.count("prices") == 1
    assert final["observations"] == ["", *(f"found {title}" for title in TITLES[1:])]
    assert final["final_report"]


@pytest.mark.looptime
async def test_question_of_a_step_is_answered_to_that_step():
    lab = Lab()
    lab.asking = {"sizes"}
    graph = deerflow.parallelize(lab.graph(), **stated()).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    paused = await graph.ainvoke(ASK, config)
    assert [question.value for question in paused["__interrupt__"]] == ["May sizes?"]
    final = await graph.ainvoke(Command(resume="yes"), config)
    assert final["observations"] == [f"found {title}" for title in TITLES]
    assert lab.calls.count("prices") == 1


@pytest.mark.looptime
async def test_asking_before_tools_runs_one_step_at_a_time():
    lab = Lab()
    graph = deerflow.parallelize(lab.graph(), **stated()).compile()
    await graph.ainvoke(ASK, {"configurable": {"interrupt_before_tools": ["shell"]}})
    assert max(end for _, end in lab.spans.values()) == 4


@pytest.mark.looptime
async def test_max_concurrency_bounds_a_round():
    lab = Lab()
    graph = deerflow.parallelize(lab.graph("a", "b", "c", "d"), **stated({}, max_concurrency=2))
    await graph.compile().ainvoke(ASK)
    assert max(end for _, end in lab.spans.values()) == 2


@pytest.mark.looptime
async def test_second_plan_starts_afresh():
    one, many = Lab(), Lab()
    expected = await one.graph(max_plan_iterations=2).compile().ainvoke(ASK)
    builder = many.graph(max_plan_iterations=2)
    final = await deerflow.parallelize(builder, **stated()).compile().ainvoke(ASK)
    assert len(many.calls) == 8
    assert shape(final) == shape(expected)


@pytest.mark.looptime
async def test_second_plan_has_dependencies_of_its_own():
    lab = Lab()
    plan = plan_of("prices", "sizes")

    async def answer(state):
        if len(lab.calls) == 1:  # from now on the planner says something else
            plan["steps"] = plan_of(*TITLES)["steps"]
        return await lab.answer(state)

    builder = lab.graph(plan=plan, agent=agent_of(answer), max_plan_iterations=2)
    final = await deerflow.parallelize(builder, **stated()).compile().ainvoke(ASK)
    assert lab.calls == ["prices", "sizes", *TITLES]
    assert len(final["observations"]) == 6
    assert [t for t in TITLES if f"found {t}" in lab.prompts["compare"]] == ["prices"]


@pytest.mark.looptime
async def test_retry_starts_from_the_step_as_it_was():
    attempts = []

    async def researcher(state: State) -> Command[Literal["research_team"]]:
        step = next(s for s in state["current_plan"].steps if not s.execution_res)
        step.execution_res = f"found {step.title}"
        attempts.append(step.title)
        if len(attempts) == 1:
            raise ConnectionError
        return Command(update={"observations": ["found"]}, goto="research_team")

    builder = StateGraph(State)
    builder.add_node("research_team", lambda state: None)
    builder.add_node("researcher", researcher, retry_policy=RetryPolicy())
    builder.add_node("planner", lambda state: {"final_report": "done"})
    builder.add_edge(START, "research_team")
    builder.add_conditional_edges("research_team", next_worker, ["planner", "researcher"])
    graph = deerflow.parallelize(builder).compile()
    plan = Plan.model_validate(plan_of("prices"))
    final = await graph.ainvoke({"current_plan": plan, "plan_iterations": 1, "messages": []})
    assert attempts == ["prices", "prices"]
    assert final["observations"] == ["found"]
    assert plan.steps[0].execution_res is None


@pytest.mark.looptime
async def test_source_graph_is_not_changed():
    lab = Lab()
    builder = lab.graph()
    before = json.dumps(builder.compile().get_graph().to_json(), default=str)
    deerflow.parallelize(builder, **stated())
    assert json.dumps(builder.compile().get_graph().to_json(), default=str) == before
    await builder.compile().ainvoke(ASK)
    assert lab.calls == list(TITLES)


def test_other_graphs_are_refused():
    builder = StateGraph(MessagesState)
    builder.add_node("chat", lambda state: state)
    with pytest.raises(AnalysisError, match=r"no node 'research_team'; its nodes are chat"):
        deerflow.parallelize(builder)
    with pytest.raises(AnalysisError, match="sees='all' is neither"):
        deerflow.parallelize(Lab().graph(), sees="all")

    class Keyed(MessagesState):
        observations: Annotated[list, lambda a, b: a + b]
        current_plan: str
        plan_iterations: int

    other = StateGraph(Keyed)
    other.add_node("research_team", lambda state: state)
    with pytest.raises(AnalysisError, match="needs one conditional edge"):
        deerflow.parallelize(other)
    other.add_node("reporter", lambda state: state)
    other.add_conditional_edges("research_team", lambda state: "reporter", ["reporter"])
    with pytest.raises(AnalysisError, match="says that it goes back"):
        deerflow.parallelize(other)


def test_plans_become_tasks_and_back():
    plan = Plan.model_validate(plan_of(*TITLES))
    tasks = deerflow.to_tasks(plan)
    assert [task.id for task in tasks] == ["1", "2", "3", "4"]
    assert deerflow.to_plan(tasks, plan) == plan
    assert deerflow.to_plan(reversed(tasks), plan).steps == plan.steps[::-1]
    with pytest.raises(PlanError, match="is not a DeerFlow Plan"):
        deerflow.to_tasks(object())
    config = ParallelConfig(strategies=("stated",), reference_styles=())
    found = ParallelPlanner(config, analyzers={"stated": Stated()}).optimize(plan)
    assert found.batches == ((tasks[0], tasks[1]), (tasks[2],), (tasks[3],))
