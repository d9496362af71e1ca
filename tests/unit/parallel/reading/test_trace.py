"""Recording a graph changes nothing, sees what its nodes do, and only ever widens an analysis."""

import asyncio
import copy
import functools
import json
import operator
import pickle
import pprint
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnablePassthrough
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy, Command, Overwrite, RetryPolicy, Send, interrupt
from pydantic import BaseModel, PrivateAttr
from typing_extensions import TypedDict

from langgraph_parallel import ALL, AnalysisError, Effects, parallelize
from langgraph_parallel.reading.trace import Recording, record, widen


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    n: int
    items: list[str]
    log: Annotated[list[str], operator.add]


GIVEN = {"a": "A", "b": "B", "items": ["i"], "log": ["start"]}


def build(*nodes, schema=State, **options):
    """Build a chain of the given nodes, named after their functions or by position."""
    builder = StateGraph(schema)
    names = []
    for number, node in enumerate(nodes):
        name = getattr(node, "__name__", f"node{number}")
        names.append(f"node{number}" if name == "<lambda>" else name)
        builder.add_node(names[-1], node, **options)
    for u, v in zip([START, *names], names, strict=False):
        builder.add_edge(u, v)
    return builder


def observe(node, given=GIVEN, schema=State):
    """Run one node in a recording graph and return what was seen, after comparing the answers."""
    builder = build(node, schema=schema)
    recording = record(builder)
    assert recording.graph.invoke(copy.deepcopy(given)) == builder.compile().invoke(
        copy.deepcopy(given)
    )
    (seen,) = recording.observations.values()
    return seen


def returning(function):
    """Make a node that evaluates `function` on its state."""
    return lambda state: {"c": repr(function(state))}


def match_a(state):
    match state:
        case {"a": str(found)}:
            return found
    return None


@pytest.mark.parametrize(
    ("look", "reads"),
    [
        (lambda s: s["a"], {"a"}),
        (lambda s: s.get("c", "none"), {"c"}),
        (lambda s: "n" in s, {"n"}),
        (lambda s: s.get("no such key"), set()),
        (lambda s: s.copy()["a"], {"a"}),
        (lambda s: s.pop("b"), {"b"}),
        (lambda s: s.setdefault("n", 3), {"n"}),
        (lambda s: "%(a)s".__mod__(s), {"a"}),
        (lambda s: "{a}-{b}".format_map(s), {"a", "b"}),
        (lambda s: operator.itemgetter("a", "b")(s), {"a", "b"}),
        (match_a, {"a"}),
        (lambda s: (s.update(a="own"), s["a"]), set()),
        (lambda s: (s.copy().update(a="own"), s["a"]), {"a"}),
        (lambda s: isinstance(s, dict), set()),
        (lambda s: s.__class__ is dict, set()),
    ],
)
def test_keys_looked_at_one_by_one_are_read(look, reads):
    seen = observe(returning(look))
    assert seen.reads == reads
    assert not seen.whole


@pytest.mark.parametrize(
    "look",
    [
        dict,
        len,
        bool,
        sorted,
        repr,
        str,
        json.dumps,
        pprint.pformat,
        copy.copy,
        copy.deepcopy,
        lambda s: [s],
        lambda s: f"{s}",
        lambda s: {**s},
        lambda s: (lambda **given: given)(**s),
        lambda s: s | {"z": 1},
        lambda s: {"z": 1} | s,
        lambda s: s == GIVEN,
        lambda s: s != GIVEN,
        lambda s: list(s.items()),
        lambda s: list(s.values()),
        lambda s: list(reversed(s)),
        lambda s: pickle.loads(pickle.dumps(s)),
        lambda s: [key for key in s if key == "a"],
        lambda s: set().union(s),
        lambda s: {}.update(s),
        lambda s: s.popitem(),
    ],
)
def test_a_use_of_the_whole_state_reads_everything(look):
    builder = build(returning(look))
    recording = record(builder)
    assert recording.graph.invoke(GIVEN) == builder.compile().invoke(GIVEN)
    assert recording.effects("node0").reads is ALL


