"""A plan-and-execute agent to copy: it plans, runs steps together, judges, and plans again.

    planner --> steps --> judge --> END
                  ^---------'        another plan, if the answer is not there yet

python -m examples.planning_agent      # a rehearsed model: no key, no network; needs `langchain`

The planner and the judge answer in a form (`with_structured_output`), each step is carried out by
an agent of `create_agent` with tools of its own, `PlanNode` runs steps together that need not wait
for each other, and the checkpointer keeps what is finished. To use it, give `build` your model and
tools.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from examples.rehearsed import Rehearsed, look_up
from langgraph_parallel import PlanNode, Task


class Step(BaseModel):
    """One step of a plan."""

    id: str = Field(description="A short name, another one than those of earlier plans")
    task: str = Field(description="What to do; {{id}} stands for the result of step `id`")
    depends_on: list[str] = Field(description="Ids of the steps of this plan that it needs")


class Plan(BaseModel):
    """Steps that together answer the question."""

    steps: list[Step]


class Verdict(BaseModel):
    """The answer, or what is still to be found out."""

    answer: str | None = Field(description="The answer; null if something is missing")
    steps: list[Step] = Field(default=[], description="What to do next; empty with an answer")


def merge(there: dict[str, str] | None, new: dict[str, str] | None) -> dict[str, str]:
    """Add the results of a plan to those of the plans before it."""
    return {**(there or {}), **(new or {})}


class State(TypedDict, total=False):
    """What the agent knows."""

    question: str
    plan: dict[str, Any]
    results: Annotated[dict[str, str], merge]
    rounds: int
    answer: str


def build(
    model: BaseChatModel,
    tools: Sequence[BaseTool],
    *,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    most_rounds: int = 3,
) -> CompiledStateGraph[State, None, State, State]:
    """Return the agent.

    Args:
        model: Plans, judges and works.
        tools: What the workers may use. Steps run together: tools must not mind that.
        checkpointer: Keeps finished steps; None keeps nothing.
        most_rounds: Plans after which an answer has to do.
    """
    worker = create_agent(model, tools)

    async def plan(state: State) -> State:
        ask = f"Write a plan of few steps to answer: {state['question']}"
        made = await model.with_structured_output(Plan).ainvoke(ask)
        assert isinstance(made, Plan)
        return {"plan": made.model_dump(), "rounds": 1}

    async def work(task: Task) -> str:
        tell = get_stream_writer()
        tell({"step": task.id, "is": "started"})
        out = await worker.ainvoke({"messages": [("user", task.description)]})
        tell({"step": task.id, "is": "done"})
        return str(out["messages"][-1].text)

    async def judge(state: State) -> Command[Literal["steps", "__end__"]]:
        found = "\n".join(f"{name}: {text}" for name, text in state["results"].items())
        ask = f"Question: {state['question']}\nFound so far:\n{found}\nAnswer it, or plan on."
        verdict = await model.with_structured_output(Verdict).ainvoke(ask)
        assert isinstance(verdict, Verdict)
        if verdict.answer or not verdict.steps or state["rounds"] >= most_rounds:
            return Command(update={"answer": verdict.answer or found}, goto=END)
        again = Plan(steps=verdict.steps).model_dump()
        return Command(update={"plan": again, "rounds": state["rounds"] + 1}, goto="steps")

    builder = StateGraph(State)
    builder.add_node("planner", plan)
    builder.add_node("steps", PlanNode(work))
    builder.add_node("judge", judge)
    builder.add_edge(START, "planner")
    builder.add_edge("planner", "steps")
    builder.add_edge("steps", "judge")
    return builder.compile(checkpointer=checkpointer)


async def main() -> None:
    agent = build(Rehearsed(), [look_up], checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    question: State = {"question": "Which of Oslo and Bergen is larger, and by how much?"}
    async for mode, chunk in agent.astream(question, thread, stream_mode=["custom", "updates"]):
        if mode == "custom":
            print(f"  {chunk['step']}: {chunk['is']}")
        elif "planner" in chunk or chunk.get("judge", {}).get("plan"):
            (update,) = chunk.values()
            print("plan:", ", ".join(step["id"] for step in update["plan"]["steps"]))
    print("answer:", (await agent.aget_state(thread)).values["answer"])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
