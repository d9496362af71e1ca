"""`parallelize` on whole graphs: what is rewritten, what is kept, what is left alone."""

import itertools
import operator
import threading
from typing import Annotated, Literal

import pytest
from chains import State, chain, join_all, read_a, read_b, read_c
from langchain_core.runnables import RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import EphemeralValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import (
    AnalysisError,
    Effects,
    ParallelConfig,
    RewriteError,
    explain,
    parallelize,
)
from langgraph_parallel.testing import assert_equivalent


def rules(builder, **options) -> set[str]:
    return {refusal.rule for refusal in explain(builder, **options).refusals}


def test_independent_nodes_fan_out_and_join():
    fast = parallelize(chain(read_a, read_b, read_c, join_all))
    assert fast.edges == {
        (START, "read_a"),
        (START, "read_b"),
        (START, "read_c"),
        ("read_c", "join_all"),
        ("join_all", END),
    }
    assert fast.waiting_edges == {(("read_a", "read_b", "read_c"), "join_all")}
    assert_equivalent(chain(read_a, read_b, read_c, join_all), [{"text": "x"}])


def test_source_graph_is_not_changed():
    builder = chain(read_a, read_b)
    edges, specs = set(builder.edges), dict(builder.nodes)
    parallelize(builder).compile()
    parallelize(builder.compile())
    assert builder.edges == edges
    assert builder.nodes == specs
    assert not builder.waiting_edges


def test_exit_without_end_edge_is_kept():
    fast = parallelize(chain(read_a, read_b, end=False))
    assert fast.edges == {(START, "read_a"), (START, "read_b")}


def test_node_behind_a_router_stays_and_what_follows_it_moves():
    builder = StateGraph(State)
    for node in (read_a, read_b, read_c, join_all):
        builder.add_node(node)
    builder.add_conditional_edges(START, lambda state: "read_a", ["read_a", END])
    builder.add_edge("read_a", "read_b")
    builder.add_edge("read_b", "read_c")
    builder.add_edge("read_c", "join_all")
    fast = parallelize(builder)
    assert ("read_a", "read_b") in fast.edges
    assert ("read_a", "read_c") in fast.edges
    assert_equivalent(builder, [{"text": "x"}])


def test_node_that_branches_sees_everything_before_it():
    def decide(state) -> Literal["left", "right"]:
        return "left" if state["a"] else "right"

    builder = chain(read_a, read_b, read_c, end=False)
    builder.add_node("left", lambda state: {"d": state["a"] + state["b"]})
    builder.add_node("right", lambda state: {"d": "right"})
    builder.add_conditional_edges("read_c", decide)
    fast = parallelize(builder)
    assert fast.parallel_report.regions[0].levels == (("read_a", "read_b"), ("read_c",))
    assert_equivalent(builder, [{"text": "x"}])


def test_loop_body_is_made_parallel():
    class Loop(State, total=False):
        n: int

    def count(state):
        return {"n": state.get("n", 0) + 1}

    builder = chain(read_a, read_b, read_c, count, schema=Loop, end=False)
    builder.add_conditional_edges(
        "count", lambda state: END if state["n"] > 2 else "read_a", ["read_a", END]
    )
    assert explain(builder).is_parallel
    assert_equivalent(builder, [{"text": "x"}])


def test_two_regions_are_both_rewritten():
    def gate(state):
        return {"log": [interrupt("go?")]}

    def write_c(state):
        return {"c": state["a"] + "c"}

    def write_d(state):
        return {"d": state["b"] + "d"}

    builder = chain(read_a, read_b, gate, write_c, write_d)
    report = explain(builder)
    assert report.regions[0].levels == (("read_a", "read_b"), ("gate",), ("write_c", "write_d"))


