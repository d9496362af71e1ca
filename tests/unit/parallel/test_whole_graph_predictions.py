"""The predicted speed-up is that of a whole run: what is moved, and all that stays as it is."""

import operator
from typing import Annotated

import pytest
from echo_model import ScriptedModel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, explain, parallelize

llm = ScriptedModel()


class State(TypedDict, total=False):
    q: str
    a: str
    b: str
    c: str
    d: str
    e: str
    n: int
    parts: list[str]
    out: Annotated[list[str], operator.add]


def ask(reads, key):
    """Return a node that asks the model about one key, or about several."""
    keys = tuple(reads)

    def node(state: State):
        return {key: str(llm.invoke("".join(str(state.get(k)) for k in keys)).content)}

    node.__name__ = key
    return node


def graph(nodes, edges):
    builder = StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node)
    for source, target in edges:
        builder.add_edge(source, target)
    return builder


def numbers(report):
    return report.work, report.span


def test_nodes_outside_of_the_moved_run_count():
    builder = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", "c")])
    builder.add_node("c", ask("ab", "c"))
    builder.add_conditional_edges("c", lambda s: "d" if s["c"] else END, ["d", END])
    builder.add_node("d", ask("c", "d"))
    builder.add_edge("d", END)
    report = explain(builder)
    assert numbers(report) == (4.0, 3.0)
    assert str(report).startswith(
        "Parallel: 4 -> 3 calls, predicted speed-up 1.33x (on its longest way; "
    )


def test_a_loop_counts_once_and_the_report_says_so():
    def draft(state: State):
        return {"c": str(llm.invoke(state["a"] + state["b"]).content), "n": state.get("n", 0) + 1}

    builder = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", "draft")])
    builder.add_node("draft", draft)
    builder.add_conditional_edges("draft", lambda s: "draft" if s["n"] < 6 else END, ["draft", END])
    report = explain(builder)
    assert numbers(report) == (3.0, 2.0)
    assert "with its loop at draft passed once" in str(report).splitlines()[0]


def fork():
    nodes = {"a": ask("q", "a"), "n": lambda state: {}, "e": ask("bcd", "e")}
    nodes |= {k: ask("a", k) for k in "bcd"}
    edges = [(START, "a"), ("a", "n"), *(("n", k) for k in "bcd"), *((k, "e") for k in "bcd")]
    return graph(nodes, [*edges, ("e", END)])


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_what_runs_side_by_side_already_is_no_gain(mode):
    report = explain(fork(), mode=mode)
    assert numbers(report) == (3.0, 3.0)
    costly = ParallelConfig(durations=dict.fromkeys("anbcde", 1.0))
    report = explain(fork(), mode=mode, config=costly)
    assert numbers(report) == (4.0, 3.0 if mode == "exact" else 4.0)


