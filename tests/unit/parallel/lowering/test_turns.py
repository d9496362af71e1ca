"""Nodes of one superstep that write to one key do so in program order, whatever their names are."""

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import CachePolicy, Command, Overwrite
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import explain, parallelize
from langgraph_parallel._compat.turns import ORDER, can_take_turns
from langgraph_parallel.testing import assert_equivalent

THREAD = {"configurable": {"thread_id": "1"}}
BROKEN: set[str] = set()


def merge(left, right):
    return {**left, **right}


def newest_first(left, right):
    return right + left


def at_most_three(left, right):
    return (left + right)[-3:]


class State(TypedDict, total=False):
    text: str
    z: str
    m: str
    a: str
    end: str
    status: str
    log: Annotated[list, operator.add]
    found: Annotated[dict, merge]
    seen: Annotated[set, operator.or_]
    stack: Annotated[list, newest_first]
    tail: Annotated[list, at_most_three]
    total: Annotated[int, operator.add]
    messages: Annotated[list, add_messages]


def built(*functions, schema: Any = State) -> StateGraph:
    builder = StateGraph(schema)
    builder.add_sequence(list(functions))
    builder.add_edge(START, functions[0].__name__)
    builder.add_edge(functions[-1].__name__, END)
    return builder


def writing(name, **updates):
    def node(state):
        if name in BROKEN:
            msg = f"{name} is broken"
            raise RuntimeError(msg)
        return {name: state["text"] + name, **updates}

    node.__name__ = name
    return node


def end(state):
    return {"end": f"{state['z']}{state['m']}{state['a']}{state.get('status')}"}


def three(**updates):
    """Return z, m and a, in this order, with what each writes to the keys of all."""
    made = ({key: values[i] for key, values in updates.items()} for i in range(3))
    return [writing(name, **own) for name, own in zip("zma", made, strict=True)]


def answers_alike(builder, *inputs, levels=(("z", "m", "a"), ("end",))):
    assert explain(builder).regions[0].levels == levels
    assert_equivalent(builder, inputs or [{"text": "t"}], schedules=2)
    return parallelize(builder).compile()


def test_writers_are_built_as_known():
    assert can_take_turns()


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("log", (["1"], ["2"], ["3"]), ["1", "2", "3"]),
        ("log", (["1"], Overwrite(["2"]), ["3"]), ["2", "3"]),
        ("log", (Overwrite(["1"]), Overwrite(["2"]), ["3"]), ["2", "3"]),
        ("log", (["1"], {"__overwrite__": ["2"]}, ["3"]), ["2", "3"]),
        ("found", ({"k": 1}, {"k": 2}, {"l": 3}), {"k": 2, "l": 3}),
        ("seen", ({"1"}, {"2"}, {"1"}), {"1", "2"}),
        ("stack", (["1"], ["2"], ["3"]), ["3", "2", "1"]),
        ("tail", (["1", "2"], ["3"], ["4"]), ["2", "3", "4"]),
        ("total", (1, 2, 3), 6),
        ("status", ("first", "second", "third"), "third"),
    ],
)
def test_what_is_written_is_taken_in_program_order(key, values, expected):
    graph = answers_alike(built(*three(**{key: values}), end))
    assert graph.invoke({"text": "t"})[key] == expected
    assert asyncio.run(graph.ainvoke({"text": "t"}))[key] == expected


def test_messages_are_added_replaced_and_removed_in_program_order():
    updates = ([HumanMessage("1", id="x")], [AIMessage("2", id="x")], [RemoveMessage(id="x")])
    answers_alike(built(*three(messages=updates), end), {"text": "t", "messages": []})
    fresh = answers_alike(built(*three(messages=(["1"], AIMessage("2"), [("user", "3")])), end))
    found = fresh.invoke({"text": "t"})["messages"]
    assert [m.content for m in found] == ["1", "2", "3"]
    assert len({m.id for m in found} - {None}) == 3


