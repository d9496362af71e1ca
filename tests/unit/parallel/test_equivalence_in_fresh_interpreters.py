"""`assert_equivalent` lets no run find what another one left: fresh interpreters, or their lack."""

import pickle
import subprocess
import sys
import threading

import pytest
import remembering_graphs as graphs
from langchain_core.language_models import FakeListChatModel

from langgraph_parallel import AnalysisError, Effects, EquivalenceError
from langgraph_parallel.equivalence import fresh, interpreter
from langgraph_parallel.equivalence.origin import origin_of, path_of_object
from langgraph_parallel.testing import assert_equivalent

LIES = {
    "first": Effects(reads={"text"}, writes={"first"}),
    "second": Effects(reads={"text"}, writes={"printed", "attribute", "counted", "number"}),
}
"""What is left outside goes unsaid, so that both nodes share a superstep."""
GIVEN = [{"text": "x"}]
LEFT = ("printed", "attribute", "cached", "counted", "default", "number")


@pytest.fixture
def served_here(monkeypatch):
    """Requests are served by this process, one run at a time, as if it could not be copied."""

    def serve(request, folder):
        (folder / "output").touch()
        interpreter._serve(pickle.loads(fresh._pickled(request)), folder)

    monkeypatch.setattr(fresh, "_interpret", serve)
    monkeypatch.setattr(interpreter, "_why_no_copies", lambda opened: "it is a test")


def test_name_object_and_factory_lead_to_the_module():
    assert origin_of("remembering_graphs:forgetful").path == "remembering_graphs:forgetful"
    assert origin_of(graphs.forgetful).path == "remembering_graphs:forgetful"
    assert origin_of(graphs.make_forgetful).path == "remembering_graphs:make_forgetful"
    assert origin_of(lambda: graphs.forgetful).path == ""


def test_what_a_node_leaves_outside_of_the_state_is_not_found_by_other_runs():
    with pytest.raises(EquivalenceError, match="the final states differ") as caught:
        assert_equivalent(graphs.forgetful, GIVEN, effects=LIES)
    assert "Compared each run by an interpreter that had run nothing before" in str(caught.value)
    assert all(repr(key) in str(caught.value).partition(";")[0] for key in LEFT)
    assert "pass it through the state, or declare external" in str(caught.value)


def test_a_graph_that_counts_its_runs_is_no_false_alarm():
    compared = assert_equivalent(
        "remembering_graphs:make_tally", GIVEN * 2, effects_log="remembering_graphs:done"
    )
    assert compared == 2
    assert compared.how == "each run by an interpreter that had run nothing before"
    assert compared.output == "\n".join(["counting"] * 4)


def test_where_a_process_cannot_be_copied_an_interpreter_makes_one_run(served_here):
    compared = assert_equivalent("remembering_graphs:make_tally", GIVEN * 2, isolate="always")
    assert compared == 2


def test_a_log_that_is_given_as_an_object_is_found(served_here):
    compared = assert_equivalent(
        graphs.make_tally, GIVEN, effects_log=graphs.done, isolate="always"
    )
    assert compared == 1


@pytest.mark.skipif(sys.platform != "linux", reason="no process is copied elsewhere")
def test_a_process_with_threads_is_not_copied():
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert interpreter._why_no_copies(0) == "importing the graph starts threads"
    end.set()
    thread.join()


def test_a_run_whose_process_ends_differs():
    with pytest.raises(EquivalenceError, match="did not end: its process ended with status 3"):
        assert_equivalent(graphs.make_ending, GIVEN, effects=LIES)


