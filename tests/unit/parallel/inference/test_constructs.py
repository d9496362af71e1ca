"""Constructs that are not understood make their own statement unknown, and no more than that."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import explain, infer_effects, parallelize


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str
    log: Annotated[list[str], operator.add]


def chain(*nodes: Callable[..., Any]) -> StateGraph:
    builder = StateGraph(State)
    names = [f"n{i}" for i in range(len(nodes))]
    builder.add_sequence(list(zip(names, nodes, strict=True)))
    return builder.add_edge(START, "n0")


def give_a(state):
    return {"a": "given"}


# -- what is known all the same --------------------------------------------------------------------


def counts_with_nonlocal(state):
    count = 0

    def step(part):
        nonlocal count
        count += 1
        return part.strip()

    parts = [step(part) for part in state["text"].split()]
    return {"b": f"{count} {parts}"}


class Client:
    kind = "client"


filled: Any = {"language": "en"}
empty: Any = None


def get_filled():
    global filled
    if filled is None:
        filled = {"language": "de"}
    return filled


def get_through_another():
    if filled is None:
        get_filled()
    return dict(filled)


def reads_what_is_filled(state):
    return {"b": state["text"] + get_filled()["language"] + get_through_another()["language"]}


class Service:
    def __init__(self):
        self.part = Client()

    def get(self):
        if not self.part is not None:
            self.part = Client()
        return self.part.kind


service = Service()


def reads_a_filled_attribute(state):
    return {"b": state["text"] + service.get()}


@pytest.mark.parametrize(
    "node", [counts_with_nonlocal, reads_what_is_filled, reads_a_filled_attribute]
)
def test_construct_is_understood(node):
    found = infer_effects(node, State)
    assert (found.reads, found.writes) == ({"text"}, {"b"})
    assert not found.external
    assert not found.changes
    assert explain(chain(give_a, node)).regions[0].levels == (("n0", "n1"),)


# -- what stays unknown, without hiding the rest ---------------------------------------------------


def makes_a_class(state):
    class Part:
        def __init__(self, text):
            self.text = text

        def get(self):
            return self.text + state["c"]

    return {"b": str(Part(state["text"]).get())}


def runs_text_apart(state):
    names: dict[str, Any] = {}
    exec("x = 1", names)
    return {"b": state["text"]}


def runs_any_text(state):
    exec(state["c"])
    return {"b": state["text"]}


def recurses(state):
    def walk(text, depth):
        return text if depth > 3 else walk(text + state["c"], depth + 1)

    return {"b": f"{walk(state['text'], 0)}"}


@pytest.mark.parametrize("node", [makes_a_class, runs_text_apart, runs_any_text, recurses])
def test_construct_makes_only_its_statement_unknown(node):
    found = infer_effects(node, State)
    assert found.certain
    assert found.writes == {"b"}
    assert "unknown" in found.external
    assert not found.control & {"goto", "send", "interrupt"}


# -- what must stay in order -----------------------------------------------------------------------


kept: list[str] = []


def helper(text):
    return text


def other(text):
    return text + "!"


def rebinds_by_text(state):
    exec("global helper\nhelper = other", globals())
    return {"a": "1"}


def rebinds_by_known_text(state):
    exec("global helper\nhelper = other")
    return {"a": "1"}


rebinds_hidden: Any = None
exec(
    compile(
        "def rebinds_hidden(state):\n    global helper\n    helper = other\n    return {'a': '1'}",
        "<nowhere>",
        "exec",
    )
)


def uses_helper(state):
    return {"b": helper(state["text"])}


def empties(state):
    global filled
    filled = None
    return {"a": "1"}


def fills_one_way(state):
    global empty
    if empty is None:
        empty = "one"
    return {"b": empty}


def fills_another_way(state):
    global empty
    if empty is None:
        empty = "another"
    return {"c": empty}


def class_that_keeps(state):
    class Keeper:
        def __init__(self, text):
            kept.append(text)

    Keeper(state["text"])
    return {"a": "1"}


def counts_kept(state):
    return {"b": str(len(kept))}


def class_that_reads(state):
    class Reader:
        def get(self):
            return state.get("a", "-")

    return {"b": Reader().get()}


def late_nonlocal(state):
    text = state["text"]

    def look():
        nonlocal text
        text = state.get("a", "-")

    sorted(["x"], key=lambda part: look() or part)
    return {"b": text}


def looks_by_text(state):
    return {"b": eval("state.get('a', '-')")}


def looks_at_its_variables(state):
    around = locals()
    return {"b": around["state"].get("a", "-")}


def changes_by_text(state):
    names = {"state": state}
    exec("state['log'].append('late')", names)
    return {"a": "1"}


def counts_log(state):
    return {"b": str(len(state["log"]))}


class Key:
    def upper(self):
        kept.append("upper")
        return "K"


KEY = Key()


def asks_its_keys(state):
    table = {KEY: "x"}
    return {"a": "".join(key.upper() for key, part in table.items() if part)}


def asks_keys_made_here(state):
    table = {}
    table[Key()] = "x"
    return {"a": next(key.upper() for key in table)}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch):
    """Give every run the globals as they were."""

    def reset() -> None:
        kept.clear()
        for name, value in (("helper", helper_as_it_was), ("filled", {"language": "en"})):
            monkeypatch.setitem(globals(), name, value)
        monkeypatch.setitem(globals(), "empty", None)

    return reset


helper_as_it_was = helper


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize(
    "nodes",
    [
        (rebinds_by_text, uses_helper),
        (rebinds_by_known_text, uses_helper),
        (rebinds_hidden, uses_helper),
        (empties, reads_what_is_filled),
        (reads_what_is_filled, empties),
        (fills_one_way, fills_another_way),
        (class_that_keeps, counts_kept),
        *((give_a, node) for node in (class_that_reads, late_nonlocal)),
        *((give_a, node) for node in (looks_by_text, looks_at_its_variables)),
        (changes_by_text, counts_log),
        *((node, counts_kept) for node in (asks_its_keys, asks_keys_made_here)),
    ],
    ids=lambda nodes: "-".join(node.__name__ for node in nodes),
)
def test_construct_answers_as_it_did(nodes, mode, fresh):
    fresh()
    rewritten = parallelize(chain(*nodes), mode=mode).compile()
    for _ in range(2):
        answers = []
        for graph in (chain(*nodes).compile(), rewritten):
            fresh()
            answers.append(graph.invoke({"text": "t", "log": []}))
        assert answers[0] == answers[1]