def test_settings_of_a_compiled_graph_are_kept():
    saver, store, cache = InMemorySaver(), InMemoryStore(), InMemoryCache()
    graph = chain(read_a, read_b).compile(saver, store=store, cache=cache, name="mine")
    graph.stream_eager = True
    graph = graph.with_config({"tags": ["x"]})
    fast = parallelize(graph)
    assert fast.checkpointer is saver
    assert (fast.store, fast.cache, fast.name) == (store, cache, "mine")
    assert (fast.stream_eager, fast.config) == (True, graph.config)
    assert fast.parallel_report.is_parallel
    assert fast.original is graph
    assert fast.copy({"name": "other"}).parallel_report is fast.parallel_report


def step_timed(graph, step_timeout_s):
    graph.step_timeout = step_timeout_s
    return graph


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_graph_whose_supersteps_are_timed_stays_as_it_is(mode):
    graph = step_timed(chain(read_a, read_b).compile(), 7)
    assert parallelize(graph, mode=mode).step_timeout == 7
    for report in (parallelize(graph, mode=mode).parallel_report, explain(graph, mode=mode)):
        assert not report.is_parallel
        assert "step-timeout" in {refusal.rule for refusal in report.refusals}
    outer = StateGraph(State).add_node("inner", graph).add_edge(START, "inner")
    report = explain(outer, mode=mode)
    assert not report.is_parallel
    assert any("step_timeout" in refusal.reason for refusal in report.refusals)


def test_a_step_timeout_that_is_set_later_counts_the_original_supersteps():
    def supersteps(graph, thread_id):
        config = {"configurable": {"thread_id": thread_id}}
        parts = graph.stream({"text": "1"}, config, stream_mode="checkpoints")
        return [part["metadata"]["step"] for part in parts]

    fast = parallelize(chain(read_a, read_b).compile(InMemorySaver()))
    assert supersteps(fast, "1") == [-1, 0, 1]
    fast.step_timeout = 7
    assert supersteps(fast, "2") == [-1, 0, 1, 2]


def test_the_recursion_limit_of_a_run_suffices_as_before():
    def limit_of(graph):
        for limit in range(1, 10):
            try:
                graph.invoke({"text": "1"}, {"recursion_limit": limit})
            except GraphRecursionError:
                continue
            return limit
        return None

    plain = chain(read_a, read_b).compile()
    assert limit_of(parallelize(plain, mode="exact")) == limit_of(plain)
    assert limit_of(parallelize(plain)) == limit_of(plain) - 1


def test_node_specs_are_kept():
    class Narrow(TypedDict):
        text: str

    retry, cache = RetryPolicy(max_attempts=2), CachePolicy()
    builder = StateGraph(State)
    builder.add_node(
        read_a, retry_policy=retry, cache_policy=cache, metadata={"k": 1}, input_schema=Narrow
    )
    builder.add_node(read_b)
    builder.add_edge(START, "read_a")
    builder.add_edge("read_a", "read_b")
    spec = parallelize(builder).nodes["read_a"]
    assert (spec.retry_policy, spec.cache_policy, spec.metadata) == (retry, cache, {"k": 1})
    assert spec.input_schema is Narrow
    assert spec.runnable is builder.nodes["read_a"].runnable


def test_reducer_keeps_program_order():
    def zeta(state):
        return {"log": ["z"]}

    def alpha(state):
        return {"log": ["a"]}

    def beta(state):
        return {"log": ["b"]}

    builder = chain(zeta, alpha, beta)
    assert explain(builder).regions[0].levels == (("zeta", "alpha", "beta"),)
    assert parallelize(builder).compile().invoke({})["log"] == ["z", "a", "b"]


def test_interrupt_points_keep_their_place():
    builder = chain(read_a, read_b, read_c, join_all)
    graph = parallelize(builder.compile(InMemorySaver(), interrupt_before=["read_b"]))
    config = {"configurable": {"thread_id": "1"}}
    assert graph.invoke({"text": "x"}, config) == {"text": "x", "a": "xa", "log": []}
    assert graph.get_state(config).next == ("read_b",)
    assert graph.invoke(None, config)["d"] == "xaxbxc"


