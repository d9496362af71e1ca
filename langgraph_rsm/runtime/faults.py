"""Faults: an error to whom it says something about, and to how long the server wants to be spared.

Clients put an HTTP status in many places: an attribute, a response, a code in the body of an error
that came as the first event of a stream. Where none has it, the class may tell, and as a last
resort the text.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from langgraph_rsm.core.events import Fault
from langgraph_rsm.errors import SchedulerError
from langgraph_rsm.runtime.engine import is_connection_error

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
"""Client errors that are about the moment, not about the request; 5xx come on top."""
_LASTING_STATUS = frozenset({401, 402, 403, 404, 405, 410, 501})
"""What one server goes on saying, to whatever is asked of it in this way, and another may not: a
wrong key, no money, no such model or address."""
_LASTING_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "invalid_api_key"}
)
"""Codes of OpenAI's errors that last, whatever status they come with."""
_TIME_OUTS = frozenset({"ReadTimeout", "APITimeoutError", "ModelTimeoutError"})
"""No answer in the time that the client was given, which may just have been little."""
_TRANSIENT_TYPES = _TIME_OUTS | {
    "APIConnectionError",
    "ClientConnectorError",
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ReadError",
    "RemoteProtocolError",
    "ServerDisconnectedError",
    "WriteError",
    "WriteTimeout",
}
"""Names, not classes, of transport errors: httpx, httpx2 and aiohttp need not be installed."""
_STATUS_OF_TYPE = {
    "ModelAuthenticationError": 401,
    "ModelPermissionDeniedError": 403,
    "ModelNotFoundError": 404,
    "ModelRateLimitError": 429,
    "ModelAPIError": 500,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "RateLimitError": 429,
    "ThrottlingException": 429,
    "ResourceExhausted": 429,
    "TooManyRequests": 429,
    "ServiceUnavailable": 503,
}
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "throttlingexception": 429,
    "overloaded": 503,
    "overloaded_error": 503,
    "server_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "service_unavailable": 503,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
}
_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)
"""Errors of code: what numbers their text has are no status."""
_TEXTS = (
    (429, re.compile(r"(?<![\w.$])429(?![\w.])|too many requests|rate.?limit|throttl", re.I)),
    (503, re.compile(r"(?<![\w.$])(?:502|503|504|529)(?![\w.])|overloaded|bad gateway", re.I)),
    (503, re.compile(r"service (?:is )?(?:temporarily )?unavailable|gateway time-?out", re.I)),
    (500, re.compile(r"(?:status|code|error|http)\W{0,9}500(?!\w)|internal server error", re.I)),
)
_READ_CHARS = 300
"""Of a text: a status stands at its beginning, what follows may quote the request."""


def is_retryable(error: BaseException) -> bool:
    """Tell whether the same request may succeed on the same engine later.

    The server's `x-should-retry` decides where it says so, then LangChain's
    `ModelError.is_retryable`, then the status, then whether the connection failed. A cancellation
    is never retried.
    """
    if not isinstance(error, Exception) or is_lasting(error):
        return False
    said = _headers_of(error).get("x-should-retry")
    if said in ("true", "false"):
        return bool(said == "true")
    verdict = getattr(error, "is_retryable", None)
    if isinstance(verdict, bool):
        return verdict
    status = status_of(error)
    if status is not None:
        return status in _TRANSIENT_STATUS or status >= 500
    transient = isinstance(error, ConnectionError | TimeoutError) or _is_a(error, _TRANSIENT_TYPES)
    return transient or _came_in_a_stream(error)


def is_lasting(error: BaseException) -> bool:
    """Tell whether a server goes on refusing such calls, so that only another one can help."""
    if isinstance(error, SchedulerError):
        return False
    code = _code_of(error)
    return code in _LASTING_CODES or status_of(error) in _LASTING_STATUS


def may_succeed_elsewhere(error: BaseException) -> bool:
    """Tell whether another engine may answer a request that failed on this one."""
    return is_retryable(error) or fault_of(error) is not Fault.CALL


