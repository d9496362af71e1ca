"""Each blocker names the obstacle, the line that removes it, and what that saves, and keeps it."""

import gc
import inspect
import operator
import random
import re
from dataclasses import replace
from typing import Annotated

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import ALL, AnalysisError, Effects, ParallelConfig, effects, explain
from langgraph_parallel.ordering.dependence import build_schedule
from langgraph_parallel.report import blockers as module
from langgraph_parallel.report.declarations import decorator_line

DURATIONS = ParallelConfig(
    durations={"write_a": 4.0, "count_c": 2.0, "write_b": 3.0, "count_b": 1.0}
)


class State(TypedDict, total=False):
    text: str
    a: str
    b: str
    c: str
    items: list[str]
    log: Annotated[list[str], operator.add]


def chain(*nodes):
    builder = StateGraph(State)
    builder.add_sequence(nodes)
    names = [node if callable(node) else node[1] for node in nodes]
    builder.add_edge(START, names[0].__name__)
    builder.add_edge(names[-1].__name__, END)
    return builder


def write_a(state):
    return {"a": state["text"]}


def write_b(state):
    return {"b": state["text"]}


def count_c(state):
    return {"c": str(gc.get_count()) + state["text"]}


def count_b(state):
    return {"b": gc.get_count()}


def only(report, **options):
    (blocker,) = report.blockers(**options)
    return blocker


def declare(line):
    """Return the effects that a pasted line declares."""

    def node(state): ...

    exec(f"{line}\ndef pasted(state): ...", {"effects": effects}, scope := {})
    del node
    return scope["pasted"].__langgraph_parallel_effects__[0]


def test_graph_without_obstacles_has_no_blockers():
    assert explain(chain(write_a, write_b)).blockers() == ()


def test_one_unknown_call_is_named_with_place_line_and_gain():
    blocker = only(explain(chain(write_a, count_c, write_b), config=DURATIONS))
    assert (blocker.kind, blocker.nodes) == ("unknown-calls", ("count_c",))
    known = r"calls .*get_count.*, which is not known \(.*test_report_blockers.py:\d+\)"
    assert re.match(known, blocker.cause)
    assert blocker.declaration == '@effects(reads={"text"}, writes={"c"}, external="read")'
    assert 'ParallelConfig(unknown_calls="independent")' in blocker.remedy


def test_pasting_the_line_brings_the_predicted_saving():
    graph = chain(write_a, count_c, write_b)
    report = explain(graph, config=DURATIONS)
    blocker = only(report)
    assert (report.span, blocker.saves, blocker.unit) == (9.0, 5.0, "s")
    assert blocker.speedup == 9.0 / 4.0
    again = explain(graph, config=DURATIONS, effects={"count_c": declare(blocker.declaration)})
    assert again.span == report.span - blocker.saves
    assert again.speedup == blocker.speedup


def test_unknown_calls_alone_give_one_hint_and_its_prediction_is_kept():
    graph = chain(write_a, count_c, count_b)
    report = explain(graph, config=DURATIONS)
    hint = report.blockers()[0]
    assert [b for b in report.blockers() if b.kind == "unknown-calls"] == [hint]
    assert hint.nodes == ("count_c", "count_b")
    assert hint.cause.startswith("only calls that are not known stand in the way: count_c calls ")
    assert hint.cause.count("test_report_blockers.py:") == 2
    assert hint.declaration.endswith('config=ParallelConfig(unknown_calls="independent"))')
    assert '@effects(reads={"text"}, writes={"c"}, external="read")' in hint.remedy
    trusting = DURATIONS.model_copy(update={"unknown_calls": "independent"})
    again = explain(graph, config=trusting)
    assert report.span - hint.saves == again.span == 4.0
    assert again.blockers() == ()


def test_hint_does_not_say_only_when_something_else_holds_a_node():
    def asks(state):
        return {"a": interrupt("?")}

    report = explain(chain(count_c, count_b, write_a, asks), config=DURATIONS)
    (hint,) = (b for b in report.blockers() if b.kind == "unknown-calls")
    assert hint.cause.startswith("calls that are not known")


def test_neighbors_that_hide_each_other_are_declared_together():
    def one(state):
        return {"a": gc.is_tracked(state)}

    def two(state):
        return {"b": gc.is_tracked(state)}

    report = explain(chain(one, two))
    blocker = report.blockers()[0]
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("several", ("one", "two"), 1.0)
    assert blocker.declaration == (
        'parallelize(graph, effects={"one": Effects(reads={...}, writes={"a"}, external="read"), '
        '"two": Effects(reads={...}, writes={"b"}, external="read")})'
    )