@pytest.mark.parametrize(
    ("change", "mutates"),
    [
        (lambda s: s["items"].append("new"), {"items"}),
        (lambda s: dict(s)["items"].append("new"), {"items"}),
        (lambda s: s["items"].sort(), set()),
        (lambda s: list(s["items"]).append("new"), set()),
        (lambda s: s.update(items=["new"]), set()),
        (lambda s: s["items"].__setitem__(0, "other"), {"items"}),
    ],
)
def test_values_changed_in_place_are_mutated(change, mutates):
    assert observe(returning(change)).mutates == mutates


def test_a_change_deep_inside_a_value_is_seen_unless_the_value_is_large():
    class Deep(TypedDict):
        small: dict
        large: list

    def change(state):
        state["small"]["x"]["y"][0].append(1)
        state["large"].append(1)

    given = {"small": {"x": {"y": [[]]}}, "large": list(range(5000))}
    assert observe(change, given, Deep).mutates == {"small"}


@pytest.mark.parametrize(
    ("result", "writes", "overwrites"),
    [
        (None, set(), set()),
        ({"a": "x", "unknown": 1}, {"a"}, set()),
        ({"log": Overwrite(["x"])}, {"log"}, {"log"}),
        ({"log": {"__overwrite__": ["x"]}}, {"log"}, {"log"}),
        (Command(update={"a": "x", "n": 1}), {"a", "n"}, set()),
        (Command(update=[("a", "x"), ("log", ["y"])]), {"a", "log"}, set()),
        ([Command(update={"a": "x"}), {"b": "y"}], {"a", "b"}, set()),
    ],
)
def test_keys_of_the_update_are_written(result, writes, overwrites):
    seen = observe(lambda state: result)
    assert seen.writes == writes
    assert seen.overwrites == overwrites


def test_a_value_given_back_is_kept_and_not_written():
    seen = observe(lambda state: {**state, "b": state["b"] + "!"})
    assert seen.keeps == {"a", "items"}
    assert seen.writes == {"b", "log"}  # giving back a folded value folds it again


@pytest.mark.parametrize(
    "give",
    [
        lambda state: state,
        lambda state: state.copy(),
        lambda state: {"a": "x", "items": [state]},
        lambda state: Command(update=state),
        lambda state: [Command(update={"c": "x"}), state],
    ],
)
def test_the_view_does_not_leave_the_node(give):
    recording = record(build(give, schema=State))
    assert_plain(recording.graph.invoke(copy.deepcopy(GIVEN)))


def assert_plain(value):
    assert type(value) in (dict, list, str, int)
    for part in value.values() if isinstance(value, dict) else value if type(value) is list else ():
        assert_plain(part)


# -- states with attributes ------------------------------------------------------------------------

HOOKS = []


class Model(BaseModel):
    a: str = "a"
    b: str = "b"
    items: list[str] = []
    _private: int = PrivateAttr(7)

    @classmethod
    def __pydantic_init_subclass__(cls, **options):
        HOOKS.append(cls)

    def both(self):
        return self.a + self.b


@dataclass
class Data:
    a: str = "a"
    b: str = "b"
    items: list[str] = field(default_factory=list)

    def both(self):
        return self.a + self.b


@dataclass(frozen=True, slots=True)
class Frozen:
    a: str = "a"
    b: str = "b"
    items: list[str] = field(default_factory=list)

    def both(self):
        return self.a + self.b


@pytest.mark.parametrize("schema", [Model, Data, Frozen])
@pytest.mark.parametrize(
    ("look", "reads"),
    [
        (lambda s: s.a, {"a"}),
        (lambda s: s.both(), {"a", "b"}),
        (lambda s: getattr(s, "b", None), {"b"}),
        (lambda s: (isinstance(s, (Model, Data, Frozen)), s.__class__.__name__), set()),
    ],
)
def test_attributes_looked_at_are_read(schema, look, reads):
    seen = observe(lambda state: {"b": str(look(state))}, {"a": "1"}, schema)
    assert seen.reads == reads
    assert not seen.whole


