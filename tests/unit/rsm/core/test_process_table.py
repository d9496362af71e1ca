"""The process table: what is counted for a program, and when it is forgotten."""

import pytest


def test_attained_service_sums_engine_time_only(drive):
    core = drive()
    core.run("c1", seconds=2)
    core.submit("hold", "x")
    core.submit("c2")
    core.at(10).cancel("hold")
    core.at(11).start("c2")
    core.at(14).finish("c2")
    program = core.program()
    assert program.attained_s == 5
    assert program.wait_s == 8
    assert program.finished == 2


@pytest.mark.parametrize("ending", ["fail", "cancel"])
def test_engine_time_of_a_call_without_answer_counts(drive, ending):
    core = drive()
    core.submit("c1")
    core.start("c1")
    core.now = 3
    getattr(core, ending)("c1")
    assert core.program().attained_s == 3


def test_concurrent_calls_add_up_in_sum_but_not_in_the_critical_path(drive):
    core = drive(capacity={"e": 2})
    for name in ("c1", "c2"):
        core.submit(name)
        core.start(name)
    core.at(4).finish("c1")
    core.at(5).finish("c2")
    core.run("c3", seconds=1)
    program = core.program()
    assert program.attained_s == 10
    assert program.critical_path_s == 6


def test_wait_is_the_union_of_intervals(drive):
    core = drive()
    core.submit("hold", "x")
    core.at(1).submit("c1")
    core.at(2).submit("c2")
    core.at(4)
    assert core.program().wait_s == 3
    core.cancel("c1")
    core.at(6).cancel("c2")
    core.at(9)
    assert core.program().wait_s == 5


def test_threads_and_engines_are_listed(drive):
    core = drive(capacity={"a": 1, "b": 1})
    core.submit("c1", engines=("a",), thread_id="left")
    core.submit("c2", engines=("b",), thread_id="right")
    assert core.program().threads == ("left", "right")
    core.cancel("c1")
    program = core.program()
    assert program.threads == ("right",)
    assert dict(program.engines) == {"a": 1, "b": 1}


def test_ended_program_leaves_at_once_when_idle(drive):
    core = drive()
    core.run("c1", seconds=1)
    assert core.end("p") == ["retire p"]
    assert core.program() is None


def test_ended_program_leaves_with_its_last_call(drive):
    core = drive()
    core.submit("c1")
    assert core.end("p") == []
    assert core.cancel("c1") == ["retire p"]


def test_ending_an_unknown_program_changes_nothing(drive):
    assert drive().end("nobody") == []


def test_stale_program_is_forgotten_after_its_ttl(drive):
    core = drive(program_ttl_s=10)
    core.run("c1", seconds=1)
    assert core.at(11).submit("x1", "x") == ["x1->e"]
    assert core.at(11.5).cancel("x1") == ["retire p"]


def test_returning_program_is_not_stale(drive):
    core = drive(program_ttl_s=10)
    core.run("c1", seconds=1)
    core.at(10).submit("c2")
    assert core.at(50).cancel("c2") == []
    assert core.program().finished == 2
