"""The core: events in, instructions out; every step validated by the driver."""

import pytest

from langgraph_rsm.core.engines.balancer import RoundRobin
from langgraph_rsm.core.policies import Levels, Plas
from langgraph_rsm.errors import EngineError, InvalidTransitionError, InvariantError, SchedulerError


def test_free_slot_is_given_at_once(drive):
    assert drive().submit("c1") == ["c1->e"]


def test_full_engine_makes_a_call_wait_until_a_slot_is_free(drive):
    core = drive()
    core.submit("c1")
    assert core.submit("c2") == []
    core.start("c1")
    assert core.at(1).finish("c1") == ["c2->e"]


@pytest.mark.parametrize("ending", ["finish", "fail", "cancel"])
def test_every_ending_of_a_running_call_frees_its_slot(drive, ending):
    core = drive()
    core.submit("c1")
    core.submit("c2")
    core.start("c1")
    assert getattr(core, ending)("c1") == ["c2->e"]


def test_cancelling_a_waiting_call_takes_it_out_of_the_queue(drive):
    core = drive()
    core.submit("c1")
    core.submit("c2")
    core.submit("c3")
    assert core.cancel("c2") == []
    core.start("c1")
    assert core.finish("c1") == ["c3->e"]


def test_cancelling_between_dispatch_and_start_passes_the_slot_on(drive):
    core = drive()
    core.submit("c1")
    core.submit("c2")
    assert core.cancel("c1") == ["c2->e"]


def test_failure_before_the_start_frees_the_slot(drive):
    core = drive()
    core.submit("c1")
    assert core.fail("c1") == []
    assert core.submit("c2") == ["c2->e"]


def test_full_queue_rejects_and_forgets(drive):
    core = drive(max_queue=1)
    core.submit("c1")
    core.submit("c2")
    assert core.submit("c3", "other") == ["reject c3"]
    assert core.program("other") is None
    core.cancel("c2")
    assert core.submit("c3") == []


def test_queue_bound_of_zero_still_serves_free_slots(drive):
    core = drive(max_queue=0)
    assert core.submit("c1") == ["c1->e"]
    assert core.submit("c2") == ["reject c2"]


def test_more_capacity_serves_waiting_calls_in_order(drive):
    core = drive()
    for name in ("c1", "c2", "c3", "c4"):
        core.submit(name)
    assert core.engine("e", 3) == ["c2->e", "c3->e"]


def test_lowered_capacity_lets_running_calls_finish(drive):
    core = drive(capacity={"e": 2})
    for name in ("c1", "c2", "c3"):
        core.submit(name)
    assert core.engine("e", 1) == []
    assert core.cancel("c1") == []
    assert core.cancel("c2") == ["c3->e"]


def test_closed_engine_takes_no_calls(drive):
    core = drive()
    core.engine("e", 0)
    assert core.submit("c1") == []
    assert core.engine("e", 1) == ["c1->e"]


def test_least_used_engine_is_relative_to_capacity(drive):
    core = drive(capacity={"small": 1, "big": 4})
    both = ("small", "big")
    got = [core.submit(f"c{n}", engines=both)[0] for n in range(5)]
    assert got == ["c0->small", "c1->big", "c2->big", "c3->big", "c4->big"]


def test_round_robin_takes_engines_in_turn(drive):
    core = drive(capacity={"a": 2, "b": 2, "c": 2}, balancer=RoundRobin())
    got = [core.submit(f"c{n}", engines=("a", "b", "c"))[0] for n in range(6)]
    assert got == ["c0->a", "c1->b", "c2->c", "c3->a", "c4->b", "c5->c"]


def test_call_for_a_busy_engine_does_not_block_one_for_a_free_engine(drive):
    core = drive(capacity={"a": 1, "b": 1})
    core.submit("c1", engines=("a",))
    assert core.submit("c2", engines=("a",)) == []
    assert core.submit("c3", engines=("b",)) == ["c3->b"]


def test_freed_slot_goes_to_the_first_of_all_calls_that_can_use_it(drive):
    core = drive(capacity={"a": 1, "b": 1})
    core.submit("c1", engines=("a", "b"))
    core.submit("c2", engines=("a", "b"))
    core.submit("only-a", engines=("a",))
    core.submit("any", engines=("a", "b"))
    assert core.cancel("c2") == ["any->b"]
    assert core.cancel("c1") == ["only-a->a"]


