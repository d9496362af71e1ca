"""Globals and attributes that are filled when they are first asked for."""

import asyncio
import itertools
import random
import time
from functools import lru_cache
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import parallelize


class State(TypedDict, total=False):
    text: str
    a: Any
    b: Any
    c: Any


def chain_of(*nodes):
    builder = StateGraph(State)
    for count, node in enumerate(nodes):
        builder.add_node(f"n{count}", node)
    for count in range(1, len(nodes)):
        builder.add_edge(f"n{count - 1}", f"n{count}")
    builder.add_edge(START, "n0")
    builder.add_edge(f"n{len(nodes) - 1}", END)
    return builder.compile()


def asking(get):
    return (
        lambda state: {"a": f"{state['text']} {get().model_name}"},
        lambda state: {"b": f"{state['text']} {get().model_name}"},
    )


_by_none = _by_truth = _leaving = _piped = _config = None


def by_none():
    global _by_none
    if _by_none is None:
        _by_none = ChatOpenAI(model="m", api_key="none")
    return _by_none


def by_truth():
    global _by_truth
    if not _by_truth:
        _by_truth = ChatOpenAI(model="m", api_key="none")
    return _by_truth


def leaving():
    global _leaving
    if _leaving is not None:
        return _leaving
    _leaving = ChatOpenAI(model="m", api_key="none")
    return _leaving


def piped():
    global _piped
    if _piped is None:
        prompt = ChatPromptTemplate.from_template("{text}")
        _piped = prompt | ChatOpenAI(model="m", api_key="none")
    return _piped


def config():
    global _config
    if _config is None:
        _config = {"language": "English"}
    return dict(_config)


class Holder:
    _model = None

    @classmethod
    def get(cls):
        if cls._model is None:
            cls._model = ChatOpenAI(model="m", api_key="none")
        return cls._model


class Agent:
    def __init__(self):
        self._model = None

    @property
    def model(self):
        if self._model is None:
            self._model = ChatOpenAI(model="m", api_key="none")
        return self._model

    def first(self, state: State) -> Any:
        return {"a": self.model.model_name}

    def second(self, state: State) -> Any:
        return {"b": self.model.model_name}


AGENT = Agent()
FORMS = [
    *map(asking, (by_none, by_truth, leaving, Holder.get)),
    (lambda s: {"a": config()["language"]}, lambda s: {"b": config()["language"]}),
    (
        lambda s: {"a": piped() is None},
        lambda s: {"b": piped() is None},
    ),
    (AGENT.first, AGENT.second),
]


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("nodes", FORMS, ids=range(len(FORMS)))
def test_nodes_that_fill_a_place_with_the_same_run_together(nodes, mode):
    graph = parallelize(chain_of(*nodes), mode=mode)
    assert graph.parallel_report.is_parallel
    assert graph.invoke({"text": "x"}) == chain_of(*nodes).invoke({"text": "x"})


_counter = _clock = _chance = _shared = _reset = _seen = _other = _kept = None
_named = None
_ticks = itertools.count()


def counted():
    global _counter
    if _counter is None:
        _counter = next(_ticks)
    return _counter


def clocked():
    global _clock
    if _clock is None:
        _clock = time.monotonic_ns()
    return _clock


def drawn():
    global _chance
    if _chance is None:
        _chance = random.random()
    return _chance


def list_of_all():
    global _shared
    if _shared is None:
        _shared = []
    return _shared


def list_by_truth():
    global _kept
    if not _kept:
        _kept = []
    return _kept


def put(key):
    return lambda s: list_of_all().append(key) or {key: list(list_of_all())}


def named(name):
    global _named
    if _named is None:
        _named = FakeListChatModel(responses=[name])
    return _named


def one_way():
    global _other
    if _other is None:
        _other = FakeListChatModel(responses=["one"])
    return _other


def another_way():
    global _other
    if _other is None:
        _other = FakeListChatModel(responses=["another"])
    return _other


def resettable():
    global _reset
    if _reset is None:
        _reset = {"n": 0}
    return _reset