def fault_of(error: BaseException) -> Fault:
    """Tell whom an error says something about."""
    if isinstance(error, SchedulerError) or not isinstance(error, Exception):
        return Fault.CALL  # the caller's patience, or its leaving
    if is_lasting(error):
        return Fault.REFUSAL
    status = status_of(error)
    if status == 429 or (status == 503 and retry_after_s(error) is not None):
        return Fault.RATE_LIMIT
    if status is not None:
        return Fault.ENGINE if status >= 500 else Fault.CALL
    if _is_a(error, _TIME_OUTS) or isinstance(error, TimeoutError):
        return Fault.SILENCE
    return Fault.ENGINE if is_retryable(error) or is_connection_error(error) else Fault.CALL


def is_time_out(error: BaseException) -> bool:
    """Tell whether a client gave up waiting for its server."""
    return isinstance(error, TimeoutError) or _is_a(error, _TIME_OUTS)


def refuses_priority(error: BaseException) -> bool:
    """Tell whether a server says that it takes no priority."""
    return status_of(error) in (400, 422) and "priority" in str(error).lower()


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error is about, as far as anything tells; else None."""
    for one in _causes(error):
        for said in _said_statuses(one):
            if (status := _as_status(said)) is not None:
                return status
    for one in _causes(error):
        for kind in type(one).__mro__:
            if kind.__name__ in _STATUS_OF_TYPE:
                return _STATUS_OF_TYPE[kind.__name__]
    if isinstance(error, (*_BUGS, OSError)) or _is_a(error, _TRANSIENT_TYPES | {"ValidationError"}):
        return None
    verdict = getattr(error, "is_retryable", None)
    if isinstance(verdict, bool):  # one of LangChain's own classes, which say what they are about
        return None
    text = str(error)[:_READ_CHARS]
    return next((status for status, pattern in _TEXTS if pattern.search(text)), None)


def retry_after_s(error: BaseException) -> float | None:
    """Return how long the server asked to wait, in seconds.

    None when it did not say, or said what is no time to come; infinity is one.
    """
    headers = _headers_of(error)
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            asked_s = float(headers[name]) * unit_s
        except (KeyError, TypeError, ValueError):
            continue
        return None if math.isnan(asked_s) or asked_s < 0 else asked_s
    return _until_date(headers.get("retry-after"))


def _until_date(text: Any) -> float | None:
    when = email.utils.parsedate_tz(text) if isinstance(text, str) else None
    if when is None:
        return None
    try:
        # The header names a date, so the calendar, not the monotonic clock, tells how far it is.
        return max(0.0, email.utils.mktime_tz(when) - time.time())
    except (OverflowError, ValueError):
        return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    cause: BaseException | None = error
    for _ in range(8):  # clients wrap an error two or three times
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _said_statuses(error: BaseException) -> Iterator[Any]:
    response = getattr(error, "response", None)
    yield getattr(error, "status_code", None)
    yield getattr(response, "status_code", None)
    yield getattr(error, "status", None)
    yield getattr(error, "http_status", None)
    if isinstance(response, Mapping):  # botocore
        yield _item(_item(response, "ResponseMetadata"), "HTTPStatusCode")
    body = _body_of(error)
    yield _item(body, "status")
    yield getattr(error, "code", None)
    yield _item(body, "code")
    yield _item(body, "type")


def _as_status(said: Any) -> int | None:
    if isinstance(said, str):
        return int(said) if re.fullmatch(r"[45]\d\d", said) else _STATUS_OF_CODE.get(said.lower())
    is_status = isinstance(said, int) and not isinstance(said, bool) and 400 <= said < 600
    return int(said) if is_status else None


def _code_of(error: BaseException) -> Any:
    code = getattr(error, "code", None) or _item(_body_of(error), "code")
    return code if isinstance(code, str) else None


def _body_of(error: BaseException) -> Any:
    body = getattr(error, "body", None)
    return _item(body, "error") or body


def _item(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, Mapping) else None


def _headers_of(error: BaseException) -> Mapping[str, Any]:
    for one in _causes(error):
        headers = getattr(getattr(one, "response", None), "headers", None)
        if isinstance(headers, Mapping):
            return headers
    return {}


def _came_in_a_stream(error: BaseException) -> bool:
    """Tell whether a server that had begun a stream sent an error in it, of whatever kind."""
    return type(error).__name__ == "APIError"


def _is_a(error: BaseException, names: frozenset[str] | set[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)
