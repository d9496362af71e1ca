"""Admission: windows, rate limits, working sets, health, and moves between engines."""

import pytest

from langgraph_rsm.core.call import TokenUsage
from langgraph_rsm.core.engines.admission import Pause, RateLimit
from langgraph_rsm.core.engines.balancer import Autellix, Cost, PowerOfTwo, Prefix
from langgraph_rsm.core.engines.health import EngineHealth, HealthState
from langgraph_rsm.core.engines.working_set import WorkingSet
from langgraph_rsm.core.events import Fault, RateHeaders
from langgraph_rsm.core.policies import Plas


def test_adaptive_window_bounds_the_calls_in_flight(drive):
    core = drive(capacity={"e": 100}, adaptive_window=True)
    got = [core.submit(f"c{n}") for n in range(20)]
    assert sum(map(len, got)) == 16
    core.observe(waiting=3)
    core.start("c0")
    assert core.at(1).finish("c0") == []  # fifteen in flight, thirteen allowed


def test_rate_limit_refills_evenly():
    limit = RateLimit(60, 0.0)
    limit.take(60)
    assert limit.ready_s(1, 0.0) == pytest.approx(1)
    assert limit.ready_s(30, 0.0) == pytest.approx(30)
    assert limit.ready_s(30, 31.0) == 31
    assert limit.ready_s(1e9, 0.0 + 60) == 60  # more than ever fits goes when it is full


def test_calls_wait_for_the_request_limit_and_the_core_says_until_when(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, requests_per_minute=2)
    assert [core.submit(f"c{n}") for n in range(3)] == [["c0->e"], ["c1->e"], []]
    assert core.core.wakeup_s == pytest.approx(30)
    assert core.at(29.9).tick() == []
    assert core.at(30.1).tick() == ["c2->e"]
    assert core.core.wakeup_s is None


def test_tokens_are_reserved_and_settled(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, tokens_per_minute=1000)
    core.submit("big", prompt_tokens=700, output_tokens=300)
    assert core.submit("next", prompt_tokens=500) == []
    core.start("big")
    usage = TokenUsage(input_tokens=100, output_tokens=100)
    assert core.at(0.5).finish("big", tokens=usage) == ["next->e"]


def test_small_calls_do_not_overtake_a_large_one_forever(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, tokens_per_minute=1000)
    core.submit("first", prompt_tokens=900)
    assert core.submit("large", prompt_tokens=900) == []
    assert core.submit("small", prompt_tokens=50) == []
    assert core.at(48.1).tick()[0] == "large->e"


def test_refused_engine_is_left_alone_as_long_as_it_asks(drive):
    core = drive(capacity={"e": 10})
    core.submit("c1")
    core.start("c1")
    core.fail("c1", fault=Fault.RATE_LIMIT, retry_after_s=7.0)
    assert core.submit("c2") == []
    assert core.core.wakeup_s == 7
    assert core.at(7).tick() == ["c2->e"]


def test_refusals_without_a_time_back_off():
    pause = Pause()
    times = []
    for _ in range(8):
        pause.until_s = 0.0
        pause.refused(0.0, None)
        times.append(pause.until_s)
    assert times == [1, 2, 4, 8, 16, 32, 60, 60]


def test_headers_of_a_response_are_believed(drive):
    core = drive(capacity={"e": 10})
    core.observe(headers=RateHeaders(remaining_requests=0, reset_requests_s=12.0))
    assert core.submit("c1") == []
    assert core.at(12).tick() == ["c1->e"]
    core.engine("e", 10, tokens_per_minute=6000)
    core.observe(headers=RateHeaders(remaining_tokens=10))
    assert core.submit("c2", prompt_tokens=110) == []
    assert core.at(13.1).tick() == ["c2->e"]


def test_working_set_counts_contexts_once():
    memory = WorkingSet(1000)
    memory.hold("a", 300)
    memory.hold("a", 500)
    memory.hold("b", 400)
    assert memory.used_tokens == 900
    assert memory.ready_s(1, 0, 5.0, idle=False) == float("inf")
    memory.leave("a")
    assert memory.ready_s(500, 0, 5.0, idle=False) == 5.0


def test_working_set_pauses_the_program_that_has_acted_longest():
    memory = WorkingSet(1000)
    for name in "abc":
        memory.hold(name, 300)
    memory.rest("b", 1.0)
    memory.rest("a", 2.0)
    assert memory.ready_s(300, 0, 2.5, idle=False) == 3.0
    assert memory.ready_s(300, 0, 3.0, idle=False) == 3.0
    assert memory.make_room("d", 300, 0, 3.0, idle=False) == []
    assert "b" not in memory
    assert "a" in memory
    memory.make_room("d", 600, 0, 3.0, idle=True)
    assert "a" not in memory
    assert memory.ready_s(900, 0, 9.0, idle=False) == float("inf")


