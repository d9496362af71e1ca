"""States that are pydantic models or dataclasses: as precise as dicts, and as strict as before."""

import operator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from chains import chain
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict

from langgraph_parallel import explain, parallelize
from langgraph_parallel.testing import assert_equivalent

CALLS: list[str] = []


class Address(BaseModel):
    street: str
    number: int = Field(1, ge=1)


class Desk(BaseModel):
    text: str
    mood: Literal["good", "bad", ""] = ""
    score: int = Field(0, ge=0, le=10)
    address: Address = Field(default_factory=lambda: Address(street="none"))
    topic: str = ""
    audit: Annotated[list[str], operator.add] = Field(default_factory=list)


def find_mood(state: Desk):
    return {"mood": "good" if "!" in state.text else "bad", "audit": ["mood"]}


def find_score(state: Desk):
    return {"score": min(len(state.text), 10), "audit": ["score"]}


def find_topic(state: Desk):
    return {"topic": state.text.upper(), "audit": ["topic"]}


def wrong_mood(state: Desk):
    return {"mood": state.text}


def wrong_score(state: Desk):
    return {"score": len(state.text) * 100}


def wrong_kind(state: Desk):
    return {"topic": len(state.text)}


def join_them(state: Desk):
    return {"audit": [state.mood, state.topic, str(state.score)]}


def levels(*nodes, schema, **options):
    report = explain(chain(*nodes, schema=schema).compile(), **options)
    return [sorted(level) for region in report.regions for level in region.levels]


def both_fail_alike(graph, given):
    """Run a graph and its two parallel forms; return what all three raise."""
    errors = []
    for form in (graph, parallelize(graph), parallelize(graph, mode="exact")):
        with pytest.raises(Exception) as caught:
            form.invoke(given)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1] == errors[2]
    return errors[0][0]


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_fields_that_are_required_nested_limited_or_folded_keep_nobody_waiting(mode):
    nodes = (find_mood, find_score, find_topic)
    assert levels(*nodes, schema=Desk, mode=mode) == [["find_mood", "find_score", "find_topic"]]
    graph = chain(*nodes, schema=Desk).compile()
    assert_equivalent(graph, [{"text": "well!"}, {"text": ""}], mode=mode, schedules=2)


@pytest.mark.parametrize("wrong", [wrong_mood, wrong_score, wrong_kind])
@pytest.mark.parametrize("last", [(), (join_them,)])
def test_a_value_that_a_later_state_refuses_fails_in_its_writers_superstep(wrong, last):
    beside = find_mood if wrong is wrong_score else find_score
    graph = chain(wrong, beside, *last, schema=Desk).compile()
    assert explain(graph).is_parallel
    assert both_fail_alike(graph, {"text": "a wrong one"}) is ValidationError


def test_nothing_after_a_refused_value_is_started():
    started = []

    def late(state: Desk):
        started.append(state.topic + str(state.score))
        return {"mood": "good"}

    graph = chain(wrong_kind, find_score, late, schema=Desk).compile()
    for form in (graph, parallelize(graph), parallelize(graph, mode="exact")):
        with pytest.raises(ValidationError):
            form.invoke({"text": "x"})
    assert not started


def test_a_validator_of_one_field_that_does_nothing_else_keeps_nobody_waiting():
    class Checked(BaseModel):
        text: str = ""
        mood: str = ""
        topic: str = ""

        @field_validator("mood")
        @classmethod
        def is_known(cls, value):
            if value not in ("good", "bad", ""):
                raise ValueError(f"{value} is no mood")
            return value.strip()

    def mood(state: Checked):
        return {"mood": state.text}

    def topic(state: Checked):
        return {"topic": state.text}

    graph = chain(mood, topic, schema=Checked).compile()
    for mode in ("fanout", "exact"):
        assert explain(graph, mode=mode).speedup == 2
    assert parallelize(graph).invoke({"text": "good"}) == graph.invoke({"text": "good"})
    assert both_fail_alike(graph, {"text": "so so"}) is ValidationError


def test_a_validator_that_leaves_a_trace_keeps_its_order():
    class Traced(BaseModel):
        text: str = ""
        mood: str = ""
        topic: str = ""

        @field_validator("mood")
        @classmethod
        def note(cls, value):
            CALLS.append(value)
            return value

    def mood(state: Traced):
        return {"mood": state.text}

    def topic(state: Traced):
        return {"topic": state.text}

    graph = chain(mood, topic, schema=Traced).compile()
    seen = []
    for form in (graph, parallelize(graph), parallelize(graph, mode="exact")):
        CALLS.clear()
        form.invoke({"text": "good"})
        seen.append(list(CALLS))
    assert seen[0] == seen[1] == seen[2]
    assert not explain(graph).is_parallel


