"""Nodes that call LangGraph's `@task`: what the task does is what the node does."""

import asyncio
import contextvars
import operator
from typing import Annotated

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import Effects, explain, infer_effects, parallelize
from langgraph_parallel.testing import assert_equivalent

THREAD = {"configurable": {"thread_id": "1"}}
NOTES: list = []
RUNS: list = []
BROKEN: set = set()


class State(TypedDict, total=False):
    text: str
    words: list[str]
    a: str
    b: str
    c: str
    log: Annotated[list, operator.add]


@task
def shout(text):
    return text.upper()


@task(name="another name", retry_policy=RetryPolicy(max_attempts=2, retry_on=KeyError))
def whisper(text):
    return text.lower()


@task
async def shout_async(text):
    return text.upper()


@task
def note(text):
    NOTES.append(text)
    return text


@task
def ask(text):
    return interrupt(text)


@task
def give_back(value):
    return value


@task(cache_policy=CachePolicy())
def remembered(text):
    return text


@task(retry_policy=RetryPolicy(retry_on=lambda error: NOTES.append(error) or False))
def retried_by_hand(text):
    return text


class Counted(type(shout)):
    def __call__(self, *args, **options):
        NOTES.append(args)
        return super().__call__(*args, **options)


counted = Counted(lambda text: text, retry_policy=())


def one(state):
    return {"a": shout(state["text"]).result()}


async def one_awaited(state):
    return {"a": await shout(state["text"])}


def several(state):
    started = [shout(word) for word in state["words"]]
    return {"a": " ".join(future.result(timeout=3) for future in started)}


async def several_gathered(state):
    found = await asyncio.gather(*[shout_async(word) for word in state["words"]])
    return {"a": " ".join(found)}


def chained(state):
    loud, quiet = shout(state["text"]), whisper(state["b"])
    return {"a": loud.result() + quiet.result()}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (one, "reads {text}, writes {a}"),
        (one_awaited, "reads {text}, writes {a}"),
        (several, "reads {words}, writes {a}"),
        (several_gathered, "reads {words}, writes {a}"),
        (lambda s: {"a": note(s["text"]).result()}, "reads {text}, writes {a}, changes {NOTES}"),
        (lambda s: {"a": note(s["text"]) and "x"}, "reads {text}, writes {a}, changes {NOTES}"),
        (lambda s: {"a": ask(s["text"]).result()}, "control {interrupt}"),
        (lambda s: {"a": give_back(s["words"]).result().append(1)}, "mutates {words}"),
        (lambda s: {"a": shout(s["text"]).done()}, "reads {text}, writes {a}"),
        (lambda s: {"a": shout(s["text"]).exception()}, "external {unknown}"),
        (lambda s: {"a": remembered(s["text"]).result()}, "external {unknown}"),
        (lambda s: {"a": retried_by_hand(s["text"]).result()}, "external {unknown}"),
        (lambda s: {"a": counted(s["text"]).result()}, "changes {NOTES}"),
    ],
)
def test_a_node_does_what_its_tasks_do(node, expected):
    assert expected in str(infer_effects(node, State))


def test_a_task_whose_function_a_node_replaces_is_not_known():
    @task
    def replaced(text):
        return text

    def replace(state):
        replaced.func = note.func
        return {"b": "b"}

    def use(state):
        return {"a": replaced(state["text"]).result()}

    builder = row(use, replace)
    assert explain(builder).regions[0].levels == (("use",), ("replace",))


def two(state):
    return {"b": whisper(state["text"]).result(), "log": ["two"]}


def three(state):
    return {"c": state["a"] + state["b"], "log": ["three"]}


def row(*functions):
    builder = StateGraph(State)
    builder.add_sequence(list(functions))
    builder.add_edge(START, functions[0].__name__)
    builder.add_edge(functions[-1].__name__, END)
    return builder


def test_nodes_with_independent_tasks_share_a_superstep():
    for first in (one, several):
        builder = row(first, two, three)
        assert explain(builder).regions[0].levels == ((first.__name__, "two"), ("three",))
        assert_equivalent(builder, [{"text": "Ab", "words": ["x", "y"], "b": "B"}])


def test_a_task_that_has_run_is_not_run_again_when_the_thread_goes_on():
    @task
    def counted_once(text):
        RUNS.append(text)
        return text

    def first(state):
        found = counted_once(state["text"]).result()
        if "first" in BROKEN:
            raise RuntimeError(found)
        return {"a": found}

    graph = parallelize(
        row(first, two, three), effects={"first": Effects(reads={"text"}, writes={"a"})}
    ).compile(InMemorySaver())
    RUNS.clear()
    BROKEN.add("first")
    try:
        with pytest.raises(RuntimeError, match="t"):
            graph.invoke({"text": "t"}, THREAD, durability="sync")
    finally:
        BROKEN.clear()
    assert graph.invoke(None, THREAD)["c"] == "tt"
    assert RUNS == ["t"]


