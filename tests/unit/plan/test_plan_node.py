"""A plan inside a graph: finished tasks are never run again, whatever stops the others."""

import asyncio
import threading
from dataclasses import dataclass

import pytest
from langchain_core.language_models import FakeListChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import task as functional_task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import ParallelConfig, PlanError, PlanNode
from langgraph_parallel.lowering import plan_node as node_module

CONFIG = ParallelConfig(strategies=("explicit",))
PLAN = [
    {"id": "a", "depends_on": []},
    {"id": "b", "depends_on": []},
    {"id": "c", "depends_on": ["a"], "description": "after {{a}}"},
    {"id": "d", "depends_on": ["b", "c"]},
]
DONE = {"a": "a", "b": "b", "c": "c after a", "d": "d"}
DELAYS = {"a": 1, "b": 5, "c": 1, "d": 1}


class State(TypedDict, total=False):
    plan: list
    results: dict
    more: str


class Agent:
    """Carries out tasks; some fail or ask."""

    def __init__(self, fail=(), ask=()):
        self.fail, self.ask, self.log = set(fail), set(ask), []

    def sync(self, task, results):
        self.log.append(task.id)
        if task.id in self.fail:
            raise ValueError(f"no {task.id}")
        if task.id in self.ask:
            return f"{task.id} {interrupt(f'about {task.id}')}"
        return f"{task.id} {task.description}".strip()

    async def later(self, task, results):
        await asyncio.sleep(DELAYS[task.id])
        return self.sync(task, results)


def graph_of(*nodes, saver=True):
    builder = StateGraph(State)
    for number, node in enumerate(nodes):
        builder.add_node(f"run{number or ''}", node)
        builder.add_edge(START, f"run{number or ''}")
    return builder.compile(checkpointer=InMemorySaver() if saver else None)


def thread(limit=None):
    config = {"configurable": {"thread_id": "1"}}
    return config if limit is None else {**config, "max_concurrency": limit}


def answers(state):
    return {i.id: f"yes {i.value}" for i in state["__interrupt__"]}


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_tasks_run_by_their_dependencies_and_results_come_back_in_plan_order():
    graph = graph_of(PlanNode(Agent().later, config=CONFIG), saver=False)
    start = asyncio.get_running_loop().time()
    state = await graph.ainvoke({"plan": PLAN})
    assert asyncio.get_running_loop().time() - start == pytest.approx(6)
    assert list(state["results"].items()) == list(DONE.items())


def test_sync_graphs_run_tasks_at_the_same_time_too():
    meet = threading.Barrier(2, timeout=10)

    def work(task):
        if task.id in "ab":
            meet.wait()
        return task.id

    graph = graph_of(PlanNode(work, config=CONFIG), saver=False)
    assert graph.invoke({"plan": PLAN})["results"] == {i: i for i in "abcd"}


def test_stop_iteration_in_a_sync_graph_is_an_error_and_no_hang():
    graph = graph_of(PlanNode(lambda task: next(iter([])), config=CONFIG), saver=False)
    with pytest.raises(RuntimeError, match="raised StopIteration for task '1'"):
        graph.invoke({"plan": ["x"]})


async def test_sync_function_in_an_async_graph():
    graph = graph_of(PlanNode(Agent().sync, config=CONFIG))
    assert (await graph.ainvoke({"plan": PLAN}, thread()))["results"] == DONE


async def test_graph_invoked_from_a_running_loop():
    graph = graph_of(PlanNode(Agent().sync, config=CONFIG))
    assert graph.invoke({"plan": PLAN}, thread())["results"] == DONE


def test_what_is_read_and_written_can_be_chosen():
    @dataclass
    class Other:
        steps: list
        text: str = ""

    node = PlanNode(
        Agent().sync,
        plan_key="steps",
        write=lambda results: {"text": "+".join(results.values.values())},
        config=CONFIG,
    )
    builder = StateGraph(Other)
    builder.add_node("run", node)
    builder.add_edge(START, "run")
    assert builder.compile().invoke({"steps": ["x", "y"]})["text"] == "1 x+2 y"


def test_a_missing_plan_and_an_async_function_in_a_sync_graph_are_explained():
    with pytest.raises(PlanError, match="no plan at 'plan'"):
        graph_of(PlanNode(Agent().sync, config=CONFIG), saver=False).invoke({})
    with pytest.raises(PlanError, match="`run_task` is async; run the graph with `ainvoke`"):
        graph_of(PlanNode(Agent().later, config=CONFIG), saver=False).invoke({"plan": PLAN})
    with pytest.raises(PlanError, match="returned an awaitable"):
        graph_of(PlanNode(lambda task: asyncio.sleep(0, task), config=CONFIG), saver=False).invoke(
            {"plan": []} | {"plan": ["x"]}
        )


def test_it_works_outside_of_a_graph():
    assert PlanNode(Agent().sync, config=CONFIG).invoke({"plan": PLAN}) == {"results": DONE}


