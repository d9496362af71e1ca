"""A chain of three nodes that are independent and one that joins them."""

import operator
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str
    d: str
    log: Annotated[list[str], operator.add]


def read_a(state):
    return {"a": state["text"] + "a"}


def read_b(state):
    return {"b": state["text"] + "b"}


def read_c(state):
    return {"c": state["text"] + "c"}


def join_all(state):
    return {"d": state["a"] + state["b"] + state["c"]}


def chain(*nodes, schema=State, end=True):
    builder = StateGraph(schema)
    builder.add_sequence(nodes)
    builder.add_edge(START, nodes[0].__name__)
    if end:
        builder.add_edge(nodes[-1].__name__, END)
    return builder
