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
# # Share an engine among a fleet of agents
#
# Many agents, few slots: who goes first? An inference server serves calls in the order in which
# they arrive, and so a quick question waits behind the hundred calls of someone's deep research.
# A scheduler that knows which *program* (graph run) each call belongs to can do better.
#
# This notebook needs no GPU, no key and no network. It starts an *embedded engine* that answers
# like an OpenAI server, with twice the speed of an 8-billion-parameter model on one GPU.

# %%
import operator
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_rsm import Scheduler, program, schedule
from langgraph_rsm.emulation import serve
from langgraph_rsm.telemetry import Timeline

SLOTS = 3
server = serve("gpu-8b", max_num_seqs=SLOTS, speed=2)
server.start()
llm = ChatOpenAI(base_url=server.base_url, model="gpu-8b", api_key="none")

# %% [markdown]
# ## Two kinds of agents
#
# A *chat* is one short call. A *research* run reads six sources side by side, twice. Both are
# ordinary LangGraph graphs; nothing in them knows of a scheduler.


# %%
class Notes(TypedDict):
    """What a run has found."""

    found: Annotated[list[str], operator.add]


def make_chat(model: ChatOpenAI) -> Any:
    def reply(_: Notes) -> Notes:
        return {"found": [model.invoke("What time is it?", max_tokens=12).text]}

    return StateGraph(Notes).add_node(reply).add_edge(START, "reply").compile(name="chat")


def make_research(model: ChatOpenAI) -> Any:
    def read(_: Notes) -> Notes:
        return {"found": [model.invoke("Read this source.", max_tokens=40).text]}

    def spread(stage: str) -> Callable[[Notes], list[Send]]:
        return lambda _: [Send(stage, {"found": []})] * 6

    graph = StateGraph(Notes)
    graph.add_node("skim", read)
    graph.add_node("gather", lambda _: {"found": []})
    graph.add_node("study", read)
    graph.add_conditional_edges(START, spread("skim"), ["skim"])
    graph.add_edge("skim", "gather")
    graph.add_conditional_edges("gather", spread("study"), ["study"])
    graph.add_edge("study", END)
    return graph.compile(name="research")


# %% [markdown]
# ## The same fleet under three policies
#
# `schedule(llm)` returns a model of the same class whose calls wait for a slot of the scheduler.
# Three research runs start at once; ten chats arrive over one second.

# %%
FLEET = [("research", n, 0.0) for n in range(3)] + [("chat", n, 0.1 + n / 14) for n in range(10)]


def run_fleet(policy: str) -> tuple[Timeline, list[tuple[str, float]]]:
    timeline = Timeline()
    model = schedule(llm, scheduler=Scheduler(policy, hooks=[timeline]), capacity=SLOTS)
    graphs = {"chat": make_chat(model), "research": make_research(model)}

    def run(job: tuple[str, int, float]) -> tuple[str, float]:
        kind, number, arrival_s = job
        time.sleep(arrival_s)
        start_s = time.monotonic()
        with program(id=f"{kind}-{number}"):  # optional: it only gives the run a readable name
            graphs[kind].invoke({"found": []})
        return kind, time.monotonic() - start_s

    with ThreadPoolExecutor(len(FLEET)) as pool:
        return timeline, list(pool.map(run, FLEET))


def mean_s(latencies: list[tuple[str, float]], kind: str) -> float:
    return statistics.mean(latency_s for one, latency_s in latencies if one == kind)


results = {policy: run_fleet(policy) for policy in ("fcfs", "plas", "auto")}
print(f"{'policy':8}{'chat':>8}{'research':>10}   mean seconds")
for policy, (_, latencies) in results.items():
    print(f"{policy:8}{mean_s(latencies, 'chat'):8.2f}{mean_s(latencies, 'research'):10.2f}")

# %% [markdown]
# - `fcfs`: first come, first served. Chats wait behind every source that was asked for earlier.
# - `plas` (program-level attained service): who has had little engine time goes first. Chats pass;
#   research waits a little longer, because it is a little later that it gets all slots.
# - `auto`, the default, also learns what programs of each graph cost, and finishes those first that
#   are expected to be done soon.
#
# ## The timeline
#
# Each row is a slot of the engine, each column a moment: `c` a chat's call, `1`-`3` the calls of a
# research run, `.` idle.


# %%
def draw(timeline: Timeline, columns: int = 76) -> str:
    spans = [span for span in timeline.spans if span.lane is not None]
    start_s = min(span.dispatched_s for span in spans)
    scale = columns / (max(span.finished_s for span in spans) - start_s)
    rows = [["."] * columns for _ in range(SLOTS)]
    for span in spans:
        kind, _, number = span.program_id.partition("-")
        mark = "c" if kind == "chat" else str(int(number) + 1)
        first = int((span.dispatched_s - start_s) * scale)
        last = max(first + 1, int((span.finished_s - start_s) * scale))
        rows[span.lane][first:last] = mark * (min(last, columns) - first)
    return "\n".join("".join(row) for row in rows)


for policy, (timeline, _) in results.items():
    print(policy, draw(timeline), sep="\n", end="\n\n")

# %% [markdown]
# ## In your own code
#
# - `schedule(model)` for one model object, `ScheduledChatModel(engines=[...])` for several servers.
# - Frameworks that name a class in a configuration file: `langgraph_rsm:ScheduledChatOpenAI`.
# - All models share one scheduler of the process unless you name another.

# %%
chats = {policy: mean_s(latencies, "chat") for policy, (_, latencies) in results.items()}
print("chats wait less under plas:", chats["plas"] < chats["fcfs"])
server.stop()
