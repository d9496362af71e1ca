"""`mode="exact"` where an early run sees a copy, or is one call more than the original makes."""

import collections
import copy
import functools
import itertools
import operator
import types
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import pytest
from langchain_core.documents import Document
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from langgraph_parallel import Effects, parallelize
from langgraph_parallel.lowering.exact.likeness import Likeness
from langgraph_parallel.lowering.exact.reducers import does_nothing_else
from langgraph_parallel.lowering.exact.restore import Restoring
from langgraph_parallel.lowering.exact.values import copied


class State(TypedDict, total=False):
    x: Any
    y: Any
    z: Any
    w: Any


def first(state):
    return {"z": 1}


def answers(make, given):
    """Return what a graph answers, and what it answers with early starts."""
    early = parallelize(make().compile(), mode="exact")
    return make().compile().invoke(given()), early.invoke(given())


def chain(*nodes, schema=State):
    return StateGraph(schema).add_sequence(list(nodes)).add_edge(START, nodes[0].__name__)


# -- copies ----------------------------------------------------------------------------------------


class Thing:
    """Equal to nothing but itself."""


class Connected:
    """Leaves something out when it is copied."""

    def __init__(self):
        self.connection = "open"

    def __eq__(self, other):
        return isinstance(other, Connected)

    __hash__ = None

    def __getstate__(self):
        return {}

    def __setstate__(self, _):
        self.connection = None


MARK = object()
THING = Thing()
NAMES = {THING: "found"}


def is_mark(state):
    return {"w": state["x"] is MARK}


def is_thing(state):
    return {"w": state["x"] == THING}


def name_of_thing(state):
    return {"w": NAMES.get(state["x"])}


def connection(state):
    return {"w": state["x"].connection}


@pytest.mark.parametrize(
    ("node", "value", "expected"),
    [
        (is_mark, MARK, True),
        (is_thing, THING, True),
        (name_of_thing, THING, "found"),
        (connection, Connected(), "open"),
    ],
)
def test_an_object_that_is_more_than_its_content_is_read_in_its_time(node, value, expected):
    plain, early = answers(lambda: chain(first, node), lambda: {"x": value})
    assert plain["w"] == early["w"] == expected


def test_one_object_under_two_keys_stays_one():
    def compare(state):
        return {"w": state["x"] is state["y"]}

    def given():
        shared = [1]
        return {"x": shared, "y": shared}

    plain, early = answers(lambda: chain(first, compare), given)
    assert plain == early
    assert early["w"] is True


@dataclass
class Box:
    content: Any


@pytest.mark.parametrize(
    "pick",
    [
        lambda x: x[0],
        lambda x: x[:1],
        lambda x: [*x, {"n": 2}],
        lambda x: (x[0],),
        lambda x: {"part": [x[0]]},
        lambda x: Box(content=x[0]),
    ],
)
def test_a_part_that_a_node_gives_back_is_the_part_itself(pick):
    def give(state):
        return {"y": pick(state["x"])}

    graph = parallelize(
        chain(first, give).compile(),
        mode="exact",
        effects={"give": Effects(reads=["x"], writes=["y"])},
    )
    given = [{"n": 1}]
    made = graph.invoke({"x": given})["y"]
    assert graph.parallel_report.runtime.total.hit == 1
    given[0]["n"] = "changed"
    assert made == pick(given)


class Holder:
    """An object with a class of the user's."""

    def __init__(self, content):
        self.content = content


class Keys(NamedTuple):
    content: Any


def closure(part):
    return lambda: part


def local_class(part):
    class Local:
        content: ClassVar = [part]

    return Local()


def shared_tuple(part):
    pair = (part,)
    return [pair, pair]


PART = operator.itemgetter(0)
HIDING = [
    (lambda x: Holder(x[0]), lambda y: y.content),
    (lambda x: Keys(x[0]), lambda y: y.content),
    (lambda x: [shared_tuple(x[0])], lambda y: y[0][1][0]),
    (lambda x: collections.deque(x), PART),
    (lambda x: collections.OrderedDict(a=x[0]), lambda y: y["a"]),
    (lambda x: Send("node", x[0]), lambda y: y.arg),
    (lambda x: Document("text", metadata={"part": x[0]}), lambda y: y.metadata["part"]),
    (lambda x: closure(x[0]), lambda y: y()),
    (lambda x: functools.partial(operator.is_, x[0]), lambda y: y.args[0]),
    (lambda x: x[0].update, lambda y: y.__self__),
    (lambda x: x[0].keys(), lambda y: y.mapping),
    (lambda x: types.MappingProxyType(x[0]), lambda y: y),
    (lambda x: iter(x), lambda y: next(copy.copy(y))),
    (lambda x: (part for part in x), lambda y: y.gi_frame and None),
    (lambda x: ValueError(x[0]), lambda y: y.args[0]),
    (lambda x: local_class(x[0]), lambda y: y.content[0]),
    (lambda x: slice(x[0], None), lambda y: y.start),
    (lambda x: itertools.chain(x), lambda y: next(y)),
]


