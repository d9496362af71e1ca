"""`mode="exact"`: early starts shorten a run and change nothing that anybody can observe."""

import asyncio
import operator
import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_store, get_stream_writer
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, interrupt
from pydantic import BaseModel
from side_by_side import awatch, bare, watch
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, explain, parallelize
from langgraph_parallel.lowering.exact.threads import LEFT_BEHIND
from langgraph_parallel.testing import assert_equivalent


class State(TypedDict, total=False):
    x: str
    a: str
    b: str
    c: str
    d: str
    e: str
    log: Annotated[list[str], operator.add]


def chain(*nodes, schema=State):
    return StateGraph(schema).add_sequence(list(nodes)).add_edge(START, nodes[0].__name__)


def exact(builder, *, effects=None, config=None, **settings):
    return parallelize(builder.compile(**settings), mode="exact", effects=effects, config=config)


def counts(graph):
    total = graph.parallel_report.runtime.total
    return total.early, total.hit, total.miss, total.abandoned


# -- time ------------------------------------------------------------------------------------------


async def a(state):
    await asyncio.sleep(0.1)
    return {"a": state["x"] + "a", "log": ["a"]}


async def b(state):
    await asyncio.sleep(0.1)
    return {"b": state["a"] + "b", "log": ["b"]}


async def c(state):
    await asyncio.sleep(0.6)
    return {"c": state["a"] + "c", "log": ["c"]}


async def d(state):
    await asyncio.sleep(0.4)
    return {"d": state["b"] + "d", "log": ["d"]}


async def e(state):
    await asyncio.sleep(0.1)
    return {"e": state["c"] + state["d"], "log": ["e"]}


async def seconds(graph, given, config=None):
    loop = asyncio.get_running_loop()
    start = loop.time()
    await graph.ainvoke(given, config)
    return loop.time() - start


@pytest.mark.looptime
async def test_an_unbalanced_diamond_takes_its_critical_path():
    builder = chain(a, b, c, d, e)
    assert await seconds(builder.compile(), {"x": "-"}) == pytest.approx(1.3)
    assert await seconds(exact(builder), {"x": "-"}) == pytest.approx(0.8)


@pytest.mark.looptime
async def test_a_parallel_graph_loses_its_barriers():
    builder = StateGraph(State)
    for node in (a, b, c, d, e):
        builder.add_node(node)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("a", "c").add_edge("b", "d")
    builder.add_edge(["c", "d"], "e")
    plain, ours = builder.compile(), exact(builder)
    assert await seconds(plain, {"x": "-"}) == pytest.approx(1.2)
    assert await seconds(ours, {"x": "-"}) == pytest.approx(0.8)
    assert await ours.ainvoke({"x": "-"}) == await plain.ainvoke({"x": "-"})


@pytest.mark.looptime
async def test_results_are_committed_in_order():
    builder = chain(a, b, c, d, e)
    ours = exact(builder, checkpointer=InMemorySaver())
    assert await awatch(ours, {"x": "-"}) == await awatch(
        builder.compile(InMemorySaver()), {"x": "-"}
    )
    assert counts(ours) == (3, 3, 0, 0)


@pytest.mark.looptime
async def test_nodes_before_a_router_and_in_loops_start_early():
    class Loop(State):
        n: int

    async def count(state):
        await asyncio.sleep(0.1)
        return {"n": state.get("n", 0) + 1}

    async def other(state):
        await asyncio.sleep(0.1)
        return {"b": state["x"] + "b"}

    builder = chain(count, other, schema=Loop)
    builder.add_conditional_edges("other", lambda s: "count" if s["n"] < 3 else END, ["count", END])
    plain, ours = builder.compile(), exact(builder)
    assert await seconds(plain, {"x": "-"}) == pytest.approx(0.6)
    assert await seconds(ours, {"x": "-"}) == pytest.approx(0.3)
    assert await awatch(ours, {"x": "-"}) == await awatch(plain, {"x": "-"})
    assert counts(ours) == (6, 6, 0, 0)