@pytest.mark.parametrize("schema", [Model, Data, Frozen])
@pytest.mark.parametrize(
    "look",
    [repr, copy.copy, copy.deepcopy, lambda s: s == type(s)(a="1"), lambda s: pickle.dumps(s)],
)
def test_a_whole_object_is_read(schema, look):
    seen = observe(lambda state: {"b": str(look(state))}, {"a": "1"}, schema)
    assert seen.whole or seen.reads == {"a", "b", "items"}


def test_a_model_is_read_when_it_is_dumped_or_copied():
    assert observe(lambda s: {"b": s.model_dump_json()}, {"a": "1"}, Model).whole
    assert observe(lambda s: s.model_copy(update={"b": "x"}), {"a": "1"}, Model).whole
    assert HOOKS == []


def test_an_object_is_of_its_own_class_again_when_the_node_has_ended():
    kept = []

    def keep(state):
        kept.append(state)
        state.items.append("new")
        state.a = "set"
        return state

    for schema in (Model, Data):
        recording = record(build(keep, schema=schema))
        assert recording.graph.invoke({"a": "1"})["a"] == "set"
        assert type(kept[-1]) is schema
        assert pickle.loads(pickle.dumps(kept[-1])) == kept[-1]
        assert recording.effects("keep").mutates == {"items"}


# -- kinds of nodes --------------------------------------------------------------------------------


def test_injected_parameters_arrive():
    def by_name(state, config: RunnableConfig, *, runtime: Runtime, writer):
        writer(state["a"])
        return {"c": f"{config['configurable']['x']} {runtime.context}"}

    recording = record(build(by_name))
    parts = list(
        recording.graph.stream(
            GIVEN, {"configurable": {"x": 1}}, context={"k": 2}, stream_mode=["custom", "updates"]
        )
    )
    assert parts == [("custom", "A"), ("updates", {"by_name": {"c": "1 {'k': 2}"}})]


async def test_async_nodes_and_lambdas_with_two_bodies_are_watched():
    async def slow(state):
        await asyncio.sleep(0)
        return {"b": state["a"]}

    async def other(state):
        return {"c": state["a"] + state["b"]}

    builder = build(slow, RunnableLambda(lambda state: {"c": state["b"]}, other, name="two"))
    recording = record(builder)
    assert await recording.graph.ainvoke(GIVEN) == await builder.compile().ainvoke(GIVEN)
    assert recording.effects("slow").reads == {"a"}
    assert recording.effects("node1").reads == {"a", "b"}
    assert recording.runs == {"slow": 1, "node1": 1}


def test_runnables_are_timed_and_their_updates_seen():
    model = FakeListChatModel(responses=["hello"])
    chain = ChatPromptTemplate.from_template("{a}") | model | StrOutputParser()
    inner = build(lambda state: {"c": state["a"]}).compile()
    builder = build(RunnablePassthrough.assign(b=chain), inner, schema=State)
    recording = record(builder)
    assert recording.graph.invoke(GIVEN)["b"] == "hello"
    assert recording.unobserved == {}
    assert recording.effects("node0").reads is ALL
    assert recording.observations["node0"].writes >= {"b"}
    assert recording.runs == {"node0": 1, "node1": 1, "node1/node0": 1}
    assert set(recording.durations) == {"node0", "node1", "node1/node0"}
    assert dict(recording.graph.get_subgraphs()).keys() == {"node1"}
    assert type(builder.nodes["node1"].runnable) is type(inner)


def test_a_sub_graph_called_by_a_node_is_found():
    inner = build(lambda state: {"c": state["a"]}).compile()

    def call(state):
        return {"c": inner.invoke({"a": state["a"]})["c"]}

    recording = record(build(call))
    assert [name for name, _ in recording.graph.get_subgraphs()] == ["call"]
    assert recording.graph.invoke(GIVEN)["c"] == "A"
    assert recording.effects("call").reads == {"a"}


def test_a_runnable_that_a_node_returns_is_run_on_the_state():
    def choose(state):
        return RunnableLambda(lambda s: {"c": s["b"]})

    seen = observe(choose)
    assert (seen.whole, seen.opaque) == (1, 1)


