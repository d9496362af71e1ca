"""Copies are deep, and alike is what no program can tell apart."""

import copy
import datetime
import enum
from dataclasses import dataclass, field

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel, PrivateAttr

from langgraph_parallel.lowering.exact.values import copied, same


class Color(enum.Enum):
    RED = 1


class Model(BaseModel):
    parts: list[int] = []
    _hidden: list[int] = PrivateAttr(default_factory=list)


@dataclass
class Data:
    parts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    parts: list[int] = field(default_factory=list)


@dataclass
class Loaded(dict):
    """Has attributes, and content of its own."""

    parts: int = 0

    __hash__ = None


def loaded(**content):
    made = Loaded()
    made.update(content)
    return made


class Plain:
    def __init__(self, parts):
        self.parts = parts

    def __eq__(self, other):
        return isinstance(other, Plain) and self.parts == other.parts

    __hash__ = None


class Strange:
    """Cannot be compared."""

    def __eq__(self, other):
        raise ValueError("ambiguous")

    __hash__ = None


def nested():
    return {"list": [1, {"x": (1, [2])}], "message": AIMessage("hi", id="1")}


VALUES = [
    lambda: None,
    lambda: 1.5,
    lambda: float("nan"),
    lambda: "text",
    lambda: Color.RED,
    lambda: datetime.datetime(2026, 1, 1),
    lambda: {1, 2},
    lambda: frozenset({"a"}),
    lambda: [1, [2, [3]]],
    nested,
    lambda: [HumanMessage("a", id="1"), AIMessage("b", tool_calls=[], id="2")],
    lambda: Document("text", metadata={"a": [1]}),
    lambda: Model(parts=[1]),
    lambda: Data([1]),
    lambda: Slotted([1]),
    lambda: Plain([1]),
    lambda: bytearray(b"x"),
    lambda: len,
]


@pytest.mark.parametrize("make", VALUES)
def test_a_copy_is_alike_and_its_own(make):
    value = make()
    made = copied(value)
    assert same(value, made)
    assert same(made, value)
    for part in ("parts", "metadata"):
        if hasattr(made, part):
            assert getattr(made, part) is not getattr(value, part)
    if isinstance(value, list):
        assert made is not value
        made.append("more")
        assert not same(value, made)


DIFFERENT = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ("1", 1),
    (range(0), range(3, 3)),
    (
        datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC),
        datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC).astimezone(
            datetime.timezone(datetime.timedelta(hours=1))
        ),
    ),
    ([1], (1,)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": 1}, {"a": 2}),
    ({1}, {True}),
    (AIMessage("a", id="1"), AIMessage("a", id="2")),
    (AIMessage("a", id="1"), HumanMessage("a", id="1")),
    (Model(parts=[1]), Model(parts=[2])),
    (Data([1]), Data([2])),
    (Slotted([1]), Slotted([2])),
    (Plain([1]), Plain([2])),
    (loaded(a=1), loaded(a=2)),
    (Strange(), Strange()),
    (len, print),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_values(one, other):
    assert not same(one, other) or isinstance(one, Strange)
    assert not same([one], [other]) or isinstance(one, Strange)


def test_what_pydantic_hides_counts():
    one, other = Model(parts=[1]), Model(parts=[1])
    other._hidden.append(1)
    assert not same(one, other)
    assert copied(other)._hidden == [1]
    assert copied(other)._hidden is not other._hidden


def test_arrays_are_compared_by_content():
    np = pytest.importorskip("numpy")
    one = np.arange(5)
    assert same(one, copied(one))
    changed = copied(one)
    changed[0] = 9
    assert not same(one, changed)


def test_structures_without_end():
    loop = [1]
    loop.append(loop)
    made = copied(loop)
    assert made[1] is made
    assert not same(loop, made)  # counts as different: never wrong


def test_shared_parts_stay_shared():
    part = [1]
    one, other = copied([part, part])
    assert one is other


def test_what_cannot_be_copied_raises():
    with pytest.raises(TypeError):
        copied(part for part in "a")


def test_copies_of_messages_are_those_of_deepcopy():
    value = [AIMessage("a", id="1", additional_kwargs={"k": [1]}), HumanMessage("b")]
    assert copied(value) == copy.deepcopy(value)
