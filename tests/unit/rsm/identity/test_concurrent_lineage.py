"""Parents of calls that one node makes at the same time: only what was really over comes before."""

import asyncio
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from scripted_model import ScriptedModel
from typing_extensions import TypedDict

from langgraph_rsm import ScheduledChatModel, keep_context
from langgraph_rsm.identity.lineage import Lineage
from langgraph_rsm.runtime.prompt import PromptSize
from langgraph_rsm.telemetry import CallSubmitted


class State(TypedDict):
    said: Annotated[list[str], operator.add]


class TimedModel(ScriptedModel):
    """Takes as many seconds of virtual time as the number in its prompt says; `a2` takes 2."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(int(messages[-1].content[1:]))
        return self._generate(messages, **kwargs)


@pytest.fixture
def family(monkeypatch, records):
    """Parents of each call, by prompt."""
    names = {}

    def measure(messages):
        return PromptSize(prefix_id=str(messages[-1].content))

    monkeypatch.setattr("langgraph_rsm.runtime.calls.measure_prompt", measure)

    def read():
        made = [record.call for record in records if isinstance(record, CallSubmitted)]
        names.update({call.call_id: call.prefix_id for call in made})
        return {
            call.prefix_id: " ".join(sorted(names[parent] for parent in call.parents))
            for call in made
        }

    return read


@pytest.fixture
def model(make_scheduler):
    return ScheduledChatModel(inner=TimedModel(), scheduler=make_scheduler())


def graph_of(node):
    async def run(state):
        await node()
        return {"said": []}

    return StateGraph(State).add_node("node", run).add_edge(START, "node").compile()


async def chain(model, *prompts):
    for prompt in prompts:
        await model.ainvoke(prompt)


@pytest.mark.looptime
async def test_gathered_calls_are_not_parents_of_each_other(model, family):
    async def node():
        await model.ainvoke("p1")
        await asyncio.gather(model.ainvoke("a1"), model.ainvoke("b2"), model.ainvoke("c3"))
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"p1": "", "a1": "p1", "b2": "p1", "c3": "p1", "q1": "a1 b2 c3"}


@pytest.mark.looptime
async def test_gathered_chains_stay_apart(model, family):
    async def node():
        await asyncio.gather(chain(model, "a1", "d5"), chain(model, "b2", "e1", "f1"))
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"a1": "", "b2": "", "d5": "a1", "e1": "b2", "f1": "e1", "q1": "d5 f1"}


@pytest.mark.looptime
async def test_second_gather_follows_the_first(model, family):
    async def node():
        await asyncio.gather(model.ainvoke("a1"), model.ainvoke("b2"))
        async with asyncio.TaskGroup() as group:
            group.create_task(chain(model, "c1", "e1"))
            group.create_task(chain(model, "d3"))

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"a1": "", "b2": "", "c1": "a1 b2", "d3": "a1 b2", "e1": "c1"}


@pytest.mark.looptime
async def test_branch_that_begins_late_is_concurrent_with_what_is_under_way(model, family):
    async def late():
        await asyncio.sleep(3)
        await model.ainvoke("c1")

    async def node():
        await asyncio.gather(chain(model, "a2", "b9"), late())

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"a2": "", "b9": "a2", "c1": ""}


@pytest.mark.looptime
async def test_background_task_is_concurrent_until_it_is_done(model, family):
    async def node():
        await model.ainvoke("o1")
        background = asyncio.create_task(chain(model, "a1", "b5"))
        await asyncio.sleep(2)
        await model.ainvoke("p1")
        await background
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"o1": "", "a1": "o1", "b5": "a1", "p1": "o1", "q1": "b5 p1"}


@pytest.mark.looptime
async def test_async_batch_with_a_bound_is_one_wave(model, family):
    async def node():
        config = {"max_concurrency": 2}
        await model.abatch([[HumanMessage(text)] for text in ("a1", "b2", "c3", "d4")], config)
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"a1": "", "b2": "", "c3": "", "d4": "", "q1": "a1 b2 c3 d4"}


@pytest.mark.looptime
async def test_async_parallel_runnables_of_chains(model, family):
    def two(first, second):
        return RunnableLambda(lambda _: first) | model | RunnableLambda(lambda _: second) | model

    both = RunnableParallel(a=two("a1", "c5"), b=two("b2", "d1"))

    async def node():
        await both.ainvoke("x")
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"a1": "", "b2": "", "c5": "a1", "d1": "b2", "q1": "c5 d1"}


@pytest.mark.looptime
async def test_tasks_of_a_superstep_are_concurrent_even_one_at_a_time(model, family):
    async def work(state):
        await model.ainvoke(state["said"][0])
        return {"said": []}

    async def join(state):
        await model.ainvoke("q1")
        return {"said": []}

    def fan_out(_):
        return [Send("work", {"said": [text]}) for text in ("a1", "b1", "c1")]

    graph = StateGraph(State).add_node("work", work).add_node("join", join)
    graph.add_conditional_edges(START, fan_out, ["work"]).add_edge("work", "join")
    await graph.compile().ainvoke({"said": []}, {"max_concurrency": 1})
    assert family() == {"a1": "", "b1": "", "c1": "", "q1": "a1 b1 c1"}


@pytest.mark.looptime
async def test_sub_graphs_started_at_once_stay_apart(model, family):
    async def two(state):
        await chain(model, *state["said"])
        return {"said": []}

    async def three(state):
        await model.ainvoke(state["said"][0].replace("a", "c").replace("b", "d"))
        return {"said": []}

    inner = StateGraph(State).add_node("two", two).add_node("three", three)
    inner = inner.add_edge(START, "two").add_edge("two", "three").compile()

    async def node():
        await asyncio.gather(inner.ainvoke({"said": ["a1"]}), inner.ainvoke({"said": ["b3"]}))
        await inner.ainvoke({"said": ["a2"]})

    await graph_of(node).ainvoke({"said": []})
    expected = {"a1": "", "b3": "", "c1": "a1", "d3": "b3", "a2": "c1 d3", "c2": "a2"}
    assert family() == expected


# Threads: prompts wait for one another by name, so that the order is certain without a clock.


class Turns:
    """Lets each prompt begin to be answered when another one was answered."""

    def __init__(self, **after):
        self.after = after
        self.answered = {}
        self.lock = threading.Lock()

    def event(self, prompt):
        with self.lock:
            return self.answered.setdefault(prompt, threading.Event())

    def __call__(self, messages, _):
        prompt = str(messages[-1].content)
        if prompt in self.after:
            assert self.event(self.after[prompt]).wait(20)
        return "ok"


@pytest.fixture
def threaded(make_scheduler):
    def make(**after):
        turns = Turns(**after)
        plain = ScheduledChatModel(inner=ScriptedModel(answer=turns), scheduler=make_scheduler())

        def ask(prompt):
            plain.invoke(prompt)
            turns.event(prompt).set()

        return ask

    return make


def sync_graph_of(node):
    def run(state):
        node()
        return {"said": []}

    return StateGraph(State).add_node("node", run).add_edge(START, "node").compile()


def test_chains_in_threads_with_their_context_stay_apart(threaded, family):
    ask = threaded(a="b", d="c")  # a and b at once, b first; d goes on beside c

    def many(prompts):
        for prompt in prompts:
            ask(prompt)

    def node():
        ask("p")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(keep_context(many), ["ad", "bc"]))
        ask("q")

    sync_graph_of(node).invoke({"said": []})
    assert family() == {"p": "", "a": "p", "b": "p", "c": "b", "d": "a", "q": "c d"}


def test_pool_smaller_than_its_work_is_one_wave(threaded, family):
    ask = threaded(a="c")  # one thread is busy with a while the other one answers b, then c

    def node():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(keep_context(ask), "abc"))
        ask("q")

    sync_graph_of(node).invoke({"said": []})
    assert family() == {"a": "", "b": "", "c": "", "q": "a b c"}


def test_sync_parallel_runnables_of_chains(threaded, family):
    ask = threaded(a="b", d="c")

    def two(first, second):
        return RunnableLambda(lambda _: ask(first)) | RunnableLambda(lambda _: ask(second))

    both = RunnableParallel(x=two("a", "d"), y=two("b", "c"))

    def node():
        both.invoke("x")
        ask("q")

    sync_graph_of(node).invoke({"said": []})
    assert family() == {"a": "", "b": "", "c": "b", "d": "a", "q": "c d"}


async def test_worker_threads_one_after_the_other_are_a_chain(threaded, family):
    ask = threaded()

    async def node():
        for prompt in "abc":
            await asyncio.to_thread(ask, prompt)
        await asyncio.gather(*(asyncio.to_thread(ask, prompt) for prompt in "de"))

    await graph_of(node).ainvoke({"said": []})
    found = family()
    assert {name: found[name] for name in "abc"} == {"a": "", "b": "a", "c": "b"}


def test_loop_of_a_run_without_a_graph_is_a_chain(threaded, family):
    ask = threaded()
    RunnableLambda(lambda prompts: [ask(prompt) for prompt in prompts] and None).invoke("abcd")
    assert family() == {"a": "", "b": "a", "c": "b", "d": "c"}


@pytest.mark.looptime
async def test_call_that_overlaps_another_is_not_hidden_behind_it(model, family):
    async def node():
        await model.ainvoke("o1")
        background = asyncio.create_task(chain(model, "a3"))
        await asyncio.sleep(1)
        await model.ainvoke("p5")  # begins before the background ends, and ends after it
        await background
        await model.ainvoke("q1")

    await graph_of(node).ainvoke({"said": []})
    assert family() == {"o1": "", "a3": "o1", "p5": "o1", "q1": "a3 p5"}


@pytest.mark.looptime
async def test_work_that_hands_itself_on_stays_shallow(model, records):
    async def relay(left):
        await model.ainvoke("a0")
        if left:
            await asyncio.create_task(relay(left - 1))

    await graph_of(lambda: relay(200)).ainvoke({"said": []})
    calls = [record.call for record in records if isinstance(record, CallSubmitted)]
    assert len(calls) == 201
    assert all(call.parents for call in calls[1:60])


def test_long_sequence_looks_at_its_last_call_only(monkeypatch):
    lineage = Lineage()
    strand = lineage.strand("")
    for number in range(100):
        lineage.call_left(strand, lineage.call_began(strand), str(number))
    looked_at = []
    monkeypatch.setattr(
        "langgraph_rsm.identity.lineage._parts",
        lambda *pair: (looked_at.append(pair), (None, None))[1],
    )
    assert lineage.parents(strand) == ("99",)
    assert len(looked_at) == 1