# -- failures and resume ---------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("limit", [None, 1, 2])
async def test_a_failure_does_not_run_finished_tasks_again(durability, limit):
    agent = Agent(fail="b")
    graph = graph_of(PlanNode(agent.later, config=CONFIG))
    with pytest.raises(ValueError, match="no b") as caught:
        await graph.ainvoke({"plan": PLAN}, thread(limit), durability=durability)
    assert "Task 'b' failed: ValueError: no b" in caught.value.__notes__
    finished = set(agent.log) - {"b"}
    assert finished == ({"a"} if limit == 1 else {"a", "c"})
    agent.fail.clear()
    agent.log.clear()
    state = await graph.ainvoke(None, thread(limit), durability=durability)
    assert state["results"] == DONE
    assert set(agent.log) == set("abcd") - finished


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_a_failure_does_not_run_finished_tasks_again_in_a_sync_graph(limit):
    agent = Agent(fail="d")
    graph = graph_of(PlanNode(agent.sync, config=CONFIG))
    with pytest.raises(ValueError, match="no d"):
        graph.invoke({"plan": PLAN}, thread(limit))
    agent.fail.clear()
    agent.log.clear()
    assert graph.invoke(None, thread(limit))["results"] == DONE
    assert agent.log == ["d"]


@pytest.mark.looptime
async def test_a_crash_of_the_process_keeps_finished_tasks():
    agent = Agent()
    graph = graph_of(PlanNode(agent.later, config=CONFIG))
    run = asyncio.ensure_future(graph.ainvoke({"plan": PLAN}, thread(), durability="sync"))
    await asyncio.sleep(3)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert agent.log == ["a", "c"]
    assert (await graph.ainvoke(None, thread()))["results"] == DONE
    assert agent.log == ["a", "c", "b", "d"]


@pytest.mark.looptime
@pytest.mark.parametrize("limit", [None, 1])
async def test_interrupts_in_two_tasks_are_answered_by_id(limit):
    agent = Agent(ask="ab")
    graph = graph_of(PlanNode(agent.later, config=CONFIG))
    state = await graph.ainvoke({"plan": PLAN}, thread(limit))
    assert [i.value for i in state["__interrupt__"]] == ["about a", "about b"]
    assert sorted(agent.log) == ["a", "b"]
    state = await graph.ainvoke(Command(resume=answers(state)), thread(limit))
    assert state["results"] == DONE | {
        "a": "a yes about a",
        "b": "b yes about b",
        "c": "c after a yes about a",
    }


@pytest.mark.looptime
async def test_answering_one_of_two_interrupts_leaves_the_other_and_goes_on():
    agent = Agent(ask="ab")
    graph = graph_of(PlanNode(agent.later, config=CONFIG))
    state = await graph.ainvoke({"plan": PLAN}, thread())
    first = state["__interrupt__"][0]
    agent.log.clear()
    state = await graph.ainvoke(Command(resume={first.id: "ok"}), thread())
    assert [i.value for i in state["__interrupt__"]] == ["about b"]
    assert sorted(agent.log) == ["a", "b", "c"]
    agent.log.clear()
    state = await graph.ainvoke(Command(resume="fine"), thread())
    assert state["results"]["b"] == "b fine"
    assert agent.log == ["b", "d"]


def test_an_interrupt_in_a_sync_graph():
    agent = Agent(ask="c")
    graph = graph_of(PlanNode(agent.sync, config=CONFIG))
    state = graph.invoke({"plan": PLAN}, thread())
    assert sorted(agent.log) == ["a", "b", "c"]
    agent.log.clear()
    state = graph.invoke(Command(resume=answers(state)), thread())
    assert state["results"]["c"] == "c yes about c"
    assert agent.log == ["c", "d"]


@pytest.mark.looptime
async def test_skipped_tasks_do_not_fail_the_graph():
    node = PlanNode(
        Agent(fail="a").later,
        config=CONFIG.model_copy(update={"on_error": "skip_dependents"}),
        write=lambda results: {"results": {r.task_id: r.status for r in results}},
    )
    state = await graph_of(node).ainvoke({"plan": PLAN}, thread())
    assert list(state["results"].values()) == ["failed", "done", "skipped", "skipped"]


@pytest.mark.looptime
async def test_retries_are_langgraphs_own():
    tries = []

    async def work(task):
        tries.append(task.id)
        if len(tries) < 3:
            raise ConnectionError
        return "ok"

    policy = RetryPolicy(initial_interval=1, jitter=False)
    config = CONFIG.model_copy(update={"retry_policy": policy})
    graph = graph_of(PlanNode(work, config=config))
    assert (await graph.ainvoke({"plan": ["x"]}, thread()))["results"] == {"1": "ok"}
    assert len(tries) == 3


@pytest.mark.looptime
async def test_time_outs_hold_inside_the_node():
    config = CONFIG.model_copy(update={"timeout_s": 3.5})
    graph = graph_of(PlanNode(Agent().later, config=config), saver=False)
    with pytest.raises(TimeoutError, match=r"longer than its limit of 3.5 s"):
        await graph.ainvoke({"plan": PLAN})
    config = CONFIG.model_copy(update={"task_timeout_s": 2})
    graph = graph_of(PlanNode(Agent().later, config=config), saver=False)
    with pytest.raises(TimeoutError, match=r"Task 'b' took longer than its limit of 2"):
        await graph.ainvoke({"plan": PLAN})