@pytest.mark.parametrize(("pick", "look"), HIDING)
def test_a_part_is_found_wherever_a_result_holds_it(pick, look):
    def give(state):
        return {"y": pick(state["x"])}

    graph = parallelize(
        chain(first, give).compile(),
        mode="exact",
        effects={"give": Effects(reads=["x"], writes=["y"])},
    )
    given = [{"n": 1}]
    made = graph.invoke({"x": given})["y"]
    total = graph.parallel_report.runtime.total
    assert total.early == 1
    assert total.hit + total.abandoned == 1
    part = look(made)
    if part is not None:
        given[0]["n"] = "changed"
        assert part == given[0] or part == look(pick(given))


@dataclass(frozen=True)
class Tag:
    name: str


@pytest.mark.parametrize(
    "pick",
    [
        lambda x: {x[0]},
        lambda x: frozenset(x),
        lambda x: {x[0]: 1},
        lambda x: {(x[0],)},
    ],
)
def test_a_copy_that_is_found_by_its_hash_is_not_committed(pick):
    def give(state):
        return {"y": pick(state["x"])}

    effects = {"give": Effects(reads=["x"], writes=["y"])}
    graph = parallelize(chain(first, give).compile(), mode="exact", effects=effects)
    given = [Tag("a")]
    made = next(iter(graph.invoke({"x": given})["y"]))
    assert (made[0] if isinstance(made, tuple) else made) is given[0]
    assert graph.parallel_report.runtime.total.hit == 0
    assert list(graph.parallel_report.runtime.reasons["give"]) == [
        "its result holds a copy where it cannot be replaced"
    ]


def test_what_is_written_to_the_stream_holds_the_real_parts():
    def give(state):
        get_stream_writer()([state["x"][0]])
        return {"y": 1}

    effects = {"give": Effects(reads=["x"], writes=["y"])}
    graph = parallelize(chain(first, give).compile(), mode="exact", effects=effects)
    given = [{"n": 1}]
    (part,) = graph.stream({"x": given}, stream_mode="custom")
    assert part[0] is given[0]
    assert graph.parallel_report.runtime.total.hit == 1


def test_a_state_object_shares_what_its_fields_share():
    @dataclass
    class Pair:
        x: Any = None
        y: Any = None
        z: Any = None
        w: Any = None

    def compare(state):
        return {"w": state.x is state.y}

    def make():
        return chain(first, compare, schema=Pair)

    def given():
        shared = [1]
        return {"x": shared, "y": shared}

    plain, early = answers(make, given)
    assert plain["w"] is early["w"] is True


def test_a_node_that_would_read_what_has_no_copy_does_not_begin():
    calls = []

    def ask(state):
        calls.append(1)
        return {"w": state["x"].name}

    effects = {"ask": Effects(reads=["x"], writes=["w"])}
    graph = parallelize(chain(first, ask).compile(), mode="exact", effects=effects)
    thing = Thing()
    thing.name = "thing"
    assert graph.invoke({"x": thing})["w"] == "thing"
    assert calls == [1]
    assert graph.parallel_report.runtime.total.abandoned == 1
    (reason,) = graph.parallel_report.runtime.reasons["ask"]
    assert reason == "the value of 'x' cannot be copied: a Thing may be more than its content"


def test_a_change_in_place_reaches_all_who_hold_the_part():
    def give(state):
        return {"y": state["x"][0]}

    def change(state):
        state["y"]["n"] = 9
        return {"w": 1}

    plain, early = answers(lambda: chain(first, give, change), lambda: {"x": [{"n": 1}]})
    assert plain == early
    assert early["x"] == [{"n": 9}]


def test_parts_that_are_shared_in_one_value_only_are_not_alike():
    part = [1]
    assert Likeness().same(copied([part, part]), [part, part])
    assert not Likeness().same([part, part], [[1], [1]])
    assert not Likeness().same([[1], [1]], [part, part])


def test_a_result_that_holds_itself_is_restored():
    likeness = Likeness()
    real = [{"n": 1}]
    made = copied(real)
    assert likeness.same(made, real)
    result: dict[str, Any] = {"part": made[0]}
    result["self"] = result
    assert Restoring(likeness.real).restore(result)["self"]["part"] is real[0]


# -- calls that count ------------------------------------------------------------------------------


