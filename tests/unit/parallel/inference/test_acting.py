"""What is known to act on the world keeps its place, also where unknown calls are trusted."""

import asyncio
import getpass
import gzip
import io
import json
import os
import queue
import shelve
import smtplib
import socket
import sqlite3
import subprocess
import sys
import urllib.request
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from langgraph_parallel import ParallelConfig, explain, infer_effects

TRUSTING = ParallelConfig(unknown_calls="independent")


class State(TypedDict, total=False):
    text: str
    a: str
    b: str


class Client:
    """A library of which nothing is known; its methods are found by `__getattr__`."""

    def __getattr__(self, name):
        return getattr(io, name)


CLIENT = json.JSONDecoder()  # a library's object whose methods are looked up on the class
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
LINES: queue.Queue = queue.Queue()
STORE = InMemoryStore()


class CountingStore(InMemoryStore):
    puts = 0

    def put(self, *args, **options):
        return super().put(*args, **options)


COUNTING = CountingStore()


def send_mail(state):
    with smtplib.SMTP("localhost") as server:
        server.send_message(EmailMessage())
    return {"b": "sent"}


def send_mail_of(state, server=None):
    server = smtplib.SMTP_SSL("localhost")
    server.sendmail("a", ["b"], state["text"])
    return {"b": "sent"}


def ask_for_a_password(state):
    return {"b": getpass.getpass()}


def ask(state):
    return {"b": input("ok? ")}


def read_a_line(state):
    return {"b": sys.stdin.readline()}


def start_a_process(state):
    return {"b": subprocess.run(["ls"], capture_output=True, text=True, check=False).stdout}


def talk_to_a_process(state):
    process = subprocess.Popen(["ls"], stdout=subprocess.PIPE)
    return {"b": process.communicate()[0].decode()}


async def start_a_process_async(state):
    process = await asyncio.create_subprocess_exec("ls")
    await process.wait()
    return {"b": "done"}


def use_the_shell(state):
    os.system("ls")
    return {"b": "done"}


def write_a_path(state):
    Path("out.txt").write_text(state["text"])
    return {"b": "done"}


def open_a_path(state):
    with Path("out.txt").open("a") as file:
        file.write(state["text"])
    return {"b": "done"}


def make_a_folder(state):
    (Path("out") / "in").mkdir(parents=True)
    return {"b": "done"}


def write_compressed(state):
    with gzip.open("out.gz", "wt") as file:
        file.write(state["text"])
    return {"b": "done"}


def write_an_archive(state):
    with zipfile.ZipFile("out.zip", "w") as archive:
        archive.writestr("a", state["text"])
    return {"b": "done"}


def keep_in_a_shelf(state):
    with shelve.open("out.db") as shelf:
        shelf["k"] = state["text"]
    return {"b": "done"}


def insert_a_row(state):
    DATABASE.execute("insert into t values (?)", (state["text"],))
    DATABASE.commit()
    return {"b": "done"}


def insert_by_a_connection_of_its_own(state):
    with sqlite3.connect("out.db") as connection:
        connection.execute("insert into t values (1)")
    return {"b": "done"}


def put_in_a_queue(state):
    LINES.put(state["text"])
    return {"b": "done"}


def take_from_a_queue(state):
    return {"b": LINES.get()}


def send_by_a_socket(state):
    socket.create_connection(("localhost", 1)).sendall(b"x")
    return {"b": "done"}


def post_by_urllib(state):
    asked = urllib.request.Request("http://localhost", data=state["text"].encode())
    return {"b": urllib.request.urlopen(asked).read().decode()}


def put_in_the_store(state):
    STORE.put(("notes",), "k", {"text": state["text"]})
    return {"b": "done"}


def put_in_a_store_of_its_own(state):
    COUNTING.put(("notes",), "k", {"text": state["text"]})
    return {"b": "done"}


def commit_to_something(state):
    CLIENT.commit(state["text"])
    return {"b": "done"}


def upsert_to_something(state):
    vectors = Client()
    vectors.index.upsert([state["text"]])
    return {"b": "done"}


ACTING = [
    value
    for value in list(globals().values())
    if getattr(value, "__code__", None) is not None and value.__module__ == __name__
]


def look_up(state):
    return {"a": CLIENT.decode(state["text"])}


def together(node, **options):
    builder = StateGraph(State)
    builder.add_sequence([look_up, ("node", node)])
    builder.add_edge(START, "look_up")
    builder.add_edge("node", END)
    return explain(builder, config=TRUSTING, **options).is_parallel


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("node", ACTING, ids=lambda node: node.__name__)
def test_what_acts_on_the_world_is_not_trusted_away(node, mode):
    assert "write" in infer_effects(node, State).external
    assert not together(node, mode=mode)


def fetch(state):
    return {"b": urllib.request.urlopen("http://localhost").read().decode()}


def look_at_something(state):
    return {"b": CLIENT.raw_decode(state["text"])}


def save_somewhere(state):
    return {"b": CLIENT.save(state["text"])}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("node", [fetch, look_at_something, save_somewhere])
def test_calls_without_known_effect_are(node, mode):
    assert together(node, mode=mode)