def count_up(key):
    def node(state):
        found = resettable()
        found["n"] += 1
        return {key: found["n"]}

    return node


def reset(state):
    global _reset
    _reset = None
    return {"c": 1}


def observed():
    global _seen
    if _seen is None:
        _seen = FakeListChatModel(responses=["yes"])
    return _seen


def observe(state):
    return {"c": _seen is None}


class Session:
    """What is made first is what everybody has."""

    _current = None

    def __init__(self):
        self.calls = 0

    @classmethod
    def get(cls):
        if cls._current is None:
            cls._current = cls()
        return cls._current

    def call(self):
        self.calls += 1
        return self.calls


class Cycling:
    """A model that goes on with each call."""

    _model = None

    @classmethod
    def get(cls):
        if cls._model is None:
            cls._model = GenericFakeChatModel(messages=iter(["one", "two"]))
        return cls._model


@lru_cache(maxsize=1)
def session():
    return Session()


def forget():
    for name in list(globals()):
        if name.startswith("_") and not name.startswith("__") and name != "_ticks":
            globals()[name] = None
    globals()["_ticks"] = itertools.count()
    Session._current = Cycling._model = None
    session.cache_clear()


HOSTILE = [
    (lambda s: {"a": counted()}, lambda s: {"b": counted()}),
    (lambda s: {"a": put("a")(s)["a"]}, lambda s: {"b": put("b")(s)["b"]}),
    (put("a"), put("b"), lambda s: {"c": list(list_of_all())}),
    (
        lambda s: {"a": list_by_truth().append(1)},
        lambda s: {"b": list_by_truth().append(2)},
        lambda s: {"c": list(list_by_truth())},
    ),
    (
        lambda s: {"a": named("one").invoke("x").content},
        lambda s: {"b": named("two").invoke("x").content},
    ),
    (
        lambda s: {"a": one_way().invoke("x").content},
        lambda s: {"b": another_way().invoke("x").content},
    ),
    (count_up("a"), reset, count_up("b")),
    (count_up("a"), count_up("b"), reset),
    (lambda s: {"a": observed().invoke("x").content}, observe),
    (observe, lambda s: {"a": observed().invoke("x").content}),
    (lambda s: {"a": Session.get().call()}, lambda s: {"b": Session.get().call()}),
    (lambda s: {"a": session().call()}, lambda s: {"b": session().call()}),
    (
        lambda s: {"a": Cycling.get().invoke("x").content},
        lambda s: {"b": Cycling.get().invoke("x").content},
    ),
]


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("nodes", HOSTILE, ids=range(len(HOSTILE)))
def test_what_shows_who_came_first_keeps_the_order(nodes, mode):
    forget()
    expected = chain_of(*nodes).invoke({"text": "x"})
    forget()
    graph = parallelize(chain_of(*nodes), mode=mode)
    for _ in range(3):
        forget()
        assert graph.invoke({"text": "x"}) == expected
    forget()


@pytest.mark.parametrize("get", [clocked, drawn])
def test_what_a_moment_decides_is_made_once(get):
    forget()
    graph = parallelize(chain_of(lambda s: {"a": get()}, lambda s: {"b": get()}))
    found = graph.invoke({"text": "x"})
    assert found["a"] == found["b"]
    assert not graph.parallel_report.is_parallel


_slow = None


def slow():
    global _slow
    if _slow is None:
        _slow = ChatOpenAI(model="m", api_key="none")
    return _slow


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.looptime
async def test_nodes_with_a_lazy_model_wait_together(mode):
    async def ask(state: State) -> Any:
        await asyncio.sleep(3)
        return {"a": slow().model_name}

    async def search(state: State) -> Any:
        await asyncio.sleep(4)
        return {"b": slow().model_name}

    loop = asyncio.get_running_loop()
    original = chain_of(ask, search)
    answers, seconds = [], []
    for graph in (original, parallelize(original, mode=mode)):
        began = loop.time()
        answers.append(await graph.ainvoke({"text": "x"}))
        seconds.append(loop.time() - began)
    assert answers[0] == answers[1]
    assert seconds == pytest.approx([7, 4], abs=1e-6)
