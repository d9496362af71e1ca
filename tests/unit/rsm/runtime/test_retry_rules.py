"""Which errors are tried again, where, and after what pause."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from langchain_core.exceptions import ModelAuthenticationError, ModelRateLimitError

from langgraph_rsm.errors import QueueFullError
from langgraph_rsm.runtime.faults import is_retryable, retry_after_s
from langgraph_rsm.runtime.retry import Attempts, RetryRules

RULES = RetryRules(max_retries=3, base_s=1.0, cap_s=10.0)


class StatusError(Exception):
    def __init__(self, status_code, **headers):
        self.status_code = status_code
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = SimpleNamespace(headers=named)


class ReadTimeout(Exception):
    pass


class WrappedReadTimeout(ReadTimeout):
    pass


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ModelRateLimitError("slow down"), True),
        (ModelAuthenticationError("no"), False),
        (StatusError(429), True),
        (StatusError(408), True),
        (StatusError(503), True),
        (StatusError(400), False),
        (ConnectionResetError("reset"), True),
        (TimeoutError(), True),
        (WrappedReadTimeout(), True),
        (ValueError("bad"), False),
        (KeyboardInterrupt(), False),
        (QueueFullError(call_id="c", reason="full"), False),
    ],
)
def test_what_is_worth_a_retry(error, verdict):
    assert is_retryable(error) is verdict


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(headers, seconds):
    assert retry_after_s(StatusError(429, **headers)) == seconds


def test_retry_after_may_be_a_date():
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    future = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    assert retry_after_s(StatusError(503, retry_after=past)) == 0.0
    assert 3500 < retry_after_s(StatusError(503, retry_after=future)) <= 3600


def test_another_engine_is_tried_at_once_and_all_again_after_a_pause():
    attempts = Attempts(("a", "b"), RULES, random.Random(0))
    assert attempts.engines == ("a", "b")
    assert attempts.after(StatusError(500), "a") == 0.0
    assert attempts.engines == ("b",)
    assert 1.0 <= attempts.after(StatusError(500), "b") <= 2.0
    assert attempts.engines == ("a", "b")
    assert attempts.after(StatusError(500), "a") == 0.0
    assert attempts.after(StatusError(500), "b") is None


def test_pauses_double_are_capped_and_jittered():
    rules = RetryRules(max_retries=9, base_s=1.0, cap_s=4.0)
    pauses = [
        [attempts.after(StatusError(500), "a") for _ in range(5)]
        for attempts in (Attempts(("a",), rules, random.Random(seed)) for seed in range(50))
    ]
    for ceiling, column in zip((1, 2, 4, 4, 4), zip(*pauses, strict=True), strict=True):
        assert ceiling / 2 <= min(column) < max(column) <= ceiling
        assert len(set(column)) == len(column)


def test_server_is_obeyed_up_to_the_cap():
    attempts = Attempts(("a",), RULES, random.Random(0))
    assert attempts.after(StatusError(429, retry_after="9"), "a") == 9.0
    assert attempts.after(StatusError(429, retry_after="11"), "a") is None


def test_what_one_engine_refuses_for_good_is_tried_elsewhere_only():
    attempts = Attempts(("a", "b"), RULES, random.Random(0))
    assert attempts.after(StatusError(404), "a") == 0.0
    assert attempts.engines == ("b",)
    assert attempts.after(StatusError(500), "b") > 0
    assert attempts.engines == ("b",)
    assert attempts.after(StatusError(401), "b") is None
    assert Attempts(("a",), RULES, random.Random(0)).after(StatusError(404), "a") is None


def test_an_engine_that_asks_for_too_much_time_is_not_waited_for():
    attempts = Attempts(("a", "b"), RULES, random.Random(0))
    assert attempts.after(StatusError(429, retry_after="inf"), "a") == 0.0
    assert attempts.engines == ("b",)
    assert attempts.after(StatusError(429, retry_after="86400"), "b") is None


def test_servers_word_on_retries_counts_for_itself():
    attempts = Attempts(("a", "b"), RULES, random.Random(0))
    assert attempts.after(StatusError(429, x_should_retry="false"), "a") == 0.0
    assert attempts.after(StatusError(429, x_should_retry="false"), "b") is None
    stubborn = Attempts(("a",), RULES, random.Random(0))
    assert stubborn.after(StatusError(400, x_should_retry="true"), "a") > 0


def test_final_errors_are_final():
    attempts = Attempts(("a", "b"), RULES, random.Random(0))
    assert attempts.after(ValueError(), "a") is None
    none_left = RetryRules(max_retries=0, base_s=1.0, cap_s=1.0)
    assert Attempts(("a",), none_left, random.Random(0)).after(StatusError(500), "a") is None
