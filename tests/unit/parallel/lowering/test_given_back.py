"""Keys that nodes give back as they were: no writes, whatever the state is made of."""

import asyncio
import copy
import dataclasses
import operator
from dataclasses import dataclass
from typing import Annotated

import pytest
from chains import chain
from langgraph.types import Command
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import explain, parallelize
from langgraph_parallel.testing import assert_equivalent

MODES = ["fanout", "exact"]


class Model(BaseModel):
    text: str = ""
    low: str | None = None
    high: str = ""
    size: int = 0
    tags: list[str] = ["none"]


@dataclass
class Sheet:
    text: str = ""
    low: str | None = None
    high: str = ""
    size: int = 0
    tags: tuple[str, ...] = ("none",)


class Plain(TypedDict, total=False):
    text: str
    low: str
    high: str
    size: int


def assign_low(state):
    state.low = state.text.lower()
    return state


def assign_high(state):
    state.high = state.text.upper()
    return state


def copy_low(state: Model):
    return state.model_copy(update={"low": state.text.lower()})


def copy_high(state: Model):
    made = state.model_copy(deep=True)
    made.high = state.text.upper()
    return made


def replace_low(state: Sheet):
    return dataclasses.replace(state, low=state.text.lower())


def replace_high(state: Sheet):
    made = copy.copy(state)
    made.high = state.text.upper()
    return made


def update_low(state: Plain):
    state.update(low=state["text"].lower())
    return state


def update_high(state: Plain):
    state.update({"high": state["text"].upper()})
    return state


def typed_low(state: Plain):
    return Plain(**{**state, "low": state["text"].lower()})


def typed_high(state: Plain):
    return Plain(high=state["text"].upper(), text=state["text"])


def named_low(state: Plain):
    text = state["text"]
    return {"text": text, "low": text.lower()}


def named_high(state: Plain):
    text, size = state["text"], len(state["text"])
    return {"high": text.upper(), "text": text, "size": size}


def in_command(state: Plain):
    return Command(update={"text": state["text"], "low": state["text"].lower()})


def fields_low(state):
    return {"low": state.text.lower(), "text": state.text}


def fields_high(state):
    text = state.text
    return {"high": text.upper(), "text": text}


def measure(state):
    return {"size": len(state["low"] + state["high"])}


def measure_object(state):
    state.size = len(state.low or "") + len(state.high)
    return state


FORMS = [
    (Model, assign_low, assign_high, measure_object),
    (Sheet, assign_low, assign_high, measure_object),
    (Model, copy_low, copy_high, measure_object),
    (Sheet, replace_low, replace_high, measure_object),
    (Model, fields_low, fields_high, measure_object),
    (Sheet, fields_low, fields_high, measure_object),
    (Plain, update_low, update_high, measure),
    (Plain, typed_low, typed_high, measure),
    (Plain, named_low, named_high, measure),
    (Plain, in_command, named_high, measure),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("schema", "nodes"), [(schema, nodes) for schema, *nodes in FORMS])
def test_nodes_that_give_back_what_they_were_handed_run_together(schema, nodes, mode):
    graph = chain(*nodes, schema=schema).compile()
    report = explain(graph, mode=mode)
    assert [set(level) for level in report.regions[0].levels] == [
        {node.__name__ for node in nodes[:2]},
        {nodes[2].__name__},
    ]
    for given in ({"text": "Ab"}, {"text": "", "high": "X"}):
        assert_equivalent(graph, [given], mode=mode, schedules=2)
        fast = parallelize(graph, mode=mode)
        answer, expected = fast.invoke(given), graph.invoke(given)
        assert (answer, list(answer)) == (expected, list(expected))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{}, {"high": "x"}, {"size": 3}])
@pytest.mark.parametrize(("schema", "nodes"), [(schema, nodes) for schema, *nodes in FORMS[:6]])
def test_a_class_gives_back_its_defaults_where_nothing_was_given(schema, nodes, given, mode):
    for some in (nodes, nodes[:2]):
        graph = chain(*some, schema=schema).compile()
        answer, expected = parallelize(graph, mode=mode).invoke(given), graph.invoke(given)
        assert (answer, list(answer)) == (expected, list(expected))


async def slow_low(state: Model):
    await asyncio.sleep(0)
    state.low = state.text.lower()
    return state


@pytest.mark.parametrize("mode", MODES)
def test_async_nodes_give_back_their_state_as_well(mode):
    for nodes in ((slow_low, assign_high, measure_object), (assign_high, slow_low)):
        graph = chain(*nodes, schema=Model).compile()
        fast = parallelize(graph, mode=mode)
        for given in ({"text": "Ab"}, {"size": "4"}):
            assert asyncio.run(fast.ainvoke(given)) == asyncio.run(graph.ainvoke(given))


