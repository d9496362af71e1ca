"""Replay: a real run becomes a trace, the trace programs; the commands compare policies on them."""

from __future__ import annotations

import asyncio
import json
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from scripted_model import ScriptedModel

from langgraph_rsm import Engine, ScheduledChatModel
from langgraph_rsm.__main__ import main
from langgraph_rsm.simulation import TraceError, read_replay, write_replay


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


def build_graph(model):
    """Plan, a tool of 3 s, two branches at once, and a report that needs both."""

    def node(words, pause_s=0.0):
        async def run(state):
            await asyncio.sleep(pause_s)
            return {"said": [(await model.ainvoke(words)).content]}

        return run

    graph = StateGraph(State)
    graph.add_node("plan", node("one"))
    graph.add_node("left", node("one two", 3.0))
    graph.add_node("right", node("one two three", 3.0))
    graph.add_node("report", node("one two three four"))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "left")
    graph.add_edge("plan", "right")
    graph.add_edge(["left", "right"], "report")
    graph.add_edge("report", END)
    return graph.compile()


@pytest.mark.looptime
async def test_a_real_run_survives_the_round_trip(make_scheduler, timeline, tmp_path):
    inner = ScriptedModel(delay_s=1, answer=lambda messages, _: messages[-1].content)
    scheduler = make_scheduler(hooks=[timeline])
    model = ScheduledChatModel(engines=[Engine(inner, capacity=4, name="gpu")], scheduler=scheduler)
    await build_graph(model).ainvoke({})

    path = tmp_path / "trace.jsonl"
    assert write_replay(timeline, path) == 4
    (program,) = read_replay(path)
    plan, left, right, report = program.calls
    assert program.arrived_s == 0.0
    assert [call.call_site.split("/")[-1] for call in (plan, report)] == ["plan", "report"]
    assert (plan.parents, plan.delay_s) == ((), 0.0)
    assert left.parents == right.parents == (0,)
    assert left.delay_s == right.delay_s == pytest.approx(3.0, abs=1e-6)
    assert set(report.parents) >= {1, 2}
    assert report.delay_s == pytest.approx(0.0, abs=1e-6)
    assert sorted(call.output_tokens for call in program.calls) == [1, 2, 3, 4]
    assert {call.prompt_tokens for call in program.calls} == {7}


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "recorded.jsonl"
    call = {"program": "p", "submitted_s": 1.0, "finished_s": 2.0, "prompt_tokens": 100}
    lines = [call | {"call": f"c{k}", "output_tokens": 10 + k, "thread": str(k)} for k in range(4)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_branches_that_go_on_are_not_waited_for(tmp_path):
    times = {"a1": ("a", 0, 1), "b1": ("b", 0, 2), "a2": ("a", 3, 4), "b2": ("b", 3, 5)}
    lines = [
        json.dumps(
            {
                "program": "p",
                "call": name,
                "thread": thread,
                "submitted_s": begin,
                "finished_s": end,
                "prompt_tokens": 10,
                "output_tokens": 5,
            }
        )
        for name, (thread, begin, end) in times.items()
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    (program,) = read_replay(path)
    assert [call.parents for call in program.calls[2:]] == [(0,), (1,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no calls"),
        ("nonsense\n", r"t.jsonl:1: not a recorded call"),
        ('{"program": "p"}\n', r"t.jsonl:1: not a recorded call: call"),
    ],
)
def test_bad_traces_are_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(TraceError, match=message):
        read_replay(path)


def test_replay_command_compares_policies(trace, capsys):
    assert main(["replay", str(trace), "--policy", "plas,auto", "--engines", "4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"plas", "auto"}
    assert document["auto"]["programs"] == 1
    assert document["auto"]["calls"] == 4


def test_simulate_command_prints_a_table(capsys):
    assert main(["simulate", "agents", "--programs", "5", "--policy", "fcfs,plas"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["policy", "s/token"]
    assert [row.split()[0] for row in rows] == ["fcfs", "plas"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "nonsense"], "unknown workload"),
        (["simulate", "react", "--policy", "best"], "policy"),
        (["simulate", "react", "--profile", "tpu"], "unknown profile"),
        (["replay", "/nowhere/trace.jsonl"], "No such file"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
