"""A graph made by `@entrypoint` stays as it is; its report says which tasks could overlap."""

import asyncio
import json
import operator
from pathlib import Path
from typing import Annotated

import pytest
from langgraph.channels import LastValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langgraph_parallel import AnalysisError, explain, parallelize
from langgraph_parallel.__main__ import main
from langgraph_parallel.reading.targets import load_graphs

THREAD = {"configurable": {"thread_id": "1"}}
SAVED: list = []


@task
def shout(text: str) -> str:
    return text.upper()


@task
def whisper(text: str, ending: str = "") -> str:
    return text.lower() + ending


@task
def save(text: str) -> str:
    SAVED.append(text)
    return text


@task
def ask(text: str) -> str:
    return interrupt(text)


@task
def grow(words: list[str]) -> list[str]:
    words.append("more")
    return words


@task
def unclear(thing):
    return thing.run()


@entrypoint(checkpointer=InMemorySaver())
def in_a_row(text: str) -> str:
    loud = shout(text).result()
    quiet = whisper(f"{text}!", ending="?").result()
    both = shout(loud).result()
    return loud + quiet + both


def hints(graph, **options):
    return [
        (refusal.nodes, refusal.reason)
        for refusal in explain(graph, **options).refusals
        if refusal.rule == "tasks-in-a-row"
    ]


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_the_report_says_why_and_what_would_help(mode):
    report = explain(in_a_row, mode=mode)
    assert str(report).startswith("Nothing was made parallel.")
    assert "it is made by @entrypoint" in str(report)
    ((tasks, reason),) = hints(in_a_row, mode=mode)
    assert tasks == ("shout", "whisper")
    first = in_a_row_line("loud = shout")
    assert f"test_functional.py:{first}, {first + 1}" in reason
    assert {blocker.kind for blocker in report.blockers()} == {"refusal"}
    assert json.loads(report.to_json())["is_parallel"] is False
    assert report.speedup == 1.0


def in_a_row_line(start):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(start))


def test_what_is_returned_does_the_same():
    kept = parallelize(in_a_row)
    assert kept.original is in_a_row
    assert isinstance(kept, Pregel)
    assert kept.invoke("Ab", THREAD) == in_a_row.invoke("Ab", THREAD) == "ABab!?AB"
    assert asyncio.run(kept.with_config(tags=["t"]).ainvoke("Ab", THREAD)) == "ABab!?AB"
    assert not hasattr(in_a_row, "parallel_report")
    assert parallelize(kept).original is in_a_row


def flow(function):
    return entrypoint()(function)


def test_tasks_that_need_one_another_are_no_hint():
    @flow
    def chained(text: str):
        loud = shout(text).result()
        quiet = whisper(loud).result()
        return quiet

    @flow
    def already(text: str):
        loud, quiet = shout(text), whisper(text)
        return loud.result() + quiet.result()

    @flow
    def apart(text: str):
        loud = shout(text).result()
        print(loud)
        quiet = whisper(text).result()
        return quiet

    for graph in (chained, already, apart):
        assert hints(graph) == []


@pytest.mark.parametrize("other", [save, ask, grow, unclear])
def test_tasks_that_do_more_than_read_are_no_hint(other):
    @flow
    def mixed(text: str):
        loud = shout(text).result()
        done = other(text).result()
        return loud, done

    @flow
    def mixed_first(text: str):
        done = other(text).result()
        loud = shout(text).result()
        return loud, done

    assert hints(mixed) == hints(mixed_first) == []


def test_arguments_that_run_code_are_no_hint():
    @flow
    def calling(text: str):
        loud = shout(text).result()
        quiet = whisper(SAVED.pop()).result()
        return loud, quiet

    assert hints(calling) == []


def test_awaited_tasks_and_inner_blocks_are_found():
    @flow
    async def awaited(text: str):
        found = []
        for word in text.split():
            try:
                loud: str = await shout(word)
                quiet = await whisper(word)
                third = await whisper(word, ending=text)
            except KeyError:
                continue
            found += [loud, quiet, third]
        return found

    assert [tasks for tasks, _ in hints(awaited)] == [("shout", "whisper", "whisper")]
    kept = parallelize(awaited)
    assert asyncio.run(kept.ainvoke("Ab")) == ["AB", "ab", "abAb"]


def test_a_local_name_hides_a_task():
    @flow
    def hidden(text: str):
        whisper = shout
        loud = shout(text).result()
        quiet = whisper(text).result()
        return loud, quiet

    assert hints(hidden) == []


def test_a_plain_pregel_is_refused_in_its_report():
    node = NodeBuilder().subscribe_only("a").do(lambda value: value + "!").write_to("b")
    graph = Pregel(
        nodes={"one": node},
        channels={"a": LastValue(str), "b": LastValue(str)},
        input_channels=["a"],
        output_channels=["b"],
    )
    report = explain(graph)
    assert "it is a Pregel without edges" in str(report)
    assert parallelize(graph).invoke({"a": "x"}) == {"b": "x!"}


def test_the_command_explains_it(capsys):
    assert main(["explain", f"{__file__}:in_a_row"]) == 0
    assert "it is made by @entrypoint" in capsys.readouterr().out
    assert "in_a_row" in next(iter(load_graphs(f"{__file__}:in_a_row", None)))


def test_what_is_no_graph_is_still_an_error():
    with pytest.raises(AnalysisError, match="takes a StateGraph or the result of its compile"):
        parallelize(shout)


def test_a_state_graph_of_the_same_functions_is_rewritten():
    class State(TypedDict, total=False):
        text: str
        loud: str
        quiet: str
        log: Annotated[list, operator.add]

    builder = StateGraph(State)
    builder.add_sequence(
        [
            ("loud", lambda state: {"loud": shout(state["text"]).result(), "log": ["loud"]}),
            ("hushed", lambda state: {"quiet": whisper(state["text"]).result(), "log": ["quiet"]}),
        ]
    )
    builder.set_entry_point("loud")
    assert explain(builder).is_parallel
    assert parallelize(builder).compile().invoke({"text": "Ab"})["log"] == ["loud", "quiet"]
