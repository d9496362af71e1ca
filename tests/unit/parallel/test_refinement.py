"""What recordings and analyzers add to `parallelize`."""

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import Effects, explain, parallelize, record
from langgraph_parallel.inference.llm import Proposal


class State(TypedDict, total=False):
    text: str
    a: str
    b: str


def chain(*nodes) -> StateGraph:
    builder = StateGraph(State).add_sequence(nodes)
    return builder.add_edge(START, nodes[0].__name__)


def give_a(state):
    return {"a": state["text"]}


def give_b(state):
    return {"b": state["text"] + state.get("a", "")}


def test_recording_gives_durations_to_the_prediction():
    builder = chain(give_a, give_b)
    recording = record(builder)
    recording.graph.invoke({"text": "x"})
    report = explain(builder, recording=recording)
    assert report.unit == "s"
    assert report.work == sum(recording.durations.values())


def test_recording_exposes_a_false_declaration():
    builder = chain(give_a, give_b)
    lie = {"give_b": Effects(reads={"text"}, writes={"b"})}
    assert explain(builder, effects=lie).is_parallel
    recording = record(builder)
    recording.graph.invoke({"text": "x"})
    report = explain(builder, effects=lie, recording=recording)
    assert not report.is_parallel
    assert report.effects["give_b"].reads >= {"a"}


class Oracle:
    def propose(self, runnable, keys, static):
        if static.certain:
            return None
        effects = Effects(reads={"text"}, writes={"a"})
        return Proposal(effects=effects, confidence=0.9, reason="it says so", cost_tokens=1)


def unreadable():
    scope = {}
    exec("def hidden(state):\n    return {'a': state['text']}", scope)
    return scope["hidden"]


def test_proposal_is_shown_and_only_trusted_when_asked():
    builder = chain(unreadable(), last)
    shown = explain(builder, analyzers=[Oracle()])
    assert not shown.is_parallel
    assert any("proposes" in str(e) for e in shown.effects["hidden"].evidence)
    trusted = parallelize(builder, analyzers=[Oracle()], trust_llm=True)
    assert trusted.parallel_report.is_parallel
    assert trusted.compile().invoke({"text": "x"}) == {"text": "x", "a": "x", "b": "x"}


def last(state):
    return {"b": state["text"]}
