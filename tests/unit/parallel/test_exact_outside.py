"""`mode="exact"` from outside: nobody who watches a run, or waits for it, can tell."""

import asyncio
import functools
import subprocess
import sys
import threading
import time
from typing import Any, Literal

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_debug
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.context import collect_runs
from langgraph.graph import START, StateGraph
from side_by_side import bare
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, parallelize
from langgraph_parallel.lowering.exact.threads import LEFT_BEHIND, DaemonThreads


class State(TypedDict, total=False):
    x: Any
    a: Any
    b: Any
    c: Any
    d: Any


class Choices(TypedDict, total=False):
    """The same with values of which asking whether they are true runs nobody's code."""

    x: int
    a: int
    b: int
    c: int
    d: int


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

    builder = StateGraph(Choices).add_node("end", node("d", 5))
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


def guessing(slow, begun):
    """Return a graph that goes from `a`, when `slow` has begun, past it to `fast`."""

    def a(state) -> dict[str, Any]:
        assert begun.wait(30)
        return {"a": 1}

    def fast(state):
        return {"c": 1}

    def route(state) -> Literal["slow", "fast"]:
        return "fast" if state["a"] else "slow"

    builder = StateGraph(Choices).add_node(a).add_node("slow", slow).add_node(fast)
    builder.add_edge(START, "a").add_conditional_edges("a", route)
    effects = {"a": Effects(writes={"a"}), "slow": Effects(writes={"b"}, external="model")}
    config = ParallelConfig(speculate="pure")
    return parallelize(builder.compile(), mode="exact", config=config, effects=effects)


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke"])
def test_nobody_waits_for_a_wrong_guess(how):
    begun, released = threading.Event(), threading.Event()
    notes = Notes()
    model = TwoWays()

    def slow(state):
        model.invoke("before")
        begun.set()
        assert released.wait(30)
        return {"b": model.invoke("after")}

    graph = guessing(slow, begun)
    config = {"callbacks": [notes]}
    if how == "invoke":
        graph.invoke({"x": 1}, config)
    elif how == "stream":
        list(graph.stream({"x": 1}, config))
    else:
        asyncio.run(graph.ainvoke({"x": 1}, config))
    assert len(LEFT_BEHIND) == 1
    released.set()
    limit = time.monotonic() + 30
    while len(LEFT_BEHIND) and time.monotonic() < limit:
        time.sleep(0.001)
    assert len(LEFT_BEHIND) == 0
    assert notes.seen == []
    assert graph.parallel_report.runtime.by_node["slow"].abandoned == 1


def test_while_too_many_are_left_behind_nothing_starts_early(monkeypatch):
    monkeypatch.setattr("langgraph_parallel.lowering.exact.session.MOST_LEFT", 1)
    begun, released = threading.Event(), threading.Event()

    def slow(state):
        begun.set()
        assert released.wait(30)

    graph = guessing(slow, begun)
    for _ in range(3):
        graph.invoke({"x": 1})
    assert graph.parallel_report.runtime.by_node["slow"].early == 1
    released.set()


@pytest.mark.looptime
async def test_nobody_waits_for_a_task_that_will_not_be_cancelled():
    async def first(state):
        await asyncio.sleep(1)
        raise ValueError("first")

    async def stubborn(state):
        try:
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            await asyncio.sleep(50)
        return {"b": 1}

    effects = {"first": Effects(), "stubborn": Effects(writes={"b"})}
    builder = StateGraph(State).add_sequence([first, stubborn]).add_edge(START, "first")
    graph = parallelize(builder.compile(), mode="exact", effects=effects)
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(ValueError, match="first"):
        await graph.ainvoke({"x": 1})
    assert loop.time() - start < 1.2
    assert len(LEFT_BEHIND) == 1
    await asyncio.sleep(60)
    assert len(LEFT_BEHIND) == 0


LEAVES_A_CALL = """
import threading
from typing_extensions import TypedDict
from langgraph.graph import START, StateGraph
from langgraph_parallel import Effects, parallelize

begun = threading.Event()

def first(state):
    assert begun.wait(30)
    raise ValueError("first")

def second(state):
    begun.set()
    threading.Event().wait(300)

builder = StateGraph(TypedDict("State", {"b": int}))
builder.add_sequence([first, second]).add_edge(START, "first")
effects = {"first": Effects(), "second": Effects(writes={"b"})}
try:
    parallelize(builder.compile(), mode="exact", effects=effects).invoke({"b": 1})
except ValueError as error:
    print(error)
"""