def test_gap_in_a_line_cannot_be_pasted_unseen():
    def whole(state):
        return {"b": f"{state['text']} {state}"}

    blocker = only(explain(chain(write_a, whole)))
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("all-keys", ("whole",), 1.0)
    assert blocker.cause.startswith("reads the whole state: ")
    assert blocker.declaration == '@effects(reads={"text", ...}, writes={"b"})'
    with pytest.raises(AnalysisError, match="not a string"):
        declare(blocker.declaration)
    filled = declare(blocker.declaration.replace(", ...", ""))
    assert explain(chain(write_a, whole), effects={"whole": filled}).span == 1.0


def test_change_in_place_has_a_remedy_but_no_line():
    def push(state):
        state["items"].append(state["text"])
        return {"c": "x"}

    blocker = explain(chain(write_a, push, write_b)).blockers()[0]
    assert (blocker.kind, blocker.declaration, blocker.saves) == ("mutation", "", 2.0)
    assert "Return a new value" in blocker.remedy


def test_line_never_hides_what_is_known_to_happen():
    def push(state):
        state["items"].append(gc.get_count())
        return {"c": "x"}

    blocker = explain(chain(write_a, push, write_b), config=DURATIONS).blockers()[0]
    assert (blocker.kind, blocker.declaration) == ("mutation", "")
    line = '@effects(reads={"items"}, writes={"c", "items"}, external="read")'
    assert f"Return a new value under the key instead of changing the old one; then {line}" in (
        blocker.remedy.replace("declare the node with ", "")
    )

    def asks(state):
        return gc.get_objects(interrupt("?"))

    blocker = only(explain(chain(write_a, asks), config=ParallelConfig(durations=ASKED)))
    assert (blocker.kind, blocker.declaration) == ("control", "")
    assert "calls interrupt()" in blocker.cause


def test_routing_that_is_known_to_happen_leaves_its_targets_to_fill_in():
    def goes(state):
        return Command(goto=state["text"], update={"a": "x"})

    line = only(replace(explain(chain(goes, write_b)), what_if=None)).declaration
    assert line.startswith('@effects(reads={"text"}, writes={"a"}, control={"goto"')
    assert "goto={...}" in line


def test_pause_has_a_remedy_but_no_line():
    def asks(state):
        return {"a": interrupt("?")}

    def pause_first(state):
        return write_b(state)

    blocker = only(explain(chain(asks, pause_first)))
    assert (blocker.kind, blocker.declaration) == ("control", "")
    assert "calls interrupt()" in blocker.cause


def test_write_outside_asks_to_vouch_for_it():
    report = explain(
        chain(write_a, write_b), effects={"write_a": Effects(writes={"a"}, external={"write"})}
    )
    assert report.blockers() == ()  # one call and a free node: nothing to save
    both = Effects(writes={"b"}, external={"model"})
    report = explain(
        chain(write_a, write_b),
        effects={"write_a": Effects(writes={"a"}, external={"write"}), "write_b": both},
    )
    blocker = only(report)
    assert (blocker.kind, blocker.saves) == ("external", 1.0)
    assert blocker.declaration == '@effects(writes={"a"}, external="read")'


@pytest.fixture
def by_name(monkeypatch):
    """A LangGraph that cannot be told to fold in another order than that of the names."""
    monkeypatch.setattr("langgraph_parallel.reading.graph.can_take_turns", lambda: False)


@pytest.mark.usefixtures("by_name")
def test_fold_against_name_order_hints_at_a_name():
    def zebra(state):
        return {"log": ["z"]}

    def ant(state):
        return {"log": ["a"]}

    report = explain(chain(zebra, ant))
    blocker = only(report)
    assert (blocker.kind, blocker.nodes, blocker.saves) == ("fold-order", ("zebra", "ant"), 1.0)
    assert blocker.declaration == ""
    assert "such as 'zebra_ant'" in blocker.remedy
    renamed = StateGraph(State)
    renamed.add_sequence([zebra, ("zebra_ant", ant)])
    renamed.add_edge(START, "zebra")
    assert explain(renamed).span == report.span - blocker.saves


@pytest.mark.usefixtures("by_name")
def test_value_that_may_be_overwrite_asks_for_a_word():
    def ant(state):
        return {"log": ["a"]}

    def bee(state):
        return {"log": Overwrite([]) if state["text"] else ["b"]}

    blocker = only(explain(chain(ant, bee)))
    assert (blocker.kind, blocker.nodes) == ("fold-value", ("bee",))
    assert 'folds={"log"}' in blocker.declaration
    again = explain(chain(ant, bee), effects={"bee": declare(blocker.declaration)})
    assert again.span == 1.0


ASKED = {"write_a": 1.0, "asks": 1.0}


