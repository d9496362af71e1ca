"""Program identity in real LangGraph graphs, with no user code in the nodes."""

import asyncio
import contextvars
import gc
import operator
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Send
from scripted_model import ScriptedModel
from typing_extensions import TypedDict

from langgraph_rsm import ConfigError, ScheduledChatModel, program
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.telemetry import CallSubmitted, ProgramFinished


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


@pytest.fixture
def programs(calls):
    return lambda: {call.program_id for call in calls()}


def build(*nodes, name="LangGraph", context_schema=None, checkpointer=None):
    """A chain of nodes, each a callable with a `__name__`."""
    graph = StateGraph(State, context_schema=context_schema)
    previous = START
    for node in nodes:
        graph.add_node(node.__name__, node)
        graph.add_edge(previous, node.__name__)
        previous = node.__name__
    graph.add_edge(previous, END)
    return graph.compile(name=name, checkpointer=checkpointer)


def sync_node(model):
    def ask(state: State) -> Any:
        return {"said": [model.invoke("hi").content]}

    return ask


def async_node(model):
    async def aask(state: State) -> Any:
        return {"said": [(await model.ainvoke("hi")).content]}

    return aask


def streaming_node(model):
    def stream(state: State) -> Any:
        return {"said": ["".join(chunk.content for chunk in model.stream("hi"))]}

    return stream


async def test_one_run_is_one_program_and_runs_differ(model, calls, programs, scheduler):
    graph = build(async_node(model), streaming_node(model), name="report")
    await graph.ainvoke({"said": []})
    assert len(programs()) == 1
    assert [call.call_site for call in calls()] == ["report/aask", "report/stream"]
    assert len({call.thread_id for call in calls()}) == 2
    await asyncio.gather(*(graph.ainvoke({"said": []}) for _ in range(3)))
    assert len(programs()) == 4
    assert scheduler.snapshot().programs == ()


def test_sync_run_is_one_program(model, programs, calls):
    build(sync_node(model), streaming_node(model)).invoke({"said": []})
    assert len(programs()) == 1
    assert [call.call_site for call in calls()] == ["ask", "stream"]


def test_program_is_finished_with_its_run(model, records, programs):
    build(sync_node(model)).invoke({"said": []})
    (finished,) = [record for record in records if isinstance(record, ProgramFinished)]
    assert {finished.program.program_id} == programs()
    assert finished.program.finished == 1


async def test_run_id_of_the_config_is_the_program(model, programs):
    run_id = uuid.uuid4()
    await build(async_node(model)).ainvoke({"said": []}, config={"run_id": run_id})
    assert programs() == {str(run_id)}


async def test_host_run_id_in_metadata_joins_root_runs(model, programs, scheduler):
    graph = build(async_node(model))
    for _ in range(2):
        await graph.ainvoke({"said": []}, config={"metadata": {"run_id": "job-7"}})
    assert programs() == {"job-7"}
    assert scheduler.snapshot().programs == ()


@dataclass
class HostContext:
    run_id: str


@pytest.mark.parametrize(
    ("schema", "context"),
    [(dict, {"run_id": "job-8"}), (HostContext, HostContext("job-8"))],
)
async def test_host_run_id_in_runtime_context(model, programs, schema, context):
    graph = build(async_node(model), sync_node(model), context_schema=schema)
    await graph.ainvoke({"said": []}, context=context)
    assert programs() == {"job-8"}


async def test_send_branches_are_threads_of_one_program(model, calls, programs):
    graph = StateGraph(State)
    graph.add_node("worker", async_node(model))
    graph.add_conditional_edges(START, lambda _: [Send("worker", {"said": []})] * 4, ["worker"])
    await graph.compile().ainvoke({"said": []})
    assert len(programs()) == 1
    assert len({call.thread_id for call in calls()}) == 4
    assert {call.call_site for call in calls()} == {"worker"}


@pytest.mark.parametrize("how", ["as_node", "inside_node"])
async def test_sub_graph_belongs_to_the_program(model, calls, programs, how):
    inner = build(async_node(model), name="inner")

    async def call_inner(state: State) -> Any:
        return await inner.ainvoke({"said": []})

    graph = StateGraph(State)
    graph.add_node("sub", inner if how == "as_node" else call_inner)
    graph.add_edge(START, "sub")
    await graph.compile(name="outer").ainvoke({"said": []})
    assert len(programs()) == 1
    (call,) = calls()
    assert "|" in call.thread_id
    assert call.thread_id.startswith("sub:")