def test_interrupt_points_named_when_the_rewritten_builder_is_compiled_keep_their_place():
    fast = parallelize(chain(read_a, read_b, read_c, join_all))
    graph = fast.compile(InMemorySaver(), interrupt_after=["read_a"])
    config = {"configurable": {"thread_id": "1"}}
    assert graph.invoke({"text": "x"}, config) == {"text": "x", "a": "xa", "log": []}
    assert graph.get_state(config).next == ("read_b", "read_c")
    graph.update_state(config, {"text": "y"})
    assert graph.invoke(None, config)["d"] == "xaybyc"
    assert "interrupt-point" in {r.rule for r in graph.parallel_report.refusals}


def test_changing_a_rewritten_builder_fails_loudly():
    fast = parallelize(chain(read_a, read_b, end=False))
    fast.add_node(read_c)
    fast.add_edge("read_b", "read_c")
    with pytest.raises(RewriteError, match="changed after parallelize"):
        fast.compile()


def test_parallelizing_twice_changes_nothing_more():
    builder = chain(read_a, read_b, read_c, join_all)
    once = parallelize(builder)
    assert parallelize(once).waiting_edges == once.waiting_edges
    assert parallelize(once).compile().invoke({"text": "x"})["d"] == "xaxbxc"


async def test_async_run_gives_the_same_answer():
    async def slow_a(state):
        return {"a": state["text"] + "a"}

    builder = chain(slow_a, read_b, read_c, join_all)
    fast = parallelize(builder.compile())
    expected = await builder.compile().ainvoke({"text": "x"})
    assert await fast.ainvoke({"text": "x"}) == expected
    steps = [sorted(part) async for part in fast.astream({"text": "x"}, stream_mode="updates")]
    assert steps[-1] == ["join_all"]


def test_unknown_call_keeps_its_place_until_it_is_trusted():
    import ctypes
    import smtplib

    def send(state):
        ctypes.CDLL(None).puts(state["text"])
        return {"a": "sent"}

    def mail(state):
        smtplib.SMTP("127.0.0.1").sendmail("a", "b", state["text"])
        return {"a": "sent"}

    builder, trusting = chain(send, read_b), ParallelConfig(unknown_calls="independent")
    assert not explain(builder).is_parallel
    assert "ctypes.CDLL" in str(explain(builder))
    assert explain(builder, config=trusting).is_parallel
    known = explain(chain(mail, read_b), config=trusting)
    assert not known.is_parallel, "that mail is sent is known"
    assert "smtplib.SMTP" in str(known)
    declared = Effects(reads={"text"}, writes={"a"}, external={"read"})
    assert explain(builder, effects={"send": declared}).is_parallel


def test_exclusive_resource_keeps_nodes_apart():
    declared = {
        name: Effects(reads={"text"}, writes={key}, resources={"api"})
        for name, key in (("read_a", "a"), ("read_b", "b"))
    }
    builder = chain(read_a, read_b)
    assert not explain(builder, effects=declared).is_parallel
    assert explain(builder, effects=declared, resources={"api": 2}).is_parallel


def opaque(state):
    return unknown_result()


unknown_result = operator.methodcaller("keys")


def test_node_of_which_nothing_is_known_keeps_its_place_and_holds_nobody_else():
    def add_to_log(state):
        return {"log": ["x"]}

    levels = explain(chain(read_a, read_b, opaque, read_c, add_to_log)).regions[0].levels
    assert levels == (("read_a", "read_b"), ("opaque",), ("read_c", "add_to_log"))


def test_node_that_certainly_goes_to_a_node_of_its_choice_blocks_the_rewrite():
    def go(state):
        return Command(goto=state["text"])

    assert rules(chain(read_a, read_b, go)) == {"unknown-routing"}


class Text(TypedDict, total=False):
    text: str


