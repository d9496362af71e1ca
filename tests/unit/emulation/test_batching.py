import pytest

from langgraph_rsm.emulation import (
    EngineStateError,
    FinishReason,
    RequestRejectedError,
    SchedulingPolicy,
)


def test_every_request_gets_the_tokens_it_asked_for(engine):
    e = engine(max_num_seqs=2)
    wanted = {"a": 1, "b": 7, "c": 3, "d": 2}
    for name, out in wanted.items():
        e.submit(name, out=out)
    e.run()
    assert e.emitted == wanted
    assert {name: r.generated_tokens for name, r in e.finished.items()} == wanted


def test_prompt_iteration_emits_the_first_token(engine):
    e = engine()
    e.submit("a", out=2)
    _, outcome = e.step()
    assert outcome.emitted == outcome.first_tokens == ("a",)
    _, outcome = e.step()
    assert outcome.first_tokens == ()
    assert [r.request_id for r in outcome.finished] == ["a"]


def test_long_prompt_is_processed_in_chunks_of_the_budget(engine):
    e = engine(max_num_batched_tokens=16)
    e.submit("a", prompt=40, out=1)
    e.run()
    assert [i.prefill_tokens for i in e.iterations] == [16, 16, 8]


def test_decodes_come_first_and_chunks_share_the_rest_of_the_budget(engine):
    e = engine(max_num_batched_tokens=16)
    e.submit("a", prompt=8, out=9)
    e.submit("b", prompt=40, out=1)
    e.submit("c", prompt=4, out=1)
    shapes = [(i.decode_sequences, i.prefill_tokens) for i, _ in (e.step() for _ in range(5))]
    # 8 of a and 8 of b; then a decodes and b takes what is left, c joins the last chunk.
    assert shapes == [(0, 16), (1, 15), (1, 15), (1, 6), (1, 0)]


def test_request_waits_for_a_seat(engine):
    e = engine(max_num_seqs=1)
    e.submit("a", out=3)
    e.submit("b", out=1)
    e.step()
    assert (e.model.stats().running, e.model.stats().waiting) == (1, 1)
    assert e.run() == ["a", "b"]


def test_arrival_during_an_iteration_waits_for_the_next(engine):
    e = engine()
    e.submit("a", out=3)
    e.begin()
    e.submit("b", out=1)
    assert e.end().emitted == ("a",)
    iteration, outcome = e.step()
    assert [a.request_id for a in iteration.admitted] == ["b"]
    assert set(outcome.emitted) == {"a", "b"}


def test_fcfs_serves_in_order_of_arrival(engine):
    e = engine(max_num_seqs=1)
    for name in "abcd":
        e.submit(name)
    assert e.run() == list("abcd")


def test_priority_orders_the_queue_with_ties_by_arrival(engine):
    e = engine(max_num_seqs=1, scheduling_policy=SchedulingPolicy.PRIORITY)
    for name, priority in [("low1", 5), ("high1", -1), ("low2", 5), ("high2", -1)]:
        e.submit(name, priority=priority)
    assert e.run() == ["high1", "high2", "low1", "low2"]


def test_priority_never_displaces_a_running_request_for_its_seat(engine):
    e = engine(max_num_seqs=1, scheduling_policy=SchedulingPolicy.PRIORITY)
    e.submit("low", out=6, priority=9)
    e.step()
    e.submit("high", out=1, priority=-9)
    assert e.run() == ["low", "high"]
    assert e.model.stats().counters.preemptions == 0


def test_natural_end_is_stop_and_cut_is_length(engine):
    e = engine()
    e.submit("natural", out=9, natural_tokens=3)
    e.submit("exact", out=3, natural_tokens=3)
    e.submit("cut", out=2, natural_tokens=3)
    e.submit("endless", out=2)
    e.run()
    reasons = {name: record.reason for name, record in e.finished.items()}
    assert reasons == {
        "natural": FinishReason.STOP,
        "exact": FinishReason.STOP,
        "cut": FinishReason.LENGTH,
        "endless": FinishReason.LENGTH,
    }
    assert e.emitted["natural"] == 3


def test_abort_of_a_running_request_frees_its_seat_at_once(engine):
    e = engine(max_num_seqs=1)
    e.submit("a", out=50)
    e.submit("b", out=1)
    e.step()
    record = e.abort("a")
    assert (record.reason, record.generated_tokens) == (FinishReason.ABORT, 1)
    assert e.model.stats().kv_usage_ratio == 0
    iteration, _ = e.step()
    assert [a.request_id for a in iteration.admitted] == ["b"]


def test_abort_during_an_iteration_takes_the_request_out_of_its_outcome(engine):
    e = engine()
    for name in ("decoding", "other"):
        e.submit(name, out=5)
    e.step()
    e.submit("prefilling", out=5)
    e.begin()
    e.abort("decoding")
    e.abort("prefilling")
    assert e.end().emitted == ("other",)


def test_abort_of_a_waiting_request_removes_it(engine):
    e = engine(max_num_seqs=1)
    for name in "abc":
        e.submit(name)
    e.abort("b")
    assert e.model.stats().waiting == 2
    assert e.run() == ["b", "a", "c"]


def test_abort_of_an_unknown_request_returns_none(engine):
    assert engine().abort("nobody") is None


def test_many_aborts_do_not_pile_up_in_the_queue(engine):
    e = engine(max_num_seqs=1)
    for index in range(1000):
        e.submit(f"r{index}")
        if index:
            e.model.abort(f"r{index}")
    assert len(e.model._waiting._heap) < 100
    assert e.run()[-1] == "r0"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 390, "out": 11}, "max_tokens"),
        ({"prompt": 0}, "max_tokens"),
        ({"out": 0}, "max_tokens"),
        ({"priority": 1}, "priority"),
    ],
)
def test_request_that_can_never_run_is_rejected_on_submit(engine, fields, param):
    e = engine()
    with pytest.raises(RequestRejectedError) as caught:
        e.submit("a", **fields)
    assert caught.value.param == param
    assert not e.model.has_work


def test_request_larger_than_the_memory_is_rejected(engine):
    e = engine(kv_tokens=42)
    with pytest.raises(RequestRejectedError, match="bound of 40 tokens"):
        e.submit("a", prompt=30, out=11)
    e.submit("b", prompt=30, out=10)
    assert e.run() == ["b"]


def test_request_id_in_use_is_rejected(engine):
    e = engine()
    e.submit("a")
    with pytest.raises(RequestRejectedError, match="in the engine already"):
        e.submit("a")


def test_iterations_must_be_begun_and_ended_in_turn(engine):
    e = engine()
    with pytest.raises(EngineStateError, match="without begin_iteration"):
        e.end()
    e.submit("a")
    e.begin()
    with pytest.raises(EngineStateError, match="call end_iteration first"):
        e.begin()


def test_idle_engine_has_no_iteration(engine):
    assert engine().begin() is None


def test_counters_add_up(engine):
    e = engine()
    e.submit("a", prompt=8, out=3, natural_tokens=2)
    e.submit("b", prompt=6, out=1)
    e.run()
    e.submit("c")
    e.abort("c")
    counters = e.model.stats().counters
    assert (counters.iterations, counters.prompt_tokens, counters.generation_tokens) == (2, 14, 3)
    finished = (counters.finished_stop, counters.finished_length, counters.finished_abort)
    assert finished == (1, 1, 1)
