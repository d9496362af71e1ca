"""The adaptive window: what it takes as a sign of a queue inside an engine, and what not."""

import pytest

from langgraph_rsm.core.engines.window import AdaptiveWindow, Answer
from langgraph_rsm.core.events import UNBOUNDED


class Engine:
    """Feeds a window rounds of answers of calls that all took `service_s`."""

    def __init__(self, ceiling=64):
        self.window = AdaptiveWindow(ceiling)
        self.now = 0.0

    def answer(self, ttft_s=0.1, *, tokens=10, service_s=10.0, in_flight=None):
        self.now += service_s + 1
        answer = Answer(
            in_flight=self.window.limit if in_flight is None else in_flight,
            service_s=service_s,
            usual_s=service_s,
            ttft_s=ttft_s,
            uncached_tokens=tokens,
            output_tokens=1000,
        )
        self.window.answered(self.now, answer)
        return self.window.limit

    def round(self, *ttfts_s, answers=16, **fields):
        for n in range(answers):
            limit = self.answer(ttfts_s[n % len(ttfts_s)] if ttfts_s else 0.1, **fields)
        return limit


def full_engine(limit=64):
    """Return an engine whose window has stopped searching, at 64."""
    engine = Engine(ceiling=1000)
    engine.window.told(0.0, waiting=1, running=None, in_flight=engine.window.limit)
    while engine.window.limit < limit:
        engine.answer()  # a window grows with the last answer of a round
    return engine


def test_window_doubles_while_it_searches_and_grows_by_one_later():
    engine = Engine()
    assert [engine.round(answers=8) for _ in range(3)] == [32, 64, 64]
    engine = full_engine()
    before = engine.window.limit
    assert [engine.round() for _ in range(3)] == [before + 1, before + 2, before + 3]


def test_window_that_is_not_used_does_not_grow():
    engine = Engine()
    for _ in range(100):
        engine.round(in_flight=3)
    assert engine.window.limit == 16


def test_answers_without_first_token_times_are_no_sign():
    assert Engine().round(None, answers=24) == 64


def test_delay_of_all_first_tokens_gives_up_its_share():
    engine = full_engine()
    assert engine.round(2.5 + 0.2) == 48  # a quarter of the time is spent in the engine's queue


def test_no_more_than_half_is_given_up_at_a_time():
    assert full_engine().round(60.0, service_s=61.0) == 32


def test_one_quick_first_token_says_that_no_queue_stands():
    engine = full_engine()
    assert engine.round(*[2.7] * 15, 0.1) == 65


def test_long_prompts_say_nothing_of_a_queue():
    engine = full_engine()
    for _ in range(100):
        engine.round(0.1, answers=9)
        before = engine.window.limit
        engine.round(3.0, answers=7, tokens=8000)
        assert engine.window.limit >= before


def test_prompts_that_all_get_longer_are_paid_for_by_length():
    engine = full_engine()
    engine.round(0.5, tokens=4000)
    for _ in range(20):
        engine.round(0.5, 0.52, 0.55, tokens=4000)
    assert engine.window.limit > 64


def test_larger_batch_is_no_queue():
    engine = full_engine()
    # 1000 tokens in 100 s: a first token waits for the iteration under way, and is in the next.
    assert engine.round(0.25, service_s=100.0) == 65


def test_what_was_sent_before_a_change_does_not_count():
    engine = full_engine()
    engine.round(2.7)
    changed_s, limit = engine.now, engine.window.limit
    for n in range(100):
        engine.now = changed_s - 5 + n / 100
        assert engine.answer(9.0) == limit


def test_engine_that_has_become_slower_is_learned_anew_once_a_call_is_alone():
    engine = full_engine()
    limits = {engine.round(3.0) for _ in range(12)}
    assert 1 in limits
    for _ in range(12):
        engine.round(3.0)
    assert engine.window.limit > 64