async def test_gather_batch_and_worker_threads_belong_to_the_program(model, calls, programs):
    async def fan_out(state: State) -> Any:
        await asyncio.gather(*(model.ainvoke("hi") for _ in range(3)))
        await asyncio.to_thread(model.batch, ["a", "b"])
        await asyncio.create_task(model.ainvoke("hi"))
        await model.abatch(["a", "b"])
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(context.run, model.invoke, "hi").result()
        return {"said": []}

    await build(fan_out).ainvoke({"said": []})
    assert len(calls()) == 9
    assert len(programs()) == 1
    assert {call.call_site for call in calls()} == {"fan_out"}


def test_sync_batch_in_a_sync_node(model, calls, programs):
    def ask_many(state: State) -> Any:
        return {"said": [answer.content for answer in model.batch(["a", "b", "c"])]}

    build(ask_many).invoke({"said": []})
    assert (len(calls()), len(programs())) == (3, 1)


def test_thread_without_context_is_a_program_of_its_own(model, programs, scheduler):
    def spawn(state: State) -> Any:
        model.invoke("hi")
        thread = threading.Thread(target=model.invoke, args=("hi",))
        thread.start()
        thread.join()
        return {"said": []}

    build(spawn).invoke({"said": []})
    assert len(programs()) == 2
    assert scheduler.snapshot().programs == ()


