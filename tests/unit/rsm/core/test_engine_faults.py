"""What the core makes of engines that fail, rest, refuse and come back."""

import pytest

from langgraph_rsm.core.call import Call
from langgraph_rsm.core.engines.balancer import Cost, RoundRobin
from langgraph_rsm.core.events import Fault, Submitted

AB = ("a", "b")


def lose(core, engine_id, now):
    """Take an engine down by failures in a row."""
    core.at(now)
    for n in range(3):
        core.submit(f"{engine_id}-{n}", engines=(engine_id,))
        core.start(f"{engine_id}-{n}")
    for n in range(3):
        core.fail(f"{engine_id}-{n}", fault=Fault.ENGINE)


@pytest.mark.parametrize("lost", AB)
@pytest.mark.parametrize("balancer", [None, RoundRobin(), Cost()])
def test_an_engine_that_comes_back_is_tried_while_others_are_free(drive, lost, balancer):
    core = drive(capacity={"a": 8, "b": 8}, balancer=balancer)
    lose(core, lost, 0.0)
    other = "b" if lost == "a" else "a"
    assert core.at(1.0).submit("early", engines=AB) == [f"early->{other}"]
    assert core.at(6.0).submit("probe", engines=AB) == [f"probe->{lost}"]
    assert core.submit("meanwhile", engines=AB) == [f"meanwhile->{other}"]
    core.start("probe")
    core.finish("probe")
    assert core.core.engines[lost].health.state(6.0) == "up"


def test_a_program_at_home_elsewhere_tries_an_engine_that_comes_back(drive):
    core = drive(capacity={"a": 8, "b": 8}, balancer=Cost())
    core.run("at-home", engines=("a",), seconds=1.0)
    lose(core, "b", 2.0)
    assert core.at(8.0).submit("probe", engines=AB) == ["probe->b"]


def test_the_balancer_balances_while_an_engine_is_down(drive):
    core = drive(capacity={"a": 8, "b": 8, "c": 8}, balancer=RoundRobin())
    lose(core, "c", 0.0)
    served = [core.submit(f"x{n}", engines=("a", "b", "c"))[0][-1] for n in range(4)]
    assert sorted(served) == ["a", "a", "b", "b"]


def test_the_balancer_balances_among_engines_with_bounded_memory(drive):
    core = drive(capacity={"a": 8, "b": 8}, balancer=RoundRobin())
    for engine_id in AB:
        core.engine(engine_id, 8, kv_tokens=1_000_000)
    served = [core.submit(f"x{n}", f"p{n}", engines=AB)[0][-1] for n in range(4)]
    assert served == ["a", "b", "a", "b"]


def test_one_lasting_refusal_takes_an_engine_out_of_the_choice(drive):
    core = drive(capacity={"a": 8, "b": 8})
    core.submit("refused", engines=("a",))
    core.start("refused")
    core.fail("refused", fault=Fault.REFUSAL)
    assert [core.submit(f"x{n}", engines=AB) for n in range(3)] == [[f"x{n}->b"] for n in range(3)]
    assert core.submit("alone", engines=("a",)) == ["alone->a"]


def test_silence_counts_only_while_nobody_else_is_answered(drive):
    core = drive(capacity={"a": 8})
    for n in range(4):
        core.submit(f"slow{n}", engines=("a",))
        core.start(f"slow{n}")
    core.at(1.0).run("quick", engines=("a",), seconds=1.0)
    for n in range(4):
        core.at(5.0).fail(f"slow{n}", fault=Fault.SILENCE)
    assert core.core.engines["a"].health.state(5.0) == "up"
    for n in range(3):
        core.submit(f"hung{n}", engines=("a",))
        core.start(f"hung{n}")
        core.at(10.0).fail(f"hung{n}", fault=Fault.SILENCE)
    assert core.core.engines["a"].health.state(10.0) == "down"


