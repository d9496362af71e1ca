"""What a blocker says to declare brings the gain it predicts, and its cause is the very call."""

import ctypes
import os
import smtplib
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, explain

LLM = ChatOpenAI(model="m", api_key="none")
COUNTS = {"n": 0}
_last = ""


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str


def post(state: State) -> Any:
    return {"a": requests.post("http://host/path", json={"t": state["text"]}, timeout=1).text}


def post_by_httpx(state: State) -> Any:
    return {"a": httpx.post("http://host/path", json={"t": state["text"]}).text}


def post_by_client(state: State) -> Any:
    with httpx.Client() as client:
        return {"a": client.post("http://host/path", json={"t": state["text"]}).text}


def send(text):
    return requests.put("http://host", data=text, timeout=1).text


def post_by_helper(state: State) -> Any:
    return {"a": send(state["text"])}


def save_file(state: State) -> Any:
    with open("notes.txt", "w") as file:
        file.write(state["text"])
    return {"a": "1"}


def save_path(state: State) -> Any:
    Path("notes.txt").write_text(state["text"])
    return {"a": "1"}


def run_program(state: State) -> Any:
    subprocess.run(["true"], check=True)
    return {"a": state["text"]}


def insert_row(state: State) -> Any:
    connection = sqlite3.connect("notes.db")
    connection.execute("insert into notes values (?)", (state["text"],))
    return {"a": "1"}


def send_mail(state: State) -> Any:
    with smtplib.SMTP("localhost") as server:
        server.sendmail("me", "you", state["text"])
    return {"a": "1"}


def call_unknown(state: State) -> Any:
    return {"a": str(ctypes.string_at(0)) + state["text"]}


def count(state: State) -> Any:
    COUNTS["n"] += 1
    return {"a": state["text"]}


def set_global(state: State) -> Any:
    global _last
    _last = state["text"]
    return {"a": "1"}


def set_environment(state: State) -> Any:
    os.environ["NOTES"] = state["text"]
    return {"a": "1"}


KINDS = {
    post: "requests.post()",
    post_by_httpx: "httpx.post()",
    post_by_client: "client.post()",
    post_by_helper: "requests.put()",
    save_file: "opens a file to write it",
    save_path: ".write_text()",
    run_program: "subprocess.run()",
    insert_row: ".execute()",
    send_mail: "smtplib.SMTP()",
    call_unknown: "ctypes.string_at()",
    count: "COUNTS['n']",
    set_global: "_last",
    set_environment: "NOTES",
}


def ask(state: State) -> Any:
    return {"b": LLM.invoke(state["text"]).content}


def join(state: State) -> Any:
    return {"c": state["a"] + state["b"]}


def report(node, mode, **options):
    builder = StateGraph(State)
    for name, function in (("b", ask), ("a", node), ("c", join)):
        builder.add_node(name, function)
    for edge in ((START, "b"), ("b", "a"), ("a", "c"), ("c", END)):
        builder.add_edge(*edge)
    config = ParallelConfig(durations={"a": 2.0, "b": 3.0, "c": 1.0})
    return explain(builder.compile(), mode=mode, config=config, **options)


def span(found) -> float:
    return found.timeline.after(found.predicted.by_node)


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("node", KINDS, ids=lambda node: node.__name__)
def test_declaration_of_a_blocker_brings_what_it_promises(node, mode):
    found = report(node, mode)
    (blocker,) = found.blockers()
    assert KINDS[node] in blocker.cause
    assert f"{Path(__file__).name}:" in blocker.cause
    assert blocker.saves == pytest.approx(2.0)
    assert blocker.declaration.startswith("@effects(")
    pasted = eval(blocker.declaration.replace("@effects", "Effects"), {"Effects": Effects})
    after = report(node, mode, effects={"a": pasted})
    assert span(found) - span(after) == pytest.approx(blocker.saves)
    assert not after.blockers()


def look_at_step(state: State, config: RunnableConfig) -> Any:
    return {"a": str(config["metadata"]["langgraph_step"])}


def test_node_that_looks_at_its_superstep_is_freed_by_a_declaration_where_steps_stay():
    (blocker,) = report(look_at_step, "exact").blockers()
    assert blocker.declaration == '@effects(writes={"a"})'
    after = report(look_at_step, "exact", effects={"a": Effects(writes={"a"})})
    assert not after.blockers()
