"""`mode="exact"` with real clients over HTTP: tokens, traces and answers are the original's."""

import asyncio

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from side_by_side import bare
from typing_extensions import TypedDict

from benchmarks.graphs import customer_support, text_analysis
from langgraph_parallel import ParallelConfig, parallelize
from langgraph_rsm.emulation import serve

MODES = ["updates", "values", "messages", "tasks"]


def client(server):
    return ChatOpenAI(
        base_url=server.base_url, model=server.model, api_key="none", temperature=0, max_retries=0
    )


@pytest.mark.parametrize("graph", [text_analysis, customer_support])
@pytest.mark.parametrize("speculate", ["never", "pure"])
def test_streams_are_the_same(graph, speculate):
    seen = []
    for is_ours in (False, True):
        with serve("gpu-8b", speed=500.0) as server:
            made = graph.build(client(server)).compile(InMemorySaver())
            if is_ours:
                made = parallelize(made, mode="exact", config=ParallelConfig(speculate=speculate))
            config = {"configurable": {"thread_id": "1"}}
            parts = made.stream(dict(graph.GIVEN), config, stream_mode=MODES)
            seen.append(list(map(bare, parts)))
            if is_ours:
                assert made.parallel_report.runtime.total.hit >= 1
                assert made.parallel_report.runtime.total.miss == 0
    assert len(seen[0]) > 20
    assert seen[0] == seen[1]


class Asked(TypedDict, total=False):
    text: str
    topic: AIMessage
    mood: AIMessage


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_messages_and_usage_are_those_of_a_whole_answer(how):
    seen = []
    for is_ours in (False, True):
        with serve("gpu-8b", speed=50.0) as server:
            model = client(server)

            def topic(state: Asked, model=model):
                return {"topic": model.invoke("topic of " + state["text"])}

            def mood(state: Asked, model=model):
                return {"mood": model.invoke("mood of " + state["text"])}

            made = StateGraph(Asked).add_sequence([topic, mood]).add_edge(START, "topic").compile()
            if is_ours:
                made = parallelize(made, mode="exact")
            usage = UsageMetadataCallbackHandler()
            config = {"callbacks": [usage]}
            if how == "invoke":
                answer = made.invoke({"text": "x"}, config)
            else:
                answer = asyncio.run(made.ainvoke({"text": "x"}, config))
            if is_ours:
                assert made.parallel_report.runtime.total.hit == 1
        for name in ("topic", "mood"):
            assert answer[name].usage_metadata
            del answer[name].response_metadata["id"]
        seen.append([bare(answer), usage.usage_metadata])
    assert seen[0] == seen[1]


async def test_calls_of_an_async_run_are_cancelled_with_it():
    with serve("gpu-8b", speed=0.2) as server:
        made = parallelize(text_analysis.build(client(server)).compile(), mode="exact")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.ainvoke(dict(text_analysis.GIVEN)), 0.3)
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []
