"""Whatever the graph does, `mode="exact"` shows the same in every stream and in the history."""

import asyncio
import concurrent.futures
import copy

import pytest
from case_counts import cases
from generated_graphs import CALM, INPUT, graphs
from hypothesis import HealthCheck, given, settings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel._executor import BackgroundExecutor
from side_by_side import awatch, bare, watch

from langgraph_parallel import ParallelConfig, parallelize

RELAXED = settings(
    max_examples=cases(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TRIES = 12
"""Runs of the original of which one must look like ours: where nodes that run side by side change a
value in place, the original has several outcomes."""


@pytest.fixture(scope="module", autouse=True)
def _writes_are_saved_at_once():
    """Save what a node wrote before the next one runs, in either graph.

    LangGraph leaves it to a thread, also with `durability="sync"`: a value that the next node
    changes in place may be saved either way.
    """
    submit = BackgroundExecutor.submit

    def save_at_once(self, call, *args, **options):
        if getattr(call, "__name__", "") != "put_writes":
            return submit(self, call, *args, **options)
        saved = concurrent.futures.Future()
        saved.set_result(call(*args))
        return saved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BackgroundExecutor, "submit", save_at_once)
        yield


def seen_by(graph, watcher):
    # Saved while the next node runs, a value changed in place may show either way.
    seen = watcher(graph, copy.deepcopy(INPUT), None, durability="sync")
    if asyncio.iscoroutine(seen):
        seen = asyncio.run(seen)
    # Nodes of one superstep stream in the order in which they end.
    return sorted(map(repr, seen))


def check(builder, watcher, **options):
    ours = seen_by(parallelize(builder.compile(InMemorySaver()), mode="exact", **options), watcher)
    for _ in range(TRIES):
        expected = seen_by(builder.compile(InMemorySaver()), watcher)
        if ours == expected:
            return
    assert ours == expected


@given(graphs(beside=CALM))
@RELAXED
def test_streams_and_history_are_equal(builder):
    check(builder, watch)


@given(graphs(beside=CALM))
@RELAXED
def test_streams_and_history_are_equal_in_async(builder):
    check(builder, awatch)


@given(graphs(beside=CALM))
@settings(RELAXED, max_examples=cases(20))
def test_guesses_change_nothing(builder):
    check(builder, watch, config=ParallelConfig(speculate="pure"))


@given(graphs(beside=CALM))
@settings(RELAXED, max_examples=cases(15))
def test_threads_migrate_both_ways(builder):
    """Each node in turn is where a thread leaves one graph for the other."""
    ends = []
    for swap in (False, True):
        saver = InMemorySaver()
        graphs_ = builder.compile(saver), parallelize(builder.compile(saver), mode="exact")
        for number, node in enumerate(builder.nodes):
            config = {"configurable": {"thread_id": f"{number} {swap}"}}
            seen = watch(
                graphs_[swap],
                copy.deepcopy(INPUT),
                config=config,
                interrupt_after=[node],
                durability="sync",
            )
            if any("rror" in str(part) for part in seen):
                return
            for _ in range(30):
                if not graphs_[0].get_state(config).next:
                    break
                graphs_[not swap].invoke(None, config, durability="sync")
            ends.append(bare(graphs_[0].get_state(config)))
    half = len(ends) // 2
    assert ends[:half] == ends[half:]