def test_the_one_node_of_a_superstep_that_gives_a_key_back_shows_it():
    graph = parallelize(chain(named_low, update_high, measure, schema=Plain).compile())
    chunks = graph.stream({"text": "Ab"}, stream_mode="updates")
    shown = {name: set(update) for chunk in chunks for name, update in chunk.items()}
    assert "text" in shown["update_high"]
    assert shown["named_low"] == {"low"}


@pytest.mark.parametrize("nodes", [(assign_low, assign_high), (assign_high, assign_low)])
@pytest.mark.parametrize("schema", [Model, Sheet])
def test_an_early_run_of_a_node_that_gives_its_state_back_is_used(schema, nodes):
    graph = chain(*nodes, measure_object, schema=schema).compile()
    fast = parallelize(graph, mode="exact")
    assert fast.invoke({"text": "Ab"}) == graph.invoke({"text": "Ab"})
    total = fast.parallel_report.runtime.total
    assert total.hit
    assert not total.miss


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "given", [{"text": "Ab", "size": "5"}, {"text": b"Ab"}, {"text": "x", "tags": ("a", "b")}]
)
def test_what_the_class_makes_of_a_value_is_what_is_given_back(given, mode):
    graph = chain(assign_low, assign_high, schema=Model).compile()
    answer = parallelize(graph, mode=mode).invoke(given)
    expected = graph.invoke(given)
    assert answer == expected
    assert {k: type(v) for k, v in answer.items()} == {k: type(v) for k, v in expected.items()}


@pytest.mark.parametrize("mode", MODES)
def test_what_a_node_writes_is_made_over_by_the_node_that_would_give_it_back(mode):
    def measure_as_text(state: Model):
        return {"size": str(len(state.text))}

    for nodes in ((measure_as_text, assign_high), (assign_high, measure_as_text)):
        graph = chain(*nodes, schema=Model).compile()
        assert explain(graph, mode=mode).is_parallel
        answer = parallelize(graph, mode=mode).invoke({"text": "Ab"})
        assert answer == graph.invoke({"text": "Ab"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{"text": "Ab"}, {"text": ""}, {"text": "Ab", "size": 3}])
def test_a_writer_that_writes_nothing_leaves_what_others_give_back(given, mode):
    def measure_some(state: Model):
        return {"size": len(state.text)} if state.text else {}

    for nodes in ((measure_some, assign_high), (assign_high, measure_some)):
        graph = chain(*nodes, schema=Model).compile()
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{"text": "Ab"}, {"text": ""}])
def test_a_state_that_is_given_back_now_and_then_sets_defaults_now_and_then(given, mode):
    def low_or_nothing(state: Model):
        if not state.text:
            return None
        state.low = state.text.lower()
        return state

    def high_as_dict(state: Model):
        return {"high": state.text.upper()}

    def nothing(state: Model):
        return {"low": "x"} if state.text == "y" else None

    for nodes in ((low_or_nothing, high_as_dict), (nothing, low_or_nothing)):
        graph = chain(*nodes, schema=Model).compile()
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


@pytest.mark.parametrize("mode", MODES)
def test_a_key_that_is_changed_or_derived_is_written(mode):
    def raise_text(state: Plain):
        text = state["text"]
        if text == "Ab":
            text = text + "!"
        return {"text": text}

    def store_first(state: Plain):
        state["text"] = "stored"
        return {"text": state["text"], "low": "x"}

    def of_a_comprehension(state: Plain):
        parts = [{"text": text} for text in state["text"]]
        text = state["text"]
        return parts[0] if text else {}

    def other_key(state: Plain):
        return {"text": state.get("high", ""), "size": 1}

    for first in (raise_text, store_first, of_a_comprehension, other_key):
        graph = chain(first, named_high, schema=Plain).compile()
        assert "text" in explain(graph).effects[first.__name__].writes
        assert_equivalent(graph, [{"text": "Ab"}], mode=mode)


def test_a_value_that_is_changed_in_place_and_given_back_is_written():
    class Lists(TypedDict, total=False):
        docs: list[str]
        count: int

    def grow(state: Lists):
        docs = state["docs"]
        docs.append("new")
        return {"docs": docs}

    def count(state: Lists):
        return {"count": len(state["docs"])}

    graph = chain(grow, count, schema=Lists).compile()
    assert not explain(graph).is_parallel
    assert parallelize(graph).invoke({"docs": []}) == graph.invoke({"docs": []})


