"""What a node is seen to do is what the analysis said it may do, and watching changes no answer."""

import copy

from case_counts import cases
from generated_graphs import CALM, INPUT, STEADY, graphs
from hypothesis import HealthCheck, given, settings

from langgraph_parallel.effects import bounded
from langgraph_parallel.reading.graph import read_builder
from langgraph_parallel.reading.regions import read_graph
from langgraph_parallel.reading.trace import Recording, record, widen

RELAXED = settings(
    max_examples=cases(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def outcome(graph):
    try:
        return graph.invoke(copy.deepcopy(INPUT))
    except Exception as error:
        return type(error), str(error)


@given(graphs(beside=CALM, others=STEADY))
@RELAXED
def test_watching_changes_no_answer(builder):
    recording = record(builder)
    expected = outcome(builder.compile())
    assert outcome(recording.graph) == expected
    assert outcome(recording.graph) == expected


@given(graphs())
@RELAXED
def test_what_a_node_is_seen_to_do_was_inferred(builder):
    """A soundness test of the static analysis: every observation is within its bounds."""
    recording = record(builder)
    outcome(recording.graph)
    static = read_graph(read_builder(builder), {}, ()).effects
    keys = frozenset(builder.channels)
    assert not recording.unobserved
    for name, seen in recording.observations.items():
        if name not in static:
            continue  # inside of a sub-graph
        assert seen.reads <= bounded(static[name].reads, keys), name
        assert seen.writes <= bounded(static[name].writes, keys), name
        assert seen.keeps <= bounded(static[name].writes, keys) | static[name].keeps, name
        assert seen.mutates <= bounded(static[name].mutates, keys), name
        assert not seen.overwrites & static[name].folds, name


@given(graphs())
@settings(RELAXED, max_examples=cases(60))
def test_a_trace_adds_nothing_to_a_sound_analysis(builder):
    recording = record(builder)
    outcome(recording.graph)
    loaded = Recording.from_json(recording.to_json())
    for name, static in read_graph(read_builder(builder), {}, ()).effects.items():
        seen = loaded.effects(name)
        assert seen == recording.effects(name)
        wider = widen(static, seen)
        assert wider.reads == static.reads
        assert wider.writes == static.writes
        assert wider.mutates == static.mutates
        assert wider.control >= static.control