def test_cached_nodes_stay_cached():
    calls = []

    def plain(state):
        calls.append("plain")
        return {"c": state["a"]}

    def partial(mark, state):
        calls.append(mark)
        return {"c": mark}

    for node in (plain, functools.partial(partial, "partial")):
        builder = build(node, cache_policy=CachePolicy())
        graph = builder.compile(cache=InMemoryCache())
        expected = graph.invoke(GIVEN)
        recording = record(graph)
        assert recording.graph.invoke(GIVEN) == expected
        assert list(recording.runs.values()) == [0]
    assert calls == ["plain", "partial"]


async def test_time_limits_keep_their_meaning():
    def sync(state):
        return None

    async def hang(state):
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="async"):
        record(build(sync, timeout=1)).graph.invoke(GIVEN)
    recording = record(build(hang, timeout=0.01))
    with pytest.raises(Exception, match="timeout"):
        await recording.graph.ainvoke(GIVEN)
    assert recording.durations == {}


def test_retries_are_runs_and_see_what_the_failed_one_set():
    def flaky(state):
        if state.get("n") is None:
            state["n"] = 1
            raise ConnectionError("again")
        return {"c": str(state["n"])}

    policy = RetryPolicy(initial_interval=0, jitter=False, max_attempts=2)
    recording = record(build(flaky, retry_policy=policy))
    assert recording.graph.invoke(GIVEN)["c"] == "1"
    seen = recording.observations["flaky"]
    assert seen.runs == 2
    assert seen.errors == {"ConnectionError": 1}
    assert seen.control == {"raise"}
    assert [str(e) for e in recording.effects("flaky").evidence] == [
        "seen in 2 runs",
        "raised ConnectionError in 1 of them",
    ]


def test_an_error_in_a_call_is_counted_but_is_no_raise():
    def call(state):
        return json.loads("[")

    recording = record(build(call))
    with pytest.raises(ValueError):
        recording.graph.invoke(GIVEN)
    assert recording.observations["call"].errors == {"JSONDecodeError": 1}
    assert recording.effects("call").control == frozenset()


def test_interrupted_runs_resume_to_the_same_answer():
    def ask(state):
        return {"c": interrupt({"question": state["a"]})}

    graph = build(ask).compile(InMemorySaver(), interrupt_before=["ask"])
    recording = record(graph)
    config = {"configurable": {"thread_id": "1"}}
    recording.graph.invoke(GIVEN, config)
    assert recording.graph.get_state(config).next == ("ask",)
    recording.graph.invoke(None, config)
    assert recording.graph.invoke(Command(resume="yes"), config)["c"] == "yes"
    assert recording.runs == {"ask": 2}
    assert recording.effects("ask").control == {"interrupt"}
    assert len(recording.durations) == 1


def test_routing_is_seen():
    def fan(state):
        return Command(goto=[Send("one", {"a": "sent", "private": 1}), "two"])

    builder = StateGraph(State)
    builder.add_node("fan", fan, destinations=("one", "two"))
    builder.add_node("one", lambda state: {"log": [state["a"]]})
    builder.add_node("two", lambda state: {"log": [state["b"]]})
    builder.add_edge(START, "fan")
    recording = record(builder)
    expected = builder.compile().invoke(GIVEN)
    assert recording.graph.invoke(GIVEN) == expected
    assert recording.effects("fan").control == {"goto", "send"}
    assert recording.effects("fan").goto == {"one", "two"}
    assert recording.effects("one").reads == {"a"}


def test_a_send_may_carry_anything():
    payloads = ["text", 3, ("x",), {"other": 1}, Model(a="m")]
    builder = StateGraph(State)
    builder.add_node("one", lambda given: {"log": [type(given).__name__]})
    builder.add_conditional_edges(START, lambda state: [Send("one", p) for p in payloads], ["one"])
    recording = record(builder)
    names = recording.graph.invoke({"a": "A"})["log"]
    assert names == ["str", "int", "tuple", "StateView", "Model"]  # type() is the known limit
    assert recording.observations["one"].whole == 3


