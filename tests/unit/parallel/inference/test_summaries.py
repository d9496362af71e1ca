"""A helper is followed once for all nodes: what is found is what following it everywhere finds."""

import functools
import random
from typing import Any

import pytest
from typing_extensions import TypedDict

from langgraph_parallel.inference.calls import functions
from langgraph_parallel.inference.infer import node_effects
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.machine.values import SCALAR, data


class State(TypedDict, total=False):
    text: str
    docs: list
    a: str


SHAPE = Shape(
    keys=frozenset(State.__annotations__),
    hints={"text": SCALAR, "a": SCALAR, "docs": data(frozenset({"docs"}))},
)
SEEN: list = []
KEPT: dict = {}


def clean(text, options=None):
    options = options or {}
    words = [w.strip() for w in text.split() if w]
    words.sort(key=lambda w: options.get(w, w))
    return " ".join(words)


def parts(text):
    found = []
    for line in text.splitlines():
        found.append({"line": line, "n": len(line)})
    return found


def add_to(rows, text):
    rows.append(text)
    return len(rows)


def keep(rows):
    KEPT["rows"] = rows
    return len(rows)


def count(text):
    SEEN.append(text)
    return len(SEEN)


def draw(text):
    return text + str(random.random())


def down(text, n=3):
    return text if not n else down(text + "x", n - 1)


def fail(text):
    raise ValueError(text)


def first_kept(_):
    return KEPT["rows"]


def same(rows):
    return rows


def one_cleans(state):
    return {"a": clean(state["text"])}


def one_cleans_with_options(state):
    options = {"x": "y"}
    options["z"] = "w"
    return {"a": clean(state["text"], options)}


def one_changes_parts(state):
    rows = parts(state["text"])
    rows[0]["n"] = 1
    return {"a": rows}


def one_adds_to_docs(state):
    add_to(state["docs"], "x")
    return {"a": ""}


def one_adds_to_own(state):
    rows = []
    add_to(rows, state["text"])
    for row in rows:
        count(row)
    return {"a": rows}


def one_keeps(state):
    rows = ["x"]
    keep(rows)
    return {"a": rows}


def one_changes_what_is_kept(state):
    KEPT["rows"] = state["docs"]
    first_kept("").append(1)
    return {"a": ""}


def one_puts_docs_into_a_list(state):
    rows = same(["x"])
    rows.append(state["docs"])
    rows[1].append(2)
    return {"a": ""}


def one_draws(state):
    return {"a": draw(state["text"]) + down(state["text"])}


def one_fails(state):
    try:
        return {"a": fail(state["text"])}
    except ValueError as error:
        return {"a": str(error)}


def one_loops(state):
    rows = [""]
    for _ in range(3):
        rows.append(clean(" ".join(rows)))
        rows = same(rows)
    return {"a": rows}


NODES = [value for name, value in sorted(globals().items()) if name.startswith("one_")]


def effects(nodes: list, memory: Memory) -> list[Any]:
    return [node_effects(node, SHAPE, State, memory=memory) for node in nodes]


@pytest.mark.parametrize("node", NODES, ids=lambda n: n.__name__)
def test_a_summary_says_what_following_the_helper_says(node, monkeypatch):
    with_summaries = effects([*NODES, node], Memory())[-1]
    monkeypatch.setattr(functions, "summary_of", lambda *_: None)
    followed = effects([*NODES, node], Memory())[-1]
    assert with_summaries == followed
    assert {e.what for e in with_summaries.evidence} == {e.what for e in followed.evidence}


def test_a_helper_of_many_nodes_is_followed_as_often_as_of_one(monkeypatch):
    followed = []
    run_body = functions.run_body

    def counted(frame, node):
        followed.append(getattr(node, "name", ""))
        return run_body(frame, node)

    monkeypatch.setattr(functions, "run_body", counted)
    effects([one_cleans], Memory())
    for_one = followed.count("clean")
    followed.clear()
    effects([functools.partial(one_cleans) for _ in range(9)], Memory())
    assert followed.count("clean") == for_one > 0


def test_what_is_stored_later_is_seen_in_what_was_found_before():
    def looks(state):
        return {"a": clean(KEPT["rows"])}

    def stores(state):
        KEPT["rows"] = state["docs"]
        return {}

    memory = Memory()
    effects([looks, stores], memory)
    assert memory.is_stale
    memory.forget_assumptions()
    assert not memory.summaries