def test_a_process_ends_although_a_call_was_left_behind():
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_A_CALL], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\n", "")


def test_daemon_threads_are_reused_bounded_and_ended():
    threads = DaemonThreads(2)
    names = {threads.submit(lambda: threading.current_thread().name).result(30) for _ in range(5)}
    assert len(names) <= 2
    started, gate = threading.Semaphore(0), threading.Event()

    def hold():
        started.release()
        return gate.wait(30)

    running = [threads.submit(hold) for _ in range(4)]
    assert started.acquire(timeout=30)
    assert started.acquire(timeout=30)
    threads.shutdown(cancel_futures=True)
    gate.set()
    assert [f.result(30) for f in running if not f.cancelled()] == [True] * 2
    assert sum(f.cancelled() for f in running) == 2
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(print)
    with pytest.raises(ZeroDivisionError):
        DaemonThreads(1).submit(lambda: 1 // 0).result(30)


# -- model calls -----------------------------------------------------------------------------------


class TwoWays(BaseChatModel):
    """Says how it was called; only a whole answer has its usage."""

    @property
    def _llm_type(self):
        return "two-ways"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        metadata = {"model_name": "two-ways"}
        message = AIMessage("whole", usage_metadata=usage, response_metadata=metadata, id="run-1")
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for part in ("in", " ", "parts"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(part, id="run-1"))
            if run_manager:
                run_manager.on_llm_new_token(part, chunk=chunk)
            yield chunk


class Notes(BaseCallbackHandler):
    """Notes what happens, and where."""

    def __init__(self):
        self.seen = []

    def on_chat_model_start(self, *_: Any, metadata=None, **__: Any):
        self.seen.append(("start", (metadata or {}).get("langgraph_node")))

    def on_llm_new_token(self, token, **_: Any):
        self.seen.append(("token", token))

    def on_llm_end(self, response, **_: Any):
        self.seen.append(("end", response.generations[0][0].text))


class Exporter(Notes):
    """A stream handler to LangChain, by its methods alone."""

    def tap_output_iter(self, run_id, output):
        for part in output:
            self.seen.append(("part", bare(part)))
            yield part

    async def tap_output_aiter(self, run_id, output):
        async for part in output:
            self.seen.append(("part", bare(part)))
            yield part


def asking(how="invoke", model=None):
    """Return what makes a graph; given an event, its first node waits for the second to begin."""
    model = model or TwoWays()
    chain = ChatPromptTemplate.from_template("{x}") | model

    def ask(state):
        if how == "invoke":
            return {"b": model.invoke(state["x"])}
        return {"b": list(chain.stream({"x": state["x"]}))[-1]}

    async def aask(state):
        if how == "invoke":
            return {"b": await model.ainvoke(state["x"])}
        return {"b": [part async for part in chain.astream({"x": state["x"]})][-1]}

    return functools.partial(two_nodes, ask, aask)


def two_nodes(ask, aask, is_async, begun=None):
    def first(state):
        assert begun is None or begun.wait(30)
        return {"a": 1}

    async def afirst(state):
        await asyncio.to_thread(first, state)
        return {"a": 1}

    def second(state):
        if begun is not None:
            begun.set()
        return ask(state)

    async def asecond(state):
        if begun is not None:
            begun.set()
        return await aask(state)

    nodes = (afirst, asecond) if is_async else (first, second)
    named = list(zip(("first", "ask"), nodes, strict=True))
    return StateGraph(State).add_sequence(named).add_edge(START, "first").compile()


EFFECTS = {
    "first": Effects(writes={"a"}),
    "ask": Effects(reads={"x"}, writes={"b"}, external={"model"}),
}


def both(make, *, is_async=False):
    given = make(is_async, threading.Event())
    return make(is_async), parallelize(given, mode="exact", effects=EFFECTS)


def run_invoke(graph):
    notes = Notes()
    return [bare(graph.invoke({"x": "?"}, {"callbacks": [notes]})), notes.seen]


def run_stream(graph):
    return [bare(p) for p in graph.stream({"x": "?"}, stream_mode=["updates", "values", "custom"])]


def run_messages(graph):
    return [bare(p) for p in graph.stream({"x": "?"}, stream_mode=["messages", "updates"])]


def run_exporter(graph):
    notes = Exporter()
    return [bare(graph.invoke({"x": "?"}, {"callbacks": [notes]})), notes.seen]


def run_usage(graph):
    with get_usage_metadata_callback() as usage:
        return [bare(graph.invoke({"x": "?"})), dict(usage.usage_metadata)]


def run_collected(graph):
    with collect_runs() as runs:
        graph.invoke({"x": "?"})
    return [[run.name, [child.name for child in run.child_runs]] for run in runs.traced_runs]


WATCHED = [run_invoke, run_stream, run_messages, run_exporter, run_usage, run_collected]


@pytest.mark.parametrize("run", WATCHED)
@pytest.mark.parametrize("how", ["invoke", "chain"])
def test_a_model_is_called_as_in_the_original(run, how):
    plain, ours = both(asking(how))
    assert run(ours) == run(plain)
    assert ours.parallel_report.runtime.total.early == 1
    if (run, how) != (run_exporter, "chain"):
        assert ours.parallel_report.runtime.total.hit == 1


async def run_ainvoke(graph):
    notes = Notes()
    return [bare(await graph.ainvoke({"x": "?"}, {"callbacks": [notes]})), notes.seen]


async def run_astream(graph):
    modes = ["updates", "values", "custom"]
    return [bare(part) async for part in graph.astream({"x": "?"}, stream_mode=modes)]


async def run_amessages(graph):
    modes = ["messages", "updates"]
    return [bare(part) async for part in graph.astream({"x": "?"}, stream_mode=modes)]


async def run_events_v1(graph):
    return await _events(graph, "v1")


async def run_events_v2(graph):
    return await _events(graph, "v2")


async def _events(graph, version):
    seen = []
    async for event in graph.astream_events({"x": "?"}, version=version):
        event.pop("parent_ids", None)
        seen.append(bare(event))
    return seen


AWATCHED = [run_ainvoke, run_astream, run_amessages, run_events_v1, run_events_v2]


@pytest.mark.filterwarnings("ignore:astream_events version='v1'")
@pytest.mark.parametrize("run", AWATCHED)
@pytest.mark.parametrize("how", ["invoke", "chain"])
async def test_a_model_is_called_as_in_the_original_in_async(run, how):
    plain, ours = both(asking(how), is_async=True)
    assert await run(ours) == await run(plain)
    assert ours.parallel_report.runtime.total.early == 1
    if (run, how) not in {(run_events_v1, "chain"), (run_events_v2, "chain")}:
        assert ours.parallel_report.runtime.total.hit == 1


def test_a_handler_of_the_model_itself_hears_each_call_once():
    seen = []
    for is_ours in (False, True):
        notes = Notes()
        plain, ours = both(asking(model=TwoWays(callbacks=[notes])))
        (ours if is_ours else plain).invoke({"x": "?"})
        seen.append(notes.seen)
    assert seen[0] == seen[1] == [("start", "ask"), ("end", "whole")]


def test_nothing_starts_early_while_langchain_prints_what_it_does(capsys):
    make = asking()
    plain, ours = make(False), parallelize(make(False), mode="exact", effects=EFFECTS)
    set_debug(True)
    try:
        plain.invoke({"x": "?"})
        printed = capsys.readouterr().out
        ours.invoke({"x": "?"})
    finally:
        set_debug(False)
    again = capsys.readouterr().out
    assert again.count("[llm/start]") == printed.count("[llm/start]") == 1
    assert ours.parallel_report.runtime.total.early == 0


@pytest.mark.parametrize("is_early", [True, False])
def test_a_node_is_handed_the_configuration_of_the_original(is_early):
    def make():
        def first(state):
            return {"a": 1}

        def look(state, config: RunnableConfig):
            seen = {key: config[key] for key in ("tags", "metadata", "max_concurrency")}
            return {"b": bare([seen, sorted(config["configurable"])])}

        return StateGraph(State).add_sequence([first, look]).add_edge(START, "first")

    effects = {"first": Effects(), "look": Effects(writes={"b"})}
    if not is_early:
        effects["look"] = Effects(writes={"b"}, control={"step"})
    ours = parallelize(make().compile(), mode="exact", effects=effects)
    config = {"tags": ["t"], "metadata": {"m": 1}, "max_concurrency": 3, "configurable": {"k": 1}}
    assert ours.invoke({"x": 1}, config) == make().compile().invoke({"x": 1}, config)
    assert ours.parallel_report.runtime.total.early == is_early
