"""Any plan with any dependencies: the state at the end is the one that one step at a time gives."""

import asyncio
import re

from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from examples.research_flow import build_graph
from langgraph_parallel import ParallelConfig
from langgraph_parallel.adapters import deerflow
from langgraph_parallel.plan.dependencies import Decision, Findings

KINDS = ("research", "analysis", "processing")


@st.composite
def plans(draw):
    """Dependencies by position, and for each step its kind, how long it takes and if it fails."""
    size = draw(st.integers(1, 6))
    after = [draw(st.sets(st.integers(0, j - 1))) if j else set() for j in range(size)]
    steps = [
        (draw(st.sampled_from(KINDS)), draw(st.integers(0, 4)), draw(st.integers(0, 5)) == 0)
        for _ in range(size)
    ]
    return after, steps


class Stated:
    def __init__(self, after):
        self.after = after

    def analyze(self, tasks, *, goal=""):
        pairs = ((i, j) for j in range(len(tasks)) for i in range(j))
        return Findings(
            decisions=tuple(
                Decision(
                    earlier=tasks[i].id,
                    later=tasks[j].id,
                    ordered=i in self.after[j],
                    source="declared",
                    reason="stated",
                )
                for i, j in pairs
            )
        )


class Agent:
    """Takes some turns of the event loop, then answers or fails."""

    def __init__(self, steps):
        self.steps = steps
        self.prompts = {}

    async def astream(self, state, stream_mode):
        prompt = state["messages"][-1].content
        number = int(prompt.rpartition("Your step: step ")[2].partition("\n")[0])
        self.prompts[number] = prompt
        _, turns, fails = self.steps[number]
        for _ in range(turns):
            await asyncio.sleep(0)
        if fails:
            raise ValueError(number)
        urls = [f"https://x/{number}", "https://x/all"]
        answer = AIMessage(content=f"found {number};", additional_kwargs={"urls": urls})
        yield {"messages": [*state["messages"], answer]}


def run(after, steps, parallel, sees="dependencies"):
    agent = Agent(steps)
    plan = {
        "locale": "en-US",
        "has_enough_context": False,
        "title": "t",
        "steps": [
            {
                "need_search": True,
                "title": f"step {i}",
                "description": "do",
                "step_type": kind,
            }
            for i, (kind, *_) in enumerate(steps)
        ],
    }
    write = RunnableLambda(lambda text: AIMessage(content=str(text)))
    agents = dict.fromkeys(("researcher", "analyst", "coder"), agent)
    graph = build_graph(plan=plan, agents=agents, write=write)
    if parallel:
        graph = deerflow.parallelize(
            graph,
            sees=sees,
            config=ParallelConfig(strategies=("stated",)),
            analyzers={"stated": Stated(after)},
        )
    question = {"messages": [("user", "?")], "auto_accepted_plan": True}
    state = asyncio.run(graph.compile().ainvoke(question, {"recursion_limit": 100}))
    shown = {key: value for key, value in state.items() if key != "messages"}
    shown["messages"] = [
        m.content.rpartition("Your step: ")[2] for m in state["messages"] if m.content
    ]
    return shown, agent.prompts


def findings(prompt):
    return {int(number) for number in re.findall(r"Finding of 'step (\d+)'", prompt)}


@settings(max_examples=cases(25), deadline=None)
@given(plans())
def test_parallel_plan_ends_in_the_state_of_the_sequential_one(plan):
    after, steps = plan
    expected, _ = run(after, steps, parallel=False)
    found, prompts = run(after, steps, parallel=True)
    assert found == expected
    needed: list[set[int]] = []
    for direct in after:
        needed.append(set(direct).union(*(needed[i] for i in direct)))
    assert {number: findings(prompt) for number, prompt in prompts.items()} == dict(
        enumerate(needed)
    )


@settings(max_examples=cases(10), deadline=None)
@given(plans())
def test_step_that_sees_what_is_finished_sees_at_least_what_it_needs(plan):
    after, steps = plan
    expected, _ = run(after, steps, parallel=False)
    found, prompts = run(after, steps, parallel=True, sees="finished")
    assert found == expected
    for number, prompt in prompts.items():
        assert after[number] <= findings(prompt) <= set(range(number))
