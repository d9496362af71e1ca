"""Agents, plans and graphs for tests of the DeerFlow adapter."""

import asyncio
import itertools
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from examples.research_flow import build_graph
from langgraph_parallel import ParallelConfig
from langgraph_parallel.plan.dependencies import Decision, Findings

TITLES = ("prices", "sizes", "compare", "code")
AFTER = {"compare": ("prices",), "code": ("sizes", "compare")}
KINDS = {"compare": "analysis", "code": "processing"}


def plan_of(*titles):
    steps = [
        {
            "need_search": True,
            "title": title,
            "description": f"do {title} for $5 and {{{{x}}}}",
            "step_type": KINDS.get(title, "research"),
        }
        for title in titles
    ]
    return {"locale": "en-US", "has_enough_context": False, "title": "shoes", "steps": steps}


class Stated:
    """An analyzer that knows the dependencies by title."""

    def __init__(self, after=AFTER):
        self.after = after

    def analyze(self, tasks, *, goal=""):
        titles = [task.description.partition("\n")[0] for task in tasks]
        decisions = [
            Decision(
                earlier=tasks[i].id,
                later=tasks[j].id,
                ordered=titles[i] in self.after.get(titles[j], ()),
                source="declared",
                reason="stated",
            )
            for i, j in itertools.combinations(range(len(tasks)), 2)
        ]
        return Findings(decisions=tuple(decisions))


def stated(after=AFTER, **choices):
    """Settings for a planner that is told the dependencies."""
    config = ParallelConfig(strategies=("stated",), **choices)
    return {"config": config, "analyzers": {"stated": Stated(after)}}


class Lab:
    """Agents that note what they are asked and answer after a while of virtual time."""

    def __init__(self, *, delays=None):
        self.prompts = {}
        self.spans = {}
        self.calls = []
        self.delays = delays or {}
        self.failing = set()
        self.asking = set()
        self.empty = set()
        self.start = None

    async def answer(self, state: MessagesState) -> dict[str, Any]:
        prompt = state["messages"][-1].content
        title = prompt.rpartition("Your step: ")[2].partition("\n")[0]
        self.prompts[title] = prompt
        self.calls.append(title)
        now = asyncio.get_running_loop().time
        self.start = now() if self.start is None else self.start
        start = now() - self.start
        await asyncio.sleep(self.delays.get(title, 1))
        self.spans[title] = (start, now() - self.start)
        if title in self.failing:
            raise ValueError(f"{title} broke")
        if title in self.asking:
            interrupt(f"May {title}?")
        # The second citation is everybody's, with a title of their own.
        urls = [f"https://x/{title}", "https://x/all"]
        text = "" if title in self.empty else f"found {title}"
        return {"messages": [AIMessage(content=text, additional_kwargs={"urls": urls})]}

    def graph(self, *titles, plan=None, agent=None, **settings):
        agent = agent or agent_of(self.answer)
        agents = dict.fromkeys(("researcher", "analyst", "coder"), agent)
        write = RunnableLambda(lambda text: AIMessage(content=f"wrote {len(text)}"))
        return build_graph(
            plan=plan or plan_of(*(titles or TITLES)), agents=agents, write=write, **settings
        )


def agent_of(answer):
    builder = StateGraph(MessagesState)
    builder.add_node("model", answer)
    builder.add_edge(START, "model")
    builder.add_edge("model", END)
    return builder.compile()


ASK = {"messages": [("user", "Which shoes?")], "auto_accepted_plan": True}


def shape(state):
    """A final state without the ids of messages and without the prompts."""
    shown = {k: v for k, v in state.items() if k != "messages"}
    shown["current_plan"] = state["current_plan"].model_dump()
    shown["messages"] = [
        m.content.rpartition("Your step: ")[2] if m.type == "human" else m.content
        for m in state["messages"]
    ]
    return shown
