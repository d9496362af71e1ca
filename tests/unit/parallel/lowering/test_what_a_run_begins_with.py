"""Keys annotated `list`, `dict` or `Any` hold data as long as nodes and the input say so."""

import json
import logging
import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import Effects, explain, parallelize
from langgraph_parallel.inference.code.plain import odd_part

MODES = ("fanout", "exact")


class State(TypedDict, total=False):
    q: str
    docs: list
    info: dict
    rows: list[dict[str, Any]]
    thing: Any
    notes: Annotated[list, operator.add]
    a: str
    b: str


class Shown:
    """Something that counts how often it was shown."""

    shown: ClassVar[list] = []

    def __init__(self, name):
        self.name = name

    def __str__(self):
        Shown.shown.append(self.name)
        return f"{self.name} {len(Shown.shown)}"


class Grade(BaseModel):
    score: int = 0


def chain(*nodes, state: Any = State):
    builder = StateGraph(state)
    names = [node.__name__ for node in nodes]
    for name, node in zip(names, nodes, strict=True):
        builder.add_node(name, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


def show_thing(state):
    return {"a": f"{state['thing']}"}


def show_docs(state):
    return {"b": ", ".join(d["title"].strip() for d in state["docs"])}


def count_shown(state):
    return {"b": str(len(Shown.shown))}


def is_parallel(graph, mode):
    return explain(graph.compile(), mode=mode).is_parallel


def kept_apart(before, mode, *others):
    """Tell whether nodes that show the keys keep their order behind `before`."""
    return not is_parallel(chain(before, show_thing, count_shown, *others), mode)


@pytest.mark.parametrize("mode", MODES)
def test_what_all_nodes_fill_with_data_is_data(mode):
    def fill(state):
        found = json.loads(state["q"])
        return {"docs": [{"title": t} for t in found], "thing": found[0], "info": {"n": 1}}

    def look(state):
        return {"a": f"{state['thing']} {state['info'].get('n')} {state['rows'] == []}"}

    builder = chain(fill, look, show_docs)
    assert is_parallel(builder, mode)
    given = {"q": '["x", "y"]', "rows": []}
    assert parallelize(builder.compile(), mode=mode).invoke(given) == builder.compile().invoke(
        given
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "value",
    [
        lambda state: {"thing": Shown("x")},
        lambda state: {"thing": [Shown("x")]},
        lambda state: {"thing": {"x": [Shown("x")]}},
        lambda state: {**state, "thing": Shown("x")},
        lambda state: {"th" + "ing": Shown("x")},
        lambda state: state["info"].update(x=Shown("y")) or {"thing": state["info"]},
    ],
)
def test_an_object_that_a_node_puts_there_is_seen(mode, value):
    def put(state):
        return value(state)

    assert kept_apart(put, mode)


@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_the_input_runs_in_the_original_order(mode, caplog):
    caplog.set_level(logging.INFO)
    builder = chain(show_thing, count_shown)
    assert is_parallel(builder, mode)
    early = parallelize(builder.compile(), mode=mode)
    for given in ({"thing": Shown("x")}, {"thing": [{"x": Shown("x")}]}, {"thing": "x"}):
        Shown.shown.clear()
        plain = builder.compile().invoke(given)
        Shown.shown.clear()
        assert early.invoke(given) == plain
    assert "'thing' holds a Shown" in caplog.text


@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_a_saved_thread_runs_in_the_original_order(mode):
    builder = chain(show_thing, count_shown)
    early = parallelize(builder.compile(checkpointer=InMemorySaver()), mode=mode)
    config = {"configurable": {"thread_id": "1"}}
    early.update_state(config, {"thing": Grade(score=1)}, as_node="count_shown")
    Shown.shown.clear()
    assert early.invoke({"q": "x"}, config)["b"] == "0"
    assert early.get_state(config).metadata.get("langgraph_parallel_topology") != "original"


@pytest.mark.parametrize("mode", MODES)
def test_an_object_in_a_send_is_no_state(mode):
    def split(state):
        return [Send("show_thing", {"thing": Shown("x")})]

    def begin(state):
        return {"q": "x"}

    builder = StateGraph(State)
    for node in (begin, show_thing, count_shown):
        builder.add_node(node.__name__, node)
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", split, ["show_thing"])
    builder.add_edge("show_thing", "count_shown")
    assert not is_parallel(builder, mode)


@pytest.mark.parametrize("mode", MODES)
def test_what_a_declared_node_writes_is_not_known(mode):
    def put(state):
        return {"thing": "x"}

    graph = chain(put, show_thing, count_shown).compile()
    free = explain(graph, mode=mode)
    declared = explain(graph, mode=mode, effects={"put": Effects(writes=["thing"])})
    assert free.is_parallel
    assert not declared.is_parallel


def merge(old, new):
    return [*(old or []), *(Shown(n) for n in new)]


def add(old, new):
    return (old or []) + (new or [])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("reducer", "gains"), [(merge, False), (add, True)])
