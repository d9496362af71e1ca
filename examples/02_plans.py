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
# # A plan-and-execute agent, in parallel
#
# Many agents first write a plan and then carry it out step by step. `ParallelPlanner` finds out
# which steps need which, `ParallelExecutor` starts each step as soon as what it needs is there, and
# `PlanNode` does both inside a LangGraph graph, where every finished step is saved.
#
# This notebook needs no GPU, no key and no network. It starts an *embedded engine* that answers
# like an OpenAI server, with the timing of an 8-billion-parameter model on one GPU. Its answers
# have no meaning, so the plan, which a model would write, is given.

# %%
import time
from collections.abc import Callable

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from langgraph_parallel import ParallelConfig, ParallelExecutor, ParallelPlanner, PlanNode, Task
from langgraph_rsm.emulation import serve

server = serve("gpu-8b")
server.start()
llm = ChatOpenAI(
    base_url=server.base_url, model="gpu-8b", api_key="none", max_tokens=40, temperature=0
)

PLAN = """
{
  "goal": "Should we sell our lamp in Norway?",
  "steps": [
    {"id": "market", "task": "Estimate the market for lamps in Norway.", "depends_on": []},
    {"id": "rivals", "task": "Name the strongest competitors.", "depends_on": []},
    {"id": "rules", "task": "Which rules apply to lamps there?", "depends_on": []},
    {"id": "price", "task": "Choose a price, given {{market}} and {{rivals}}.", "depends_on": []},
    {"id": "risks", "task": "List the risks, given {{rules}}.", "depends_on": []},
    {"id": "advice", "task": "Advise us. Price: {{price}} Risks: {{risks}}", "depends_on": []}
  ]
}
"""

# %% [markdown]
# ## From a plan to a graph
#
# A plan may be a list of strings, dicts or `Task`s, or the JSON text that a model wrote. Steps that
# say what they depend on, or refer to results as `{{market}}`, are believed; here each step says
# that it needs nothing but what it refers to. A step that says nothing is looked at by the other
# strategies (`heuristic`, or a model), and where they are not sure it stays in its place: a plan
# that nobody understands remains the chain that it was.

# %%
planner = ParallelPlanner()
plan = planner.optimize(PLAN)
print(plan)

# %%
print(plan.why("rivals", "market").reason)
print(plan.why("market", "advice").reason)

# %% [markdown]
# The same as a drawing, for [Mermaid](https://mermaid.live), and as a `networkx` graph:

# %%
print(plan.draw_mermaid())
print(plan.graph)

# %% [markdown]
# ## Carrying it out
#
# `run_task` is yours: it gets a `Task` in which the references are already filled in. A function
# that is not `async` runs in threads. An `async` one can be given time-outs as well.


# %%
def run_task(task: Task) -> str:
    return llm.invoke(task.description).text


llm.invoke("Hello")  # opens the connection
one_by_one = ParallelExecutor(ParallelConfig(max_concurrency=1), run_task=run_task)
together = ParallelExecutor(run_task=run_task)

slow = one_by_one.execute(plan)
quick = together.execute(plan)
print(quick)
speedup = slow.elapsed_s / quick.elapsed_s
print(f"sequential {slow.elapsed_s:.2f} s, parallel {quick.elapsed_s:.2f} s: {speedup:.2f}x")
print(f"predicted {plan.speedup:.2f}x; same results: {quick.values == slow.values}")

# %% [markdown]
# ## As a node of a graph
#
# The agent: one node writes the plan, `PlanNode` carries it out, one reports. The steps appear in
# the stream under their own names, each when it is done.


# %%
class State(TypedDict, total=False):
    """What the agent knows."""

    question: str
    plan: str
    results: dict[str, str]
    report: str


def write_plan(state: State) -> State:
    return {"plan": PLAN}  # a planner of yours asks a model here


def write_report(state: State) -> State:
    return {"report": llm.invoke(f"Answer {state['question']}: {state['results']}").text}


def build_agent(
    config: ParallelConfig, run_task: Callable[[Task], str] = run_task
) -> CompiledStateGraph:
    builder = StateGraph(State)
    builder.add_node("planner", write_plan)
    builder.add_node("execute", PlanNode(run_task, config=config))
    builder.add_node("report", write_report)
    builder.add_edge(START, "planner")
    builder.add_edge("planner", "execute")
    builder.add_edge("execute", "report")
    builder.add_edge("report", END)
    return builder.compile(checkpointer=InMemorySaver())


def time_agent(agent: CompiledStateGraph) -> State:
    question = {"question": "Should we sell our lamp in Norway?"}
    start = time.perf_counter()
    names = []
    for update in agent.stream(question, {"configurable": {"thread_id": "1"}}):
        names += update
    print(f"{time.perf_counter() - start:.2f} s:", ", ".join(names))
    return agent.get_state({"configurable": {"thread_id": "1"}}).values


slow_state = time_agent(build_agent(ParallelConfig(max_concurrency=1)))
quick_state = time_agent(build_agent(ParallelConfig()))
print(f"same report: {quick_state['report'] == slow_state['report']}")

# %% [markdown]
# ## When a step fails
#
# With a checkpointer, finished steps are kept. Here the connection breaks in one of them; when the
# graph is run again, that step and those after it are carried out, and no other.

# %%
calls = []
is_broken = True


def run_or_break(task: Task) -> str:
    calls.append(task.id)
    if is_broken and task.id == "risks":
        raise ConnectionError("the server went away")
    return run_task(task)


agent = build_agent(ParallelConfig(max_concurrency=2), run_or_break)
thread = {"configurable": {"thread_id": "2"}}
try:
    agent.invoke({"question": "Should we?"}, thread)
except ConnectionError as error:
    print(f"{type(error).__name__}: {error}")
finished = [name for name in calls if name != "risks"]
calls.clear()
is_broken = False
state = agent.invoke(None, thread)
print("run again:", sorted(set(finished) & set(calls)) or "nothing that was finished")
print("same results:", state["results"] == quick_state["results"])

# %%
server.stop()