def test_a_pause_in_a_task_keeps_its_node_in_place():
    def paused(state):
        return {"b": ask(state["text"]).result()}

    assert explain(row(one, paused, three)).regions[0].levels[0] == ("one",)
    assert_equivalent(row(one, paused, three), [{"text": "t"}], resume=["yes"])
    graph = parallelize(row(one, paused, three)).compile(InMemorySaver())
    graph.invoke({"text": "t"}, THREAD)
    assert graph.invoke(Command(resume="yes"), THREAD)["c"] == "Tyes"


class Service:
    def __init__(self):
        self.shout = shout

    def node(self, state):
        return {"a": self.shout(state["text"]).result()}


@pytest.mark.parametrize(
    "first", [one, several, one_awaited, Service().node], ids=["plain", "list", "await", "method"]
)
def test_exact_says_why_nodes_with_tasks_do_not_start_early(first):
    builder = StateGraph(State)
    builder.add_sequence([("zero", lambda state: {"log": ["0"]}), ("first", first)])
    builder.add_edge(START, "zero")
    declared = {"first": Effects(reads={"text"}, writes={"a"}, external={"model"})}
    for effects in ({}, declared):
        report = explain(builder, mode="exact", effects=effects)
        assert not report.is_parallel
        assert "the task 'shout', whose result is the run's own to keep" in str(report)


def test_other_nodes_start_early_beside_one_with_tasks():
    builder = row(one, three)
    builder.add_node("plain", lambda state: {"b": state["text"]})
    builder.edges = {(START, "one"), ("one", "plain"), ("plain", "three"), ("three", END)}
    report = explain(builder, mode="exact")
    assert report.is_parallel
    assert_equivalent(builder, [{"text": "Ab"}], mode="exact")


# -- threads: a node that waits for a task holds one, and the task needs another -------------------


def wide(width):
    """Return a graph in which many nodes wait for a task each."""

    def waiting(number):
        def node(state):
            return {"log": [shout(f"{state['text']}{number}").result()]}

        node.__name__ = f"n{number:02}"
        return node

    return row(*(waiting(number) for number in range(width)))


@pytest.mark.parametrize("width", [2, 12, 40])
def test_nodes_that_wait_for_tasks_leave_them_threads(width):
    graph = parallelize(wide(width)).compile()
    assert graph.parallel_report.regions[0].schedule.depth == 1
    assert graph.invoke({"text": "t"})["log"] == [f"T{number}" for number in range(width)]
    for _ in range(2):
        found = asyncio.run(graph.ainvoke({"text": "t"}))
        assert found["log"] == [f"T{number}" for number in range(width)]


def test_sync_nodes_with_tasks_share_a_superstep_in_async_runs():
    asked = contextvars.ContextVar("asked", default="nothing")

    def first(state, config: RunnableConfig):
        found = f"{asked.get()} {config['metadata']['langgraph_node']}"
        return {"log": [shout(found).result()]}

    def second(state):
        return {"log": [shout(state["text"]).result()]}

    declared = Effects(reads={"text"}, writes={"log"}, external={"read"})
    effects = {"first": declared, "second": declared}
    graph = parallelize(row(first, second), effects=effects).compile()

    async def steps():
        events = [e async for e in graph.astream({"text": "t"}, stream_mode="debug")]
        return [e["step"] for e in events if e["payload"].get("name") in effects]

    assert set(asyncio.run(steps())) == {1}

    async def run():
        asked.set("it")
        return await graph.ainvoke({"text": "t"})

    assert asyncio.run(run())["log"] == ["IT FIRST", "T"]


def test_nodes_that_are_no_functions_keep_the_original_order_in_async_runs():
    nodes = (RunnableLambda(lambda s, n=n: {"log": [shout(f"{n}").result()]}) for n in range(2))
    builder = StateGraph(State)
    declared = Effects(writes={"log"}, external={"read"})
    builder.add_sequence([("n0", next(nodes)), ("n1", next(nodes))])
    builder.add_edge(START, "n0")
    graph = parallelize(builder, effects={"n0": declared, "n1": declared}).compile()
    assert graph.parallel_report.is_parallel
    assert graph.invoke({})["log"] == asyncio.run(graph.ainvoke({}))["log"] == ["0", "1"]

    async def steps():
        return [event["step"] async for event in graph.astream({}, stream_mode="debug")]

    assert max(asyncio.run(steps())) == 2


def test_a_limit_that_nodes_and_tasks_would_share_keeps_the_original_order():
    graph = parallelize(wide(4)).compile()
    limited = {"max_concurrency": 2}
    steps = [sorted(step) for step in graph.stream({"text": "t"}, limited, stream_mode="updates")]
    assert [step for step in steps if step != ["shout"]] == [[f"n0{n}"] for n in range(4)]

    async def collect():
        return [s async for s in graph.astream({"text": "t"}, limited, stream_mode="debug")]

    events = asyncio.run(collect())
    assert max(event["step"] for event in events) == 4


def test_declared_nodes_are_looked_through_for_tasks():
    declared = Effects(reads={"text"}, writes={"log"}, external={"read"})
    builder = wide(12)
    graph = parallelize(builder, effects=dict.fromkeys(builder.nodes, declared)).compile()
    assert graph.parallel_report.is_parallel
    assert len(graph.invoke({"text": "t"})["log"]) == 12