def test_a_dict_in_a_list_is_no_overwrite():
    def b_first(state):
        return {"log": [{"value": state["text"], "type": "note"}]}

    def c_second(state):
        return {"log": [{"value": state["text"]}]}

    report = explain(built(b_first, c_second))
    assert report.effects["b_first"].folds == {"log"}
    assert not report.regions[0].turns, "names are in order: nothing has to be said"


def test_a_node_that_writes_only_sometimes_keeps_its_place():
    def z(state):
        return {"z": "z", "log": ["z"]} if state["text"] != "skip z" else {"z": "z"}

    def m(state):
        return {"m": "m", "log": ["m"]} if state["text"] != "skip m" else {"m": "m"}

    def a(state):
        return {"a": "a", "log": ["a", "a"]}

    inputs = [{"text": text, "log": ["0"]} for text in ("all", "skip z", "skip m")]
    answers_alike(built(z, m, a, end), *inputs)


def test_several_commands_of_one_node_stay_together():
    def z(state):
        return [Command(update={"z": "z", "log": ["1"]}), Command(update={"log": ["2"]})]

    builder = built(z, *three(log=(["-"], ["3"], ["4"]))[1:], end)
    graph = parallelize(builder, effects={"z": _writes("z", "log")}).compile()
    assert graph.invoke({"text": "t"})["log"] == ["1", "2", "3", "4"]


def test_a_node_that_writes_a_plain_key_twice_still_fails():
    def z(state):
        return [Command(update={"z": "z", "status": "1"}), Command(update={"status": "2"})]

    builder = built(z, *three(status=("-", "3", "4"))[1:], end)
    graph = parallelize(builder, effects={"z": _writes("z", "status")}).compile()
    for form in (builder.compile(), graph):
        with pytest.raises(InvalidUpdateError, match="At key 'status'"):
            form.invoke({"text": "t"})


def _writes(*keys):
    from langgraph_parallel import Effects

    return Effects(writes=set(keys))


def test_a_key_read_in_between_keeps_its_readers_in_order():
    def peek(state):
        return {"m": str(state["status"])}

    z, _, a = three(status=("first", "-", "last"))
    builder = built(z, peek, a, end)
    assert explain(builder).regions[0].levels == (("z",), ("peek", "a"), ("end",))
    assert_equivalent(builder, [{"text": "t"}])


def test_a_reducer_that_fails_fails_for_the_first_value_in_program_order():
    def strict(left, right):
        if "bad" in right[0]:
            msg = f"{right[0]} of {len(left)}"
            raise ValueError(msg)
        return left + right

    class Strict(State):
        notes: Annotated[list, strict]

    nodes = three(notes=(["good"], ["bad m"], ["bad a"]))
    builder = built(*nodes, end, schema=Strict)
    for form in (builder.compile(), parallelize(builder).compile()):
        with pytest.raises(ValueError, match="bad m of 1"):
            form.invoke({"text": "t"})


@dataclass
class Fields:
    text: str = ""
    z: str = ""
    m: str = ""
    a: str = ""
    end: str = ""
    status: str = ""
    log: Annotated[list, operator.add] = field(default_factory=list)


class Model(BaseModel):
    text: str = ""
    z: str = ""
    m: str = ""
    a: str = ""
    end: str = ""
    status: str = ""


@pytest.mark.parametrize("schema", [Fields, Model])
def test_states_with_fields_take_turns_too(schema):
    def named(name):
        def node(state):
            return {name: state.text, "status": name}

        node.__name__ = name
        return node

    def end(state):
        return {"end": f"{state.z}{state.m}{state.a}{state.status}"}

    builder = built(*map(named, "zma"), end, schema=schema)
    answers_alike(builder, {"text": "t"})