def numbered_graph():
    numbers = itertools.count()

    def number(old, new):
        return [*(old or []), (next(numbers), new)]

    class Numbered(TypedDict, total=False):
        log: Annotated[list[Any], number]
        z: Any
        w: Any

    def one(state):
        return {"log": "one"}

    def two(state):
        return {"log": "two"}

    def size(state):
        return {"w": len(state["log"])}

    return chain(first, one, two, size, schema=Numbered)


def test_a_reducer_that_counts_is_called_as_often_as_without_early_starts():
    plain, early = answers(numbered_graph, dict)
    assert plain == early


LOG: list[Any] = []


def logging_reducer(old, new):
    LOG.append(new)
    return new


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        (operator.add, True),
        (add_messages, True),
        (lambda old, new: [*old, *new], True),
        (lambda old, new: {**(old or {}), **new}, True),
        (lambda old, new: new.send(old), False),
        (logging_reducer, False),
    ],
)
def test_reducers_that_may_be_called_more_often(reducer, expected):
    assert does_nothing_else(reducer) is expected


def test_a_state_object_whose_making_counts_is_made_as_often_as_without_early_starts():
    def make():
        numbers = itertools.count()

        class Numbered(BaseModel):
            x: Any = None
            z: Any = None
            number: int = Field(default_factory=lambda: next(numbers))

        def one(state):
            return {"x": 1}

        def two(state):
            return {"z": state.number}

        return chain(first, one, two, schema=Numbered)

    plain, early = answers(make, dict)
    assert plain == early


def test_a_state_class_with_code_of_its_own_keeps_its_nodes_in_place():
    class Checked(BaseModel):
        x: Any = None
        z: Any = None

        @field_validator("x")
        @classmethod
        def check(cls, value):
            LOG.append(value)
            return value

    def one(state):
        return {"x": 1}

    report = parallelize(chain(first, one, schema=Checked), mode="exact").parallel_report
    assert not report.is_parallel
    assert "runs code of its class" in str(report)


# -- the world -------------------------------------------------------------------------------------


def branches(world, *, from_start):
    """Return two branches: one reads the world in its third superstep, one writes in its second."""

    def pick(state):
        return {"z": 1}

    def left(state):
        return {"x": 1}

    def middle(state):
        return {"x": 2}

    def look(state):
        return {"w": world["v"]}

    def right(state):
        return {"y": 1}

    def change(state):
        world["v"] = "new"
        return {"y": 2}

    graph = StateGraph(State)
    for node in (pick, left, middle, look, right, change):
        graph.add_node(node)
    if from_start:
        graph.add_edge(START, "left")
        graph.add_conditional_edges(START, lambda _: "right", ["right"])
    else:
        graph.add_edge(START, "pick")
        graph.add_conditional_edges("pick", lambda _: ["left", "right"], ["left", "right"])
    graph.add_edge("left", "middle").add_edge("middle", "look")
    return graph.add_edge("right", "change")


@pytest.mark.parametrize("from_start", [True, False])
def test_a_reader_of_the_world_does_not_pass_a_writer_of_another_branch(from_start):
    known = {
        "look": Effects(writes=["w"], external=["read"]),
        "change": Effects(writes=["y"], external=["write"]),
    }
    world = {"v": "old"}
    graph = branches(world, from_start=from_start).compile()
    graph = parallelize(graph, mode="exact", effects=known)
    assert graph.invoke({})["w"] == "new"


def test_a_reader_of_the_world_starts_early_where_it_is_alone():
    def look(state):
        return {"w": 1}

    def change(state):
        return {"y": 1}

    graph = StateGraph(State).add_sequence([first, look]).add_edge(START, "first")
    graph.add_node(change).add_conditional_edges("look", lambda _: "change", ["change"])
    known = {
        "look": Effects(writes=["w"], external=["read"]),
        "change": Effects(writes=["y"], external=["write"]),
    }
    exact = parallelize(graph.compile(), mode="exact", effects=known)
    exact.invoke({})
    assert exact.parallel_report.runtime.total.hit == 1


def test_counts_can_be_copied_like_the_graph_that_has_them():
    def second(state):
        return {"w": state["x"]}

    graph = parallelize(chain(first, second).compile(), mode="exact")
    graph.invoke({"x": 1})
    made = copy.deepcopy(graph).parallel_program.runtime
    assert made.total == graph.parallel_report.runtime.total
    assert made is not graph.parallel_report.runtime


# -- the report ------------------------------------------------------------------------------------


def test_the_report_does_not_claim_that_supersteps_have_changed():
    def second(state):
        return {"w": state["x"]}

    graph = chain(first, second)
    exact = str(parallelize(graph, mode="exact").parallel_report)
    assert "earliest start, round 1: first, second" in exact
    assert "superstep 1" not in exact
    assert "superstep 1: first, second" in str(parallelize(graph).parallel_report)