def test_window_shrinks_once_per_overload_and_never_below_one():
    window = AdaptiveWindow(10)
    window.refused(0.0, recovery_s=5, in_flight=10)
    window.refused(4.9, recovery_s=5, in_flight=10)
    assert window.limit == 7
    for second in range(5, 500, 5):
        window.refused(float(second), recovery_s=5, in_flight=10)
    assert window.limit == 1


def test_reported_queue_is_given_up():
    window = AdaptiveWindow(16)
    window.told(0.0, waiting=4, running=None, in_flight=window.limit)
    assert window.limit == 12
    window.told(1.0, waiting=100, running=None, in_flight=window.limit)
    assert window.limit == 6


@pytest.mark.parametrize("ceiling", [1, 3, 16])
def test_window_stays_below_its_ceiling(ceiling):
    engine = Engine(ceiling)
    for _ in range(5):
        engine.round()
    assert engine.window.limit == ceiling


def open_window():
    return AdaptiveWindow(UNBOUNDED, wide=True)


def test_an_open_window_stays_open_without_evidence():
    engine = Engine()
    engine.window = open_window()
    assert engine.round(0.1, 0.2, answers=64, in_flight=500) == UNBOUNDED
    assert engine.round(None, answers=64, in_flight=500) == UNBOUNDED


def test_a_refusal_narrows_an_open_window_to_less_than_what_was_in_flight():
    window = open_window()
    window.refused(0.0, recovery_s=1.0, in_flight=100)
    assert window.limit == 70


def test_late_first_tokens_narrow_an_open_window():
    engine = Engine()
    engine.window = open_window()
    engine.round(0.1, in_flight=64)
    assert engine.round(5.0, in_flight=64) == 33


@pytest.mark.parametrize(("seats", "limit"), [(1, 2), (4, 5), (16, 20), (64, 80), (256, 320)])
def test_what_an_engine_says_narrows_the_window_to_its_batch_and_a_few(seats, limit):
    window = open_window()
    window.told(0.0, waiting=1000 - seats, running=seats, in_flight=1000)
    assert window.limit == limit
    spare = limit - seats
    for waiting in (spare, spare, 0, spare):  # a seat may be between two calls when it is asked
        window.told(1.0, waiting=waiting, running=seats, in_flight=limit)
        assert window.limit == limit
    running = max(1, seats - 1)
    window.told(2.0, waiting=limit, running=running, in_flight=limit + running)
    assert 0.9 * limit <= window.limit <= limit


def test_a_window_smaller_than_the_batch_is_found_out():
    window = open_window()
    window.told(0.0, waiting=96, running=4, in_flight=100)
    limits = []
    for second in range(1, 9):
        running = min(64, window.limit)
        waiting = window.limit - running
        window.told(float(second), waiting=waiting, running=running, in_flight=window.limit)
        limits.append(window.limit)
    assert limits == [6, 8, 12, 20, 36, 68, 68, 68]


def test_a_queue_that_others_fill_is_given_up_in_part():
    window = open_window()
    window.told(0.0, waiting=60, running=40, in_flight=50)
    assert window.limit == 25  # half of the 40 that run and 10 that wait, as half of them are ours


def test_more_may_wait_in_an_engine_whose_seats_are_seen_empty():
    window = open_window()
    window.told(0.0, waiting=936, running=64, in_flight=1000)
    window.told(1.0, waiting=0, running=50, in_flight=80)
    assert window.limit == 90
    small = open_window()
    small.told(0.0, waiting=96, running=4, in_flight=100)
    small.told(1.0, waiting=0, running=2, in_flight=5)
    assert small.limit == 5


def test_an_engine_that_has_room_is_not_held_back():
    window = open_window()
    window.told(0.0, waiting=0, running=4, in_flight=4)
    assert window.limit == UNBOUNDED


def test_what_an_engine_says_outweighs_its_first_tokens():
    engine = Engine()
    engine.window = open_window()
    engine.round(0.1, in_flight=64)
    for _ in range(64):
        engine.window.told(engine.now, waiting=0, running=64, in_flight=64)
        assert engine.answer(5.0, in_flight=64, service_s=8.0) == UNBOUNDED
