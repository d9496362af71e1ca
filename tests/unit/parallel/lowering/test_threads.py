"""Saved threads: whichever topology paused a thread, and whichever goes on, the answer is the same.

Every scenario is played by the original graph alone and by a pair of graphs that share one saver.
"""

import asyncio
import contextlib
import operator
from typing import Annotated

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Interrupt, interrupt
from typing_extensions import TypedDict

from langgraph_parallel import RewriteError, parallelize


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    d: str
    x: int
    log: Annotated[list, operator.add]


BROKEN: list = []


def give_a(state):
    return {"a": "A", "log": ["a"]}


def give_b(state):
    return {"b": "B", "log": ["b"]}


def give_c(state):
    return {"c": state.get("a", "-") + state.get("b", "-"), "log": ["c"]}


def ask(state):
    return {"d": interrupt("q"), "log": ["ask"]}


def add_one(state):
    return {"x": state.get("x", 0) + 1, "log": ["d"]}


def take_c(state):
    return {"d": state["c"], "log": ["d"]}


def flaky(state):
    if BROKEN and BROKEN[0]:
        msg = "not now"
        raise RuntimeError(msg)
    return {"d": "F", "log": ["f"]}


def row(*functions) -> StateGraph:
    graph = StateGraph(State)
    previous = START
    for function in functions:
        graph.add_node(function)
        graph.add_edge(previous, function.__name__)
        previous = function.__name__
    return graph.add_edge(previous, END)


def asking() -> StateGraph:
    return row(give_a, give_b, ask, give_c, add_one)


def straight() -> StateGraph:
    return row(give_a, give_b, give_c, add_one)


THREAD = {"configurable": {"thread_id": "1"}}
PAIRS = [("original", "fast"), ("fast", "original"), ("fast", "fast")]
each_pair = pytest.mark.parametrize(("first", "second"), PAIRS)
to_fast = pytest.mark.parametrize("first", ["original", "fast"])


def pair(make, **options):
    """Return both graphs, on one saver."""
    saver = InMemorySaver()
    return {
        "original": make().compile(checkpointer=saver, **options),
        "fast": parallelize(make()).compile(checkpointer=saver, **options),
    }


def shown(result):
    """Return a result without the identifiers that name a checkpoint."""
    if not isinstance(result, dict):
        return result
    return {k: _shown_interrupts(v) if k == "__interrupt__" else v for k, v in result.items()}


def _shown_interrupts(found: list[Interrupt]):
    return [one.value for one in found]


def standing(graph, config=THREAD):
    state = graph.get_state(config)
    return state.next, state.values


def same(play, first, second):
    """Check that two graphs in turn give what the original gives alone."""
    assert play(first, second) == play("original", "original")


@each_pair
def test_interrupted_thread_is_resumed_by_either_graph(first, second):
    def play(before, after):
        graphs = pair(asking)
        steps = [shown(graphs[before].invoke({"x": 1}, THREAD)), standing(graphs[after])]
        steps += [shown(graphs[after].invoke(Command(resume="yes"), THREAD))]
        return [*steps, standing(graphs[before]), shown(graphs[before].invoke({"x": 5}, THREAD))]

    same(play, first, second)


@each_pair
def test_interrupted_thread_is_resumed_by_either_graph_on_an_event_loop(first, second):
    async def run(before, after):
        graphs = pair(asking)
        steps = [shown(await graphs[before].ainvoke({"x": 1}, THREAD))]
        steps.append((await graphs[after].aget_state(THREAD)).next)
        steps.append(await graphs[after].ainvoke(Command(resume="yes"), THREAD))
        steps.append((await graphs[after].aget_state(THREAD)).next)
        return [*steps, shown(await graphs[before].ainvoke({"x": 2}, THREAD))]

    same(lambda *names: asyncio.run(run(*names)), first, second)