def test_a_key_with_a_reducer_is_folded_once_more_when_it_is_given_back():
    class Log(BaseModel):
        text: str = ""
        low: str = ""
        high: str = ""
        log: Annotated[list[str], operator.add] = []

    graph = chain(assign_low, assign_high, schema=Log).compile()
    given = {"text": "Ab", "log": ["a"]}
    for mode in MODES:
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)
    assert not explain(graph).is_parallel


@pytest.mark.parametrize("mode", MODES)
def test_a_key_given_back_by_a_node_before_its_writer_does_not_undo_the_write(mode):
    def rewrite(state: Plain):
        return {"text": "new"}

    graph = chain(named_low, rewrite, schema=Plain).compile()
    assert explain(graph).is_parallel
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)
    graph = chain(rewrite, named_low, schema=Plain).compile()
    assert not explain(graph).is_parallel
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_code_of_the_class_that_is_run_by_setting_or_copying_is_not_overlooked(mode):
    seen = []

    class Watched(BaseModel):
        text: str = ""
        low: str = ""
        high: str = ""

        def __setattr__(self, name, value):
            seen.append(name)
            super().__setattr__(name, value)

    class Copied(BaseModel):
        text: str = ""
        low: str = ""
        high: str = ""

        def model_copy(self, *, update=None, deep=False):
            seen.append("copy")
            return super().model_copy(update={**(update or {}), "high": "copied"}, deep=deep)

    def copied(state: Copied):
        return state.model_copy(update={"low": "x"})

    def read_high(state):
        return {"text": state.high}

    for schema, nodes in ((Watched, (assign_low, assign_high)), (Copied, (copied, read_high))):
        graph = chain(*nodes, schema=schema).compile()
        answers = []
        for form in (graph, parallelize(graph, mode=mode)):
            seen.clear()
            answers.append((form.invoke({"text": "Ab"}), list(seen)))
        assert answers[0] == answers[1]
        assert not explain(graph, mode=mode).is_parallel


@pytest.mark.parametrize("mode", MODES)
def test_states_of_several_classes_are_given_back_in_order(mode):
    class Other(BaseModel):
        text: str = ""
        size: int = 0
        low: str | None = None

    def other(state: Other):
        state.low = "o"
        return state

    graph = chain(other, assign_high, schema=Model).compile()
    for given in ({"text": "x"}, {"text": "x", "size": "7"}):
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


class Basket(BaseModel):
    text: str = ""
    low: str = ""
    high: str = ""
    size: int = 0

    @property
    def first(self):
        return self.text[:1]

    def both(self):
        return self.low + self.high


def first_low(state: Basket):
    return {"low": state.first.lower()}


def first_high(state: Basket):
    return {"high": state.first.upper()}


def measure_both(state: Basket):
    return {"size": len(state.both())}


@pytest.mark.parametrize("mode", MODES)
def test_what_methods_and_properties_of_a_state_read_is_read_by_the_node(mode):
    graph = chain(first_low, first_high, measure_both, schema=Basket).compile()
    report = explain(graph, mode=mode)
    assert report.effects["first_low"].reads == {"text"}
    assert report.effects["measure_both"].reads == {"low", "high"}
    assert report.regions[0].schedule.depth == 2
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)


@pytest.mark.parametrize("mode", MODES)
def test_a_method_of_a_state_that_a_node_replaces_is_no_longer_taken_for_known(mode):
    original = Basket.both

    def patch(state: Basket):
        Basket.both = lambda self: self.text * 5
        return {"low": "x"}

    graph = chain(patch, measure_both, schema=Basket).compile()
    assert not explain(graph, mode=mode).is_parallel
    try:
        expected = graph.invoke({"text": "Ab"})
        Basket.both = original
        assert parallelize(graph, mode=mode).invoke({"text": "Ab"}) == expected
    finally:
        Basket.both = original


@pytest.mark.parametrize("mode", MODES)
def test_a_method_of_a_state_that_passes_its_attributes_by_shows_all_of_it(mode):
    class Dumped(BaseModel):
        text: str = ""
        low: str = ""
        high: str = ""

        def dump(self):
            return super().model_dump()

    def dumped(state: Dumped):
        return {"high": str(state.dump())}

    def lower(state: Dumped):
        return {"low": state.text.lower()}

    graph = chain(lower, dumped, schema=Dumped).compile()
    assert parallelize(graph, mode=mode).invoke({"text": "Ab"}) == graph.invoke({"text": "Ab"})


class PartLow(BaseModel):
    low: str


@dataclass
class PartHigh:
    high: str = ""


def part_low(state):
    return PartLow(low=state["text"].lower())