# -- concurrency -----------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("limit", [1, 2, 3, None])
@pytest.mark.parametrize("mode", ["updates", "messages"])
async def test_two_nodes_share_the_limit_of_the_run_and_never_wait_for_ever(limit, mode):
    active, peak = 0, 0

    async def work(task):
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await asyncio.sleep(1)
        active -= 1
        return task.id

    plan = [{"id": str(i), "depends_on": []} for i in range(6)]
    nodes = [PlanNode(work, config=CONFIG, results_key=key) for key in ("results", "more")]
    graph = graph_of(*nodes, saver=False)
    start = asyncio.get_running_loop().time()
    async for _ in graph.astream({"plan": plan}, thread(limit), stream_mode=mode):
        pass
    elapsed = asyncio.get_running_loop().time() - start
    assert peak == (limit or 12)
    assert elapsed == pytest.approx(12 / (limit or 12))


@pytest.mark.looptime
async def test_the_nodes_own_limit_counts_too():
    config = CONFIG.model_copy(update={"max_concurrency": 2})
    plan = [{"id": i, "depends_on": []} for i in "abcd"]
    start = asyncio.get_running_loop().time()
    await graph_of(PlanNode(Agent().later, config=config)).ainvoke({"plan": plan}, thread())
    assert asyncio.get_running_loop().time() - start == pytest.approx(5)


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_streams_show_tasks_messages_and_custom_events():
    model = FakeListChatModel(responses=["hello"])

    async def work(task):
        get_stream_writer()({"at": task.id})
        return (await model.ainvoke("hi")).content

    graph = graph_of(PlanNode(work, config=CONFIG), saver=False)
    modes = ["updates", "messages", "custom", "tasks"]
    chunks = [c async for c in graph.astream({"plan": ["x"]}, stream_mode=modes)]
    updates = [data for mode, data in chunks if mode == "updates"]
    assert updates == [{"1": "hello"}, {"run": {"results": {"1": "hello"}}}]
    assert [data for mode, data in chunks if mode == "custom"] == [{"at": "1"}]
    messages = [data for mode, data in chunks if mode == "messages"]
    assert "".join(message.text for message, _ in messages) == "hello"
    assert {meta["langgraph_node"] for _, meta in messages} == {"1"}
    assert {data["name"] for mode, data in chunks if mode == "tasks"} == {"run", "1"}


@pytest.mark.looptime
async def test_ids_with_separators_of_namespaces_are_harmless():
    plan = [{"id": "a|b:c", "depends_on": []}, {"id": "a_b_c", "depends_on": []}]
    agent = Agent()

    async def work(task):
        return agent.sync(task, {})

    state = await graph_of(PlanNode(work, config=CONFIG)).ainvoke({"plan": plan}, thread())
    assert state["results"] == {"a|b:c": "a|b:c", "a_b_c": "a_b_c"}


@pytest.mark.looptime
async def test_tasks_that_a_task_calls_are_saved_on_their_own():
    log = []

    @functional_task
    async def part(name):
        log.append(name)
        return name

    async def work(task):
        parts = [await part(f"{task.id}{i}") for i in range(3)]
        await asyncio.sleep(1)
        if task.id == "b" and len(log) == 6:
            raise ValueError("late")
        return "".join(parts)

    graph = graph_of(PlanNode(work, config=CONFIG))
    plan = [{"id": i, "depends_on": []} for i in "ab"]
    with pytest.raises(ValueError, match="late"):
        await graph.ainvoke({"plan": plan}, thread())
    log.append("again")
    state = await graph.ainvoke(None, thread())
    assert state["results"] == {"a": "a0a1a2", "b": "b0b1b2"}
    assert log[6:] == ["again"]


# -- what LangGraph does not document --------------------------------------------------------------


@pytest.mark.looptime
async def test_without_the_private_parts_a_plan_still_runs(monkeypatch):
    monkeypatch.setattr(node_module, "can_index_calls", lambda config: False)
    graph = graph_of(PlanNode(Agent().later, config=CONFIG))
    assert (await graph.ainvoke({"plan": PLAN}, thread(2)))["results"] == DONE
    graph = graph_of(PlanNode(Agent().sync, config=CONFIG))
    state = await asyncio.to_thread(graph.invoke, {"plan": PLAN}, thread(2))
    assert state["results"] == DONE


async def test_the_private_parts_are_where_they_are_known_to_be():
    found = []

    async def look(state, config):
        found.append(node_module.can_index_calls(config))
        found.append(node_module.run_slots(config))
        return {}

    builder = StateGraph(State)
    builder.add_node("look", look)
    builder.add_edge(START, "look")
    builder.add_edge("look", END)
    await builder.compile().ainvoke({}, {"max_concurrency": 3})
    assert found[0] is True
    assert found[1].locked() is False