@pytest.mark.looptime
@pytest.mark.parametrize(("limit", "expected"), [(1, 1.3), (2, 0.8), (3, 0.8)])
async def test_max_concurrency_is_kept(limit, expected):
    active, most = 0, 0

    def counted(node):
        async def run(state):
            nonlocal active, most
            active += 1
            most = max(most, active)
            try:
                return await node(state)
            finally:
                active -= 1

        run.__name__ = node.__name__
        return run

    keys = {"a": "x", "b": "a", "c": "a", "d": "b"}
    effects = {n: Effects(reads={k}, writes={n, "log"}) for n, k in keys.items()}
    effects["e"] = Effects(reads={"c", "d"}, writes={"e", "log"})
    ours = exact(chain(*map(counted, (a, b, c, d, e))), effects=effects)
    took = await seconds(ours, {"x": "-"}, {"max_concurrency": limit})
    assert most == limit if limit < 3 else most <= limit
    assert took == pytest.approx(expected)


def test_sync_nodes_run_at_the_same_time():
    meet = threading.Barrier(3, timeout=30)

    def node(name):
        def run(state):
            meet.wait()
            return {name: state["x"]}

        run.__name__ = name
        return run

    effects = {n: Effects(reads={"x"}, writes={n}) for n in "abc"}
    ours = exact(chain(*map(node, "abc")), effects=effects)
    assert ours.invoke({"x": "1"}) == {"x": "1", "a": "1", "b": "1", "c": "1", "log": []}


async def test_sync_nodes_run_at_the_same_time_in_an_async_run():
    meet = threading.Barrier(40, timeout=30)
    names = [f"n{i}" for i in range(40)]

    def node(name):
        def run(state):
            meet.wait()
            return {"log": [name]}

        run.__name__ = name
        return run

    effects = {n: Effects(writes={"log"}) for n in names}
    ours = exact(chain(*map(node, names)), effects=effects)
    assert (await ours.ainvoke({"x": "1"}))["log"] == names


# -- wrong expectations ----------------------------------------------------------------------------


def test_a_wrong_declaration_costs_a_run_and_no_answer():
    read = threading.Event()

    def first(state):
        assert read.wait(30)
        return {"a": state["x"] + "!"}

    def second(state):
        value = state.get("a", "nothing")
        read.set()
        return {"b": value}

    builder = chain(first, second)
    effects = {
        "first": Effects(reads={"x"}, writes={"a"}),
        "second": Effects(writes={"b"}),
    }
    ours = exact(builder, effects=effects)
    for number in range(5):
        assert ours.invoke({"x": "1", "a": "old"})["b"] == "1!"
        read.clear() if number < 2 else read.set()  # switched off, it no longer comes early
        assert counts(ours) == (min(number + 1, 3), 0, min(number + 1, 3), 0)
    assert ours.parallel_report.runtime.off == {"second"}


def test_what_is_built_on_a_wrong_result_is_built_again():
    release = threading.Event()

    def first(state):
        assert release.wait(30)
        return {"a": state["x"] + "!"}

    def second(state):
        release.set()
        return {"b": state.get("a", "nothing")}

    def third(state):
        return {"c": state["b"]}

    effects = {
        "first": Effects(reads={"x"}, writes={"a"}),
        "second": Effects(writes={"b"}),
        "third": Effects(reads={"b"}, writes={"c"}),
    }
    ours = exact(chain(first, second, third), effects=effects)
    assert ours.invoke({"x": "1"})["c"] == "1!"


def test_changing_values_in_place_reaches_nobody_early():
    class Lists(TypedDict, total=False):
        items: list[str]
        seen: list[str]
        n: int

    gate = threading.Event()

    def look(state):
        assert gate.wait(30)
        return {"seen": list(state["items"])}

    def change(state):
        state["items"].append("late")
        gate.set()
        return {"n": len(state["items"])}

    effects = {
        "look": Effects(reads={"items"}, writes={"seen"}),
        "change": Effects(reads={"items"}, writes={"n"}),  # hides the change
    }
    ours = exact(chain(look, change, schema=Lists), effects=effects)
    assert ours.invoke({"items": ["i"]}) == {"items": ["i", "late"], "seen": ["i"], "n": 2}
    assert counts(ours) == (1, 0, 1, 0)