def test_a_state_without_keys_is_handed_over_as_it_is():
    builder = StateGraph(int)
    builder.add_node("one", lambda n: n + 1)
    builder.add_edge(START, "one")
    recording = record(builder)
    assert recording.graph.invoke(1) == 2
    assert recording.effects("one").reads is ALL
    assert recording.effects("one").writes == {"__root__"}


def test_concurrent_runs_are_all_counted():
    barrier = threading.Barrier(4)

    def meet(state):
        barrier.wait(timeout=10)
        return {"c": state["a"] + state["b"]}

    recording = record(build(meet))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: recording.graph.invoke({**GIVEN, "a": str(n)}), range(4)))
    assert [answer["c"] for answer in answers] == ["0B", "1B", "2B", "3B"]
    assert recording.runs == {"meet": 4}


def test_a_skipped_node_is_handed_the_state_itself():
    def strict(state):
        assert type(state) is dict
        state["b"] = "new"
        return state

    recording = record(build(strict), skip=["strict"])
    recording.graph.invoke(GIVEN)
    assert recording.effects("strict").reads is ALL
    assert recording.effects("strict").writes == {"a", "b", "items", "log"}


def test_a_node_that_cannot_be_watched_is_left_alone(monkeypatch):
    from langgraph_parallel.reading import probe

    def refuse(kind, namespace):
        raise TypeError("final class")

    monkeypatch.setattr(probe, "subclass_silently", refuse)
    builder = build(RunnablePassthrough.assign(b=lambda state: "new"))
    recording = record(builder)
    assert recording.graph.builder.nodes["node0"].runnable is builder.nodes["node0"].runnable
    assert recording.graph.invoke(GIVEN)["b"] == "new"
    assert list(recording.unobserved) == ["node0"]
    (note,) = recording.effects("node0").evidence
    assert str(note) == "not watched: a RunnableAssign cannot be watched: final class"
    assert widen(Effects(), recording.effects("node0")) == Effects()


# -- graphs ----------------------------------------------------------------------------------------


def test_the_graph_is_not_changed_and_its_settings_are_kept():
    saver, before = InMemorySaver(), build(lambda state: {"c": "x"})
    graph = before.compile(saver, name="named", interrupt_after=["node0"])
    graph.step_timeout = 5
    runnable = before.nodes["node0"].runnable
    recorded = record(graph).graph
    assert before.nodes["node0"].runnable is runnable
    assert graph.nodes["node0"].bound is runnable
    assert (recorded.checkpointer, recorded.name, recorded.step_timeout) == (saver, "named", 5)
    assert recorded.get_graph().draw_mermaid() == graph.get_graph().draw_mermaid()


def test_a_rewritten_graph_can_be_recorded():
    def first(state):
        return {"b": "1"}

    def second(state):
        return {"c": "2"}

    fast = parallelize(build(first, second).compile(InMemorySaver()))
    recorded = record(fast).graph
    assert isinstance(recorded, type(fast))
    assert recorded.parallel_report is fast.parallel_report
    config, other = ({"configurable": {"thread_id": name}} for name in "12")
    assert recorded.invoke({"a": "A"}, config) == fast.invoke({"a": "A"}, other)


def test_only_graphs_and_known_nodes_are_accepted():
    with pytest.raises(AnalysisError, match="not 'int'"):
        record(3)
    with pytest.raises(AnalysisError, match="'nowhere', which is not a node"):
        record(build(lambda state: None), skip=["nowhere"])
    with pytest.raises(AnalysisError, match="its nodes are node0"):
        record(build(lambda state: None)).effects("nowhere")


def test_durations_are_medians_of_finished_runs():
    now = iter([0, 1, 10, 12, 20, 30])
    recording = record(build(lambda state: None), clock=lambda: next(now))
    for _ in range(3):
        recording.graph.invoke(GIVEN)
    assert recording.durations == {"node0": 2}


