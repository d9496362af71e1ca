"""Dataclasses and named tuples that a node makes, copies and takes apart, field by field."""

import dataclasses
from collections import namedtuple
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any, NamedTuple

import pytest
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects

LOG: list[Any] = []


class State(TypedDict, total=False):
    text: str
    topics: list[str]
    b: str


@dataclass
class Chunk:
    text: str
    score: float = 0.0
    tags: list[str] = field(default_factory=list)
    parts: "list[Chunk]" = field(default_factory=list)


@dataclass
class Loud:
    text: str = ""

    def __post_init__(self):
        LOG.append(self.text)


@dataclass
class Holder:
    value: Any = None


class Hit(NamedTuple):
    text: str
    score: float = 0.0
    tags: Any = ()


Pair = namedtuple("Pair", "left right")


class OwnIteration(Hit):
    def __iter__(self):
        LOG.append(self)
        return super().__iter__()


class LoudList(list):
    def __init__(self, *parts):
        LOG.append(parts)
        super().__init__(*parts)


class Copied:
    def __deepcopy__(self, memo):
        LOG.append(self)
        return self


SHARED = Chunk("shared")
SHARED_HIT = Hit("shared", tags=[])


def copies_with_another_field(state):
    chunk = replace(Chunk(state["text"]), score=1.0)
    chunk.score += 1
    return {"b": f"{chunk.text} {chunk.score}"}


def shows_chunks(state):
    chunks = [Chunk(text, index) for index, text in enumerate(state["topics"])]
    best = max(chunks, key=lambda chunk: chunk.score, default=None)
    return {"b": f"{[asdict(chunk) for chunk in chunks]} {best and best.text}"}


def fills_a_text(state):
    return {"b": "{text} {score}".format(**asdict(Chunk(state["text"])))}


def copies_nested_ones(state):
    chunk = Chunk(state["text"], parts=[Chunk(topic) for topic in state["topics"]])
    shown = asdict(chunk)
    shown["tags"].append("more")
    shown["parts"][0]["text"] = ""
    return {"b": str(shown) + str(astuple(chunk)) + str(len(dataclasses.fields(chunk)))}


def copies_what_the_state_holds(state):
    shown = asdict(Holder(state["topics"]))
    shown["value"].append("of the copy")
    return {"b": str(shown)}


def renames_a_hit(state):
    hit = Hit(state["text"], 1.0)._replace(score=2.0)
    return {"b": f"{hit.text} {hit._asdict()} {hit[1]}"}


def unpacks_a_pair(state):
    left, right = Pair(state["text"], "right")
    return {"b": left + right}


@pytest.mark.parametrize(
    "node",
    [
        *(copies_with_another_field, shows_chunks, fills_a_text, copies_nested_ones),
        *(copies_what_the_state_holds, renames_a_hit, unpacks_a_pair),
    ],
)
def test_fields_are_followed(node):
    found = infer_effects(node, State)
    assert found.reads <= {"text", "topics"}
    assert found.writes == {"b"}
    assert not found.external
    assert not found.mutates
    assert not found.changes


# -- copies that are none, and code that runs ------------------------------------------------------


def replaces_and_shares(state):
    replace(SHARED, score=1.0).tags.append(state["text"])
    return {"b": "done"}


def replaces_with_code(state):
    return {"b": replace(Loud(state["text"]), text="other").text}


def copies_a_loud_list(state):
    return {"b": str(asdict(Holder(LoudList([state["text"]]))))}


def copies_by_a_hook(state):
    return {"b": str(len(asdict(Holder(Copied()))))}


def copies_into_a_factory(state):
    return {"b": str(asdict(Chunk(state["text"]), dict_factory=LOG.append))}


def shares_a_part(state):
    SHARED_HIT._replace(score=1.0).tags.append(state["text"])
    return {"b": "done"}


def iterates_by_own_code(state):
    text, *_ = OwnIteration(state["text"])
    return {"b": text}


@pytest.mark.parametrize(
    "node",
    [
        *(replaces_and_shares, replaces_with_code, copies_a_loud_list, copies_by_a_hook),
        *(copies_into_a_factory, shares_a_part, iterates_by_own_code),
    ],
)
def test_what_copying_changes_is_seen(node):
    found = infer_effects(node, State)
    assert found.changes or "unknown" in found.external


def changes_a_part_of_the_state(state):
    hit = Hit(state["text"], tags=state["topics"])
    hit.tags.append("new")
    return {"b": "done"}


def changes_it_by_unpacking(state):
    topics, _ = Pair(state["topics"], 1)
    topics.append("new")
    return {"b": "done"}


def changes_it_by_a_dictionary(state):
    Pair(state["topics"], 1)._asdict()["left"].append("new")
    return {"b": "done"}


def changes_it_by_another_tuple(state):
    Pair(state["topics"], 1)._replace(right=2).left.append("new")
    return {"b": "done"}


def changes_it_by_replacing(state):
    replace(Holder(), value=state["topics"]).value.append("new")
    return {"b": "done"}


@pytest.mark.parametrize(
    "node",
    [
        *(changes_a_part_of_the_state, changes_it_by_unpacking, changes_it_by_a_dictionary),
        *(changes_it_by_another_tuple, changes_it_by_replacing),
    ],
)
def test_fields_still_are_what_was_put_there(node):
    assert infer_effects(node, State).mutates == {"topics"}