def test_a_change_in_place_by_an_earlier_node_is_noticed():
    class Lists(TypedDict, total=False):
        items: list[str]
        n: int
        seen: list[str]

    read = threading.Event()

    def change(state):
        assert read.wait(30)
        state["items"].append("new")
        return {"n": 1}

    def look(state):
        seen = list(state["items"])
        read.set()
        return {"seen": seen}

    effects = {
        "change": Effects(reads={"items"}, writes={"n"}),  # hides the change
        "look": Effects(reads={"items"}, writes={"seen"}),
    }
    ours = exact(chain(change, look, schema=Lists), effects=effects)
    assert ours.invoke({"items": ["i"]})["seen"] == ["i", "new"]


@pytest.mark.looptime
async def test_a_node_that_gives_the_state_back_waits_for_what_it_reads():
    class Flat(TypedDict, total=False):
        x: str
        a: str
        b: str
        c: str

    async def one(state: Flat):
        await asyncio.sleep(1)
        return {**state, "a": state["x"] + "a"}

    async def two(state: Flat):
        await asyncio.sleep(1)
        return {**state, "b": state["x"] + "b"}

    async def three(state: Flat):
        await asyncio.sleep(1)
        return {**state, "c": state["a"] + state["b"]}

    builder = chain(one, two, three, schema=Flat)
    ours = exact(builder, checkpointer=InMemorySaver())
    assert await awatch(ours, {"x": "-"}) == await awatch(
        builder.compile(InMemorySaver()), {"x": "-"}
    )
    assert counts(ours)[2:] == (0, 0)
    assert await seconds(exact(builder), {"x": "-"}) == pytest.approx(2)


@pytest.mark.looptime
@pytest.mark.parametrize("given", [{"x": "-"}, {"x": "-", "status": "begun"}])
async def test_a_node_that_gives_the_state_back_with_a_key_that_all_write_starts_early(given):
    class Flat(TypedDict, total=False):
        x: str
        a: str
        b: str
        status: str

    async def one(state: Flat):
        await asyncio.sleep(1)
        return {**state, "a": state["x"] + "a", "status": "one"}

    async def two(state: Flat):
        await asyncio.sleep(1)
        return {**state, "b": state["x"] + "b", "status": "two"}

    async def sometimes(state: Flat):
        await asyncio.sleep(1)
        made = {**state, "b": state["x"] + "b"}
        if state["x"] == "never":
            made["status"] = "sometimes"
        return made

    async def looking(state: Flat):
        await asyncio.sleep(1)
        made = {**state, "b": state["x"]}
        made["status"] = f"{made.get('status')} and more"
        return made

    for last, expected_s in ((two, 1), (sometimes, 1), (looking, 2)):
        builder = chain(one, last, schema=Flat)
        ours = exact(builder, checkpointer=InMemorySaver())
        original = builder.compile(InMemorySaver())
        assert await awatch(ours, given) == await awatch(original, given)
        assert await seconds(exact(builder), given) == pytest.approx(expected_s)


# -- contact with the world ------------------------------------------------------------------------


def test_unknown_and_writing_nodes_stay_where_they_are():
    def first(state):
        return {"a": "1"}

    def second(state):
        print("hello")
        return {"b": "1"}

    def third(state):
        return {"c": "1"}

    report = explain(
        chain(first, second, third),
        mode="exact",
        effects={"second": Effects(writes={"b"}, external={"write"})},
    )
    assert [r.nodes for r in report.refusals] == [("second",)]
    assert "writes to the world" in report.refusals[0].reason
    assert not report.is_parallel, "it may fail, and then nothing after it may have happened"
    unknown = {"second": Effects(writes={"b"}, external={"unknown"})}
    assert not explain(chain(first, second, third), mode="exact", effects=unknown).is_parallel


def test_nothing_starts_before_a_node_that_writes_to_the_world_has_ended():
    effects = {
        "first": Effects(external={"write"}),
        "second": Effects(external={"model"}, writes={"b"}),
        "third": Effects(external={"read"}, writes={"c"}),
    }

    def first(state):
        return None

    def second(state):
        return {"b": "1"}

    def third(state):
        return {"c": "1"}

    report = explain(chain(first, second, third), mode="exact", effects=effects)
    assert report.regions[0].levels == (("first",), ("second", "third"))