async def test_agent_with_tools_and_nested_agent_is_one_program(make_scheduler, calls, programs):
    def act(messages, kwargs):
        if isinstance(messages[-1], ToolMessage):
            return "done"
        return AIMessage("", tool_calls=[{"name": "consult", "args": {"topic": "x"}, "id": "1"}])

    scheduler = make_scheduler()
    expert = ScheduledChatModel(inner=ScriptedModel(model_name="expert"), scheduler=scheduler)
    nested = build(async_node(expert), name="expert_agent")

    @tool
    async def consult(topic: str) -> str:
        """Ask the expert."""
        return str((await nested.ainvoke({"said": []}))["said"])

    boss = ScheduledChatModel(inner=ScriptedModel(answer=act), scheduler=scheduler)
    bound = boss.bind_tools([consult])

    async def agent(state: MessagesState) -> Any:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([consult]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges(
        "agent", lambda state: "tools" if state["messages"][-1].tool_calls else END
    )
    graph.add_edge("tools", "agent")
    await graph.compile(name="boss").ainvoke({"messages": [("user", "hi")]})
    assert len(programs()) == 1
    assert [call.call_site for call in calls()] == ["boss/agent", "boss/aask", "boss/agent"]
    assert scheduler.snapshot().programs == ()


async def test_graph_stream_modes_are_scheduled_in_the_program(model, programs, calls):
    graph = build(async_node(model))
    async for _ in graph.astream({"said": []}, stream_mode=["messages", "updates"]):
        pass
    assert (len(calls()), len(programs())) == (1, 1)


async def test_program_block_overrides_and_carries_tenant_and_weight(model, calls, scheduler):
    graph = build(async_node(model), sync_node(model))
    with program(id="report-42", tenant="acme", weight=2) as scope:
        assert scope.program_id == "report-42"
        await graph.ainvoke({"said": []})
        await graph.ainvoke({"said": []})
        (entry,) = scheduler.snapshot().programs
        assert (entry.finished, entry.tenant, entry.weight) == (4, "acme", 2)
    assert {call.program_id for call in calls()} == {"report-42"}
    assert scheduler.snapshot().programs == ()


def test_program_block_without_id_makes_one(model, programs):
    with program() as scope:
        model.invoke("hi")
    assert programs() == {scope.program_id}


def test_concurrent_blocks_of_one_id_end_with_the_last(model, scheduler):
    with program(id="shared"):
        with program(id="shared"):
            model.invoke("hi")
        assert len(scheduler.snapshot().programs) == 1
    assert scheduler.snapshot().programs == ()


@pytest.mark.parametrize("arguments", [{"id": ""}, {"weight": 0}])
def test_program_block_checks_its_arguments(arguments):
    with (
        pytest.raises(ConfigError, match="non-empty id and a weight above 0"),
        program(**arguments),
    ):
        pass


def test_calls_outside_of_any_run_are_programs_of_their_own(model, programs, scheduler):
    model.invoke("hi")
    model.invoke("hi")
    list(model.stream("hi"))
    assert len(programs()) == 3
    assert scheduler.snapshot().programs == ()


def test_call_around_langchain_is_a_program_of_its_own(model, programs, scheduler):
    model._generate([])
    model._generate([])
    assert len(programs()) == 2
    assert scheduler.snapshot().programs == ()


async def test_failing_run_leaves_nothing_behind(scheduler, programs):
    model = ScheduledChatModel(inner=ScriptedModel(error=KeyError("x")), scheduler=scheduler)
    with pytest.raises(KeyError):
        await build(async_node(model)).ainvoke({"said": []})
    assert len(programs()) == 1
    assert scheduler.snapshot().programs == ()
    assert run_tree.count_links() == 0


@pytest.mark.looptime
async def test_call_cancelled_before_it_reaches_the_model_leaves_nothing_behind(make_scheduler):
    scheduler = make_scheduler()
    model = ScheduledChatModel(inner=ScriptedModel(delay_s=5), scheduler=scheduler)
    tasks = [asyncio.create_task(model.ainvoke("hi")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert run_tree.count_links() > 0  # LangChain has told no end
    tasks.clear()
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert run_tree.count_links() == 0


@pytest.mark.looptime
async def test_cancelled_run_leaves_nothing_behind(make_scheduler):
    scheduler = make_scheduler()
    model = ScheduledChatModel(inner=ScriptedModel(delay_s=5), scheduler=scheduler)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(build(async_node(model)).ainvoke({"said": []}), 1)
    await asyncio.sleep(0.1)
    assert scheduler.snapshot().programs == ()
    assert run_tree.count_links() == 0


async def test_work_that_outlives_its_run_is_a_program_of_its_own(model, programs, scheduler):
    later: list[asyncio.Task] = []
    gate = asyncio.Event()

    async def ask_later():
        await gate.wait()
        await model.ainvoke("hi")

    async def start(state: State) -> Any:
        await model.ainvoke("hi")
        later.append(asyncio.create_task(ask_later()))
        return {"said": []}

    await build(start).ainvoke({"said": []})
    gate.set()
    await later[0]
    assert len(programs()) == 2
    assert scheduler.snapshot().programs == ()


def test_long_run_keeps_a_bounded_number_of_links(monkeypatch):
    import langgraph_rsm.identity.run_tree as module

    monkeypatch.setattr(module, "_KEPT_LINKS", 10)
    tree = module.RunTree()
    root = uuid.uuid4()
    tree.on_chain_start({}, {}, run_id=root, name="root")
    for _ in range(100):
        run_id = uuid.uuid4()
        tree.on_chain_start({}, {}, run_id=run_id, parent_run_id=root)
        tree.on_chain_end({}, run_id=run_id)
    assert tree.count_links() == 11
    tree.on_chain_end({}, run_id=root)
    assert tree.count_links() == 0


def test_roots_that_never_end_are_bounded(monkeypatch):
    import langgraph_rsm.identity.run_tree as module

    monkeypatch.setattr(module, "_MAX_ROOTS", 5)
    tree = module.RunTree()
    for _ in range(50):
        tree.on_tool_start({}, "", run_id=uuid.uuid4())
    assert tree.count_links() == 5


def test_run_whose_parent_began_before_the_import_is_grouped_by_it():
    from langgraph_rsm.identity.run_tree import RunTree

    tree = RunTree()
    parent, runs = uuid.uuid4(), [uuid.uuid4() for _ in range(2)]
    for run_id in runs:
        tree.on_chat_model_start({}, [], run_id=run_id, parent_run_id=parent)
    assert {tree.chat_run(run_id).root.root_id for run_id in runs} == {parent}
    for run_id in runs:
        tree.on_llm_end({}, run_id=run_id)
    assert tree.count_links() == 0