def test_call_that_may_not_wait_goes_beyond_the_capacity(drive):
    core = drive(max_queue=0)
    core.submit("c1")
    assert core.submit("c2", may_wait=False) == ["c2->e"]
    assert core.submit("c3") == ["reject c3"]
    assert core.cancel("c1") == []
    assert core.cancel("c2") == []
    assert core.submit("c4") == ["c4->e"]


def test_oldest_call_goes_first_after_max_wait(drive):
    core = drive(Plas(Levels(levels=4, base_s=1.0)), max_wait_s=10)
    core.run("warm", "old", seconds=5)
    core.submit("hold", "x")
    core.submit("served", "old")  # level 3
    core.at(14.9).submit("fresh", "new")
    core.at(14.9).cancel("hold")
    # 9.9 s are not enough: the fresh program is served before.
    assert core.core.record("fresh").engine_id == "e"
    core.submit("fresh2", "new2")
    assert core.at(15.0).cancel("fresh") == ["served->e"]


def test_plas_serves_the_less_served_program_first(drive):
    core = drive(Plas(Levels(levels=4, base_s=1.0)))
    core.run("a1", "a", seconds=3)
    core.submit("hold", "x")
    core.submit("a2", "a")
    core.submit("b1", "b")
    assert core.cancel("hold") == ["b1->e"]


def test_second_submission_is_refused_with_the_story(drive):
    core = drive()
    core.submit("c1")
    with pytest.raises(
        InvalidTransitionError, match=r"Submitted a second time.*dispatched on e at"
    ):
        core.submit("c1")


def test_second_ending_is_refused_with_the_story(drive):
    core = drive()
    core.submit("c1")
    core.start("c1")
    core.at(2).finish("c1")
    with pytest.raises(InvalidTransitionError) as caught:
        core.cancel("c1")
    assert caught.value.call_id == "c1"
    assert [line.split()[0] for line in caught.value.story] == [
        "waiting",
        "dispatched",
        "running",
        "done",
    ]


@pytest.mark.parametrize("event", ["start", "finish", "fail"])
def test_waiting_call_can_neither_start_nor_end(drive, event):
    core = drive()
    core.submit("c1")
    core.submit("c2")
    with pytest.raises(InvalidTransitionError, match="while waiting"):
        getattr(core, event)("c2")
    core.core.validate()


def test_call_that_never_was_is_reported_as_unknown(drive):
    with pytest.raises(InvalidTransitionError, match="nothing is known"):
        drive().finish("ghost")


def test_unknown_engine_names_the_known_ones(drive):
    with pytest.raises(EngineError, match=r"\['x'\].*known are \['e'\]"):
        drive().submit("c1", engines=("x",))


def test_call_without_engines_is_refused(drive):
    with pytest.raises(EngineError, match="no engines"):
        drive().submit("c1", engines=())


def test_time_must_not_go_back(drive):
    core = drive()
    core.at(5).submit("c1")
    with pytest.raises(SchedulerError, match="time went back"):
        core.at(4).start("c1")


def test_stories_of_ended_calls_are_bounded(drive):
    core = drive()
    for number in range(1100):
        core.run(f"c{number}", seconds=0)
    assert core.core.story("c0") == ()
    assert core.core.story("c1099")[-1].startswith("done on e")


def test_validate_finds_a_lost_call(drive):
    core = drive()
    core.submit("c1")
    core.core.engines["e"].in_flight.clear()
    with pytest.raises(InvariantError, match="lost"):
        core.core.validate()


def test_validate_finds_an_idle_engine_beside_a_waiting_call(drive):
    core = drive()
    core.submit("c1")
    core.submit("c2")
    core.core.engines["e"].capacity = 2
    with pytest.raises(InvariantError, match="'c2' waits while"):
        core.core.validate()


def test_same_events_give_the_same_instructions(drive):
    def play():
        core = drive(Plas(Levels(levels=4, base_s=1.0)), capacity={"a": 2, "b": 1})
        out = []
        for n in range(30):
            out += core.at(n).submit(f"c{n}", f"p{n % 4}", engines=("a", "b") if n % 3 else ("b",))
            if n % 2:
                out += core.cancel(f"c{n - 1}")
        return out

    assert play() == play()