def test_a_copy_that_takes_too_long_is_stopped(tmp_path):
    code = (
        "import pathlib, sys, threading\n"
        "from langgraph_parallel.equivalence.interpreter import _in_a_copy\n"
        f"path = pathlib.Path({str(tmp_path / 'x')!r})\n"
        "print(_in_a_copy(threading.Event().wait, path, 0.05))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "it was stopped after 0.05 s"


# -- where there can be no fresh interpreter -------------------------------------------------------


def make_locally():
    notes = {}

    def leave(state):
        threading.Event().wait(0.02)
        notes["x"] = state["text"]
        return {"first": 1}

    return graphs.pair(leave, lambda state: {"printed": f"{notes}"})


@pytest.mark.parametrize("graph", [make_locally(), lambda: make_locally()], ids=["graph", "made"])
def test_local_graph_is_run_here_the_parallel_form_first(graph):
    with pytest.raises(EquivalenceError, match="the final states differ in 'printed'") as caught:
        assert_equivalent(graph, GIVEN, effects=LIES)
    assert "in this process, the parallel form first" in str(caught.value)
    assert "no global of a module" in str(caught.value)


def test_how_says_the_order_and_its_limits():
    compared = assert_equivalent(make_locally(), GIVEN)
    assert compared == 1
    assert "in this process, in both orders" in compared.how
    assert "'package.module:graph'" in compared.how


def test_each_run_in_this_process_gets_a_graph_of_its_own():
    def make():
        tally = graphs.Tally()
        return graphs.pair(tally.count, tally.look)

    assert assert_equivalent(make, GIVEN * 2) == 2
    with pytest.raises(EquivalenceError, match="run once more, differs from itself"):
        assert_equivalent(make(), GIVEN)


def test_a_model_that_a_test_put_into_the_module_stays(monkeypatch):
    class Fake(FakeListChatModel):
        pass

    monkeypatch.setattr(graphs, "model", Fake(responses=[""]))
    compared = assert_equivalent(graphs.asking, GIVEN)
    assert "in this process" in compared.how
    assert "remembering_graphs.model is test_equivalence" in compared.how


def test_a_graph_that_answers_otherwise_here_is_compared_here():
    compared = assert_equivalent(graphs.placed, GIVEN)
    assert "answers otherwise when remembering_graphs:placed is imported afresh" in compared.how


def test_what_cannot_be_pickled_is_compared_here(served_here):
    compared = assert_equivalent(graphs.make_tally, [{"text": lambda: 1}])
    assert "the inputs cannot be pickled" in compared.how
    with pytest.raises(AnalysisError, match="cannot be pickled"):
        assert_equivalent(graphs.make_tally, [{"text": lambda: 1}], isolate="always")
    with pytest.raises(AnalysisError, match="what a run shows cannot be pickled"):
        assert_equivalent(graphs.locked, GIVEN, isolate="always")


def test_a_log_of_a_test_is_kept_here():
    compared = assert_equivalent(graphs.make_tally, GIVEN, effects_log=[])
    assert "effects_log is no global" in compared.how


def test_graph_of_the_main_module_has_no_path(monkeypatch):
    graph = make_locally()
    monkeypatch.setattr(sys.modules["__main__"], "a_graph", graph, raising=False)
    assert path_of_object(graph) == ""
    monkeypatch.setattr(graphs, "a_graph", graph, raising=False)
    assert path_of_object(graph) == "remembering_graphs:a_graph"


def test_a_module_that_checks_itself_when_imported_is_not_run_for_ever(monkeypatch):
    monkeypatch.setattr(interpreter, "_inside", ["app:graph"])
    with pytest.raises(AnalysisError, match="while app:graph was imported or run"):
        assert_equivalent(make_locally(), GIVEN)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("remembering_graphs", "write 'package.module:graph'"),
        ("remembering_graphs:lost", "has no 'lost'"),
        ("remembering_graphs:notes", "is or returns a dict, not a graph"),
        (3, "int, not a graph"),
        (dict, "dict is or returns a dict, not a graph"),
    ],
)
def test_what_leads_to_no_graph_is_refused(graph, message):
    with pytest.raises(AnalysisError, match=message):
        origin_of(graph).make()