@pytest.mark.parametrize("checkpointer", [None, True, False])
@pytest.mark.parametrize("called", [False, True])
@each_pair
def test_sub_graph_that_pauses_is_resumed_by_either_graph(first, second, called, checkpointer):
    def play(before, after):
        saver = InMemorySaver()

        def build(name):
            inner = row(give_a, give_b, ask, give_c)
            compiled = (parallelize(inner) if name == "fast" else inner).compile(
                checkpointer=checkpointer
            )

            def call(state):
                found = compiled.invoke({"x": state["x"]})
                return {key: found[key] for key in "abcd" if key in found}

            graph = StateGraph(State).add_node("inner", call if called else compiled)
            graph.add_node(add_one).add_edge(START, "inner").add_edge("inner", "add_one")
            return graph.compile(checkpointer=saver)

        graphs = {name: build(name) for name in ("original", "fast")}
        steps = []
        for answer in ("1", "2"):
            steps.append(shown(graphs[before].invoke({"x": 1}, THREAD)))
            try:
                steps.append(shown(graphs[after].invoke(Command(resume=answer), THREAD)))
            except RuntimeError as error:
                steps.append(str(error))
            steps.append(standing(graphs[after]))
        return steps

    same(play, first, second)


@pytest.mark.parametrize("option", ["interrupt_before", "interrupt_after"])
@pytest.mark.parametrize("nodes", [["give_a"], ["give_b"], ["give_c"], ["add_one"], "*"])
@each_pair
def test_run_time_interrupts_stop_where_the_original_stops(first, second, option, nodes):
    def play(before, after):
        graphs = pair(straight)
        steps = [graphs[before].invoke({"x": 1}, THREAD, **{option: nodes})]
        for _ in range(4):
            steps += [standing(graphs[after]), graphs[after].invoke(None, THREAD)]
        return steps

    same(play, first, second)


@pytest.mark.parametrize("option", ["interrupt_before", "interrupt_after"])
@pytest.mark.parametrize("nodes", [["give_b"], ["give_c"], "*"])
@pytest.mark.parametrize(("first", "second"), [("original", "fast"), ("fast", "fast")])
def test_compiled_interrupts_stop_where_the_original_stops(first, second, option, nodes):
    def play(before, after):
        graphs = pair(lambda: row(give_a, give_b, give_c, take_c), **{option: nodes})
        steps = [graphs[before].invoke({"x": 1}, THREAD)]
        for _ in range(4):
            steps += [standing(graphs[after]), graphs[after].invoke(None, THREAD)]
        return steps

    same(play, first, second)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
@to_fast
def test_failed_thread_goes_on_without_repeating_finished_nodes(first, place, durability):
    def play(before, after):
        functions = [give_a, give_b, give_c, add_one]
        functions.insert(place, flaky)
        graphs = pair(lambda: row(*functions))
        BROKEN[:] = [True]
        with pytest.raises(RuntimeError, match="not now"):
            graphs[before].invoke({"x": 1}, THREAD, durability=durability)
        BROKEN.clear()
        result = graphs[after].invoke(None, THREAD, durability=durability)
        result["log"] = sorted(result["log"])
        return result, graphs[after].get_state(THREAD).next

    same(play, first, "fast")


@to_fast
def test_abandoned_stream_goes_on(first):
    def play(before, after):
        graphs = pair(straight)
        parts = graphs[before].stream({"x": 1}, THREAD, stream_mode="updates")
        next(parts)
        parts.close()
        return graphs[after].invoke(None, THREAD)

    same(play, first, "fast")


@to_fast
def test_replay_from_every_checkpoint_ends_alike(first):
    graphs = pair(straight)
    expected = graphs[first].invoke({"x": 1}, THREAD)
    for saved in list(graphs[first].get_state_history(THREAD)):
        if saved.next:
            assert graphs["fast"].invoke(None, saved.config) == expected