STRAYS = {
    "interrupt": lambda state: {"b": str(interrupt("?"))},
    "store": lambda state: get_store().put(("n",), "k", {"v": 1}),
    "task": lambda state: {"b": task(lambda: "1")().result()},
    "config": lambda state, config: {"b": config["configurable"]["__pregel_read"]("x", False)},
    "runtime": lambda state, runtime: {"b": str(runtime.execution_info.checkpoint_id)[:0]},
    "command": lambda state: Command(update={"b": "1"}, goto=END),
    "graph": lambda state: {"b": INNER.invoke({"x": "1"})["a"]},
}
INNER = StateGraph(State).add_node("in", lambda s: {"a": "1"}).add_edge(START, "in").compile()


@pytest.mark.parametrize("what", STRAYS)
def test_a_run_that_reaches_into_the_engine_is_run_in_its_time(what):
    def first(state):
        return {"a": "1"}

    def last(state):
        return {"c": "1"}

    def build(**settings):
        builder = chain(first, last)
        builder = StateGraph(State)
        builder.add_node(first).add_node("stray", STRAYS[what]).add_node(last)
        return builder.add_edge(START, "first").add_edge("first", "stray").add_edge("stray", "last")

    effects = {"stray": Effects(writes={"b"})}
    seen = []
    for is_ours in (False, True):
        settings = {"checkpointer": InMemorySaver(), "store": InMemoryStore()}
        graph = (
            exact(build(), effects=effects, **settings) if is_ours else build().compile(**settings)
        )
        seen.append(watch(graph, {"x": "1"}, Command(resume="go")))
        if is_ours and what != "command":
            total = graph.parallel_report.runtime.by_node["stray"]
            assert (total.hit, total.abandoned) == (0, total.early)
    assert seen[0] == seen[1]


def test_what_counts_a_superstep_or_a_node_keeps_it_in_its_place():
    def first(state):
        return {"a": "1"}

    async def second(state):
        return {"b": "1"}

    for settings in ({"cache_policy": CachePolicy()}, {"timeout": 5.0}):
        builder = StateGraph(State).add_node(first).add_node(second, **settings)
        builder.add_edge(START, "first").add_edge("first", "second")
        (refusal,) = explain(builder, mode="exact").refusals
        assert refusal.nodes == ("second",)
        assert next(iter(settings)) in refusal.reason


@pytest.mark.looptime
async def test_limits_of_a_graph_keep_its_nodes_in_their_place():
    builder = chain(a, b, c, d, e)
    timed, few = exact(builder), exact(builder, config=ParallelConfig(max_early_runs=0))
    timed.step_timeout = 100
    for graph in (timed, few):
        assert await seconds(graph, {"x": "-"}) == pytest.approx(1.3)
        assert counts(graph) == (0, 0, 0, 0)


@pytest.mark.looptime
async def test_users_of_one_resource_follow_one_another():
    keys = {"b": "x", "c": "x", "d": "x"}

    def node(name):
        async def run(state):
            await asyncio.sleep(1)
            return {name: state["x"]}

        run.__name__ = name
        return run

    effects = {n: Effects(reads={k}, writes={n}, resources={"api"}) for n, k in keys.items()}
    builder = chain(*map(node, "bcd"))
    assert await seconds(exact(builder, effects=effects), {"x": "-"}) == pytest.approx(3)
    two = parallelize(builder.compile(), mode="exact", effects=effects, resources={"api": 2})
    assert await seconds(two, {"x": "-"}) == pytest.approx(2)


# -- failures, pauses, resuming --------------------------------------------------------------------


class Once:
    """Fails, or pauses, the first time."""

    def __init__(self):
        self.failed = False


def build_failing(where):
    """Return a builder of three independent nodes of which one fails once."""
    once = Once()

    def node(name):
        def run(state):
            if name == where and not once.failed:
                once.failed = True
                raise ValueError(name)
            return {name: state["x"], "log": [name]}

        run.__name__ = name
        return run

    effects = {n: Effects(reads={"x"}, writes={n, "log"}) for n in "abc"}
    return chain(*map(node, "abc")), effects, once


