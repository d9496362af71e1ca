"""Crews with people, a planner or memory do in parallel what they do in order."""

import asyncio
import json

import pytest
from crewai import Crew
from crewai.core.providers.human_input import SyncHumanInputProvider
from crewai.memory.unified_memory import Memory
from scripted import ScriptedLLM, agent_of, five, scripted, task_of

from langgraph_parallel.adapters import crewai

START = ("t1", "t2")
KICKOFFS = {
    "kickoff": lambda crew: crew.kickoff(),
    "akickoff": lambda crew: asyncio.run(crew.akickoff()),
}
each_kickoff = pytest.mark.parametrize("kickoff", KICKOFFS.values(), ids=KICKOFFS)


@pytest.fixture
def said(monkeypatch):
    """Let a person answer; note what was done when they were asked."""
    answers, asked_after = [], []

    def answer(llm):
        asked_after.append(list(llm.order))
        return answers.pop(0)

    async def answer_async(llm):
        return answer(llm)

    def begin(llm, *texts):
        answers[:], asked_after[:] = texts, []
        prompt = staticmethod(lambda _crew: answer(llm))
        prompt_async = staticmethod(lambda _crew: answer_async(llm))
        monkeypatch.setattr(SyncHumanInputProvider, "_prompt_input", prompt)
        monkeypatch.setattr(SyncHumanInputProvider, "_prompt_input_async", prompt_async)
        return asked_after

    return begin


@each_kickoff
def test_feedback_of_a_person_reaches_the_task_that_asked(kickoff, said):
    """t1 and t2 are independent; a person looks at t3 and, after a correction, accepts."""

    def run(parallel):
        llm = scripted(meeting=START if parallel else ())
        asked_after = said(llm, "make it shorter", "", "")
        agents = [agent_of(llm, f"agent {i}") for i in range(4)]
        tasks = [task_of(f"t{i + 1}", agents[i], context=[]) for i in range(4)]
        tasks[2].human_input = tasks[3].human_input = True
        crew = Crew(agents=agents, tasks=tasks)
        out = kickoff(crewai.parallelize(crew) if parallel else crew)
        asked = [sorted(names) for names in asked_after]
        return [o.raw for o in out.tasks_output], asked, llm.transcripts

    found = run(parallel=True)
    assert found == run(parallel=False)
    assert found[1] == [
        ["t1", "t2", "t3"],
        ["t1", "t2", "t3", "t3"],
        ["t1", "t2", "t3", "t3", "t4"],
    ]
    assert "make it shorter" in str(found[2]["t3"])


class Planning(ScriptedLLM):
    """Plans first, then answers like its parent."""

    def call(self, messages, *args, **kwargs):
        if "Task Execution Planner" not in str(messages):
            return super().call(messages, *args, **kwargs)
        plans = [
            {"task_number": i, "task": f"t{i}", "plan": f" Step {i} is to think."}
            for i in range(1, 6)
        ]
        return json.dumps({"list_of_plans_per_task": plans})


def test_planned_crew_runs_its_plan_in_parallel():
    """By `kickoff`; CrewAI cannot plan inside of an event loop."""

    def run(parallel):
        llm = scripted(meeting=("t1", "t2", "t3") if parallel else ())
        crew = five(llm, planning=True, planning_llm=Planning(model="planning"))
        out = (crewai.parallelize(crew) if parallel else crew).kickoff()
        return [o.raw for o in out.tasks_output], llm.transcripts

    found = run(parallel=True)
    assert found == run(parallel=False)
    assert "Step 3 is to think." in str(found[1]["t3"])


@each_kickoff
def test_crew_with_memory_stays_in_order(kickoff, tmp_path):
    """What a task recalls depends on what was stored before it, and both go on in between."""

    def embed(texts):
        return [[float(len(text)), 1.0, 0.0, 0.0] for text in texts]

    def run(parallel):
        llm = scripted()
        memory = Memory(llm=llm, embedder=embed, storage=str(tmp_path / f"memory_{parallel}"))
        crew = five(llm, memory=memory)
        assert "memory" in crewai.explain(crew).why("1", "2").reason
        out = kickoff(crewai.parallelize(crew) if parallel else crew)
        return [o.raw for o in out.tasks_output], llm.order

    assert run(parallel=True) == run(parallel=False)