@pytest.mark.parametrize("node", [None, START, "give_a", "give_b", "give_c", "add_one"])
@to_fast
def test_fork_with_an_update_ends_alike_or_is_refused(first, node):
    def forks(before, after):
        graphs = pair(straight)
        graphs[before].invoke({"x": 1}, THREAD)
        found = {}
        for saved in list(graphs[before].get_state_history(THREAD)):
            try:
                config = graphs[after].update_state(saved.config, {"b": "U"}, as_node=node)
            except RewriteError:
                continue
            values = graphs[after].get_state(config).values
            found[saved.next] = values, graphs[after].invoke(None, config)
        return found

    expected, found = forks("original", "original"), forks(first, "fast")
    common = set(expected) & set(found)
    assert {due: found[due] for due in common} == {due: expected[due] for due in common}


@pytest.mark.parametrize("node", [None, "give_a", "give_b", "give_c", "add_one"])
@to_fast
def test_finished_thread_takes_an_update(first, node):
    def play(before, after):
        graphs = pair(lambda: row(give_a, give_b, give_c, add_one))
        graphs[before].invoke({"x": 1}, THREAD)
        graphs[after].update_state(THREAD, {"a": "U"}, as_node=node)
        steps = [standing(graphs[after]), graphs[after].invoke(None, THREAD)]
        return [*steps, graphs[after].invoke({"x": 7}, THREAD)]

    same(play, first, "fast")


def ends_side_by_side() -> StateGraph:
    return row(give_a, give_b)


@to_fast
def test_finished_thread_with_two_ends_takes_an_update(first):
    def play(before, after):
        graphs = pair(ends_side_by_side)
        graphs[before].invoke({"x": 1}, THREAD)
        graphs[after].update_state(THREAD, {"x": 5})
        return standing(graphs[after]), graphs[after].invoke(None, THREAD)

    same(play, first, "fast")


@pytest.mark.parametrize("node", ["give_a", "give_b", "give_c", "add_one"])
def test_new_thread_is_started_by_an_update(node):
    def play(_, name):
        graph = pair(straight)[name]
        graph.update_state(THREAD, {"a": "U"}, as_node=node)
        return standing(graph), graph.invoke(None, THREAD)

    same(play, "fast", "fast")


@pytest.mark.parametrize("node", [None, "give_b"])
@to_fast
def test_update_before_the_answer_to_an_interrupt(first, node):
    def play(before, after):
        graphs = pair(asking)
        graphs[before].invoke({"x": 1}, THREAD)
        graphs[after].update_state(THREAD, {"a": "U"}, as_node=node)
        steps = [standing(graphs[after]), shown(graphs[after].invoke(None, THREAD))]
        return [*steps, graphs[after].invoke(Command(resume="yes"), THREAD)]

    same(play, first, "fast")


@pytest.mark.parametrize("node", ["give_a", "ask", "give_c"])
def test_update_in_the_middle_of_a_pause_is_refused_and_harmless(node):
    graph = pair(asking)["fast"]
    graph.invoke({"x": 1}, THREAD)
    with pytest.raises(RewriteError, match=node):
        graph.update_state(THREAD, {"a": "U"}, as_node=node)
    assert graph.invoke(Command(resume="yes"), THREAD)["c"] == "AB"


@pytest.mark.parametrize("node", [None, "give_b"])
@to_fast
def test_update_on_an_event_loop(first, node):
    async def run(before, after):
        graphs = pair(asking)
        await graphs[before].ainvoke({"x": 1}, THREAD)
        await graphs[after].aupdate_state(THREAD, {"a": "U"}, as_node=node)
        steps = [shown(await graphs[after].ainvoke(None, THREAD))]
        return [*steps, await graphs[after].ainvoke(Command(resume="yes"), THREAD)]

    same(lambda *names: asyncio.run(run(*names)), first, "fast")