def test_cached_node_keeps_its_place_and_its_edges():
    builder = StateGraph(State)
    for name, cache_policy in (("one", None), ("two", CachePolicy()), ("three", None)):
        builder.add_node(name, lambda s: {}, input_schema=Text, cache_policy=cache_policy)
    for name, node in (("four", read_b), ("five", read_c)):
        builder.add_node(name, node)
    builder.add_edge(START, "one")
    for source, target in itertools.pairwise(builder.nodes):
        builder.add_edge(source, target)
    rewritten = parallelize(builder)
    assert {r.nodes for r in rewritten.parallel_report.refusals} == {("two",)}
    assert rewritten.parallel_report.regions[0].levels == (("four", "five"),)
    cache = InMemoryCache()
    answer = rewritten.compile(cache=cache).invoke({"text": "ab"})
    assert builder.compile(cache=cache).invoke({"text": "ab"}) == answer


def test_declared_destinations_unblock_a_routing_node():
    def route(state) -> Command[Literal["read_a"]]:
        return Command(goto="read_a")

    builder = chain(read_a, read_b)
    builder = StateGraph(State)
    for node in (route, read_a, read_b, read_c):
        builder.add_node(node)
    builder.add_edge(START, "route")
    builder.add_edge("read_a", "read_b")
    builder.add_edge("read_b", "read_c")
    assert explain(builder).regions[0].region.nodes == ("read_b", "read_c")
    assert_equivalent(builder, [{"text": "x"}])


def test_what_follows_a_parallel_part_is_made_parallel():
    builder = StateGraph(State)
    for node in (read_a, read_b, read_c, join_all):
        builder.add_node(node)
    builder.add_node("last_a", lambda state: {"a": state["d"] + "1"})
    builder.add_node("last_b", lambda state: {"b": state["d"] + "2"})
    builder.add_edge(START, "read_a")
    builder.add_edge(START, "read_b")
    builder.add_edge("read_b", "read_c")
    builder.add_edge(["read_a", "read_c"], "join_all")
    builder.add_edge("join_all", "last_a")
    builder.add_edge("last_a", "last_b")
    report = explain(builder)
    assert report.regions[0].levels == (("join_all",), ("last_a", "last_b"))
    assert report.is_parallel
    assert_equivalent(builder, [{"text": "x"}])


def test_branches_that_meet_twice_are_left_alone():
    builder = StateGraph(State)
    for node in (read_a, read_b, read_c, join_all):
        builder.add_node(node)
    builder.add_edge(START, "read_a")
    builder.add_edge(START, "read_b")
    builder.add_edge("read_b", "read_c")
    builder.add_edge("read_a", "join_all")
    builder.add_edge("read_c", "join_all")
    assert rules(builder) == {"already-parallel"}


def test_map_reduce_part_is_left_as_it_is():
    builder = chain(read_a, read_b, read_c, end=False)
    builder.add_node("map", lambda state: {"log": [state["text"]]})
    builder.add_node("reduce", lambda state: {"d": "".join(state["log"])})
    builder.add_node("final", lambda state: {"a": state["b"]})
    builder.add_conditional_edges(
        "read_c", lambda state: [Send("map", state), Send("map", state)], ["map"]
    )
    builder.add_edge("map", "reduce")
    builder.add_edge("reduce", "final")
    report = explain(builder)
    assert [part.region.nodes for part in report.regions] == [
        ("read_a", "read_b"),
        ("reduce", "final"),
    ]
    assert_equivalent(builder, [{"text": "x"}])


def test_router_that_may_pick_several_anywhere_is_left_alone():
    builder = chain(read_a, read_b, end=False)
    builder.add_node(read_c)
    builder.add_node(join_all)
    builder.add_edge("read_c", "join_all")
    builder.add_conditional_edges("read_b", lambda state: list(state), ["read_c", "join_all"])
    assert "unknown-router" in rules(builder)


def test_keys_that_live_one_superstep_are_left_alone():
    class Short(State, total=False):
        flash: Annotated[str, EphemeralValue]

    def use(state):
        return {"d": state.get("flash", "gone")}

    assert rules(chain(read_a, read_b, use, schema=Short)) == {"superstep-lifetime"}


