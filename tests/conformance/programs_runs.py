"""Programs in which the trust or the bookkeeping of a mode might show."""

import asyncio
import sys
import time
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from programs import PAUSE_S, Program, State, chain, pause, program

from langgraph_parallel import ParallelConfig

TRUSTING = {"config": ParallelConfig(unknown_calls="independent")}
GUESSING = {"config": ParallelConfig(speculate="pure")}


# -- what trust does not cover --------------------------------------------------------------------


@program("known contact, trusted", **TRUSTING)
def prompt_after_text():
    log: list = []
    before = sys.stdin, sys.stdout
    sys.stdin, sys.stdout = Typed(log), Shown(log)

    def hint(state):
        pause()
        print("hint")
        return {"a": 1}

    def guess(state):
        return {"b": input("your guess? ")}

    def seen():
        sys.stdin, sys.stdout = before
        return log

    return chain(hint, guess, seen=seen)


@program("known contact, trusted", **TRUSTING)
def asking_after_showing():
    log: list = []

    def hint(state):
        pause()
        print("hint", file=Shown(log))
        return {"a": 1}

    def guess(state):
        log.append("asked")
        return {"b": len(log)}

    return chain(hint, guess, seen=lambda: log)


class Shown:
    def __init__(self, log):
        self.log = log

    def write(self, text):
        if text.strip():
            self.log.append(text)

    def flush(self):
        pass


class Typed(Shown):
    def readline(self):
        self.log.append("typed")
        return "42"


@program("known contact, trusted", **TRUSTING)
def input_that_fails():
    shown: list = []

    def hint(state):
        pause()
        shown.append("hint")
        return {"a": 1}

    def guess(state):
        try:
            return {"b": input("your guess? ")}
        except (OSError, EOFError):
            return {"b": list(shown)}

    return chain(hint, guess)


@program("known contact, trusted", **TRUSTING)
def file_written_and_read():
    lines: dict = {}

    def save(state):
        pause()
        lines["doc"] = "text"
        return {"a": 1}

    def load(state):
        return {"b": lines.get("doc", "nothing")}

    return chain(save, load)


def _stored(search, verify):
    return chain(search, verify, given={"text": "doc"})


@program("store, trusted", **TRUSTING)
def put_and_get():
    store = InMemoryStore()

    def search(state):
        pause()
        store.put(("c",), "k", {"v": state["text"]})
        return {"a": "done"}

    def verify(state):
        item = store.get(("c",), "k")
        return {"b": item.value["v"] if item else "nothing"}

    return _stored(search, verify)


@program("store, trusted", **TRUSTING)
def put_and_search():
    store = InMemoryStore()

    def search(state):
        pause()
        store.put(("c",), "k", {"v": state["text"]})
        return {"a": "done"}

    def verify(state):
        return {"b": [item.value for item in store.search(("c",))]}

    return _stored(search, verify)


@program("store, trusted", **TRUSTING)
def delete_and_get():
    store = InMemoryStore()
    store.put(("c",), "k", {"v": 1})

    def search(state):
        pause()
        store.delete(("c",), "k")
        return {"a": "done"}

    def verify(state):
        return {"b": store.get(("c",), "k") is None}

    return _stored(search, verify)


# -- bookkeeping of a run -------------------------------------------------------------------------


def _node(key, seconds):
    def node(state):
        time.sleep(seconds)
        return {key: state["x"]}

    return node


def _repeated(builder):
    """Return a program of several runs, which waits for early runs that nobody needed."""
    return Program(graph=builder.compile(), given={"x": 1}, times=4, seen=lambda: time.sleep(0.1))


@program("guessed routes", **GUESSING)
def two_routers():
    builder = StateGraph(State)
    for key in "abc":
        builder.add_node(f"{key}_node", _node(key, 0.05))
    builder.add_node("d_node", lambda state: {"d": sum(state.get(key, 0) for key in "abc")})
    builder.add_edge(START, "a_node")
    builder.add_conditional_edges(
        "a_node", lambda state: "b_node" if state["a"] else "d_node", ["b_node", "d_node"]
    )
    builder.add_conditional_edges(
        "b_node", lambda state: "c_node" if state["b"] else "d_node", ["c_node", "d_node"]
    )
    builder.add_edge("c_node", "d_node")
    builder.add_edge("d_node", END)
    return _repeated(builder)


@program("guessed routes", **GUESSING)
def wrong_guess():
    builder = StateGraph(State)
    for key in "abc":
        builder.add_node(f"{key}_node", _node(key, PAUSE_S))
    builder.add_edge(START, "a_node")
    builder.add_conditional_edges(
        "a_node", lambda state: "c_node" if state["a"] else "b_node", ["b_node", "c_node"]
    )
    return _repeated(builder)


@program("guessed routes", **GUESSING)
def loop_of_two():
    def count(state):
        pause()
        return {"a": state.get("a", 0) + 1}

    builder = StateGraph(State)
    builder.add_node("count", count)
    builder.add_node("work", _node("b", PAUSE_S))
    builder.add_edge(START, "count")
    builder.add_edge("work", "count")
    builder.add_conditional_edges(
        "count", lambda state: "work" if state["a"] < 3 else END, ["work", END]
    )
    return _repeated(builder)


def _timed(graph: Any, options: dict[str, Any], **more: Any) -> Program:
    """Return a program of which also counts whether it ended in the time of the original."""
    began = time.perf_counter()
    return Program(
        graph=graph,
        given={"x": 1},
        seen=lambda: time.perf_counter() - began < 0.6,
        options=options,
        **more,
    )


def _fails(state):
    pause()
    raise ValueError("a")


@program("abandoned runs", modes=("exact",))
def error_while_another_runs():
    return _timed(chain(_fails, _node("b", 1.0)).graph, {})


@program("abandoned runs", modes=("exact",))
def error_while_an_async_one_runs():
    async def fails(state):
        await asyncio.sleep(PAUSE_S)
        raise ValueError("a")

    async def slow(state):
        await asyncio.sleep(1.0)
        return {"b": 1}

    return _timed(chain(fails, slow).graph, {}, is_async=True)


@program("abandoned runs", modes=("exact",), **GUESSING)
def branch_not_taken():
    builder = StateGraph(State)
    builder.add_node("a_node", _node("a", PAUSE_S))
    builder.add_node("slow", _node("b", 1.0))
    builder.add_node("fast", _node("c", 0.0))
    builder.add_edge(START, "a_node")
    builder.add_conditional_edges(
        "a_node", lambda state: "fast" if state["a"] else "slow", ["fast", "slow"]
    )
    return _timed(builder.compile(), {})


def _limited(options, *seconds):
    keys = zip("abcd", seconds, strict=False)
    made = chain(*(_node(key, wait) for key, wait in keys), options=options)
    made.graph.step_timeout = 0.5
    return made


@program("step timeout")
def one_at_a_time():
    return _limited({"config": {"max_concurrency": 1}}, 0.2, 0.2, 0.2)


@program("step timeout")
def two_at_a_time():
    return _limited({"config": {"max_concurrency": 2}}, 0.3, 0.3, 0.3, 0.3)


@program("step timeout")
def that_ends_the_original():
    return _limited({}, 0.02, 0.8)