def test_an_engine_rests_for_the_key_that_was_refused(drive):
    core = drive(capacity={"a": 8})
    core.submit("one", engines=("a",), accounts=("key-1",))
    core.start("one")
    core.fail("one", fault=Fault.RATE_LIMIT, retry_after_s=5.0)
    assert core.submit("first-waits", engines=("a",), accounts=("key-1",)) == []
    assert core.submit("other-key", "q", engines=("a",), accounts=("key-2",)) == ["other-key->a"]
    assert core.core.wakeup_s == 5.0
    assert core.at(5.0).tick() == ["first-waits->a"]


def test_refusals_of_one_burst_count_once(drive):
    core = drive(capacity={"a": 8})
    for n in range(8):
        core.submit(f"x{n}", engines=("a",))
        core.start(f"x{n}")
    for n in range(8):
        core.fail(f"x{n}", fault=Fault.RATE_LIMIT)
    core.submit("next", engines=("a",))
    assert core.core.wakeup_s == 1.0


def rest(core, seconds, engine_id="a"):
    core.submit("told", engines=(engine_id,))
    core.start("told")
    return core.fail("told", fault=Fault.RATE_LIMIT, retry_after_s=seconds)


@pytest.mark.parametrize("seconds", [86_400.0, float("inf")])
def test_calls_do_not_wait_for_a_rest_beyond_their_patience(drive, seconds):
    core = drive(capacity={"a": 1})
    core.submit("told", engines=("a",))
    core.start("told")
    assert core.submit("waits", "q", engines=("a",)) == []
    told = core.fail("told", fault=Fault.RATE_LIMIT, retry_after_s=seconds)
    assert "reject waits" in told
    assert core.submit("later", engines=("a",)) == ["reject later"]


def test_an_engine_that_asked_for_a_day_is_tried_after_a_minute_by_one_call(drive):
    core = drive(capacity={"a": 8})
    rest(core, 86_400.0)
    assert core.at(59.0).submit("too-soon", engines=("a",)) == ["reject too-soon"]
    assert core.at(60.0).submit("probe", engines=("a",)) == ["probe->a"]
    assert core.submit("beside", engines=("a",)) == ["reject beside"]
    core.start("probe")
    core.finish("probe")
    assert core.submit("after", engines=("a",)) == ["after->a"]


def test_a_call_goes_where_nobody_rests(drive):
    core = drive(capacity={"a": 8, "b": 8})
    rest(core, 86_400.0)
    assert core.submit("x", engines=AB) == ["x->b"]


def test_a_short_rest_is_waited_for_unless_the_caller_has_no_time(drive):
    core = drive(capacity={"a": 8})
    rest(core, 5.0)
    hasty = Call(call_id="hasty", program_id="p", engines=("a",))
    rejected = core.core.handle(Submitted(now=0.0, call=hasty, timeout_s=2.0))[0]
    assert rejected.retry_after_s == 5.0
    assert "for another 5 s, it may wait 2 s" in rejected.reason
    assert core.submit("patient", engines=("a",)) == []


def test_a_call_that_waits_for_no_slot_waits_for_the_rest(drive):
    core = drive(capacity={"a": 1})
    rest(core, 5.0)
    call = Call(call_id="x", program_id="p", engines=("a",))
    dispatch = core.core.handle(Submitted(now=0.0, call=call, may_wait=False))[0]
    assert (dispatch.engine_id, dispatch.not_before_s) == ("a", 5.0)


def test_a_call_that_waits_for_no_slot_waits_for_the_rate(drive):
    core = drive(capacity={"a": 1})
    core.engine("a", 1, requests_per_minute=1)
    times = []
    for n in range(3):
        call = Call(call_id=f"x{n}", program_id="p", engines=("a",))
        times.append(
            core.core.handle(Submitted(now=0.0, call=call, may_wait=False))[0].not_before_s
        )
    assert times == [None, 60.0, 120.0]
