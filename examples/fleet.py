"""A fleet of unlike agents on shared engines: chats, ReAct loops with tool pauses, map-reduces.

Every program is an ordinary LangGraph graph on a model; none knows of a scheduler.
"""

import asyncio
import operator
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from examples.pipeline import DOCUMENT

CHATS, REACTS, MAP_REDUCES = 40, 8, 4
ARRIVALS_S = {"chat": 12.0, "react": 6.0, "map-reduce": 2.0}
"""Programs of a kind arrive at random within this time."""
SECTIONS, CHUNKS = 3, 12
"""A map-reduce reads a section in parallel chunks, merges its notes, and goes on to the next."""
TOOL_S = 0.4
ROUNDS = 4


@dataclass(frozen=True)
class Job:
    """One program of the fleet."""

    kind: str
    number: int
    arrival_s: float


@dataclass(frozen=True)
class Outcome:
    """How long one program took."""

    kind: str
    latency_s: float


def make_jobs(seed: int) -> list[Job]:
    """Return the fleet in order of arrival; the same for the same seed."""
    rng = random.Random(seed)
    kinds = ["chat"] * CHATS + ["react"] * REACTS + ["map-reduce"] * MAP_REDUCES
    jobs = [Job(kind, i, rng.uniform(0, ARRIVALS_S[kind])) for i, kind in enumerate(kinds)]
    return sorted(jobs, key=lambda job: job.arrival_s)


async def run_fleet(
    llm: BaseChatModel, jobs: Sequence[Job], on_done: Callable[[], Any]
) -> list[Outcome]:
    """Run every program at its arrival time; call `on_done` as each one ends."""
    graphs = {"chat": _chat(llm), "react": _react(llm), "map-reduce": _map_reduce(llm)}
    words = DOCUMENT.read_text().split()

    async def run(job: Job) -> Outcome:
        await asyncio.sleep(job.arrival_s)
        start = time.monotonic()
        await graphs[job.kind].ainvoke(_input(job, words), {"recursion_limit": 100})
        on_done()
        return Outcome(job.kind, time.monotonic() - start)

    return await asyncio.gather(*(run(job) for job in jobs))


def summarize(outcomes: Sequence[Outcome], alone_s: dict[str, float]) -> dict[str, float]:
    """Return mean and 95th percentile of the latencies (s), and the mean slowdown (>= about 1).

    Args:
        outcomes: One entry for each program.
        alone_s: What a program of each kind takes on idle engines.
    """
    latencies = [outcome.latency_s for outcome in outcomes]
    slowdowns = [outcome.latency_s / alone_s[outcome.kind] for outcome in outcomes]
    return {
        "mean": statistics.mean(latencies),
        "p95": statistics.quantiles(latencies, n=20)[-1],
        "slowdown": statistics.mean(slowdowns),
    }


def _input(job: Job, words: list[str]) -> dict[str, Any]:
    start = 97 * job.number % (len(words) - 4000)
    return {"number": job.number, "words": words[start : start + 4000], "notes": []}


class _Talk(TypedDict, total=False):
    number: int
    words: list[str]
    answer: str
    rounds: int
    notes: Annotated[list[str], operator.add]


def _chat(llm: BaseChatModel) -> Any:
    model = llm.bind(max_tokens=40)

    async def ask(state: _Talk) -> _Talk:
        topic = " ".join(state["words"][:40])
        return {"answer": (await model.ainvoke(f"Chat {state['number']}: {topic}?")).text}

    async def follow_up(state: _Talk) -> _Talk:
        return {"answer": (await model.ainvoke(f"And then? {state['answer']}")).text}

    graph = StateGraph(_Talk).add_sequence([ask, follow_up])
    return graph.add_edge(START, "ask").compile(name="chat")


def _react(llm: BaseChatModel) -> Any:
    model = llm.bind(max_tokens=80)

    async def think(state: _Talk) -> _Talk:
        notes = "\n".join(state["notes"])
        answer = (await model.ainvoke(f"Task {state['number']}. Notes:\n{notes}\nNext step?")).text
        return {"answer": answer, "rounds": state.get("rounds", 0) + 1}

    async def use_tool(state: _Talk) -> _Talk:
        await asyncio.sleep(TOOL_S)
        return {"notes": [" ".join(state["words"][:60]), state["answer"]]}

    graph = StateGraph(_Talk)
    graph.add_node(think)
    graph.add_node(use_tool)
    graph.add_edge(START, "think")
    graph.add_edge("use_tool", "think")
    graph.add_conditional_edges(
        "think", lambda state: END if state["rounds"] > ROUNDS else "use_tool", [END, "use_tool"]
    )
    return graph.compile(name="react")


def _map_reduce(llm: BaseChatModel) -> Any:
    reader, writer = llm.bind(max_tokens=150), llm.bind(max_tokens=200)

    async def read(state: _Talk) -> _Talk:
        return {"notes": [(await reader.ainvoke("Note: " + " ".join(state["words"]))).text]}

    async def merge(state: _Talk) -> _Talk:
        answer = (await writer.ainvoke("Merge:\n" + "\n".join(state["notes"][-CHUNKS:]))).text
        return {"answer": answer, "rounds": state.get("rounds", 0) + 1}

    def split(state: _Talk) -> list[Send] | str:
        section = state.get("rounds", 0)
        if section == SECTIONS:
            return END
        size = len(state["words"]) // (SECTIONS * CHUNKS)
        starts = range(section * CHUNKS * size, (section + 1) * CHUNKS * size, size)
        return [Send("read", {"words": state["words"][i : i + size]}) for i in starts]

    graph = StateGraph(_Talk)
    graph.add_node(read)
    graph.add_node(merge)
    graph.add_conditional_edges(START, split, ["read"])
    graph.add_edge("read", "merge")
    graph.add_conditional_edges("merge", split, ["read", END])
    return graph.compile(name="map-reduce")
