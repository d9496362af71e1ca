"""Errors of the embedded engine, each of which also says how a server answers it.

```
EmulationError                      anything below
├── ProfileError                    unknown or inconsistent engine profile
├── EngineStateError                a step of the model called out of order: a bug of the driver
├── StartError                      the server cannot start (port in use, aiohttp missing)
└── RequestError                    one request is refused; carries the HTTP answer
    ├── RequestRejectedError        400: the engine can never run it
    ├── UnsupportedSchemaError      400: no value can be made up for a JSON schema
    ├── UnknownModelError           404
    ├── RateLimitedError            429
    ├── InjectedError               500: asked for by the fault options
    └── OverloadedError             503: the queue is full or the server is stopping
```
"""

from __future__ import annotations

from typing import ClassVar


class EmulationError(Exception):
    """Base of every error that this package raises on purpose."""


class ProfileError(EmulationError, ValueError):
    """Raised when an engine profile is unknown or contradicts itself."""


class EngineStateError(EmulationError, RuntimeError):
    """Raised when the model is driven out of order, or when an invariant does not hold."""


class StartError(EmulationError, RuntimeError):
    """Raised when the server cannot start; the message is one line for a human."""


class RequestError(EmulationError):
    """Raised when one request is refused.

    Args:
        message: What is wrong and what to do about it.
        param: Path of the offending field in the request body; None when no field is to blame.
        headers: Extra headers of the HTTP answer.
    """

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "BadRequestError"

    def __init__(
        self, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.headers = headers or {}


class RequestRejectedError(RequestError):
    """Raised when a request can never run on this engine."""


class UnsupportedSchemaError(RequestError):
    """Raised when no value can be made up for a JSON schema."""


class UnknownModelError(RequestError):
    """Raised when a request names a model that is not served."""

    status = 404
    kind = "NotFoundError"


class RateLimitedError(RequestError):
    """Raised when a client exceeds the configured requests per minute."""

    status = 429
    kind = "RateLimitError"


class InjectedError(RequestError):
    """Raised by the fault options instead of an answer."""

    status = 500
    kind = "InternalServerError"


class OverloadedError(RequestError):
    """Raised when the engine's queue is full or the server is stopping."""

    status = 503
    kind = "ServiceUnavailableError"