def test_waiting_programs_make_way_for_better_ranks_the_worst_and_latest_first():
    memory = WorkingSet(1000)
    for index, (name, level) in enumerate([("a", 1), ("b", 4), ("c", 4)]):
        memory.hold(name, 300)
        memory.wait(name, (level, 0), index)
    assert memory.ready_s(200, 3, 9.0, idle=False) == float("inf")  # not for one level
    assert memory.make_room("d", 200, 3, 9.0, idle=False) == []
    assert memory.ready_s(200, 2, 9.0, idle=False) == 9.0
    assert memory.make_room("d", 200, 2, 9.0, idle=False) == ["c"]
    memory.hold("d", 200)
    # A resident whose own context has grown displaces whoever has no slot, whatever the rank.
    assert memory.make_room("d", 500, 9, 9.0, idle=False) == ["b"]
    assert "a" in memory


def test_growing_context_displaces_who_waits_before_who_has_just_begun_to_act():
    memory = WorkingSet(1000)
    for name in "abc":
        memory.hold(name, 300)
    memory.rest("a", 9.0)
    memory.wait("b", (0, 0), 0)
    assert memory.make_room("c", 400, 9, 9.5, idle=False) == ["b"]
    assert "a" in memory
    memory.hold("c", 500)
    assert memory.make_room("c", 700, 9, 9.5, idle=False) == []  # nobody else is left
    assert "a" not in memory


def test_resident_program_that_waits_does_not_count_as_acting(drive):
    core = drive(Plas(), capacity={"e": 1})
    core.engine("e", 1, kv_tokens=1000)
    core.run("a1", "a", seconds=40, prompt_tokens=500)
    core.submit("b1", "b", prompt_tokens=200)
    core.start("b1")
    core.at(41).submit("a2", "a", prompt_tokens=600)
    memory = core.core.engines["e"].memory
    assert "a" in memory
    core.at(60).submit("c1", "c", prompt_tokens=700)  # little served: a makes way, and waits on
    assert core.finish("b1") == ["c1->e"]
    assert "a" not in memory
    core.start("c1")
    assert core.at(61).finish("c1") == ["a2->e"]  # an idle engine waits for nobody who acts


def test_program_comes_in_when_it_will_fit_as_grown_as_others_of_its_graph_were(drive):
    core = drive(capacity={"e": 2})
    core.engine("e", 2, kv_tokens=1000)
    usage = TokenUsage(input_tokens=500, output_tokens=100, cached_tokens=0)
    core.submit("a1", "a", graph="chat", prompt_tokens=10)
    core.start("a1")
    core.at(1).finish("a1", tokens=usage)
    core.end("a")
    assert core.submit("b1", "b", graph="chat", prompt_tokens=10) == ["b1->e"]
    assert core.submit("c1", "c", graph="chat", prompt_tokens=10) == []  # 600 + 600 > 900
    assert core.submit("d1", "d", graph="other", prompt_tokens=10) == []  # nor does it pass c
    core.start("b1")
    assert core.at(2).finish("b1", tokens=usage) == ["c1->e", "d1->e"]


def test_program_leaves_the_memory_it_moves_away_from(drive):
    core = drive(capacity={"a": 1, "b": 1})
    core.engine("a", 1, kv_tokens=1000)
    core.engine("b", 1, kv_tokens=1000)
    core.run("c1", "p", engines=("a",), seconds=1, prompt_tokens=500)
    core.submit("c2", "p", engines=("b",), prompt_tokens=500)
    assert "p" not in core.core.engines["a"].memory
    assert "p" in core.core.engines["b"].memory


def test_program_that_does_not_fit_waits_for_another_to_end(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, kv_tokens=1000)
    core.submit("a1", "a", prompt_tokens=600)
    assert core.submit("b1", "b", prompt_tokens=600) == []
    assert core.submit("a2", "a", prompt_tokens=600) == ["a2->e"]  # its context is there
    core.cancel("a2")
    core.start("a1")
    core.finish("a1")
    assert core.core.record("b1").engine_id == "e"  # nothing else to do: a is paused
    assert core.submit("a3", "a", prompt_tokens=600) == []
    core.cancel("b1")
    assert core.core.record("a3").engine_id == "e"


def test_acting_program_keeps_its_place_for_a_moment(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, kv_tokens=1000)
    core.submit("hold", "x", prompt_tokens=100)
    core.submit("a1", "a", prompt_tokens=600)
    core.submit("b1", "b", prompt_tokens=600)
    core.start("a1")
    assert core.finish("a1") == []
    assert core.core.wakeup_s == 2
    assert core.at(1).submit("a2", "a", prompt_tokens=650) == ["a2->e"]
    core.start("a2")
    assert core.at(3).finish("a2") == []
    assert core.at(5).tick() == ["b1->e"]


