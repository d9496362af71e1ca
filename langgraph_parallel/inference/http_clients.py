"""HTTP clients of requests, httpx and aiohttp: `get` reads the world, what else there is may write.

with httpx.Client() as client:                      client: a `Chain` that yields responses
    reply = client.get(url).raise_for_status()      reply: a `Chain` that yields plain data
    return {"page": reply.json()}
"""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.effects import External
from langgraph_parallel.inference.access import consume
from langgraph_parallel.inference.external import qualified_name
from langgraph_parallel.inference.frame import Frame
from langgraph_parallel.inference.outside import Arguments, unknown_call
from langgraph_parallel.inference.values import (
    Chain,
    Closure,
    Const,
    Live,
    Value,
    const,
    data,
    roots_of,
)

_CLIENTS: Final = frozenset(
    [
        "requests.sessions.Session",
        "httpx.Client",
        "httpx.AsyncClient",
        "aiohttp.client.ClientSession",
    ]
)
_READS: Final = frozenset({"get", "head", "options"})
_WRITES: Final = frozenset({"post", "put", "patch", "delete"})
_CLOSES: Final = frozenset({"close", "aclose"})
_ANSWERS: Final = frozenset({"json", "text", "read", "aread", "iter_content", "iter_lines"})
"""Methods of a response that give what it holds."""

CLIENT: Final = Chain(frozenset({"read"}), "response")
RESPONSE: Final = Chain(frozenset(), "data")


def fetch(frame: Frame, function: Any, arguments: Arguments) -> Value | None:
    """Return what `requests.get(url)` and the like give; None when `function` is none of them."""
    name = qualified_name(function)
    module, _, method = name.rpartition(".")
    if module not in ("requests.api", "httpx") or method not in _READS | _WRITES:
        return None
    return http_method(frame, CLIENT, method, arguments)


def _plugs_in_code(arguments: Arguments) -> bool:
    """Tell whether a request may run code of the caller's: a hook, an authentication, a stream."""
    held = {"hooks", "event_hooks", "auth", "files", "transport"} & arguments.named.keys()
    callables = any(isinstance(atom, (Live, Closure)) for atom in arguments.all)
    return bool(held or callables or arguments.unpacked)


def is_client(obj: Any) -> bool:
    """Tell whether a live object is an HTTP client, of no class of the user's own."""
    return qualified_name(type(obj)) in _CLIENTS


def make_client(frame: Frame, cls: type, arguments: Arguments) -> Value | None:
    """Return a client that a node makes; None when `cls` is no client or has code plugged in."""
    if qualified_name(cls) not in _CLIENTS:
        return None
    if _plugs_in_code(arguments):
        return unknown_call(frame, cls.__name__, arguments)
    frame.escape(arguments.all, f"passed to {cls.__name__}", frame.where(arguments.node))
    return frozenset({CLIENT})


def http_method(frame: Frame, chain: Chain, method: str, arguments: Arguments) -> Value:
    """Return what a method of a client or of a response gives."""
    where = frame.where(arguments.node)
    used = consume(frame, arguments.all, arguments.node)
    frame.escape(used, f"passed to .{method}()", where)
    if _plugs_in_code(arguments):
        return unknown_call(frame, f".{method}()", arguments)
    if method in _CLOSES:
        return const(None)
    if chain == CLIENT and method in _READS | _WRITES:
        contact: External = "read" if method in _READS else "write"
        frame.recorder.contact(contact, f"HTTP {method.upper()} is a {contact} call", where)
        return frozenset({RESPONSE})
    if chain == RESPONSE and method == "raise_for_status":
        return frozenset({RESPONSE, Const(None, type(None))})
    if chain == RESPONSE and method in _ANSWERS:
        return data(roots_of(used))
    return unknown_call(frame, f".{method}()", arguments)