def test_unreadable_node_is_named_with_what_its_declaration_saves():
    def unreadable(state):
        return gc.get_objects()

    graph = chain(write_a, unreadable, write_b)
    durations = ParallelConfig(durations={"write_a": 4.0, "unreadable": 1.0, "write_b": 3.0})
    blocker = only(explain(graph, config=durations))
    assert (blocker.kind, blocker.nodes) == ("routing", ("unreadable",))
    assert (blocker.saves, blocker.unit, blocker.speedup) == (4.0, "s", 2.0)
    assert "its return value is not understood" in blocker.cause
    assert blocker.declaration == '@effects(reads={...}, writes={...}, external="read")'


def test_recorded_seconds_count_for_the_saving():
    report = explain(chain(write_a, count_c, write_b)).with_measured(
        {"write_a": 4.0, "count_c": 2.0, "write_b": 3.0}
    )
    blocker = only(report)
    assert (blocker.saves, blocker.unit) == (5.0, "s")


def test_wider_resource_limit_is_kept_when_trying():
    nodes = {name: Effects(resources={"db"}, external={"read"}) for name in ("a", "b")}
    nodes["stop"] = Effects(external={"unknown"})
    builder = StateGraph(State)
    builder.add_sequence([(f"n_{name}", lambda state: None) for name in nodes])
    builder.add_edge(START, "n_a")
    declared = {f"n_{name}": found for name, found in nodes.items()}
    report = explain(builder, effects=declared, resources={"db": 2})
    assert report.span == 2.0
    assert only(report).saves == 1.0


def large_report(size, found):
    names = [f"n{i:04}" for i in range(size)]
    keys = dict.fromkeys(names, str)
    builder = StateGraph(TypedDict("Keys", keys, total=False))
    builder.add_sequence([(name, lambda state: None) for name in names])
    builder.add_edge(START, names[0])
    return explain(builder, effects=dict.fromkeys(names, found))


@pytest.mark.parametrize(
    ("found", "most"), [(Effects(external={"unknown"}), 11), (Effects(reads=ALL, writes=ALL), 1)]
)
def test_work_on_a_large_chain_is_bounded(monkeypatch, found, most):
    report = large_report(1000, found)
    built = []
    monkeypatch.setattr(module, "build_schedule", lambda *a: built.append(1) or build_schedule(*a))
    assert len(report.blockers(limit=1)) == 1
    assert 1 <= len(built) <= most


def test_hint_for_many_nodes_stays_short():
    hint = large_report(1000, Effects(external={"unknown"})).blockers()[0]
    assert "and 997 more" in hint.cause
    assert "and 997 more" in str(hint)
    assert len(str(hint)) < 1000


def test_line_keeps_what_the_node_is_known_to_do():
    known = Effects(
        reads={'k"', "b"},
        writes={"w"},
        external={"model", "unknown"},
        control={"raise"},
        folds={"w"},
        resources={"db"},
    )
    line = decorator_line(known)
    assert line == (
        '@effects(reads={"b", "k\\""}, writes={"w"}, external={"model", "read"}, '
        'control={"raise"}, folds={"w"}, resources={"db"})'
    )
    assert declare(line) == replace(known, external={"model", "read"})


class Desk:
    """Nodes that share an object: one counts, one does not look, one reports the count."""

    def __init__(self):
        self.calls = 0
        self.greeting = "Hello"

    def ask(self, state):
        self.calls += 1
        return {"a": self.greeting + state["text"]}

    def greet(self, state):
        return {"b": self.greeting + state["text"]}

    def bill(self, state):
        return {"c": f"{state['text']}: {self.calls}"}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_a_place_in_memory_is_named_with_both_lines_and_what_would_help(mode):
    desk = Desk()
    report = explain(chain(desk.ask, desk.greet, desk.bill), mode=mode)
    assert report.regions[0].levels == (("ask", "greet"), ("bill",))
    first = inspect.getsourcelines(Desk)[1]
    looks = rf"bill looks at Desk\.calls \(\S+:{first + 15}\)"
    assert re.search(rf"{looks}, and ask changes it \(\S+:{first + 8}\)", report.why("ask", "bill"))
    found = {blocker.kind: blocker for blocker in report.blockers()}
    assert found["memory"].nodes == ("bill",)
    assert found["memory"].declaration == '@effects(reads={"text"}, writes={"c"})'


def draw_a(state):
    return {"a": str(random.random())}


def draw_b(state):
    if not state["text"]:
        raise ValueError
    print(state["text"])
    return {"b": str(random.random())}


def test_blocker_of_chance_says_how_to_draw_apart():
    (blocker,) = explain(chain(draw_a, draw_a_again)).blockers()
    assert "`random.Random()`" in str(blocker)
    assert '@effects(writes={"b"})' in str(blocker)


def draw_a_again(state):
    return {"b": str(random.random())}


def test_a_guard_is_said_to_keep_what_must_not_happen_after_a_failure():
    report = explain(chain(draw_a, draw_b))
    assert "changes the random" in report.why("draw_a", "draw_b")
