"""The compiler's stamp reaches the scheduler, which serves the critical path of a graph first."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import parallelize
from langgraph_rsm import Engine, ScheduledChatModel, Scheduler, SchedulerConfig
from langgraph_rsm.core.call import Call
from langgraph_rsm.emulation import serve
from langgraph_rsm.telemetry import CallDispatched, CallFinished, CallSubmitted, Outcome


class State(TypedDict, total=False):
    aside: str
    plan: str
    draft: str
    report: str


def build(model):
    """`aside` comes first in the program, but the chain from `plan` on is the longer one."""

    def aside(state: State):
        return {"aside": model.invoke("aside").content}

    def plan(state: State):
        return {"plan": model.invoke("plan").content}

    def draft(state: State):
        return {"draft": model.invoke(state["plan"]).content}

    def report(state: State):
        return {"report": model.invoke(state["draft"] + state["aside"]).content}

    graph = StateGraph(State)
    before = START
    for node in (aside, plan, draft, report):
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    return graph.add_edge(before, END).compile(name="report")


@pytest.fixture
def contended():
    """Records of a run that finds the only slot taken until two of its calls wait."""
    records, both_wait = [], threading.Event()

    def observe(record):
        records.append(record)
        if sum(isinstance(one, CallSubmitted) for one in records) == 3:
            both_wait.set()

    with serve("gpu-8b", speed=200) as server:
        engine = Engine(
            ChatOpenAI(base_url=server.base_url, model=server.model, api_key="none", max_tokens=4),
            capacity=1,
        )
        scheduler = Scheduler(config=SchedulerConfig(validate_steps=True), hooks=[observe])
        model = ScheduledChatModel(engines=[engine], scheduler=scheduler)
        graph = parallelize(build(model), mode="exact")
        with ThreadPoolExecutor(1) as pool:
            with scheduler.slot(Call(program_id="other", engines=(engine.engine_id,))):
                run = pool.submit(graph.invoke, {})
                assert both_wait.wait(20)
            assert set(run.result()) == {"aside", "plan", "draft", "report"}
        scheduler.end_program("other")
        assert scheduler.snapshot().programs == ()
    calls = (CallSubmitted, CallDispatched, CallFinished)
    own = [record for record in records if isinstance(record, calls)]
    return [record for record in own if record.call.program_id != "other"]


def test_critical_path_goes_first(contended):
    calls = {record.call.call_site: record.call for record in contended}
    lengths = {site: call.remaining_path_s for site, call in calls.items()}
    expected = {"report/aside": 2, "report/plan": 3, "report/draft": 2, "report/report": 1}
    assert lengths == expected
    order = [r.call.call_site for r in contended if isinstance(r, CallDispatched)]
    assert order.index("report/plan") < order.index("report/aside")
    assert len({call.program_id for call in calls.values()}) == 1
    ended = [record for record in contended if isinstance(record, CallFinished)]
    assert [record.outcome for record in ended] == [Outcome.DONE] * 4
