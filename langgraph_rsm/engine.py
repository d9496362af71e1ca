"""Engines: a chat model with a number of slots, and the identity under which it is shared.

Two model objects that talk to the same server for the same model are one engine: its slots are a
property of the server, not of the Python object.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from langgraph_rsm.errors import ConfigError
from langgraph_rsm.events import EngineLimits, Fault

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_URL_ATTRIBUTES = (
    "base_url",
    "openai_api_base",
    "azure_endpoint",
    "anthropic_api_url",
    "endpoint_url",
    "endpoint",
)
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_NAME_ATTRIBUTES = ("model_name", "model", "model_id", "deployment_name")


@dataclass(frozen=True, slots=True)
class Engine:
    """A chat model and how many calls it may have in flight.

    Raises:
        ConfigError: `model` is not a chat model or `capacity` is below 1.

    Example:
        `Engine(ChatOpenAI(base_url="http://gpu-1:8000/v1", model="llama"), capacity=8)`
    """

    model: BaseChatModel
    """Serves the calls; never itself a scheduled model."""
    _: KW_ONLY
    capacity: int | None = None
    """Most calls in flight, at least 1; None takes the capacity already registered under this
    identity, else the scheduler's `default_capacity`."""
    name: str | None = None
    """Identity of the engine; None derives it from class, base URL and model name."""
    limits: EngineLimits | None = None
    """Requests and tokens per minute that it takes, and context that its cache holds."""

    def __post_init__(self) -> None:
        require_chat_model(self.model, "Engine(model=...)")
        if self.capacity is not None and self.capacity < 1:
            msg = f"Engine(capacity={self.capacity}) must be at least 1; leave it out for a default"
            raise ConfigError(msg)

    @property
    def engine_id(self) -> str:
        """The name if given, else `Class@base_url#model`; the same for the same endpoint."""
        return self.name or derive_engine_id(self.model)

    @property
    def base_url(self) -> str | None:
        """Where the model's server is; None when the model does not say."""
        return _first_text(self.model, _URL_ATTRIBUTES)


def derive_engine_id(model: BaseChatModel) -> str:
    """Return the identity of a model's endpoint.

    A model that names neither a server nor a model runs in this process; then the object itself is
    the engine.
    """
    kind = type(model).__name__
    url = _first_text(model, _URL_ATTRIBUTES)
    name = _first_text(model, _NAME_ATTRIBUTES)
    if url is None and name is None:
        return f"{kind}#{id(model):x}"
    return f"{kind}@{(url or 'default').rstrip('/')}#{name or 'default'}"


def require_chat_model(model: Any, where: str) -> None:
    """Check that an object can be scheduled.

    Args:
        model: What the user passed.
        where: The argument, for the message.

    Raises:
        ConfigError: It is not a `BaseChatModel`, or is one that is scheduled already.
    """
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

    if isinstance(model, BaseChatModel):
        if getattr(type(model), "is_scheduled", False):
            msg = f"{where} is scheduled already; a call would need two slots: pass its `inner`"
            raise ConfigError(msg)
        return
    msg = f"{where} must be a chat model such as ChatOpenAI(...), not {type(model).__name__}"
    if isinstance(model, Runnable):
        msg += "; wrap the model first, then bind: ScheduledChatModel(inner=model).bind_tools(...)"
    elif isinstance(model, str):
        msg += f"; write ChatOpenAI(model={model!r})"
    raise ConfigError(msg)


def note_unreachable(error: BaseException, engine: Engine) -> None:
    """Add to a connection error which engine it was and what to check; other errors are left alone.

    The type stays, so that retry rules still recognize it.
    """
    if not _is_connection_error(error):
        return
    where = f" at {engine.base_url}" if engine.base_url else ""
    error.add_note(
        f"langgraph_rsm: engine {engine.engine_id!r}{where} could not be reached. Is the server "
        "running, and is the base_url right (host, port, /v1)?"
    )


def judge_failure(error: BaseException) -> tuple[Fault, float | None]:
    """Return whom an error says something about, and how long to leave the engine alone.

    The time is in seconds, from the response's `retry-after` header; None when there is none.
    """
    status = getattr(error, "status_code", None)
    if status == _TOO_MANY_REQUESTS:
        return Fault.RATE_LIMIT, _retry_after_s(error)
    if isinstance(status, int) and status >= _SERVER_ERROR:
        retry_after_s = _retry_after_s(error)
        return (Fault.ENGINE if retry_after_s is None else Fault.RATE_LIMIT), retry_after_s
    return (Fault.ENGINE if _is_connection_error(error) else Fault.CALL), None


def _retry_after_s(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    try:
        text = headers.get("retry-after") if headers is not None else None
        seconds = float(text) if text is not None else None
    except (ValueError, TypeError, AttributeError):  # a date, or no mapping: take the default
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None


def _is_connection_error(error: BaseException) -> bool:
    cause: BaseException | None = error
    for _ in range(8):  # clients wrap the socket's error two or three times
        if cause is None:
            return False
        if isinstance(cause, ConnectionError) or type(cause).__name__ in _CONNECT_ERRORS:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


_CONNECT_ERRORS = frozenset({"ConnectError", "ClientConnectorError", "gaierror"})
"""Names, not classes: httpx, aiohttp and others need not be installed."""


def _first_text(model: Any, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = getattr(model, name, None)
        if isinstance(value, str) and value:
            return value
    return None