def test_context_larger_than_the_memory_runs_alone(drive):
    core = drive(capacity={"e": 10})
    core.engine("e", 10, kv_tokens=1000)
    assert core.submit("huge", prompt_tokens=5000) == ["huge->e"]


def test_health_goes_down_after_failures_in_a_row_and_is_probed():
    health = EngineHealth()
    assert [health.failed(0.0) for _ in range(3)] == [False, False, True]
    assert health.state(4.9) is HealthState.DOWN
    assert health.state(5.0) is HealthState.PROBING
    assert health.failed(5.0)
    assert health.state(14.9) is HealthState.DOWN
    health.succeeded()
    assert health.state(15.0) is HealthState.UP


def break_down(core, engine):
    for n in range(3):
        core.submit(f"{engine}-fault{n}", f"{engine}-fault{n}", engines=(engine,))
        core.start(f"{engine}-fault{n}")
        core.fail(f"{engine}-fault{n}", fault=Fault.ENGINE)


def test_calls_go_around_an_engine_that_is_down_until_a_probe_succeeds(drive):
    core = drive(capacity={"a": 2, "b": 2})
    both = ("a", "b")
    break_down(core, "a")
    got = [core.submit(f"c{n}", f"p{n}", engines=both) for n in range(3)]
    assert got == [["c0->b"], ["c1->b"], []]
    assert core.core.wakeup_s == 5
    assert core.at(5).tick() == ["c2->a"]
    assert core.submit("c3", "p3", engines=both) == []  # one probe at a time
    core.start("c2")
    assert core.at(6).finish("c2") == ["c3->a"]
    assert core.submit("c4", "p4", engines=both) == ["c4->a"]


def test_call_of_one_engine_only_fails_rather_than_waits(drive):
    core = drive(capacity={"a": 2, "b": 2})
    break_down(core, "a")
    assert core.submit("only", engines=("a",)) == ["only->a"]


def bound(drive, balancer=None, **capacity):
    """`old` has its home at `a`, all engines are full, and its next call waits."""
    core = drive(balancer=balancer or Cost(prefill_s=1.0), capacity=capacity or {"a": 1, "b": 1})
    core.submit("o1", "old", engines=("a", "b"), prompt_tokens=5000)
    core.submit("hold-b", "y", engines=("b",))
    core.start("o1")
    core.finish("o1")
    core.submit("hold-a", "x", engines=("a",))
    assert core.submit("o2", "old", engines=("a", "b"), prompt_tokens=5000) == []
    return core


@pytest.mark.parametrize("balancer", [Cost(prefill_s=1.0), Autellix()])
def test_program_with_a_long_context_waits_for_its_engine(drive, balancer):
    core = bound(drive, balancer)
    assert core.cancel("hold-b") == []
    assert core.cancel("hold-a") == ["o2->a"]


def test_program_moves_when_computing_its_context_is_cheap(drive):
    core = bound(drive, Cost(prefill_s=1e-6))
    assert core.cancel("hold-b") == ["o2->b"]


def test_short_prompts_go_anywhere_under_autellix(drive):
    core = drive(balancer=Autellix(), capacity={"a": 1, "b": 1})
    core.submit("o1", "old", engines=("a", "b"), prompt_tokens=2048)
    core.submit("o2", "old", engines=("a", "b"), prompt_tokens=2048)
    assert core.core.record("o2").engine_id == "b"


def test_drained_engine_hands_its_waiting_calls_on(drive):
    core = bound(drive)
    core.cancel("hold-b")
    assert core.engine("a", 0) == ["o2->b"]


def test_lost_engine_hands_its_waiting_calls_on(drive):
    core = drive(balancer=Cost(prefill_s=1.0), capacity={"a": 3, "b": 1})
    core.submit("o1", "old", engines=("a", "b"), prompt_tokens=5000)
    core.start("o1")
    core.finish("o1")
    for n in range(3):
        core.submit(f"h{n}", f"h{n}", engines=("a",))
        core.start(f"h{n}")
    assert core.submit("o2", "old", engines=("a", "b"), prompt_tokens=5000) == []
    core.fail("h0", fault=Fault.CALL)
    assert core.core.record("o2").engine_id == "a"
    core.submit("h3", "h3", engines=("a",))
    core.submit("o3", "old", engines=("a", "b"), prompt_tokens=5000)
    core.fail("h1", fault=Fault.ENGINE)
    core.fail("h2", fault=Fault.ENGINE)
    core.start("o2")
    core.submit("o4", "old", engines=("a", "b"), prompt_tokens=5000)
    core.fail("o2", fault=Fault.ENGINE)
    assert core.core.engines["a"].health.state(core.now) is HealthState.DOWN
    waiting = {ticket.call_id: ticket.engines for ticket in core.core.waiting}
    assert all(engines != ("a",) for name, engines in waiting.items() if name.startswith("o"))


