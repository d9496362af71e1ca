"""Engines: a chat model with a number of slots, and the identity under which it is shared.

Two model objects that talk to the same server for the same model are one engine: its slots are a
property of the server, not of the Python object.
"""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from langgraph_rsm.core.events import EngineLimits
from langgraph_rsm.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.language_models import BaseChatModel

_URL_ATTRIBUTES = (
    "base_url",
    "openai_api_base",
    "azure_endpoint",
    "anthropic_api_url",
    "endpoint_url",
    "endpoint",
)
_NAME_ATTRIBUTES = ("model_name", "model", "model_id", "deployment_name")


@dataclass(frozen=True, slots=True)
class Engine:
    """A chat model and how many calls it may have in flight.

    Raises:
        ConfigError: `model` is not a chat model, `capacity` no whole number from 1, `name` no text,
            or `limits` no `EngineLimits` of numbers above 0.

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
        require_capacity(self.capacity, "Engine")
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            msg = f"Engine(name={self.name!r}) must be a text; leave it out to derive one"
            raise ConfigError(msg)
        _require_limits(self.limits)

    @property
    def engine_id(self) -> str:
        """The name if given, else `Class@base_url#model`; the same for the same endpoint."""
        return self.name or derive_engine_id(self.model)

    @property
    def base_url(self) -> str | None:
        """Where the model's server is, without credentials; None when the model does not say."""
        url = _first_text(self.model, _URL_ATTRIBUTES)
        return None if url is None else public_url(url)

    def agreed_with(self, later: Engine) -> Engine:
        """Return this engine with what a later registration adds; itself if that is nothing.

        Raises:
            EngineError: Both name a capacity, or limits, and they differ.
        """
        for what in ("capacity", "limits"):
            mine, theirs = getattr(self, what), getattr(later, what)
            if mine is not None and theirs not in (None, mine):
                msg = (
                    f"engine {self.engine_id!r} has {what} {mine} and is registered again with "
                    f"{theirs}; agree on one, or keep two engines apart with Engine(..., name=...)"
                )
                raise EngineError(msg)
        added = {
            what: getattr(later, what)
            for what in ("capacity", "limits")
            if getattr(self, what) is None and getattr(later, what) is not None
        }
        return replace(self, **added) if added else self

    def with_model(self, model: BaseChatModel) -> Engine:
        """Return this engine for a variant of its model, such as one of another temperature."""
        name = self.name
        if name is None and named_engine_id(self.model) is None:
            name = self.engine_id  # a copied object is the same engine
        return replace(self, model=model, name=name)


def derive_engine_id(model: BaseChatModel) -> str:
    """Return the identity of a model's endpoint.

    A model that names neither a server nor a model runs in this process; then the object itself is
    the engine.
    """
    return named_engine_id(model) or f"{type(model).__name__}#{id(model):x}"


def named_engine_id(model: BaseChatModel) -> str | None:
    """Return the identity that a model has beyond its object.

    None when it names neither its server nor itself.
    """
    url = _first_text(model, _URL_ATTRIBUTES)
    name = _first_text(model, _NAME_ATTRIBUTES)
    if url is None and name is None:
        return None
    return f"{type(model).__name__}@{public_url(url or 'default').rstrip('/')}#{name or 'default'}"


def public_url(url: str) -> str:
    """Return a URL without what may be a secret: user, password, query and fragment."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def account_of(model: BaseChatModel) -> str:
    """Return a name of this process for the keys that a model has; empty when it has none.

    Limits of rate are each key's own. It is Python's own hash, salted, which tells nothing of them.
    """
    settings = vars(model)
    keys = [value for value in settings.values() if isinstance(value, SecretStr)]
    if not keys:
        return ""
    payer = settings.get("openai_organization")
    return f"{hash((payer, *keys)) & 0xFFFF_FFFF_FFFF_FFFF:016x}"


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


def require_capacity(capacity: Any, where: str) -> None:
    """Check a number of calls in flight; None stands for "as many as the engine takes".

    Raises:
        ConfigError: It is no whole number from 1.
    """
    if capacity is None or (type(capacity) is int and capacity >= 1):
        return
    msg = f"{where}(capacity={capacity!r}) must be a whole number, at least 1; leave it out for any"
    raise ConfigError(msg)


def _require_limits(limits: Any) -> None:
    if limits is None:
        return
    if not isinstance(limits, EngineLimits):
        msg = f"Engine(limits={limits!r}) must be EngineLimits(requests_per_minute=..., ...)"
        raise ConfigError(msg)
    for field in fields(limits):
        value = getattr(limits, field.name)
        if value is not None and not (
            isinstance(value, int | float) and value > 0 and math.isfinite(value)
        ):
            msg = f"EngineLimits({field.name}={value!r}) must be a number above 0, or left out"
            raise ConfigError(msg)


def choose_engines(inner: Any, engines: Any) -> tuple[Engine, ...]:
    """Return the engines that the constructor's arguments mean, checked."""
    if (inner is None) == (engines is None):
        given = "neither" if inner is None else "both"
        msg = (
            f"ScheduledChatModel got {given} of `inner` and `engines`; write "
            "ScheduledChatModel(inner=model) or ScheduledChatModel(engines=[model, ...])"
        )
        raise ConfigError(msg)
    if inner is not None:
        require_chat_model(inner, "ScheduledChatModel(inner=...)")
        return (Engine(inner),)
    if not isinstance(engines, list | tuple) or not engines:
        msg = "ScheduledChatModel(engines=...) must be a non-empty list of models or engines"
        raise ConfigError(msg)
    chosen = tuple(_as_engine(item, index) for index, item in enumerate(engines))
    _require_distinct(chosen)
    return chosen


def _as_engine(item: Any, index: int) -> Engine:
    if isinstance(item, Engine):
        return item
    require_chat_model(item, f"ScheduledChatModel(engines=...)[{index}]")
    return Engine(item)


def _require_distinct(engines: Sequence[Engine]) -> None:
    seen: set[str] = set()
    for engine in engines:
        if engine.engine_id in seen:
            msg = (
                f"two engines have the identity {engine.engine_id!r}; one server is one engine: "
                "list it once with a larger capacity, or tell them apart with Engine(model, name=)"
            )
            raise ConfigError(msg)
        seen.add(engine.engine_id)


def note_unreachable(error: BaseException, engine: Engine) -> None:
    """Add to a connection error which engine it was and what to check; other errors are left alone.

    The type stays, so that retry rules still recognize it.
    """
    if not is_connection_error(error):
        return
    where = f" at {engine.base_url}" if engine.base_url else ""
    error.add_note(
        f"langgraph_rsm: engine {engine.engine_id!r}{where} could not be reached. Is the server "
        "running, and is the base_url right (host, port, /v1)?"
    )


def is_connection_error(error: BaseException) -> bool:
    """Tell whether an error, or one that it wraps, says that no connection came about."""
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
        value = read_setting(model, name)
        if isinstance(value, str) and value:
            return value
    return None


def read_setting(model: Any, name: str) -> Any:
    """Return an attribute of a model, None if it has none of that name.

    As `getattr` with a default, but a miss does not cost the exception that pydantic makes of it:
    each call of a model looks at several names of which few exist.
    """
    own = getattr(model, "__dict__", None)
    if own is None or getattr(model, "__pydantic_extra__", None):
        return getattr(model, name, None)
    if name in own:
        return own[name]
    kind: Any = type(model)
    return getattr(model, name, None) if _on_class(kind, name) else None


@lru_cache(maxsize=1024)
def _on_class(kind: type, name: str) -> bool:
    return any(name in base.__dict__ for base in kind.__mro__)
