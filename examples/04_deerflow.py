# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   ruff: noqa:D100,N999
# ---

# %% [markdown]
# # DeerFlow's research team, several steps at a time
#
# [DeerFlow](https://github.com/bytedance/deer-flow) 1.x makes a plan, lets a person review it, and
# then carries out one step after the other, also where steps have nothing to do with one another.
# `deerflow.parallelize(graph)` keeps its graph and its nodes and runs independent steps together.
#
# DeerFlow is an application and not a package that can be installed, so this notebook uses a small
# graph that is built like it: the same node names, state, `Plan` and `Step`
# (`research_flow.py`, beside this file). With DeerFlow itself the line is
# `deerflow.parallelize(_build_base_graph())`. No GPU, no key and no network: an *embedded engine*
# answers like an OpenAI server, with the timing of an 8-billion-parameter model on one GPU.

# %%
import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from research_flow import build_graph

from langgraph_parallel import ParallelConfig
from langgraph_parallel.adapters import deerflow
from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.task import Task
from langgraph_rsm.emulation import serve

server = serve("gpu-8b")
server.start()
llm = ChatOpenAI(base_url=server.base_url, model="gpu-8b", api_key="none", max_tokens=40)


loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run async code from a script and from a notebook, which has an event loop of its own."""
    return asyncio.run_coroutine_threadsafe(work, loop).result()


# %% [markdown]
# ## The plan
#
# Three things to look up, and a comparison of the three.

# %%
steps = [
    {
        "need_search": True,
        "title": subject,
        "description": f"Find throughput, latency and license of {subject}.",
        "step_type": "research",
    }
    for subject in ("Engine A", "Engine B", "Engine C")
]
steps.append(
    {
        "need_search": False,
        "title": "Comparison",
        "description": "Compare the three engines, using the findings.",
        "step_type": "analysis",
    }
)
plan = {
    "locale": "en-US",
    "has_enough_context": False,
    "title": "Inference engines",
    "steps": steps,
}

# %% [markdown]
# The agents call the model once for each step. `broken` makes the agent of a step fail.

# %%
broken: set[str] = set()
called: list[str] = []


async def answer(state: MessagesState) -> dict[str, Any]:
    prompt = str(state["messages"][-1].content)
    title = prompt.rpartition("Your step: ")[2].partition("\n")[0]
    called.append(title)
    if title in broken:
        msg = "the search service is down"
        raise RuntimeError(msg)
    return {"messages": [await llm.ainvoke(prompt)]}


agent_builder = StateGraph(MessagesState)
agent_builder.add_node("model", answer)
agent_builder.add_edge(START, "model")
agent_builder.add_edge("model", END)
agent = agent_builder.compile()
names = ("researcher", "analyst", "coder")
graph = build_graph(plan=plan, agents=dict.fromkeys(names, agent), write=llm)

# %% [markdown]
# ## The same graph, parallel
#
# Who says which steps depend on one another? The strategies of `ParallelConfig`; by default a
# heuristic reads the steps. Here is a rule of our own: what is looked up needs nothing else, what
# is done with it needs everything before it.


# %%
class LookUpFirst:
    """An analyzer: steps of research need nothing, other steps need everything before them."""

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:  # noqa: ARG002
        """Decide on each pair of steps."""
        decisions = [
            Decision(
                earlier=earlier.id,
                later=later.id,
                ordered=later.metadata["step"]["step_type"] != "research",
                source="heuristic",
                reason="looking up needs nothing else",
            )
            for j, later in enumerate(tasks)
            for earlier in tasks[:j]
        ]
        return Findings(decisions=tuple(decisions))


fast = deerflow.parallelize(
    graph,
    config=ParallelConfig(strategies=("look_up_first",)),
    analyzers={"look_up_first": LookUpFirst()},
)

# %% [markdown]
# ## How much faster is it?
#
# Both graphs make the same seven calls: coordinator, planner, four steps and the report. Findings,
# messages and citations are in the order of the plan. What differs is what `Engine B` and
# `Engine C` are told: not what was found before them, which they do not need.

# %%
question: Any = {"messages": [("user", "Which engine should we use?")], "auto_accepted_plan": True}
llm.invoke("Hello")  # opens the connection


def timed(builder: StateGraph[Any, Any, Any, Any]) -> tuple[float, dict[str, Any]]:
    start = time.perf_counter()
    state = run(builder.compile().ainvoke(question))
    return time.perf_counter() - start, state


slow_s, slow = timed(graph)
fast_s, quick = timed(fast)
print(f"sequential {slow_s:.2f} s, parallel {fast_s:.2f} s: {slow_s / fast_s:.2f}x")
print("steps with a result:", [bool(step.execution_res) for step in quick["current_plan"].steps])
print("first finding the same:", quick["observations"][0] == slow["observations"][0])
print("keys of the state the same:", sorted(quick) == sorted(slow))

# %% [markdown]
# `sees="finished"` tells a step everything that was found before it started, and not only what it
# depends on. Steps that start together still do not see one another.
#
# ## A step that fails
#
# DeerFlow's node turns the error into a finding, and the plan goes on, as before.

# %%
broken.add("Engine B")
failed = run(fast.compile().ainvoke(question))
for step, finding in zip(failed["current_plan"].steps, failed["observations"], strict=True):
    print(f"{step.title}: {finding[:60]}")
broken.clear()

# %% [markdown]
# ## Review of the plan, a crash, and going on
#
# With a checkpointer the graph stops for the review of the plan. Then the process "dies" in the
# middle of `Engine B`. DeerFlow notes results only in the plan object in memory, so it would begin
# with `Engine A` again; here finished steps are in the checkpoint.


# %%
class Crash(BaseException):
    """Stands for the end of the process: no node can catch it."""


crashes = ["Engine B"]


class Fragile:
    """The agent, in a process that ends in the middle of a step."""

    async def astream(self, state: dict[str, Any], stream_mode: str) -> Any:
        """Answer as `agent` does."""
        title = str(state["messages"][-1].content).rpartition("Your step: ")[2].partition("\n")[0]
        if title in crashes:
            await asyncio.sleep(1)  # the other steps of the round have ended by now
            crashes.remove(title)
            raise Crash
        async for values in agent.astream(state, stream_mode=stream_mode):  # type: ignore[call-overload]
            yield values


fragile = build_graph(plan=plan, agents=dict.fromkeys(names, Fragile()), write=llm)  # type: ignore[arg-type]
types = [("research_flow", name) for name in ("Plan", "Step", "StepType")]
saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=types))
thread: RunnableConfig = {"configurable": {"thread_id": "1"}}


def new_process() -> Any:
    """Build the graph anew; only `saver` is left of the one before."""
    rule = {"look_up_first": LookUpFirst()}
    config = ParallelConfig(strategies=("look_up_first",))
    return deerflow.parallelize(fragile, config=config, analyzers=rule).compile(checkpointer=saver)


called.clear()
paused = run(new_process().ainvoke({"messages": question["messages"]}, thread))
print("asked:", paused["__interrupt__"][0].value)
try:
    run(new_process().ainvoke(Command(resume="[ACCEPTED]"), thread))
except Crash:
    print("crashed; steps begun so far:", called)
called.clear()
final = run(new_process().ainvoke(None, thread))
print("after the restart:", called)
print("steps with a result:", [bool(step.execution_res) for step in final["current_plan"].steps])

# %%
server.stop()