def test_validators_that_look_at_several_fields_keep_the_order():
    class Pair(BaseModel):
        low: int = 0
        high: int = 10
        text: str = ""

        @model_validator(mode="after")
        def in_order(self):
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    def raise_both(state: Pair):
        return {"high": 30}

    def raise_low(state: Pair):
        return {"low": 20}

    def say(state: Pair):
        return {"text": "done"}

    graph = chain(raise_both, raise_low, say, schema=Pair).compile()
    report = explain(graph)
    assert not report.is_parallel
    assert "handed a Pair, whose code looks at several" in report.why("raise_low", "say")
    assert parallelize(graph).invoke({}) == graph.invoke({})


def test_a_required_field_is_read_from_the_node_that_may_fill_it_first():
    class Raw(TypedDict, total=False):
        text: str
        name: str
        out: str
        other: str

    class Full(BaseModel):
        name: str
        out: str = ""
        other: str = ""

    def fill(state: Raw):
        return {"name": state["text"]}

    def use(state: Full):
        return {"out": "1"}

    def use_too(state: Full):
        return {"other": "2"}

    assert levels(fill, use, use_too, schema=Raw) == [["fill"], ["use", "use_too"]]
    graph = chain(fill, use, use_too, schema=Raw).compile()
    for mode in ("fanout", "exact"):
        fast = parallelize(graph, mode=mode)
        assert fast.invoke({"text": "x"}) == graph.invoke({"text": "x"})
    assert fast.parallel_report.runtime.total.abandoned == 0


def test_a_list_with_a_longest_length_is_read_where_nobody_validates_it_later():
    class Short(BaseModel):
        text: str = ""
        notes: Annotated[list[str], Field(max_length=1), operator.add] = []
        topic: str = ""

    def a_note(state: Short):
        return {"notes": ["a", "b"]}

    def topic(state: Short):
        return {"topic": state.text}

    graph = chain(a_note, topic, schema=Short).compile()
    assert not explain(graph).is_parallel
    assert both_fail_alike(graph, {"text": "x"}) is ValidationError


def test_a_folded_value_is_checked_as_the_channel_will_hold_it():
    class Log(BaseModel):
        text: str = ""
        notes: Annotated[list[str], operator.add] = []
        topic: str = ""

    def note(state: Log):
        return {"notes": [len(state.text)]}

    def topic(state: Log):
        return {"topic": state.text}

    graph = chain(note, topic, schema=Log).compile()
    assert explain(graph).is_parallel
    assert both_fail_alike(graph, {"text": "x", "notes": ["old"]}) is ValidationError


def test_a_writer_with_a_retry_policy_is_waited_for():
    builder = StateGraph(Desk)
    builder.add_node("one", wrong_kind, retry_policy=RetryPolicy(retry_on=Exception))
    builder.add_node("two", find_score)
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    builder.add_edge("two", END)
    graph = builder.compile()
    assert not explain(graph).is_parallel
    assert both_fail_alike(graph, {"text": "x"}) is ValidationError


def test_dataclass_states_are_as_precise_as_dicts():
    @dataclass
    class Sheet:
        text: str
        low: str = ""
        high: str = ""
        notes: list[str] = field(default_factory=list)

    def lower(state: Sheet):
        return {"low": state.text.lower()}

    def upper(state: Sheet):
        return {"high": state.text.upper()}

    def note(state: Sheet):
        return {"notes": [*state.notes, state.low]}

    nodes = (lower, upper, note)
    assert levels(*nodes, schema=Sheet) == [["lower", "upper"], ["note"]]
    graph = chain(*nodes, schema=Sheet).compile()
    for mode in ("fanout", "exact"):
        assert_equivalent(graph, [{"text": "Ab"}], mode=mode, schedules=2)


def test_a_factory_that_counts_keeps_its_count():
    made = []

    def count():
        made.append(1)
        return len(made)

    class Counted(BaseModel):
        text: str = ""
        number: int = Field(default_factory=count)
        low: str = ""
        high: str = ""

    def lower(state: Counted):
        return {"low": str(state.number)}

    def upper(state: Counted):
        return {"high": str(state.number)}

    graph = chain(lower, upper, schema=Counted).compile()
    answers = []
    for form in (graph, parallelize(graph), parallelize(graph, mode="exact")):
        made.clear()
        answers.append(form.invoke({"text": "x"}))
    assert answers[0] == answers[1] == answers[2]


def test_nodes_of_a_class_with_factories_and_validators_start_early():
    class Rich(BaseModel):
        text: str = ""
        tags: list[str] = Field(default_factory=lambda: ["new"])
        low: str = ""
        high: str = ""

        @field_validator("text")
        @classmethod
        def strip(cls, value):
            return value.strip()

    def lower(state: Rich):
        return {"low": state.text.lower()}

    def upper(state: Rich):
        return {"high": state.text.upper()}

    graph = chain(lower, upper, schema=Rich).compile()
    fast = parallelize(graph, mode="exact")
    assert fast.invoke({"text": " Ab "}) == graph.invoke({"text": " Ab "})
    assert fast.parallel_report.runtime.total.hit == 1
