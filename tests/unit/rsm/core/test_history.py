"""Histories and survival curves: what is learned, forgotten, saved and loaded."""

import json

import pytest

from langgraph_rsm import ConfigError, Scheduler, SchedulerConfig
from langgraph_rsm.core.policies import Auto
from langgraph_rsm.core.programs.history import History
from langgraph_rsm.core.programs.survival import BINS, EDGES_S, SurvivalCurve, bin_of, gittins_index
from langgraph_rsm.runtime.history_file import load_history, save_history


@pytest.mark.parametrize("at_bin", range(BINS - 1))
def test_bins_are_contiguous(at_bin):
    low, high = EDGES_S[at_bin : at_bin + 2]
    assert bin_of(low * 1.000001) == bin_of(high * 0.999999) == at_bin


def curve(*totals_s, running_s=()):
    result = SurvivalCurve()
    for total_s in totals_s:
        result.enter()
        result.move(0, bin_of(total_s))
        result.leave(bin_of(total_s), ended=True)
    for service_s in running_s:
        result.enter()
        result.move(0, bin_of(service_s))
    return result


def test_hazard_is_the_share_of_those_who_got_there():
    hazards = curve(*[1.0, 100.0] * 500).hazards()
    assert hazards[bin_of(1.0)] == pytest.approx(0.5, abs=0.01)
    assert hazards[bin_of(10.0)] < 0.01
    assert hazards[bin_of(100.0)] > 0.99


def test_with_nothing_known_the_index_grows_with_the_service():
    indices = [SurvivalCurve().index_s(at_bin) for at_bin in range(BINS - 4)]
    assert indices == sorted(indices)


def test_running_programs_lower_the_hazard_they_have_passed():
    passed = bin_of(5.0)
    few = curve(*[5.0] * 10).hazards()[passed]
    assert curve(*[5.0] * 10, running_s=[50.0] * 90).hazards()[passed] < few / 3


def test_index_of_a_known_length_is_what_remains():
    known = curve(*[64.0] * 500)
    assert known.index_s(0) == pytest.approx(64, rel=0.3)
    assert known.index_s(bin_of(60.0)) < 20


def test_child_without_evidence_equals_its_parent():
    parent = curve(*[3.0] * 50)
    assert SurvivalCurve(parent).hazards() == pytest.approx(parent.hazards())


def test_old_evidence_fades():
    drifted = curve(*[1.0] * 3000, *[100.0] * 3000)
    assert drifted.hazards()[bin_of(1.0)] < 0.1


def test_indices_are_finite_and_positive():
    for hazard in (0.0, 0.2):
        indices = [gittins_index(b, [hazard] * BINS) for b in range(BINS)]
        assert all(0 < index < float("inf") for index in indices)


def trained(drive):
    policy = Auto()
    core = drive(policy)
    for n in range(25):
        core.run(f"a{n}", f"p{n}", graph="g", call_site="g/plan", seconds=2)
        core.run(f"b{n}", f"p{n}", graph="g", call_site="g/work", seconds=20)
        core.end(f"p{n}")
    return policy.history, core


def test_call_site_counts_for_half_at_most_and_only_by_what_has_ended(drive):
    history, core = trained(drive)
    core.run("x1", "x", graph="g", call_site="g/plan", seconds=2)
    core.submit("x2", "x", graph="g", call_site="g/work")
    entry = core.core.programs.get("x")
    kind_s = history.index_s(entry, by_state=False)
    visit = entry.track.current
    state_s = visit.curve.index_s(visit.bin)
    weight = 0.5 * 25 / (25 + 50)
    assert state_s != pytest.approx(kind_s)
    assert history.index_s(entry, by_state=True) == pytest.approx(
        kind_s ** (1 - weight) * state_s**weight
    )
    for n in range(100):  # these only wait: nothing is known of them yet
        core.submit(f"n{n}", f"n{n}", graph="g", call_site="g/new")
    waiting = core.core.programs.get("n0")
    assert history.index_s(waiting, by_state=True) == history.index_s(waiting, by_state=False)


def test_saved_history_gives_the_same_indices(drive, tmp_path):
    history, core = trained(drive)
    path = tmp_path / "history.json"
    save_history(history, path)
    loaded = Auto(load_history(path))
    fresh = drive(loaded)
    for probe, policy in ((core, Auto(history)), (fresh, loaded)):
        probe.run("x1", "x", graph="g", call_site="g/plan", seconds=2)
        entry = probe.core.programs.get("x")
        assert policy.history.index_s(entry, by_state=False) == pytest.approx(20, rel=0.4)
    assert loaded.history.call_s(probe.core.record("x1").call) == pytest.approx(2)


def test_history_holds_names_and_numbers_only(drive, tmp_path):
    history, _ = trained(drive)
    save_history(history, tmp_path / "h.json")
    document = json.loads((tmp_path / "h.json").read_text())
    assert set(document["kinds"]) == {"g"}
    assert {state[1] for state in document["states"]} == {"g/plan", "g/work"}
    assert "p1" not in (tmp_path / "h.json").read_text()


def test_all_programs_leave_the_curves_when_they_retire(drive):
    history, _ = trained(drive)
    curves = [history._all, *history._kinds.values(), *history._states.values()]
    assert all(not any(curve.running) for curve in curves)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "all": 3}'])
def test_file_that_is_no_history_is_named(tmp_path, text):
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"history\.json' is not a history"):
        Scheduler(config=SchedulerConfig(policy="auto", history=path))


def test_missing_history_begins_a_new_one_and_can_be_saved(tmp_path):
    path = tmp_path / "history.json"
    Scheduler(config=SchedulerConfig(policy="auto", history=path)).save_history(path)
    assert Scheduler(config=SchedulerConfig(policy="gittins", history=path)).config.history == path


def test_policy_that_does_not_learn_has_no_history(tmp_path):
    with pytest.raises(ConfigError, match="'fcfs' keeps no history"):
        Scheduler("fcfs").save_history(tmp_path / "history.json")


@pytest.mark.parametrize(
    "odd",
    [
        {"all": [[1e308] * 3, [-1] * 3]},
        {"all": [[float("inf")], []]},
        {"calls": [["k", "s", -5.0, -1]]},
        {"calls": [["k", "s", 1.0, float("inf")]]},
    ],
)
def test_odd_numbers_make_no_history(tmp_path, odd):
    path = tmp_path / "history.json"
    path.write_text(json.dumps({**History().to_document(), **odd}))
    with pytest.raises(ConfigError, match="not a history"):
        load_history(path)


def test_a_deep_document_is_no_history(tmp_path):
    path = tmp_path / "history.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="not a history"):
        load_history(path)
