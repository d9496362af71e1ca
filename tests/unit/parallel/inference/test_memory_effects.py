"""Golden tests of places outside the state: a node function in, what it touches as one line out."""

import collections
import contextlib
import functools
import itertools
import logging
import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.locations import ANY_ITEM, Location


class State(TypedDict, total=False):
    q: str
    items: list[str]
    thing: Any
    a: str


class Service:
    limit = 3

    def __init__(self):
        self.calls = 0
        self.prompts = {"ask": "Ask {q}"}

    @property
    def next_id(self):
        self.calls += 1
        return self.calls

    @functools.cached_property
    def table(self):
        return {"x": 1}


SERVICE = Service()
BOOK: dict[str, str] = {"k": ""}
LINES: list[str] = []
SEEN = collections.defaultdict(int)
NUMBERS = itertools.count()
CONFIG = None


class Lines(logging.Handler):
    def emit(self, record):
        LINES.append(record.getMessage())


LOGGER = logging.getLogger("test_memory")
LOGGER.addHandler(Lines())


class Answer(BaseModel):
    text: str = ""
    number: int = Field(default_factory=lambda: next(NUMBERS))


@dataclass
class Job:
    name: str
    log: list = field(default_factory=lambda: LINES)


def attribute(state):
    return {"a": SERVICE.prompts["ask"].format(q=state["q"])}


def count(state):
    SERVICE.calls += 1


def property_with_an_effect(state):
    return {"a": str(SERVICE.next_id)}


def computed_once(state):
    return {"a": str(SERVICE.table["x"])}


def class_attribute(state):
    return {"a": str(SERVICE.limit)}


def item(state):
    BOOK["k"] = state["q"]


def any_key(state):
    return {"a": BOOK.get(state["q"], "")}


def whole(state):
    return {"a": f"{BOOK}"}


def default_of_a_dict(state):
    return {"a": str(SEEN["k"])}


def iterator(state):
    return {"a": str(next(NUMBERS))}


def rebound(state):
    global CONFIG
    if CONFIG is None:
        CONFIG = "read"
    return {"a": CONFIG}


def environment(state):
    return {"a": os.environ["HOME"] + os.getenv("USER", "")}


def set_environment(state):
    os.environ["LANGUAGE"] = state["q"]


def chance(state):
    return {"a": str(random.random())}


def logged(state):
    LOGGER.info("asked %s", state["q"])


def made(state):
    return {"a": Answer(text=state["q"]).text}


def made_with_a_shared_list(state):
    Job("x").log.append(state["q"])


def own_object(state):
    service = Service()
    service.calls += 1
    return {"a": str(service.next_id)}


@contextlib.contextmanager
def noted():
    LINES.append("in")
    yield
    LINES.append("out")


def in_a_context(state):
    with noted():
        return {"a": state["q"]}


def through_a_helper(state):
    return {"a": _push(LINES)}


def _push(lines):
    lines.append("x")
    return "pushed"


GOLDEN = [
    (attribute, {"SERVICE.prompts", "SERVICE.prompts['ask']"}, set()),
    (count, {"SERVICE.calls"}, {"SERVICE.calls"}),
    (property_with_an_effect, {"SERVICE.calls"}, {"SERVICE.calls"}),
    (computed_once, set(), {"SERVICE.table"}),
    (class_attribute, {"SERVICE.limit", "Service.limit"}, set()),
    (item, set(), {"BOOK['k']"}),
    (any_key, {"BOOK"}, set()),
    (whole, {"BOOK"}, set()),
    (default_of_a_dict, {"SEEN['k']"}, {"SEEN['k']"}),
    (rebound, set(), {"CONFIG"}),
    (environment, {"the environment['HOME']", "the environment['USER']"}, set()),
    (set_environment, set(), {"the environment['LANGUAGE']"}),
    (chance, {"the random"}, {"the random"}),
    (made_with_a_shared_list, set(), {"LINES"}),
    (own_object, set(), set()),
    (through_a_helper, set(), {"LINES"}),
]


def shown(places):
    unordered = {"the log", "the handlers", "the screen"}
    return {str(place) for place in places} - unordered


@pytest.mark.parametrize(
    ("node", "looks_at", "changes"), GOLDEN, ids=lambda x: getattr(x, "__name__", "")
)
def test_places_of_a_node(node, looks_at, changes):
    found = infer_effects(node, State)
    assert found.external == frozenset()
    assert shown(found.changes) == changes
    assert shown(found.looks_at) == looks_at


def test_a_log_with_a_handler_of_ones_own_changes_what_the_handler_keeps():
    assert "LINES" in shown(infer_effects(logged, State).changes)


def test_factories_of_a_model_are_run():
    assert "NUMBERS" in shown(infer_effects(made, State).changes)


@pytest.mark.parametrize("node", [iterator])
def test_an_iterator_moves_on_for_everybody(node):
    assert "NUMBERS" in shown(infer_effects(node, State).changes)


def test_what_was_seen_in_a_place_holds_until_somebody_stores_something_else():
    memory, place = Memory(), Location(BOOK, "['k']")
    assert memory.content(place) == "seen"
    memory.store(Location(BOOK, "['other']"), "unknown")
    assert not memory.is_stale
    memory.store(Location(BOOK), "data")
    assert memory.is_stale
    memory.forget_assumptions()
    assert memory.content(place) == "data"
    memory.store(ANY_ITEM, "unknown")
    assert memory.is_stale
    assert memory.content(place) == "unknown"


QUIET = contextlib.nullcontext(LINES)


def test_a_context_that_does_nothing_gives_what_it_holds():
    def add(state):
        with QUIET as lines:
            lines.append("x")
        return {"a": ""}

    found = infer_effects(add, State)
    assert found.changes or "unknown" in found.external