@pytest.mark.parametrize("speculate", ["never", "pure"])
def test_speculation_claims_no_branches_of_the_source(speculate):
    nodes = {"a": ask("q", "a"), "b": ask("a", "b"), "c": ask("a", "c"), "d": ask("bc", "d")}
    nodes["e"] = lambda state: {"e": state["d"]}
    edges = [(START, "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("e", END)]
    builder = graph(nodes, edges)
    builder.add_conditional_edges("d", lambda s: "e" if s["d"] else "a", ["a", "e"])
    report = explain(builder, mode="exact", config=ParallelConfig(speculate=speculate))
    assert not report.is_parallel
    assert str(report).startswith("Nothing more was made parallel: b, c run side by side already.")


def test_overlapping_runs_count_once():
    nodes = {"a": ask("q", "a"), "b": ask("q", "b"), "c": ask("q", "c"), "d": ask("c", "d")}
    builder = graph(nodes, [("a", "b"), ("b", "c"), ("c", "d"), ("d", END)])
    builder.add_conditional_edges(START, lambda s: "a" if s["q"] else "b", ["a", "b", "c"])
    report = explain(builder, mode="exact")
    assert numbers(report) == (4.0, 2.0)
    assert [part.region.nodes for part in report.regions] == [("a", "b", "c", "d")]


@pytest.mark.parametrize("speculate", ["never", "pure"])
def test_a_node_behind_sends_is_neither_claimed_nor_abandoned(speculate):
    def split(state: State):
        return {"parts": ["1", "2"], "q": str(llm.invoke(state["q"]).content)}

    def part(state: State):
        return {"out": [str(llm.invoke(state["q"]).content)]}

    builder = graph({"split": split, "part": part, "c": ask("q", "c")}, [(START, "split")])
    builder.add_conditional_edges(
        "split", lambda s: [Send("part", {"q": p}) for p in s["parts"]], ["part"]
    )
    builder.add_edge("part", "c")
    config = ParallelConfig(speculate=speculate)
    made = parallelize(builder.compile(), mode="exact", config=config)
    assert numbers(made.parallel_report) == (3.0, 3.0)
    assert not made.parallel_report.is_parallel
    made.invoke({"q": "?"})
    assert made.parallel_report.runtime.total.wasted_s == 0.0
    assert made.parallel_report.runtime.total.abandoned == 0


def test_gains_of_speculation_stand_in_the_report():
    builder = graph({k: ask("q", k) for k in "abcd"}, [(START, "a"), ("d", END)])
    builder.add_conditional_edges("a", lambda s: "b" if s["a"] else END, ["b", END])
    builder.add_conditional_edges("b", lambda s: "c" if s["b"] else END, ["c", END])
    builder.add_conditional_edges("c", lambda s: "d" if s["c"] else END, ["d", END])
    assert not explain(builder, mode="exact").is_parallel
    report = explain(builder, mode="exact", config=ParallelConfig(speculate="pure"))
    assert numbers(report) == (4.0, 2.0)
    assert "Run a -?-> b\n  earliest start, round 1: a, b (before it is chosen)" in str(report)


def test_a_sub_graph_counts_as_its_longest_run():
    inner = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", END)])
    outer = graph({"inner": inner.compile(), "c": ask("ab", "c")}, [(START, "inner")])
    outer.add_edge("inner", "c")
    for mode in ("fanout", "exact"):
        assert numbers(explain(outer, mode=mode)) == (3.0, 2.0)
    pinned = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", END)])
    kept = graph({"inner": pinned.compile(checkpointer=True)}, [(START, "inner")])
    assert numbers(explain(kept, mode="exact")) == (2.0, 2.0)


# -- what is parallel already, and edges that say the same -----------------------------------------


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_parallel_graph_says_so(mode):
    builder = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", "c")])
    builder.add_node("c", ask("ab", "c"))
    by_hand = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), (START, "b")])
    by_hand.add_node("c", ask("ab", "c"))
    by_hand.add_edge(["a", "b"], "c")
    for made in (parallelize(builder.compile()), by_hand):
        report = explain(made, mode=mode)
        assert str(report).startswith(
            "Nothing more was made parallel: a, b run side by side already."
        )
        assert "Join them" not in str(report)
        assert report.blockers() == ()


def test_a_graph_that_was_made_parallel_names_its_own_report():
    builder = graph({k: ask("q", k) for k in "ab"}, [(START, "a"), ("a", "b"), ("b", END)])
    for made in (parallelize(builder), parallelize(builder.compile())):
        assert "the graph: it went through parallelize() already" in str(explain(made))
    assert "already" not in str(explain(builder))


def test_branches_that_meet_without_waiting_are_named():
    edges = [(START, "a"), (START, "b"), ("b", "c"), ("a", "d"), ("c", "d"), ("d", END)]
    report = explain(graph({k: ask("q", k) for k in "abcd"}, edges))
    assert "START: branches run side by side already: START starts a and b; d does not" in str(
        report
    )
    (blocker,) = report.blockers()
    assert blocker.remedy == "Join them with add_edge(['a', 'c'], 'd')."


def test_an_edge_beside_a_command_to_the_same_node_is_no_fork():
    def one(state: State) -> Command:
        return Command(goto="b", update={"a": "a"})

    nodes = {"a": one, **{k: ask("q", k) for k in "bcd"}}
    edges = [(START, "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", END)]
    report = explain(graph(nodes, edges))
    assert not any(refusal.rule == "already-parallel" for refusal in report.refusals)
    assert report.regions[0].levels == (("c", "d"),)
    assert parallelize(graph(nodes, edges)).compile().invoke({"q": "?"})["a"] == "a"


# -- declarations ----------------------------------------------------------------------------------


def test_folding_nodes_that_were_declared_without_folds_are_told_so(monkeypatch):
    monkeypatch.setattr("langgraph_parallel.reading.graph.can_take_turns", lambda: False)
    builder = graph({k: lambda state: {} for k in "ab"}, [(START, "a"), ("a", "b")])
    found = {k: Effects(writes={k, "out"}) for k in "ab"}
    report = explain(builder, effects=found)
    assert report.why("a", "b") == (
        "ordered: both add to 'out', and the declarations of a and b do not say folds={'out'}"
    )
    (blocker,) = report.blockers()
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("several", ("a", "b"), 1.0)
    assert blocker.declaration.count('folds={"out"}') == 2
    again = explain(builder, effects={k: Effects(writes={k, "out"}, folds={"out"}) for k in "ab"})
    assert again.span == report.span - blocker.saves