@pytest.mark.parametrize("target", ["give_a", "give_b", "give_c", "add_one"])
@to_fast
def test_input_command_starts_at_its_target(first, target):
    def play(before, after):
        graphs = pair(straight)
        steps = [graphs[before].invoke(Command(goto=target, update={"x": 3}), THREAD)]
        steps.append(graphs[after].invoke({"x": 1}, THREAD))
        return [*steps, graphs[after].invoke(Command(goto=target), THREAD)]

    same(play, first, "fast")


@pytest.mark.parametrize("target", ["give_a", "give_b", "give_c", "add_one"])
def test_answer_with_a_target_agrees_for_a_thread_of_the_original(target):
    def play(before, after):
        graphs = pair(asking)
        graphs[before].invoke({"x": 1}, THREAD)
        return shown(graphs[after].invoke(Command(resume="yes", goto=target), THREAD))

    same(play, "original", "fast")


@each_pair
def test_new_input_restarts_a_paused_thread(first, second):
    def play(before, after):
        graphs = pair(asking)
        graphs[before].invoke({"x": 1}, THREAD)
        steps = []
        for _ in range(2):
            steps.append(shown(graphs[after].invoke({"x": 50}, THREAD)))
            steps.append(standing(graphs[after]))
        last = graphs[after].invoke(Command(resume="yes", update={"x": 9}), THREAD)
        return [*steps, shown(last)]

    same(play, first, second)


def test_mark_given_by_the_user_does_not_mislead():
    graph = pair(lambda: row(give_a, give_b, flaky, give_c, add_one))["fast"]
    BROKEN[:] = [True]
    config = {**THREAD, "metadata": {"langgraph_parallel_topology": "mine", "mine": 1}}
    with pytest.raises(RuntimeError, match="not now"):
        graph.invoke({"x": 1}, config)
    BROKEN.clear()
    assert graph.invoke(None, THREAD)["c"] == "AB"
    assert graph.get_state(THREAD).next == ()


class Dying(InMemorySaver):
    """A saver that stops saving checkpoints, as if the process had died then."""

    left = 10_000

    def put(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise OSError("killed")
        return super().put(*args, **kwargs)


@pytest.mark.parametrize("saved", [1, 2, 3])
@pytest.mark.parametrize("how", [None, "__end__"])
def test_crash_and_update_run_no_node_twice(saved, how):
    def play(make):
        saver = Dying()
        saver.left = saved
        graph = make(straight().compile(checkpointer=saver))
        with contextlib.suppress(OSError):
            graph.invoke({"x": 1}, THREAD, durability="sync")
        saver.left = 10_000
        with contextlib.suppress(RewriteError):
            graph.update_state(THREAD, None if how else {"x": 1}, as_node=how)
        return graph.invoke(None, THREAD)

    log = (play(parallelize) or {}).get("log", [])
    assert len(log) == len(set(log))


def test_graph_in_which_nothing_moved_is_left_without_a_mark():
    graph = parallelize(row(give_a, give_b).compile(checkpointer=InMemorySaver()))
    same = parallelize(row(give_a).compile(checkpointer=InMemorySaver()))
    assert graph.parallel_report.is_parallel
    assert not same.parallel_report.is_parallel
    for candidate, marked in ((graph, True), (same, False)):
        candidate.invoke({"x": 1}, THREAD)
        metadata = candidate.get_state(THREAD).metadata
        assert ("langgraph_parallel_topology" in metadata) is marked


@pytest.mark.parametrize(
    ("how", "advice"), [("__copy__", "resume the thread first"), ("give_a", "graph.original")]
)
def test_refused_update_says_what_to_do_instead(how, advice):
    graph = parallelize(straight().compile(checkpointer=InMemorySaver()))
    graph.invoke({"x": 1}, THREAD)
    saved = next(state for state in graph.get_state_history(THREAD) if "give_a" in state.next)
    with pytest.raises(RewriteError, match=advice):
        graph.update_state(saved.config, None, as_node=how)