def test_a_reducer_may_make_objects_of_data(mode, reducer, gains):
    class Own(TypedDict, total=False):
        thing: Annotated[list, reducer]
        a: str
        b: str

    assert is_parallel(chain(show_thing, count_shown, state=Own), mode) == gains


@pytest.mark.parametrize("mode", MODES)
def test_a_default_of_the_state_may_be_an_object(mode):
    @dataclass
    class Own:
        thing: Any = field(default_factory=lambda: Shown("x"))
        a: str = ""
        b: str = ""

    def show(state):
        return {"a": f"{state.thing}"}

    assert not is_parallel(chain(show, count_shown, state=Own), mode)


@pytest.mark.parametrize("mode", MODES)
def test_models_that_nodes_put_there_are_no_surprise_in_the_next_turn(mode):
    def grade(state):
        return {"thing": Grade(score=2)}

    def look(state):
        return {"a": f"{state['thing'].score}"}

    def other(state):
        return {"b": state["q"]}

    builder = chain(grade, look, other)
    early = parallelize(builder.compile(checkpointer=InMemorySaver()), mode=mode)
    assert early.parallel_report.is_parallel
    config = {"configurable": {"thread_id": "1"}}
    assert early.invoke({"q": "x"}, config)["a"] == "2"
    assert early.invoke({"q": "y"}, config)["b"] == "y"
    mark = early.get_state(config).metadata.get("langgraph_parallel_topology")
    assert mark != "original"


@dataclass
class Row:
    name: str


@dataclass
class Acting:
    name: str

    def __str__(self):
        return self.name


@pytest.mark.parametrize(
    ("value", "is_data"),
    [
        (None, True),
        ([1, {"x": (2.0, {b"y"})}], True),
        (HumanMessage("x"), True),
        ([Row("x")], True),
        (Grade(score=1), True),
        (Shown("x"), False),
        ([Row(Shown("x"))], False),
        (HumanMessage("x", additional_kwargs={"x": Shown("x")}), False),
        (Acting("x"), False),
        ({Shown: 1}, False),
        (iter([]), False),
        (print, False),
    ],
)
def test_what_data_is(value, is_data):
    assert (odd_part(value) is None) == is_data


def test_a_value_that_holds_itself_is_looked_at_once():
    value: list = []
    value.append(value)
    assert odd_part(value) is None


KEPT: list = []


@pytest.mark.parametrize("mode", MODES)
def test_a_value_of_the_state_that_a_node_keeps_may_be_changed_by_who_gets_at_it(mode):
    def keep(state):
        docs = state["docs"]
        KEPT.append(docs)
        return {"docs": docs, "a": state["q"]}

    def change(state):
        KEPT[0].append("late")
        return {"b": state["q"]}

    def show(state):
        return {"q": str(state["docs"])}

    builder = chain(keep, change, show)
    early = parallelize(builder.compile(), mode=mode)
    KEPT.clear()
    plain = builder.compile().invoke({"q": "x", "docs": ["d"]})
    KEPT.clear()
    assert early.invoke({"q": "x", "docs": ["d"]}) == plain
    assert early.parallel_report.why("change", "show").startswith("ordered")