def test_a_recording_survives_json_without_any_value():
    def leak(state):
        if state["a"] == "secret":
            raise ValueError(state["a"])
        return {"c": state["a"], "private": 1}

    recording = record(build(leak))
    recording.graph.invoke({"a": "top secret"})
    with pytest.raises(ValueError):
        recording.graph.invoke({"a": "secret"})
    text = recording.to_json()
    assert "secret" not in text
    assert "private" not in text
    loaded = Recording.from_json(text)
    assert loaded.observations == recording.observations
    assert (
        str(loaded)
        == str(recording)
        == "leak: reads {a}, writes {c}, control {raise} " + ("(not certain)")
    )
    assert loaded.to_json() == text
    with pytest.raises(AnalysisError, match="has no graph"):
        _ = loaded.graph


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "nodes": {"a": 3}}'])
def test_what_is_not_a_recording_is_refused(text):
    with pytest.raises(AnalysisError, match="not a recording"):
        Recording.from_json(text)


def test_another_format_is_refused():
    text = '{"version": 2, "nodes": {}, "unobserved": {}}'
    with pytest.raises(AnalysisError, match="format 2, this version reads 1"):
        Recording.from_json(text)


def test_errors_of_many_types_are_counted_together():
    recording = record(build(lambda state: {}["x"] if state["n"] < 0 else raise_new(state["n"])))
    for n in range(20):
        with pytest.raises(Exception, match="failed"):
            recording.graph.invoke({"n": n})
    errors = recording.observations["node0"].errors
    assert len(errors) == 17
    assert errors["others"] == 4


def raise_new(n):
    raise type(f"Error{n}", (Exception,), {})("failed")


# -- widening --------------------------------------------------------------------------------------


def test_widening_adds_and_says_why():
    static = Effects(reads={"a"}, writes={"c"}, folds={"c"}, external="write")
    seen = Effects(reads={"b"}, writes={"c"}, mutates={"items"}, control="interrupt", certain=False)
    wider = widen(static, seen)
    assert str(wider) == (
        "reads {a, b}, writes {c}, mutates {items}, external {write}, control {interrupt} "
        "(not certain)"
    )
    assert wider.folds == frozenset()
    assert [str(e) for e in wider.evidence] == [
        "reads 'b', seen in a trace",
        "mutates 'items', seen in a trace",
        "may leave by 'interrupt', seen in a trace",
    ]


def test_widening_never_narrows():
    static = Effects.top()
    seen = Effects(reads={"a"}, writes={"b"}, folds={"b"}, certain=False)
    assert widen(static, seen) is static
    certain = Effects(reads={"a", "b"}, writes={"c"}, external="write", control="interrupt")
    assert widen(certain, Effects(reads={"a"}, certain=False)) is certain


def test_not_knowing_the_keys_is_no_evidence_against_a_certain_analysis():
    static = Effects(reads={"a"}, writes={"c"})
    seen = Effects(reads=ALL, writes=ALL, certain=False)
    assert widen(static, seen) is static
    unsure = Effects(reads={"a"}, writes={"c"}, certain=False)
    assert widen(unsure, seen).reads is ALL
    assert widen(unsure, seen).writes is ALL


def test_a_key_said_to_be_given_back_but_changed_is_a_write():
    static = Effects(reads={"a"}, writes={"b"}, keeps={"a", "c"})
    assert widen(static, Effects(writes={"b"}, keeps={"a", "c"}, certain=False)) is static
    wider = widen(static, Effects(writes={"a"}, keeps={"c"}, certain=False))
    assert wider.writes == {"a", "b"}
    assert wider.keeps == {"c"}
    assert widen(Effects(), Effects(keeps={"a"}, certain=False)).writes == {"a"}


def test_a_trace_catches_a_false_declaration():
    def node(state):
        return {"c": state["a"] + state["b"]}

    recording = record(build(node))
    recording.graph.invoke(GIVEN)
    wider = widen(Effects(reads={"a"}, writes={"c"}), recording.effects("node"))
    assert wider.reads == {"a", "b"}
    assert str(wider.evidence[0]) == "reads 'b', seen in 1 run"
