"""Graphs whose nodes leave things outside of the state, in a module that can be imported afresh."""

import functools
import itertools
import os
import threading
import time
from collections import defaultdict
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    first: Any
    printed: str
    attribute: int
    cached: int
    counted: int
    default: bool
    number: int


class Count(BaseCallbackHandler):
    calls = 0

    def on_llm_end(self, *_, **options):
        self.calls += 1


class Agent:
    def __init__(self):
        self.calls = 0


@functools.lru_cache
def look_up(text):
    return text.upper()


count = Count()
model = FakeListChatModel(responses=["yes"], callbacks=[count])
notes = {}
table = defaultdict(int)
numbers = itertools.count()
agent = Agent()
done = []
importer = os.getpid()


def leave(state):
    time.sleep(0.02)  # as a model would; the other node, if it is started too, ends meanwhile
    agent.calls += 1
    notes["text"] = look_up(state["text"])
    model.invoke(state["text"])
    table["x"] += 0
    return {"first": next(numbers)}


def find(state):
    return {
        "printed": f"{notes}",
        "attribute": agent.calls,
        "cached": look_up.cache_info().currsize,
        "counted": count.calls,
        "default": "x" in table,
        "number": next(numbers),
    }


def pair(first, second):
    builder = StateGraph(State).add_sequence([("first", first), ("second", second)])
    return builder.add_edge(START, "first")


def make_forgetful():
    return pair(leave, find)


forgetful = make_forgetful().compile()


class Tally:
    """An agent that does count, and says so."""

    def __init__(self):
        self.calls = 0

    def count(self, state):
        self.calls += 1
        done.append("counted")
        print("counting")
        return {"attribute": self.calls}

    def look(self, state):
        done.append("looked")
        return {"counted": self.calls}


def make_tally():
    tally = Tally()
    return pair(tally.count, tally.look)


def end_here(state):
    if not notes:
        os._exit(3)
    return {"printed": "ended"}


def take_note(state):
    time.sleep(0.02)
    notes["x"] = 1
    return {"first": 1}


def make_ending():
    return pair(take_note, end_here)


def lock_up(state):
    return {"first": threading.Lock()}


def say_where(state):
    return {"default": os.getpid() == importer}


locked = pair(lock_up, say_where)
placed = pair(say_where, lambda state: {"first": look_up(state["text"])})


def read_token(state):
    return {"first": type(model).__name__}


asking = pair(read_token, lambda state: {"printed": state["text"]})