def part_high(state):
    return PartHigh(state["text"].upper())


@pytest.mark.parametrize("mode", MODES)
def test_an_object_that_is_made_for_the_answer_writes_its_fields(mode):
    graph = chain(part_low, part_high, measure, schema=Plain).compile()
    report = explain(graph, mode=mode)
    assert report.effects["part_low"].writes == {"low"}
    assert report.regions[0].schedule.depth == 2
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)


def test_a_new_state_object_writes_its_defaults_too():
    def anew(state: Basket):
        return Basket(low=state.text.lower())

    effects = explain(chain(anew, first_high, schema=Basket).compile()).effects
    assert effects["anew"].writes == {"text", "low", "high", "size"}


def test_an_object_with_a_name_that_is_a_key_by_accident_is_not_understood():
    class Odd(BaseModel):
        low: str

        @property
        def high(self):
            return "from a property"

    def odd(state: Plain):
        return Odd(low=state["text"])

    effects = explain(chain(odd, measure, schema=Plain).compile()).effects["odd"]
    assert not effects.certain


@pytest.mark.parametrize("mode", MODES)
def test_a_dict_that_is_merged_into_the_state_writes_its_keys(mode):
    def merge_low(state: Plain):
        state |= {"low": state["text"].lower()}
        return state

    graph = chain(merge_low, update_high, measure, schema=Plain).compile()
    assert explain(graph, mode=mode).regions[0].schedule.depth == 2
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)


class Optionals(BaseModel):
    text: str | None = None
    low: str | None = None
    high: str | None = None
    size: int | None = None


def optional_low(state: Optionals):
    return Optionals(low=state.text.lower())


def optional_high(state: Optionals):
    made = Optionals()
    made.high = state.text.upper()
    return made


def optional_none(state: Optionals):
    return Optionals(low=None, size=len(state.text))


@pytest.mark.parametrize("mode", MODES)
def test_a_field_that_is_none_because_nobody_set_it_is_not_written(mode):
    graph = chain(optional_low, optional_high, measure_object, schema=Optionals).compile()
    report = explain(graph, mode=mode)
    assert report.effects["optional_low"].writes == {"low"}
    assert report.effects["optional_high"].writes == {"high"}
    assert report.regions[0].schedule.depth == 2
    assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)
    graph = chain(optional_low, optional_none, schema=Optionals).compile()
    assert explain(graph).effects["optional_none"].writes == {"low", "size"}
    assert parallelize(graph, mode=mode).invoke({"text": "Ab"}) == graph.invoke({"text": "Ab"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{"text": ""}, {"text": "Ab"}, {"text": "", "size": None}])
def test_a_writer_that_writes_nothing_gives_back_no_more_than_others_would_have(given, mode):
    def measure_some(state: Optionals):
        return {"size": len(state.text)} if state.text else {}

    def assign_text(state: Optionals):
        state.low = state.text
        return state

    for nodes in ((measure_some, assign_text), (assign_text, measure_some)):
        graph = chain(*nodes, schema=Optionals).compile()
        assert explain(graph, mode=mode).is_parallel
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{"text": "Ab"}, {"text": "Ab", "size": 3}])
def test_a_none_that_is_given_back_by_name_is_written(given, mode):
    def by_name(state: Optionals):
        size = state.size
        return {"low": state.text, "size": size}

    def measure_some(state: Optionals):
        return {"size": len(state.text)} if state.text == "long" else {}

    for nodes in ((by_name, optional_high), (by_name, measure_some), (by_name, assign_high)):
        graph = chain(*nodes, schema=Optionals).compile()
        assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{"text": ""}, {"text": "Ab"}])
def test_what_a_node_wrote_stays_as_it_is_where_nobody_gives_it_back_later(given, mode):
    def size_as_text(state: Model):
        return {"size": str(len(state.high))}

    def size_or_nothing(state: Model):
        return {"size": 7} if state.text and state.high else {}

    def tag(state: Model):
        return {"tags": [state.high]}

    graph = chain(assign_high, size_as_text, size_or_nothing, tag, schema=Model).compile()
    assert explain(graph, mode=mode).is_parallel
    assert parallelize(graph, mode=mode).invoke(given) == graph.invoke(given)


def test_a_field_that_is_set_in_another_turn_of_a_loop_is_written():
    def in_turns(state: Optionals):
        made = last = Optionals()
        for _ in range(2):
            made.low = state.text
            last = made
            made = Optionals()
        return last

    effects = explain(chain(in_turns, optional_high, schema=Optionals).compile()).effects
    assert "low" in effects["in_turns"].writes
