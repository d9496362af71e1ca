"""The example to copy: planner, steps together, a second plan; with what a checkpointer keeps."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from examples import rehearsed
from examples.planning_agent import build
from examples.rehearsed import POPULATION, Rehearsed, look_up

QUESTION = {"question": "Which of Oslo and Bergen is larger?"}
THREAD = {"configurable": {"thread_id": "1"}}
ANSWER = "Oslo, by 425770 people"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(rehearsed, "SECONDS", 0)


def test_steps_run_together_and_a_second_plan_uses_their_results():
    async def run():
        agent = build(Rehearsed(), [look_up], checkpointer=InMemorySaver())
        told = [c async for c in agent.astream(QUESTION, THREAD, stream_mode="custom")]
        return told, (await agent.aget_state(THREAD)).values

    told, values = asyncio.run(run())
    steps = [(event["step"], event["is"]) for event in told]
    assert steps[:2] == [("oslo", "started"), ("bergen", "started")]
    assert steps[4:] == [("difference", "started"), ("difference", "done")]
    assert values["answer"] == ANSWER
    assert values["results"] == {"oslo": "717710", "bergen": "291940", "difference": "425770"}
    assert values["rounds"] == 2


def test_crash_repeats_no_finished_step():
    asked: Counter[str] = Counter()
    oslo_is_done = asyncio.Event()

    @tool("look_up")
    async def shaky(city: str) -> str:
        """Return the population of a city."""
        asked[city] += 1
        if city == "Bergen" and asked[city] == 1:
            await oslo_is_done.wait()
            raise ConnectionError
        return str(POPULATION[city])

    async def run():
        agent = build(Rehearsed(), [shaky], checkpointer=InMemorySaver())

        async def until_crash():
            async for event in agent.astream(QUESTION, THREAD, stream_mode="custom"):
                if event == {"step": "oslo", "is": "done"}:
                    oslo_is_done.set()

        with pytest.raises(ConnectionError):
            await until_crash()
        return await agent.ainvoke(None, THREAD)

    assert asyncio.run(run())["answer"] == ANSWER
    assert asked == {"Oslo": 1, "Bergen": 2}


def test_planning_ends():
    class Undecided(Rehearsed):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            result = super()._generate(messages, stop, run_manager, **kwargs)
            for call in result.generations[0].message.tool_calls:
                if call["name"] == "Verdict":
                    step = {"id": "more", "task": "Subtract: 3 and 1", "depends_on": []}
                    call["args"] = {"answer": None, "steps": [step]}
            return result

    final = asyncio.run(build(Undecided(), [look_up], most_rounds=2).ainvoke(QUESTION))
    assert final["rounds"] == 2
    assert "oslo: 717710" in final["answer"]
