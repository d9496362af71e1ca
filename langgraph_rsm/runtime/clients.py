"""Clients: the few provider-specific facts that scheduling a call needs to know.

All of it is about LangChain's OpenAI-compatible models, which serve almost every self-hosted
engine; any other model is left as it is.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from langgraph_rsm.runtime.engine import read_setting
from langgraph_rsm.runtime.servers import root_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_OPENAI_RETRIES = 2
"""What the OpenAI client does when nobody says otherwise (`openai.DEFAULT_MAX_RETRIES`)."""
_CLIENTS = (("root_client", "client"), ("root_async_client", "async_client"))
"""The attributes of a model that hold a client and its chat completions, sync and async."""


def own_retries(model: BaseChatModel) -> int:
    """Return how many retries the scheduler makes in the model's stead.

    0 for a model whose own retries cannot be turned off: it keeps them.
    """
    if not _speaks_openai(model):
        return 0
    asked = read_setting(model, "max_retries")
    return _OPENAI_RETRIES if asked is None else int(asked)


def turn_retries_off(model: BaseChatModel) -> None:
    """Exchange the model's clients for ones that never retry; connections stay shared."""
    # Past pydantic: these are caches of the client, not settings of the user.
    model.__dict__.update(_quiet_clients(model))


def without_retries(model: BaseChatModel) -> BaseChatModel:
    """Return the model as it is now with clients that never retry; itself if nothing changes."""
    quiet = _quiet_clients(model)
    return model.model_copy(update=quiet) if quiet else model


def _quiet_clients(model: BaseChatModel) -> dict[str, Any]:
    """Return the attributes to replace; empty when no client of the model would retry."""
    quiet: dict[str, Any] = {}
    for root_name, chat_name in _CLIENTS:
        root: Any = read_setting(model, root_name)
        if _can_be_told(root) and root.max_retries != 0:
            quiet[root_name] = once = _quiet_client(root)
            quiet[chat_name] = once.chat.completions
    return quiet


_quiet_of: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _quiet_client(client: Any) -> Any:
    once = _quiet_of.get(client)
    if once is None:
        once = _quiet_of[client] = client.with_options(max_retries=0)
    return once


def forget_connections(model: BaseChatModel) -> None:
    """Let a model's clients open connections of their own, in a forked child.

    Those that they have are the parent's as well: two processes that speak on one socket garble
    what both say, and each may wait for ever for an answer that the other one got.
    """
    for root_name, _ in _CLIENTS:
        http = getattr(read_setting(model, root_name), "_client", None)
        transports = (getattr(http, "_transport", None), *getattr(http, "_mounts", {}).values())
        for transport in transports:
            pool = getattr(transport, "_pool", None)
            for name in ("_connections", "_requests"):
                held = getattr(pool, name, None)
                if isinstance(held, list):
                    # Not closed by their own means, which may say goodbye in the parent's name.
                    held.clear()


def adapt_options(
    model: BaseChatModel, options: dict[str, Any], *, usage: bool, priority: int = 0
) -> dict[str, Any]:
    """Return the keyword arguments of one call as the model should get them.

    Args:
        model: Serves the call.
        options: What the caller passed.
        usage: Whether to ask a stream for its token counts, unless the user decided on that.
        priority: What to tell the server's own queue, unless the user did; 0 for nothing.
    """
    options = dict(options)
    body = {"priority": priority} if priority else {}
    body |= read_setting(model, "extra_body") or {}
    if body and (options.get("extra_body") or priority):
        # langchain-openai would let the per-call body replace the model's.
        options["extra_body"] = {**body, **(options.get("extra_body") or {})}
    if usage and _may_ask_for_usage(model, options):
        options["stream_usage"] = True
    return options


def server_of(model: BaseChatModel) -> str | None:
    """Return where a model's server can be asked about itself; None where that makes no sense."""
    if not (_speaks_openai(model) or type(model).__name__ == "ChatOllama"):
        return None
    for name in ("base_url", "openai_api_base"):
        url = read_setting(model, name)
        if isinstance(url, str) and url:
            return root_of(url)
    return None


def limit_time(model: BaseChatModel, options: dict[str, Any], left_s: float) -> dict[str, Any]:
    """Return the options with a bound on each wait for the server; a no-op for unknown clients."""
    if not _speaks_openai(model) or "timeout" in options:
        return options
    own_s = read_setting(model, "request_timeout")
    if isinstance(own_s, int | float):
        left_s = min(left_s, own_s)
    return {**options, "timeout": left_s}


def _speaks_openai(model: BaseChatModel) -> bool:
    return any(_can_be_told(read_setting(model, root_name)) for root_name, _ in _CLIENTS)


def _can_be_told(client: Any) -> bool:
    return client is not None and hasattr(client, "with_options") and hasattr(client, "max_retries")


def _may_ask_for_usage(model: Any, options: dict[str, Any]) -> bool:
    if "stream_usage" not in model.__dict__ or model.stream_usage is not None:
        return False
    model_kwargs = read_setting(model, "model_kwargs") or {}
    if "stream_usage" in options or "stream_options" in {**model_kwargs, **options}:
        return False
    # The Responses API always reports usage and knows no such option.
    uses_responses = getattr(model, "_use_responses_api", None)
    return uses_responses is None or not uses_responses({**options, **model_kwargs})
