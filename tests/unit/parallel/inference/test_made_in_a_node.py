"""Objects of Python's library that a node makes for itself, and numbers that it counts with."""

import contextlib
import functools
import io
import itertools
import json
import random
from collections import Counter, OrderedDict, defaultdict, deque
from contextvars import ContextVar
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import ALL, explain, infer_effects
from langgraph_parallel.locations import ordered_places

LOG: list[Any] = []
IDS = itertools.count()
DECK = [1, 2, 3]
GENERATOR = random.Random(5)
LANGUAGE: ContextVar[str] = ContextVar("LANGUAGE", default="en")
NOTES: ContextVar[list[str]] = ContextVar("NOTES")
UNTOLD = ContextVar("UNTOLD", default="en")


class State(TypedDict, total=False):
    text: str
    topics: list[str]
    options: dict[str, int | list[int]]
    thing: Any
    b: str


@functools.cache
def words_of(text):
    return tuple(text.split())


@functools.lru_cache
def lists_of(text):
    return [[text]]


class Key:
    def __init__(self):
        self.uses = 0


KEY = Key()


class Total:
    def __init__(self):
        self.sum = 0

    def __iadd__(self, other):
        self.sum += other
        return self


TOTAL = Total()


def shuffles_its_own(state):
    generator = random.Random()
    topics = list(state["topics"])
    generator.shuffle(topics)
    return {"b": " ".join(generator.sample(topics, 1)) + generator.choice(topics)}


def groups(state):
    found = defaultdict(list)
    for topic in state["topics"]:
        found[topic[:1]].append(topic)
    return {"b": json.dumps(found)}


def counts(state):
    counted, nested, named = defaultdict(int), defaultdict(dict), defaultdict(lambda: "none")
    for topic in state["topics"]:
        counted[topic] += 1
        nested[topic]["count"] = counted[topic]
    common = Counter(state["topics"]).most_common(1)
    return {"b": f"{dict(counted)} {dict(nested)} {named['x']} {common}"}


def queues(state):
    waiting, seen = deque(state["topics"], maxlen=5), OrderedDict()
    while waiting:
        seen[waiting.popleft()] = len(waiting)
    return {"b": " ".join(seen)}


def enters_several(state):
    with contextlib.nullcontext(state["text"]) as text, contextlib.ExitStack() as stack:
        lines = stack.enter_context(io.StringIO())
        stack.callback(lambda: text.upper())
        lines.write(text)
        return {"b": lines.getvalue()}


def splits_by_a_cache(state):
    return {"b": " ".join(words_of(state["text"]))}


def keys_by_objects(state):
    found = {(topic, index): topic for index, topic in enumerate(state["topics"])}
    return {"b": " ".join(f"{topic}{index}" for topic, index in found)}


def asks_for_a_language(state):
    return {"b": LANGUAGE.get() + state["text"]}


def counts_with_options(state):
    limit = state["options"]["limit"]
    limit += 1
    limit -= 0.5
    share = state["options"].get("share", 1)
    share //= 2
    share *= 3
    return {"b": f"{limit} {share}"}


@pytest.mark.parametrize(
    "node",
    [
        *(shuffles_its_own, groups, counts, queues, enters_several, splits_by_a_cache),
        *(keys_by_objects, asks_for_a_language, counts_with_options),
    ],
)
def test_it_is_nobody_elses(node):
    found = infer_effects(node, State)
    assert found.reads <= {"text", "topics", "options"}
    assert not found.external
    assert not found.mutates
    assert not ordered_places(found.changes)


# -- what belongs to others ------------------------------------------------------------------------


def shuffles_the_state(state):
    held = [state["topics"]]
    random.Random(1).shuffle(held[0])
    return {"b": "done"}


def groups_into_the_state(state):
    found = defaultdict(lambda: state["topics"])
    found["x"].append("new")
    return {"b": "done"}


def enters_a_part_of_the_state(state):
    with contextlib.nullcontext(state["topics"]) as topics:
        topics.append("new")
    return {"b": "done"}


