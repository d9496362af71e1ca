"""A research graph built like DeerFlow 1.x, small enough to read.

Node names, state, `Plan` and `Step` fields and the way from node to node are DeerFlow's; prompts,
tools and the front end are not here. Like there, a step's node looks for the first step that has no
result, tells the agent everything found so far and stores the result in the plan that it was given.

    coordinator -> planner -> human_feedback -> research_team <-> researcher | analyst | coder
                      ^                              |
                      +------------------------------+-> reporter, once all steps have results
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel, Field


class StepType(StrEnum):
    """Who carries a step out."""

    RESEARCH = "research"
    ANALYSIS = "analysis"
    PROCESSING = "processing"


class Step(BaseModel):
    """One step of a plan, with its result once it has one."""

    need_search: bool
    title: str
    description: str
    step_type: StepType
    execution_res: str | None = None


class Plan(BaseModel):
    """What the planner wants to be found out."""

    locale: str
    has_enough_context: bool
    thought: str = ""
    title: str
    steps: list[Step] = Field(default_factory=list)


class State(MessagesState):
    """What the nodes share."""

    locale: str
    research_topic: str
    observations: list[str]
    plan_iterations: int
    current_plan: Plan | str
    final_report: str
    auto_accepted_plan: bool
    citations: list[dict[str, Any]]


def merge_citations(
    existing: list[dict[str, Any]], new: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add new citations; one that is there already gains what the new one says in addition."""
    merged = {citation["url"]: dict(citation) for citation in existing}
    for citation in new:
        merged.setdefault(citation["url"], {}).update(citation)
    return list(merged.values())


Worker = Callable[[State], Any]
_WORKERS = {
    StepType.RESEARCH: "researcher",
    StepType.ANALYSIS: "analyst",
    StepType.PROCESSING: "coder",
}


def build_graph(
    *,
    plan: Mapping[str, Any],
    agents: Mapping[str, Runnable[Any, Any]],
    write: Runnable[Any, Any],
    max_plan_iterations: int = 1,
) -> StateGraph[State]:
    """Return the graph.

    Args:
        plan: What the planner says, as the JSON object that a model would write.
        agents: Carries out a step from `{"messages": [...]}`, for each of the three nodes.
        write: The model that coordinates, plans and reports.
        max_plan_iterations: How many plans are made before the report.
    """
    nodes = _Nodes(plan=plan, write=write, max_plan_iterations=max_plan_iterations)
    builder = StateGraph(State)
    builder.add_edge(START, "coordinator")
    builder.add_node("coordinator", nodes.coordinator)
    builder.add_node("planner", nodes.planner)
    builder.add_node("human_feedback", nodes.human_feedback)
    builder.add_node("research_team", research_team)
    builder.add_node("reporter", nodes.reporter)
    for name in _WORKERS.values():
        builder.add_node(name, _worker(name, agents[name]))
    ways = ["planner", *_WORKERS.values()]
    builder.add_conditional_edges("research_team", next_worker, ways)
    builder.add_edge("reporter", END)
    return builder


@dataclass(frozen=True)
class _Nodes:
    """The nodes that talk to the writing model."""

    plan: Mapping[str, Any]
    write: Runnable[Any, Any]
    max_plan_iterations: int

    def coordinator(self, state: State) -> Command[Literal["planner"]]:
        topic = str(state["messages"][-1].content)
        self.write.invoke(f"Greet and hand over: {topic}")
        update = {"research_topic": topic, "locale": "en-US", "plan_iterations": 0}
        return Command(update=update, goto="planner")

    def planner(self, state: State) -> Command[Literal["human_feedback", "reporter"]]:
        if state["plan_iterations"] >= self.max_plan_iterations:
            return Command(goto="reporter")
        self.write.invoke(f"Plan: {state['research_topic']}")
        text = json.dumps(self.plan)
        message = AIMessage(content=text, name="planner")
        return Command(update={"messages": [message], "current_plan": text}, goto="human_feedback")

    def human_feedback(self, state: State) -> Command[Literal["planner", "research_team"]]:
        if not state.get("auto_accepted_plan"):
            answer = str(interrupt("Please review the plan."))
            if answer.startswith("[EDIT_PLAN]"):
                return Command(update={"messages": [HumanMessage(answer)]}, goto="planner")
        update = {
            "current_plan": Plan.model_validate_json(str(state["current_plan"])),
            "plan_iterations": state["plan_iterations"] + 1,
        }
        return Command(update=update, goto="research_team")

    def reporter(self, state: State) -> dict[str, Any]:
        findings = "\n\n".join(state.get("observations", []))
        return {"final_report": self.write.invoke(f"Write the report.\n\n{findings}").text}


def research_team(state: State) -> None:
    """Do nothing: the edge after this node picks who is next."""


def next_worker(state: State) -> str:
    """Return the node for the first step that has no result."""
    plan = state.get("current_plan")
    step = _first_open(plan) if isinstance(plan, Plan) else None
    return "planner" if step is None else _WORKERS.get(step.step_type, "planner")


def _first_open(plan: Plan) -> Step | None:
    return next((step for step in plan.steps if not step.execution_res), None)


def _worker(name: str, agent: Runnable[Any, Any]) -> Worker:
    async def carry_out(state: State) -> Command[Literal["research_team"]]:
        plan = state["current_plan"]
        assert isinstance(plan, Plan)
        step = _first_open(plan)
        if step is None:
            return Command(goto="research_team")
        observations = state.get("observations", [])
        prompt = HumanMessage(content=_prompt(plan, step))
        messages: list[Any] = []
        try:
            async for values in agent.astream({"messages": [prompt]}, stream_mode="values"):
                messages = values["messages"]
        except GraphBubbleUp:
            raise  # a tool asks a person
        except Exception as error:
            failure = f"[ERROR] {name}: {error}"
            step.execution_res = failure
            update = {
                "messages": [HumanMessage(content=failure, name=name)],
                "observations": [*observations, failure],
                "locale": state["locale"],
            }
            return Command(update=update, goto="research_team")
        result = messages[-1].text
        step.execution_res = result  # in place: the update says nothing of it
        citations = [
            {"url": url, "title": step.title}
            for url in messages[-1].additional_kwargs.get("urls", ())
        ]
        update = {
            "messages": messages,
            "observations": [*observations, result],
            "citations": merge_citations(state.get("citations", []), citations),
            "locale": state["locale"],
        }
        return Command(update=update, goto="research_team")

    return carry_out


def _prompt(plan: Plan, step: Step) -> str:
    parts = [f"Topic: {plan.title}"]
    done = [other for other in plan.steps if other.execution_res]
    parts += [f"Finding of {other.title!r}: {other.execution_res}" for other in done]
    parts.append(f"Your step: {step.title}\n{step.description}")
    return "\n\n".join(parts)
