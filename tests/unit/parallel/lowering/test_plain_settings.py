"""Nodes that read settings: plain data is taken for granted, and made sure of by every run."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import RewriteError, parallelize


class State(TypedDict, total=False):
    text: str
    a: str
    b: str


def first(state: State, config: RunnableConfig) -> Any:
    who = config["configurable"].get("who", "nobody")
    return {"a": f"{who}, {state['text']}" if who else ""}


def second(state: State, config: RunnableConfig) -> Any:
    return {"b": f"{config['configurable'].get('who')}{state['text']}"}


class Counting:
    """An object that tells how often it was looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __format__(self, spec: str) -> str:
        self.count += 1
        return f"{self.count}"


def chain() -> StateGraph:
    builder = StateGraph(State)
    builder.add_sequence([("z_first", first), ("second", second)])
    return builder.add_edge(START, "z_first")


def steps(graph: Any, config: Any) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for part in graph.stream({"text": "x"}, config, stream_mode="debug"):
        if part["type"] == "task_result":
            found.setdefault(part["step"], []).append(part["payload"]["name"])
    return [sorted(names) for names in found.values()]


def test_nodes_that_read_plain_settings_share_a_superstep():
    graph = parallelize(chain()).compile()
    for who in ("me", 3, None, ["a", {"b": (1.5, True)}], uuid.uuid4()):
        config = {"configurable": {"who": who, "langgraph_user": Counting()}}
        assert steps(graph, config) == [["second", "z_first"]]
        assert graph.invoke({"text": "x"}, config) == chain().compile().invoke(
            {"text": "x"}, config
        )


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("hide", [lambda who: who, lambda who: [{"deep": who}]])
def test_object_in_the_settings_has_the_original_order(mode, hide):
    graph = parallelize(chain(), mode=mode).compile()
    assert graph.parallel_report.is_parallel
    for _ in range(3):
        answers = []
        for form in (chain().compile(), graph):
            who = Counting()
            config = {"configurable": {"who": hide(who)}}
            if hide(who) is not who:
                config["configurable"] = {"who": who, "more": hide(who)}
            answers.append(form.invoke({"text": "x"}, config))
        assert answers[0] == answers[1]
    assert steps(graph, {"configurable": {"who": Counting()}}) == [["z_first"], ["second"]]
    bound = graph.with_config({"configurable": {"who": Counting()}})
    assert bound.invoke({"text": "x"}) == {"text": "x", "a": "1, x", "b": "2x"}


async def test_async_run_with_an_object_has_the_original_order():
    graph = parallelize(chain()).compile()
    answer = await graph.ainvoke({"text": "x"}, {"configurable": {"who": Counting()}})
    assert answer == {"text": "x", "a": "1, x", "b": "2x"}


def test_thread_that_stands_inside_is_not_given_an_object():
    def fails(state: State, config: RunnableConfig) -> Any:
        if config["configurable"].get("fail"):
            raise ValueError(state["text"])
        return {"b": "done"}

    builder = StateGraph(State)
    builder.add_sequence([("a_first", first), ("fails", fails)])
    graph = parallelize(builder.add_edge(START, "a_first")).compile(InMemorySaver())
    assert graph.parallel_report.is_parallel
    config: Any = {"configurable": {"thread_id": "1", "fail": True}}
    with pytest.raises(ValueError, match="x"):
        graph.invoke({"text": "x"}, config)
    config = {"configurable": {"thread_id": "1", "who": Counting()}}
    with pytest.raises(RewriteError, match="an object in it"):
        graph.invoke(None, config)
