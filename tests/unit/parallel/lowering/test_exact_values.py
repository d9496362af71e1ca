"""Copies are deep, and alike is what no program can tell apart."""

import collections
import copy
import datetime
import enum
import functools
import math
import re
import threading
import types
import weakref
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, PrivateAttr, computed_field, field_validator

from langgraph_parallel.lowering.exact.likeness import same
from langgraph_parallel.lowering.exact.values import copied


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


class Validated(BaseModel):
    parts: list[int]

    @field_validator("parts")
    @classmethod
    def is_short(cls, parts):
        return parts[:9]


@dataclass(frozen=True)
class Frozen:
    parts: Any


class Named(NamedTuple):
    parts: list[int]


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
    lambda: Validated(parts=[1]),
    lambda: Frozen((1, [2])),
    lambda: Named([1]),
    lambda: collections.deque([[1]], maxlen=3),
    lambda: collections.OrderedDict(a=[1]),
    lambda: collections.Counter("aab"),
    lambda: collections.defaultdict(list, a=[1]),
    lambda: re.compile("a"),
    lambda: AIMessage("text").text,
    lambda: int,
    lambda: Model,
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


class Counted(BaseModel):
    n: int = 0

    def is_mine(self, other):
        return self is other


@dataclass
class ById:
    n: int = 0
    __hash__ = object.__hash__


@dataclass(eq=False)
class Entity:
    n: int = 0


@dataclass
class WithProperty:
    n: int = 0

    @property
    def me(self):
        return id(self)


class Text(str):
    """A string that has attributes."""


class WithLazy(BaseModel):
    n: int = 0

    @computed_field
    @functools.cached_property
    def me(self) -> int:
        return id(self)


def shrunken_set():
    """Return a set that lists 1 before 64, because it was large."""
    made = set(range(100))
    made -= set(range(100)) - {1, 64}
    return made


MORE_THAN_CONTENT = [
    lambda: Plain([1]),
    lambda: Strange(),
    lambda: object(),
    lambda: Counted(),
    lambda: ById(),
    lambda: Entity(),
    lambda: WithProperty(),
    lambda: WithLazy(),
    lambda: Text("x"),
    lambda: loaded(a=1),
    lambda: frozenset({Frozen(1)}),
    lambda: {Frozen(1): 1},
    lambda: {(Frozen(1),)},
    lambda: collections.defaultdict(lambda: 1),
    lambda: (part for part in "a"),
    lambda: iter([1]),
    lambda: {"a": 1}.keys(),
    lambda: {"a": 1}.items(),
    lambda: memoryview(b"x"),
    lambda: types.MappingProxyType({}),
    lambda: types.SimpleNamespace(n=1),
    lambda: functools.partial(print),
    lambda: [].append,
    lambda: Model().model_dump,
    lambda: ValueError("content", [1]),
    lambda: threading.Lock(),
    lambda: weakref.ref(Model),
    lambda: math,
    lambda: ToolMessage("text", tool_call_id="1", artifact=object()),
    lambda: Document("text", metadata={"a": Plain([1])}),
    shrunken_set,
]


@pytest.mark.parametrize("make", MORE_THAN_CONTENT)
def test_what_may_be_told_from_its_copy_is_not_copied(make):
    value = make()
    for held in (value, [value], {"k": (1, value)}, Document("text", metadata={"a": value})):
        with pytest.raises(TypeError, match="more than its content"):
            copied(held)


def test_arrays_are_not_copied():
    np = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="ndarray"):
        copied(np.arange(5))
    assert copied(np.float64(1.5)) == 1.5


def test_most_sets_are_listed_alike():
    for size in range(200):
        grown: set[str] = set()
        for n in range(size):
            grown.add(f"{n}")
        if list(set(grown)) == list(grown):
            assert list(copied(grown)) == list(grown)


def test_sets_are_the_same_only_if_they_list_the_same():
    value = shrunken_set()
    assert value == {1, 64}
    assert list(value) == [1, 64]
    assert not same({64, 1}, value)
    assert same({1, 2}, {1, 2})


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