def test_inside_of_a_sub_graph_and_in_a_loop():
    inner = built(*three(log=(["1"], ["2"], ["3"]), status=("1", "2", "3"))).compile()
    outer = StateGraph(State)
    outer.add_node("inner", inner)
    outer.add_node("end", end)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "end")
    assert explain(outer).is_parallel
    assert_equivalent(outer, [{"text": "t"}])
    looped = built(*three(log=(["1"], ["2"], ["3"]), status=("1", "2", "3")), end)
    looped.edges.discard(("end", END))
    looped.add_conditional_edges(
        "end", lambda state: "z" if len(state["log"]) < 9 else END, ["z", END]
    )
    looped.edges.discard((START, "z"))
    looped.add_node("begin", lambda state: {"total": 1})
    looped.add_edge(START, "begin")
    looped.add_edge("begin", "z")
    assert_equivalent(looped, [{"text": "t"}])


# -- what can be seen of it ------------------------------------------------------------------------


def watched():
    return parallelize(
        built(*three(log=(["1"], ["2"], ["3"]), status=("1", "2", "3")), end).compile(
            checkpointer=InMemorySaver()
        )
    )


@pytest.mark.parametrize(
    "mode", ["updates", "values", "messages", "tasks", "checkpoints", "debug", "custom"]
)
def test_no_stream_shows_how_the_order_is_told(mode):
    shown = list(watched().stream({"text": "t"}, THREAD, stream_mode=mode))
    assert ORDER not in str(shown)


def test_checkpoints_hold_nothing_but_the_state():
    graph = watched()
    graph.invoke({"text": "t"}, THREAD)
    saved = list(graph.checkpointer.list(THREAD))
    for entry in saved:
        checkpoint = entry.checkpoint
        assert ORDER not in str({**checkpoint["channel_values"], **checkpoint["channel_versions"]})
    told = [
        value for entry in saved for _, channel, value in entry.pending_writes if channel == ORDER
    ]
    keys = ["log", "status"]
    assert sorted(told, key=str) == [{"node": name, "keys": keys} for name in "amz"]


@pytest.mark.parametrize("broken", ["z", "m", "a"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_run_that_goes_on_after_a_failure_knows_the_order(broken, durability):
    graph = watched()
    BROKEN.add(broken)
    try:
        with pytest.raises(RuntimeError, match="is broken"):
            graph.invoke({"text": "t"}, THREAD, durability=durability)
    finally:
        BROKEN.clear()
    state = graph.get_state(THREAD)
    assert set(state.next) <= {"z", "m", "a"}
    assert ORDER not in str(state)
    found = graph.invoke(None, THREAD, durability=durability)
    assert (found["log"], found["status"]) == (["1", "2", "3"], "3")


def test_a_thread_that_paused_behind_them_is_updated():
    builder = built(*three(log=(["1"], ["2"], ["3"]), status=("1", "2", "3")), end)
    ends = []
    for form in (builder.compile(InMemorySaver()), parallelize(builder).compile(InMemorySaver())):
        form.invoke({"text": "t"}, THREAD, interrupt_before=["end"])
        form.update_state(THREAD, {"log": ["4"], "status": "4"}, as_node="a")
        ends.append(form.invoke(None, THREAD))
    assert ends[0] == ends[1]


def test_copies_of_a_graph_and_runs_at_one_time_do_not_meet():
    graph = watched().copy({"checkpointer": None})

    def run(text):
        return parallelized.invoke({"text": text, "log": [text]})

    parallelized = graph.with_config(tags=["t"])
    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(run, map(str, range(40)))):
            assert found["log"] == [str(number), "1", "2", "3"]
            assert found["status"] == "3"


def test_nodes_with_a_cache_keep_their_order():
    builder = built(*three(log=(["1"], ["2"], ["3"])), end)
    builder.nodes["m"].cache_policy = CachePolicy()
    assert not explain(builder).is_parallel
    compiled = builder.compile(cache=InMemoryCache())
    compiled.cache_policy = CachePolicy()
    assert not explain(compiled).is_parallel


def test_a_cache_that_is_set_later_sends_runs_to_the_original_order():
    graph = watched()
    graph.cache, graph.cache_policy = InMemoryCache(), CachePolicy()
    steps = [list(step) for step in graph.stream({"text": "t"}, THREAD)]
    assert steps == [["z"], ["m"], ["a"], ["end"]]