def extends_by_a_text(state):
    topics = state["topics"]
    topics += "new"
    return {"b": "done"}


def repeats_in_place(state):
    numbers = state["options"]["numbers"]
    numbers *= 2
    return {"b": "done"}


def extends_by_an_unknown_part(state):
    numbers = state["options"]["numbers"]
    numbers += state["options"]["more"]
    return {"b": "done"}


@pytest.mark.parametrize(
    "node",
    [
        *(shuffles_the_state, groups_into_the_state, enters_a_part_of_the_state),
        *(extends_by_a_text, repeats_in_place, extends_by_an_unknown_part),
    ],
)
def test_a_part_of_the_state_is_changed_through_it(node):
    assert infer_effects(node, State).mutates


def shuffles_a_global(state):
    random.Random(1).shuffle(DECK)
    return {"b": "done"}


def draws_from_a_shared_generator(state):
    return {"b": str(GENERATOR.random())}


def draws_from_the_module(state):
    return {"b": str(random.random())}


def numbers_by_a_factory(state):
    return {"b": str(defaultdict(lambda: next(IDS))["x"])}


def calls_back_at_the_end(state):
    with contextlib.ExitStack() as stack:
        stack.callback(LOG.append, state["text"])
    return {"b": "done"}


def changes_what_a_cache_keeps(state):
    lists_of(state["text"])[0].append("new")
    return {"b": "done"}


def changes_a_key(state):
    for key in {KEY: 1}:
        key.uses += 1
    return {"b": "done"}


def changes_what_a_variable_holds(state):
    NOTES.get().append(state["text"])
    return {"b": "done"}


def adds_a_number_in_place(state):
    total = TOTAL
    total += 1
    return {"b": "done"}


@pytest.mark.parametrize(
    "node",
    [
        *(shuffles_a_global, draws_from_a_shared_generator, draws_from_the_module),
        *(numbers_by_a_factory, calls_back_at_the_end, changes_what_a_cache_keeps),
        *(changes_a_key, changes_what_a_variable_holds, adds_a_number_in_place),
    ],
)
def test_what_others_have_is_changed_through_it(node):
    found = infer_effects(node, State)
    assert ordered_places(found.changes) or "unknown" in found.external


def prints_an_untold_variable(state):
    return {"b": f"{UNTOLD.get()}"}


def sets_a_variable(state):
    LANGUAGE.set("de")
    return {"b": "done"}


def sends_what_is_printed_elsewhere(state):
    with contextlib.redirect_stdout(io.StringIO()) as lines:
        print(state["text"])
    return {"b": lines.getvalue()}


def adds_a_number_to_anything(state):
    thing = state["thing"]
    thing += 1
    return {"b": "done"}


@pytest.mark.parametrize(
    "node",
    [
        *(prints_an_untold_variable, sets_a_variable, sends_what_is_printed_elsewhere),
        adds_a_number_to_anything,
    ],
)
def test_what_may_run_code_or_be_seen_by_others_is_not_known(node):
    assert "unknown" in infer_effects(node, State).external


def test_a_dictionary_with_a_factory_may_be_given_back_with_any_key():
    def node(state):
        found = defaultdict(str)
        return found if found[state["text"]] else {"b": "done"}

    assert infer_effects(node, State).writes is ALL


@functools.lru_cache
def cached_store():
    return {}


def copies_it(state):
    return {"b": str(len(dict(cached_store())))}


def unpacks_it(state):
    return {"b": {**cached_store()}}


def gets_from_it(state):
    return {"b": cached_store().get("key")}


def merges_it(state):
    return {"b": {} | cached_store()}


@pytest.mark.parametrize("node", [copies_it, unpacks_it, gets_from_it, merges_it])
def test_who_reads_what_a_cache_keeps_looks_at_it(node):
    def fills_it(state):
        cached_store()["key"] = state["text"]
        return {"text": "filled"}

    assert infer_effects(node, State).looks_at
    builder = StateGraph(State)
    builder.add_sequence([("fill", fills_it), ("read", node)]).add_edge(START, "fill")
    assert not explain(builder).is_parallel