def test_reader_of_remaining_steps_is_left_alone():
    class Counted(State, total=False):
        left: RemainingSteps

    def use(state):
        return {"d": str(state["left"])}

    assert rules(chain(read_a, read_b, use, schema=Counted)) == {"superstep-lifetime"}


def test_deferred_node_is_left_alone():
    builder = chain(read_a, read_b, end=False)
    builder.add_node(read_c, defer=True)
    builder.add_edge("read_b", "read_c")
    assert "deferred-node" in rules(builder)


@pytest.mark.parametrize("limit", [None, 2])
def test_wide_fan_out_of_sync_nodes_has_a_thread_for_each_unless_limited(limit, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    count = 12
    schema = TypedDict("Wide", {f"k{i:02}": str for i in range(count)}, total=False)
    active, most, lock = [0], [0], threading.Lock()
    everyone = threading.Barrier(count if limit is None else limit)

    def enter():
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        everyone.wait(timeout=10)
        with lock:
            active[0] -= 1

    builder = StateGraph(schema)
    names = [f"k{i:02}" for i in range(count)]
    for name in names:
        builder.add_node(name, make_writer(name, enter))
    for before, after in itertools.pairwise([START, *names]):
        builder.add_edge(before, after)
    declared = {name: Effects(writes={name}) for name in names}
    graph = parallelize(builder, effects=declared).compile()
    graph.invoke({}, {} if limit is None else {"max_concurrency": limit})
    assert most == [count if limit is None else limit]


def make_writer(key, enter):
    def write(state):
        enter()
        return {key: "1"}

    return write


def test_failure_keeps_what_follows_from_running():
    ran = []

    def fail(state):
        msg = "no"
        raise ValueError(msg)

    def pay(state):
        ran.append("paid")
        return {"b": "paid"}

    graph = parallelize(chain(fail, pay).compile())
    with pytest.raises(ValueError, match="no"):
        graph.invoke({"text": "x"})
    assert ran == []


def test_runnable_lambda_node_is_analyzed():
    builder = StateGraph(State)
    builder.add_node("first", RunnableLambda(read_a))
    builder.add_node("second", RunnableLambda(read_b))
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    assert explain(builder).is_parallel


@pytest.mark.parametrize("thing", [None, 3, read_a, RunnableLambda(read_a)])
def test_something_else_than_a_graph_is_refused(thing):
    with pytest.raises(AnalysisError, match="takes a StateGraph or the result of its compile"):
        parallelize(thing)


def test_misspelled_node_in_effects_is_refused():
    with pytest.raises(AnalysisError, match=r"'raed_a'.*read_a, read_b"):
        parallelize(chain(read_a, read_b), effects={"raed_a": Effects()})


def test_unknown_mode_is_refused():
    with pytest.raises(AnalysisError, match="'fanout'"):
        parallelize(chain(read_a, read_b), mode="fast")


def test_assert_equivalent_holds_up_every_node_differently(monkeypatch):
    delays = []
    monkeypatch.setattr("time.sleep", delays.append)
    assert_equivalent(chain(read_a, read_b), [{"text": "x"}], schedules=3)
    assert len(delays) == len(set(delays)) == 2 * 3


def test_giving_a_value_back_is_a_write_where_values_are_changed_in_place():
    class Items(State, total=False):
        items: list[str]

    def change(state):
        state["items"].append("x")

    def give_back(state):
        return {**state, "a": "1", "log": []}

    alone = explain(chain(read_b, give_back, schema=Items)).effects["give_back"]
    assert (alone.writes, "items" in alone.keeps) == ({"a", "log"}, True)
    beside = explain(chain(change, give_back, schema=Items)).effects["give_back"]
    assert beside.writes >= {"a", "items", "log"}
    assert "items" not in beside.keeps
    assert "b" in beside.keeps
