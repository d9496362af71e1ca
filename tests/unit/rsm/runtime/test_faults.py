"""Whom an error says something about, wherever a client puts what the server said."""

from types import SimpleNamespace

import httpx
import openai
import pytest
from langchain_core.exceptions import ModelNotFoundError, ModelRateLimitError

from langgraph_rsm.core.events import Fault
from langgraph_rsm.errors import CallTimeoutError
from langgraph_rsm.runtime.faults import fault_of, is_retryable, retry_after_s, status_of


class SaidError(Exception):
    """An error with whatever attributes a client gives it."""

    def __init__(self, text="", **fields):
        super().__init__(text)
        self.__dict__.update(fields)


def in_stream(**body):
    """Return what the OpenAI client raises for an error event in a stream that began well."""
    request = httpx.Request("POST", "http://engine/v1/chat/completions")
    return openai.APIError(body.get("message", "x"), request=request, body=body)


class ReadTimeout(Exception):
    pass


def wrapped(cause):
    error = RuntimeError("the model failed")
    error.__cause__ = cause
    return error


FAULTS = [
    (SaidError(status_code=401), Fault.REFUSAL),
    (SaidError(status_code=403), Fault.REFUSAL),
    (SaidError(status_code=404), Fault.REFUSAL),
    (SaidError(status_code=429, code="insufficient_quota"), Fault.REFUSAL),
    (ModelNotFoundError("no such model"), Fault.REFUSAL),
    (SaidError(status_code=400), Fault.CALL),
    (SaidError(status_code=422), Fault.CALL),
    (SaidError(status_code=429), Fault.RATE_LIMIT),
    (SaidError(status=429), Fault.RATE_LIMIT),
    (SaidError(response=SimpleNamespace(status_code=429)), Fault.RATE_LIMIT),
    (SaidError(response={"ResponseMetadata": {"HTTPStatusCode": 429}}), Fault.RATE_LIMIT),
    (ModelRateLimitError("slow down"), Fault.RATE_LIMIT),
    (wrapped(SaidError(status_code=429)), Fault.RATE_LIMIT),
    (SaidError(status_code=500), Fault.ENGINE),
    (in_stream(message="overloaded", code=429), Fault.RATE_LIMIT),
    (in_stream(message="overloaded", code="503"), Fault.ENGINE),
    (in_stream(message="wrong", type="invalid_request_error"), Fault.CALL),
    (in_stream(message="EngineCore died"), Fault.ENGINE),
    (RuntimeError("429 Too Many Requests"), Fault.RATE_LIMIT),
    (ValueError("Rate limit reached for model m"), Fault.RATE_LIMIT),
    (RuntimeError("Error code: 500 - oops"), Fault.ENGINE),
    (RuntimeError("the model is overloaded"), Fault.ENGINE),
    (ValueError("expected 4290 words, at most $429 or 1.429"), Fault.CALL),
    (KeyError("429"), Fault.CALL),
    (ConnectionRefusedError("refused"), Fault.ENGINE),
    (TimeoutError(), Fault.SILENCE),
    (ReadTimeout("no answer"), Fault.SILENCE),
    (CallTimeoutError(engine_id="e", timeout_s=1), Fault.CALL),
]


@pytest.mark.parametrize(("error", "fault"), FAULTS, ids=[repr(e)[:50] for e, _ in FAULTS])
def test_whom_an_error_says_something_about(error, fault):
    assert fault_of(error) is fault


def test_an_error_in_a_stream_may_pass_unless_it_says_otherwise():
    assert is_retryable(in_stream(message="EngineCore died"))
    assert not is_retryable(in_stream(message="wrong", code=400))


def test_text_is_read_only_where_nothing_else_tells():
    assert status_of(SaidError("after 429 tokens", status_code=400)) == 400


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("inf", float("inf")), ("1e400", float("inf")), ("nan", None), ("-1", None), ("86400", 86400)],
)
def test_odd_times_to_wait(said, seconds):
    headers = {"retry-after": said}
    assert retry_after_s(SaidError(response=SimpleNamespace(headers=headers))) == seconds


def test_a_date_beyond_the_calendar_is_no_time_to_wait():
    headers = {"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}
    assert retry_after_s(SaidError(response=SimpleNamespace(headers=headers))) is None