@pytest.mark.parametrize("where", ["a"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_state_after_a_failure_and_a_resume_is_the_same(where, durability):
    seen = []
    for is_ours in (False, True):
        builder, effects, _ = build_failing(where)
        graph = builder.compile(InMemorySaver())
        if is_ours:
            graph = parallelize(graph, mode="exact", effects=effects)
        seen.append(watch(graph, {"x": "1"}, None, durability=durability))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("where", ["b", "c"])
def test_an_early_failure_is_not_the_runs(where):
    """The node fails early, once; in its own time it does not, as if run there only."""
    builder, effects, once = build_failing(where)
    ours = exact(builder, effects=effects)
    assert ours.invoke({"x": "1"})["log"] == ["a", "b", "c"]
    assert once.failed
    assert counts(ours) == (2, 1, 1, 0)


def test_retries_are_langgraphs():
    calls = []

    def first(state):
        return {"a": "1"}

    def flaky(state):
        calls.append(state["x"])
        if len(calls) < 4:
            raise ConnectionError("again")
        return {"b": str(len(calls))}

    builder = StateGraph(State).add_node(first)
    builder.add_node(flaky, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    builder.add_edge(START, "first").add_edge("first", "flaky")
    ours = exact(builder, effects={"flaky": Effects(reads={"x"}, writes={"b"})})
    assert ours.invoke({"x": "1"})["b"] == "4"  # one early, three in its own time


def pausing():
    def first(state):
        return {"a": state["x"] + "a", "log": ["first"]}

    def ask(state):
        return {"b": interrupt("really?"), "log": ["ask"]}

    def third(state):
        return {"c": state["x"] + "c", "log": ["third"]}

    def fourth(state):
        return {"d": state["b"] + state["c"], "log": ["fourth"]}

    return chain(first, ask, third, fourth)


@pytest.mark.parametrize("halt", [{}, {"interrupt_before": ["third"]}, {"interrupt_after": "*"}])
@pytest.mark.parametrize("order", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_threads_pause_alike_and_go_on_in_either_graph(order, halt):
    seen = []
    for graphs in (order, (0, 0)):
        saver = InMemorySaver()
        both = pausing().compile(saver), exact(pausing(), checkpointer=saver)
        first, second = both[graphs[0]], both[graphs[1]]
        config = {"configurable": {"thread_id": "1"}}
        parts = watch(first, {"x": "1"}, **halt)
        for _ in range(4):
            state = second.get_state(config)
            if state.next:
                given = Command(resume="yes") if state.interrupts else None
                parts += watch(second, given, **halt)
        seen.append(parts)
    assert seen[0] == seen[1]


def test_update_state_and_time_travel_are_langgraphs():
    seen = []
    for is_ours in (False, True):
        saver = InMemorySaver()
        graph = exact(pausing(), checkpointer=saver) if is_ours else pausing().compile(saver)
        config = {"configurable": {"thread_id": "1"}}
        parts = watch(graph, {"x": "1"})
        graph.update_state(config, {"x": "2"})
        parts += watch(graph, Command(resume="yes"))
        forked = graph.update_state(list(graph.get_state_history(config))[2].config, {"x": "3"})
        parts += watch(graph, None, config=forked)
        seen.append(parts)
    assert seen[0] == seen[1]


def test_nothing_is_started_beyond_a_pause():
    ours = exact(pausing(), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    ours.invoke({"x": "1"}, config)
    assert counts(ours) == (0, 0, 0, 0)


# -- the end of a run ------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize("how", ["close", "cancel", "fail"])
async def test_nothing_runs_on_after_the_end(how):
    running: set[str] = set()
    ended = []

    def node(name, delay_s):
        async def run(state):
            running.add(name)
            try:
                await asyncio.sleep(delay_s)
                if how == "fail" and name == "b":
                    raise ValueError(name)
                ended.append(name)
            finally:
                running.discard(name)
            return {name: "1"}

        run.__name__ = name
        return run

    effects = {n: Effects(writes={n}) for n in "abcd"}
    ours = exact(chain(node("a", 1), node("b", 2), node("c", 50), node("d", 60)), effects=effects)
    if how == "close":
        parts = ours.astream({"x": "1"}, stream_mode="updates")
        await anext(parts)
        await parts.aclose()
    elif how == "cancel":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ours.ainvoke({"x": "1"}), 1.5)
    else:
        with pytest.raises(ValueError, match="b"):
            await ours.ainvoke({"x": "1"})
    assert not running
    assert "c" not in ended
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


def test_a_sync_run_does_not_wait_for_threads_that_nobody_needs():
    started, ended = threading.Event(), threading.Event()

    def first(state):
        assert started.wait(30)
        raise ValueError("first")

    def second(state):
        started.set()
        assert ended.wait(30)
        return {"b": "1"}

    effects = {"first": Effects(), "second": Effects(writes={"b"})}
    with pytest.raises(ValueError, match="first"):
        exact(chain(first, second), effects=effects).invoke({"x": "1"})
    assert len(LEFT_BEHIND) == 1
    ended.set()
    wait_until_none_is_left()


def wait_until_none_is_left():
    limit = time.monotonic() + 30
    while len(LEFT_BEHIND) and time.monotonic() < limit:
        time.sleep(0.001)
    assert len(LEFT_BEHIND) == 0


# -- streams and callbacks -------------------------------------------------------------------------


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    other: str
    third: str


def talking(is_checked=None):
    """Return a graph of model calls that streams tokens and writes to the custom stream.

    Given an event, the first node waits for the end of the second one.
    """
    first = GenericFakeChatModel(messages=iter([AIMessage("alpha beta", id="1")] * 9))
    second = GenericFakeChatModel(messages=iter([AIMessage("gamma delta", id="2")] * 9))

    def ask(state: Talk):
        assert is_checked is None or is_checked.wait(30)
        get_stream_writer()("asking")
        return {"messages": [first.invoke("one")]}

    def check(state: Talk):
        write = get_stream_writer()
        write("checking")
        answer = second.invoke("two").content
        write("checked")
        if is_checked is not None:
            is_checked.set()
        return {"other": answer}

    def last(state: Talk):
        return {"third": "." * len(state["messages"])}

    builder = chain(ask, check, last, schema=Talk)
    effects = {
        "ask": Effects(writes={"messages"}, external={"model"}),
        "check": Effects(writes={"other"}, external={"model"}),
        "last": Effects(reads={"messages"}, writes={"third"}),
    }
    return builder, effects


async def test_tokens_and_custom_parts_come_in_their_own_superstep():
    builder, effects = talking()
    plain = watch(builder.compile(InMemorySaver()), {})
    assert any("gamma" in str(part) for part in plain)
    builder, effects = talking()
    ours = exact(builder, effects=effects, checkpointer=InMemorySaver())
    assert watch(ours, {}) == plain
    # A thread that has not begun when the node's turn comes is not waited for.
    assert counts(ours)[:3] in {(2, 2, 0), (2, 1, 0)}
    builder, effects = talking()
    aplain = await awatch(builder.compile(InMemorySaver()), {})
    builder, effects = talking()
    ours = exact(builder, effects=effects, checkpointer=InMemorySaver())
    assert await awatch(ours, {}) == aplain


def test_tokens_and_custom_parts_may_come_at_once():
    seen = {}
    for events in ("held", "live"):
        builder, effects = talking(threading.Event())
        ours = exact(builder, effects=effects, config=ParallelConfig(early_events=events))
        parts = [bare(p) for p in ours.stream({}, stream_mode=["messages", "custom", "updates"])]
        seen[events] = sorted(map(repr, parts))
        said = [part for mode, part in parts if mode == "custom"]
        first = "asking" if events == "held" else "checking"
        assert said[0] == first
        assert sorted(said) == ["asking", "checked", "checking"]
    assert seen["held"] == seen["live"]


async def test_events_of_astream_events_are_the_same():
    seen = []
    for is_ours in (False, True):
        builder, effects = talking()
        graph = exact(builder, effects=effects) if is_ours else builder.compile()
        events = [event async for event in graph.astream_events({}, version="v2")]
        for event in events:
            event.pop("parent_ids")
        seen.append([bare(event) for event in events])
    assert seen[0] == seen[1]


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_v3_events_are_the_same():
    sync, later = [], []
    for is_ours in (False, True):
        for seen in (sync, later):
            builder, effects = talking()
            graph = exact(builder, effects=effects) if is_ours else builder.compile()
            if seen is sync:
                seen.append([bare(event) for event in graph.stream_events({}, version="v3")])
            else:
                events = await graph.astream_events({}, version="v3")
                seen.append([bare(event) async for event in events])
    assert len(sync[0]) > 10
    assert sync[0] == sync[1]
    assert later[0] == later[1]


class Tree(BaseCallbackHandler):
    """Notes every run under its parent."""

    def __init__(self):
        self.names: dict[Any, str] = {}
        self.seen: list[Any] = []

    def _enter(self, *_: Any, run_id, parent_run_id=None, name=None, metadata=None, **__: Any):
        self.names[run_id] = name or "model"
        where = [(metadata or {}).get(f"langgraph_{key}") for key in ("node", "step")]
        self.seen.append((self.names[run_id], self.names.get(parent_run_id), *where))

    on_chain_start = on_chat_model_start = _enter

    def on_llm_end(self, *_: Any, run_id, **__: Any):
        self.seen.append(("end", self.names[run_id]))


def test_traces_show_each_call_once_under_its_own_step():
    seen = []
    for is_ours in (False, True):
        builder, effects = talking()
        graph = exact(builder, effects=effects) if is_ours else builder.compile()
        tree = Tree()
        graph.invoke({}, {"callbacks": [tree]})
        seen.append(tree.seen)
    assert seen[0] == seen[1]
    assert ("model", "check", "check", 2) in seen[1]


def test_model_calls_carry_what_a_scheduler_wants_to_know():
    stamps = {}

    class Look(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, metadata=None, **__: Any):
            stamps[metadata["langgraph_node"]] = metadata["langgraph_parallel"]

    builder, effects = talking()
    exact(builder, effects=effects).invoke({}, {"callbacks": [Look()]})
    assert stamps["ask"] == {"early": False, "remaining_critical_path": 1.0, "unit": "calls"}
    assert stamps["check"] == {"early": True, "remaining_critical_path": 1.0, "unit": "calls"}


# -- states with attributes ------------------------------------------------------------------------


class Model(BaseModel):
    x: str = ""
    a: str = ""
    b: str = ""
    c: str = ""


@dataclass
class Data:
    x: str = ""
    a: str = ""
    b: str = ""
    c: str = ""


@pytest.mark.parametrize("schema", [Model, Data])
def test_states_with_attributes(schema):
    def first(state):
        return {"a": state.x + "a"}

    def second(state):
        return {"b": state.x + "b"}

    def third(state):
        return {"c": state.a + state.b}

    def fourth(state):
        copy = type(state)(x=state.x, a=state.a + "!", b=state.b, c=state.c)
        return copy if isinstance(state, schema) else None

    builder = chain(first, second, third, fourth, schema=schema)
    plain = watch(builder.compile(InMemorySaver()), {"x": "1"})
    ours = exact(builder, checkpointer=InMemorySaver())
    assert watch(ours, {"x": "1"}) == plain
    assert counts(ours)[1] >= 1


# -- speculation -----------------------------------------------------------------------------------


def routed():
    async def classify(state) -> dict[str, str]:
        await asyncio.sleep(1)
        return {"a": state["x"]}

    async def left(state):
        await asyncio.sleep(1)
        return {"b": state["x"] + "l"}

    async def right(state):
        await asyncio.sleep(1)
        return {"b": state["x"] + "r"}

    def route(state) -> Literal["left", "right"]:
        return "left" if state["a"] == "l" else "right"

    builder = StateGraph(State).add_node(classify).add_node(left).add_node(right)
    return builder.add_edge(START, "classify").add_conditional_edges("classify", route)


@pytest.mark.looptime
async def test_by_default_nothing_starts_before_a_router_has_chosen():
    ours = exact(routed())
    assert await seconds(ours, {"x": "l"}) == pytest.approx(2)
    assert counts(ours) == (0, 0, 0, 0)


@pytest.mark.looptime
async def test_speculation_runs_what_a_router_may_choose():
    ours = exact(routed(), config=ParallelConfig(speculate="pure"))
    assert await seconds(ours, {"x": "l"}) == pytest.approx(1)
    assert counts(ours) == (2, 1, 0, 1)
    assert ours.parallel_report.runtime.by_node["right"].abandoned == 1
    assert await awatch(ours, {"x": "r"}) == await awatch(routed().compile(), {"x": "r"})


@pytest.mark.looptime
async def test_speculation_is_bounded():
    ours = exact(routed(), config=ParallelConfig(speculate="pure", max_guesses=1))
    await ours.ainvoke({"x": "l"})
    assert counts(ours)[0] == 1


def test_assert_equivalent_takes_the_mode():
    assert_equivalent(pausing_free(), [{"x": "1"}, {}], mode="exact")


def pausing_free():
    def first(state):
        return {"a": state["x"] + "a", "log": ["first"]}

    def second(state):
        return {"b": state["x"] + "b", "log": ["second"]}

    return chain(first, second)


@pytest.mark.looptime
async def test_a_guess_is_never_used_in_a_later_round():
    class Loop(State):
        n: int

    async def count(state):
        await asyncio.sleep(1)
        return {"n": state.get("n", 0) + 1}

    async def left(state):
        await asyncio.sleep(0.5)
        return {"b": state["x"] + "l"}

    async def right(state):
        await asyncio.sleep(0.5)
        return {"c": state["x"] + "r"}

    def route(state) -> Literal["left", "right"]:
        return "left" if state["n"] == 2 else "right"

    def back(state) -> Literal["count", "__end__"]:
        return "count" if state["n"] < 2 else "__end__"

    builder = StateGraph(Loop).add_node(count).add_node(left).add_node(right)
    builder.add_edge(START, "count").add_conditional_edges("count", route)
    builder.add_conditional_edges("right", back)
    ours = exact(builder, config=ParallelConfig(speculate="pure"))
    assert await awatch(ours, {"x": "-"}) == await awatch(builder.compile(), {"x": "-"})
    total = ours.parallel_report.runtime.by_node["left"]
    assert (total.early, total.hit, total.abandoned) == (2, 1, 1)


# -- several at once -------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_runs_of_one_graph_do_not_meet():
    ours = exact(chain(a, b, c, d, e))
    given = [{"x": str(i)} for i in range(20)]
    results = await ours.abatch(given)
    assert [r["e"] for r in results] == [f"{i}ac{i}abd" for i in range(20)]
    assert counts(ours) == (60, 60, 0, 0)


def test_a_graph_in_a_graph():
    def outer_one(state):
        return {"c": state["x"] + "1"}

    def build(wrap):
        def first(state):
            return {"a": state["x"] + "a"}

        def second(state):
            return {"b": state["x"] + "b"}

        inner = wrap(chain(first, second).compile())
        builder = StateGraph(State).add_node("inner", inner).add_node(outer_one)
        builder.add_edge(START, "inner").add_edge("inner", "outer_one")
        return wrap(builder.compile(checkpointer=InMemorySaver()))

    ours = build(lambda graph: parallelize(graph, mode="exact"))
    assert watch(ours, {"x": "1"}, subgraphs=True) == watch(
        build(lambda graph: graph), {"x": "1"}, subgraphs=True
    )


def test_settings_and_the_source_are_kept():
    builder = chain(a, b, c, d, e)
    compiled = builder.compile(name="mine").with_config({"tags": ["t"]})
    ours = parallelize(compiled, mode="exact")
    assert ours.name == "mine"
    assert ours.original is compiled
    assert ours.with_config({"tags": ["u"]}).parallel_report is ours.parallel_report
    assert parallelize(builder, mode="exact").compile().parallel_report.is_parallel
    assert parallelize(ours, mode="exact").parallel_report.is_parallel
    assert ours.get_graph().draw_mermaid() == compiled.get_graph().draw_mermaid()
