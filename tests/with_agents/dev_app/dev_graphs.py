"""Graphs for `langgraph dev`: one with calls of every kind, one that blocks, one that reports."""

import operator
import os
import time
from dataclasses import asdict
from typing import Annotated, Any

from dev_observed import records, scheduler
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from examples.planning_agent import build
from examples.rehearsed import Rehearsed, look_up
from langgraph_rsm import Engine, ScheduledChatModel
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.telemetry import CallFinished

plain = ChatOpenAI(base_url=os.environ["ENGINE_URL"], model="gpu-8b", api_key="none", max_tokens=40)
model = ScheduledChatModel(engines=[Engine(plain, capacity=2)], scheduler=scheduler)


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]


async def think(state: State):
    return {"said": [(await model.ainvoke("think")).content]}


def write(state: State):
    return {"said": [model.invoke("write").content]}


async def speak(state: State):
    return {"said": ["".join([chunk.content async for chunk in model.astream("speak")])]}


planning = build(Rehearsed(), [look_up])
agent = StateGraph(State).add_sequence([think, write, speak]).add_edge(START, "think").compile()


async def sleep(state: State):
    time.sleep(0.01)  # noqa: ASYNC251 - the server must complain
    return {"said": []}


blocking = StateGraph(State).add_sequence([sleep]).add_edge(START, "sleep").compile()


class Report(TypedDict, total=False):
    calls: list[Any]
    programs: list[str]
    in_flight: int
    links: int


async def look(state: Report):
    snapshot = scheduler.snapshot()
    ended = [record for record in records if isinstance(record, CallFinished)]
    return {
        "calls": [{**asdict(one.call), "outcome": one.outcome.value} for one in ended],
        "programs": [program.program_id for program in snapshot.programs],
        "in_flight": sum(engine.in_flight for engine in snapshot.engines),
        "links": run_tree.count_links(),
    }


report = StateGraph(Report).add_sequence([look]).add_edge(START, "look").compile()