def test_prefix_keeps_calls_with_a_shared_prefix_together(drive):
    core = drive(balancer=Prefix(), capacity={"a": 5, "b": 5, "c": 5})
    homes = {}
    for n in range(9):
        prefix = f"system-{n % 3}"
        core.submit(f"c{n}", f"p{n}", engines=("a", "b", "c"), prefix_id=prefix)
        homes.setdefault(prefix, set()).add(core.core.record(f"c{n}").engine_id)
    assert all(len(engines) == 1 for engines in homes.values())


def test_cost_sends_new_programs_where_their_prefix_is(drive):
    core = drive(balancer=Cost(prefill_s=0.01), capacity={"a": 4, "b": 4})
    shared = {"prefix_id": "system", "prefix_tokens": 1000, "prompt_tokens": 1100}
    for n in range(3):
        core.submit(f"c{n}", f"p{n}", engines=("a", "b"), **shared)
    assert {core.core.record(f"c{n}").engine_id for n in range(3)} == {"a"}


def test_power_of_two_repeats_with_the_same_seed(drive):
    def play(seed):
        core = drive(balancer=PowerOfTwo(seed), capacity=dict.fromkeys("abcd", 8))
        return [core.submit(f"c{n}", engines=tuple("abcd")) for n in range(20)]

    assert play(1) == play(1) != play(2)


def test_one_common_prefix_does_not_fill_one_engine_while_others_idle(drive):
    core = drive(balancer=Prefix(), capacity={"a": 8, "b": 8, "c": 8})
    for n in range(24):
        core.submit(f"c{n}", f"p{n}", engines=("a", "b", "c"), prefix_id="system")
        # Never more than a quarter above its share, rounded up.
        most = max(len(engine.in_flight) for engine in core.core.engines.values())
        assert most <= 1.25 * (n + 1) / 3 + 1
    assert len(core.core.waiting) == 0


def test_cost_computes_a_common_prefix_on_further_engines(drive):
    core = drive(balancer=Cost(prefill_s=0.001), capacity={"a": 64, "b": 64})
    shared = {"prefix_id": "system", "prefix_tokens": 1000, "prompt_tokens": 1100}
    for n in range(20):
        core.submit(f"c{n}", f"p{n}", engines=("a", "b"), **shared)
    loads = [len(engine.in_flight) for engine in core.core.engines.values()]
    assert min(loads) >= 6


def load_engines(core, **calls):
    """Put calls of 1 s on average into engines."""
    for engine, count in calls.items():
        for n in range(count):
            core.submit(f"{engine}{n}", f"{engine}{n}", engines=(engine,))


def test_cost_keeps_a_program_at_home_though_another_engine_is_a_little_less_busy(drive):
    core = drive(balancer=Cost(prefill_s=0.0002), capacity={"a": 10, "b": 10})
    core.run("o1", "old", seconds=1, engines=("a", "b"), prompt_tokens=500)
    load_engines(core, a=3, b=1)
    assert core.submit("o2", "old", engines=("a", "b"), prompt_tokens=600) == ["o2->a"]
    assert core.submit("n1", "new", engines=("a", "b"), prompt_tokens=600) == ["n1->b"]


def test_cost_moves_a_short_context_away_from_a_busy_engine(drive):
    core = drive(balancer=Cost(prefill_s=0.0002), capacity={"a": 10, "b": 10})
    core.run("o1", "old", seconds=1, engines=("a", "b"), prompt_tokens=500)
    load_engines(core, a=9)
    assert core.submit("o2", "old", engines=("a", "b"), prompt_tokens=600) == ["o2->b"]
    core.run("l1", "long", seconds=1, engines=("a",), prompt_tokens=20_000)
    assert core.submit("l2", "long", engines=("a", "b"), prompt_tokens=20_000) == ["l2->a"]


def test_cost_of_a_context_grows_with_the_calls_that_wait_while_it_is_computed(drive):
    def moved(in_flight):
        core = drive(balancer=Cost(prefill_s=0.0002), capacity={"a": 20, "b": 20})
        core.run("o1", "old", seconds=1, engines=("a",), prompt_tokens=1000)
        load_engines(core, a=in_flight + 8, b=in_flight)
        return core.submit("o2", "old", engines=("a", "b"), prompt_tokens=1000) == ["o2->b"]

    assert moved(0)
    assert not moved(10)


def test_cost_does_not_blame_an_engine_for_long_calls(drive):
    core = drive(balancer=Cost(), capacity={"a": 10, "b": 10})
    for n in range(20):
        core.run(f"long{n}", f"long{n}", seconds=100, engines=("b",))
    load_engines(core, a=2, b=1)
    assert core.submit("n1", "new", engines=("a", "b"), prompt_tokens=600) == ["n1->b"]
