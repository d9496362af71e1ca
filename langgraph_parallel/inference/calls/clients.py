"""Clients of other people's servers: HTTP sessions, model SDKs, stores, loggers.

with httpx.Client() as client:                      made here: nobody else holds its cookies
    reply = client.get(url).raise_for_status()      `get` reads the world
    return {"page": reply.json()}                   plain data

A session that outlives the node is changed by whatever it does: it keeps cookies.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any, Final

from langgraph_parallel.effects import External
from langgraph_parallel.inference.calls.files import file_method
from langgraph_parallel.inference.code.datamodel import instance_dict, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.gentle import (
    found_under,
    library_name,
    library_name_of_class,
)
from langgraph_parallel.inference.code.sdk import (
    SdkPart,
    asks_model,
    is_client_class,
    part_at,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    SCALAR,
    WORLD,
    Closure,
    Live,
    Object,
    Value,
    data,
    join,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import Typed, class_of, is_librarys_method
from langgraph_parallel.locations import world

_CLIENTS: Final[Mapping[str, str]] = {
    "requests.sessions.Session": "requests.models.Response",
    "httpx.Client": "httpx.Response",
    "httpx.AsyncClient": "httpx.Response",
    "aiohttp.client.ClientSession": "aiohttp.client_reqrep.ClientResponse",
}
"""HTTP clients, and the class of what they answer."""
_RESPONSES: Final = frozenset(_CLIENTS.values())
_READS: Final = frozenset({"get", "head", "options"})
_WRITES: Final = frozenset({"post", "put", "patch", "delete"})
_CLOSES: Final = frozenset({"close", "aclose"})
_ANSWERS: Final = frozenset({"json", "text", "read", "aread", "iter_content", "iter_lines"})
"""Methods of a response that give what it holds."""
_MODULES: Final[Mapping[str, str]] = {
    "requests.api": "requests.models.Response",
    "httpx": "httpx.Response",
}


def class_at(name: str) -> type | None:
    """Return the class that stands under a dotted name in a loaded library."""
    module, _, attribute = name.rpartition(".")
    while module and module not in sys.modules:
        module, _, rest = module.rpartition(".")
        attribute = f"{rest}.{attribute}"
    found = getattr(sys.modules.get(module), attribute, None) if module else None
    if found is None and module:
        found = found_under(module, attribute)
    return found if isinstance(found, type) else None


def client_call(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return what `requests.get(url)` and the like give; None when `function` is none of them."""
    name = _name_of_request(function)
    module, _, method = name.rpartition(".")
    if module in _MODULES and method == "request" and len(given.positional) > 1:
        methods = strings_of(given.positional[0]) or frozenset()
        method, given = "".join(methods).lower(), given.rest()
    if module not in _MODULES or method not in _READS | _WRITES:
        return None
    return _request(frame, method, _MODULES[module], given)


def _name_of_request(function: Any) -> str:
    name = library_name(function)
    if name.startswith("httpx."):
        return f"httpx.{name.rpartition('.')[2]}"
    return name


def _client_name(cls: type) -> str:
    name = library_name_of_class(cls)
    return name.replace("httpx._client.", "httpx.").replace("httpx._models.", "httpx.")


def make_client(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return a client that a node makes; None when `cls` is no client or has code plugged in."""
    is_sdk = is_client_class(cls)
    if _client_name(cls) not in _CLIENTS and not is_sdk:
        return None
    if _plugs_in_code(given):
        return unknown(frame, f"makes a {cls.__name__}", given.all, given.node)
    used = frame.use(given.all, given.node)
    frame.escape(used, f"passed to {cls.__name__}", frame.where(given.node))
    if is_sdk:
        frame.recorder.look(world("environment"), frame.where(given.node))
        return frozenset({Object(part_at(""))})
    return frozenset({Object(cls)})


def _plugs_in_code(given: Arguments) -> bool:
    """Tell whether a request may run code of the caller's: a hook, an authentication, a stream."""
    held = {"hooks", "event_hooks", "auth", "files", "transport"} & given.named.keys()
    callables = any(
        isinstance(atom, Closure)
        or (isinstance(atom, Live) and type(atom.obj) not in (dict, list, tuple))
        for atom in given.all
    )
    return bool(held or callables or given.unpacked)


def client_method(frame: Frame, atom: Typed, method: str, given: Arguments) -> Value | None:
    """Return what a method of a client or of a response gives; None when `atom` is neither."""
    cls = class_of(atom)
    if user_defined(cls):
        return None
    name = _client_name(cls)
    if isinstance(atom, Live) and method in instance_dict(atom.obj):
        return None
    if name in _CLIENTS:
        return _client(frame, atom, name, method, given)
    if name in _RESPONSES:
        return _response(frame, atom, method, given)
    if issubclass(cls, framework().stores):
        return store_method(frame, method, given)
    if issubclass(cls, io.IOBase) and isinstance(atom, Object):
        return file_method(frame, method, given)
    return _sdk_method(frame, atom, method, given)


def _client(frame: Frame, atom: Typed, name: str, method: str, given: Arguments) -> Value:
    if method in _CLOSES:
        return NONE
    if method not in _READS | _WRITES or _has_hooks(atom):
        what = f"calls .{method}() of a client"
        return unknown(frame, what, join(frozenset({atom}), given.all), given.node)
    if isinstance(atom, Live):
        where = frame.where(given.node)
        frame.recorder.look(place_of(frame, atom.obj), where)
        frame.recorder.change(place_of(frame, atom.obj), where, SCALAR)
    elif isinstance(atom, Object) and atom.roots:
        frame.recorder.mutate(atom.roots, f".{method}()", frame.where(given.node), SCALAR)
    return _request(frame, method, _CLIENTS[name], given)


def _has_hooks(atom: Typed) -> bool:
    """Tell whether a live client has hooks, an authentication or a transport of the user's."""
    if not isinstance(atom, Live):
        return False
    hooks = getattr(atom.obj, "_event_hooks", None) or getattr(atom.obj, "hooks", None) or {}
    parts = [getattr(atom.obj, name, None) for name in ("_transport", "auth", "_auth")]
    own = any(part is not None and user_defined(type(part)) for part in parts)
    return own or any(hooks.values())


def _request(frame: Frame, method: str, answer: str, given: Arguments) -> Value:
    used = frame.use(given.all, given.node)
    where = frame.where(given.node)
    frame.escape(used, f"passed to .{method}()", where)
    if _plugs_in_code(given):
        return unknown(frame, f"calls .{method}()", given.all, given.node)
    contact: External = "read" if method in _READS else "write"
    if method == "post":
        contact = _posted_to(given)
    frame.recorder.contact(contact, f"{given.callee} is a {contact} call", where)
    cls = class_at(answer)
    return tame() if cls is None else frozenset({Object(cls)})


_ASKED: Final[Mapping[str, External]] = {
    "https://google.serper.dev/": "read",
    "https://api.tavily.com/search": "read",
    "https://api.tavily.com/extract": "read",
    "https://api.exa.ai/search": "read",
    "https://api.exa.ai/contents": "read",
    "https://api.exa.ai/answer": "read",
    "https://api.firecrawl.dev/v1/scrape": "read",
    "https://api.openai.com/v1/chat/completions": "model",
    "https://api.openai.com/v1/embeddings": "model",
    "https://api.openai.com/v1/responses": "model",
    "https://api.anthropic.com/v1/messages": "model",
    "https://api.groq.com/openai/v1/chat/completions": "model",
    "https://api.mistral.ai/v1/chat/completions": "model",
    "https://api.deepseek.com/chat/completions": "model",
    "https://api.deepseek.com/v1/chat/completions": "model",
    "https://api.together.xyz/v1/chat/completions": "model",
    "https://api.perplexity.ai/chat/completions": "model",
    "https://openrouter.ai/api/v1/chat/completions": "model",
    "https://api.cohere.com/v2/chat": "model",
    "https://api.cohere.com/v2/embed": "model",
    "https://api.cohere.com/v2/rerank": "model",
    "https://generativelanguage.googleapis.com/v1beta/models/": "model",
    "http://localhost:11434/api/chat": "model",
    "http://localhost:11434/api/generate": "model",
    "http://localhost:11434/api/embeddings": "model",
    "http://127.0.0.1:11434/api/": "model",
}
"""Addresses of search engines and models to which a question is posted: that writes nothing."""


def _posted_to(given: Arguments) -> External:
    """Return the contact of a POST: a write, unless the address is one that is only asked."""
    address = given.positional[0] if given.positional else given.named.get("url", NONE)
    addresses = strings_of(address)
    found = {_asked(address) for address in addresses or ()}
    return found.pop() if len(found) == 1 else "write"


def _asked(address: str) -> External:
    return next((kind for known, kind in _ASKED.items() if address.startswith(known)), "write")


def _response(frame: Frame, atom: Typed, method: str, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    if method == "raise_for_status":
        return join(frozenset({atom}), NONE)
    if method in _CLOSES:
        return NONE
    if method in _ANSWERS:
        return data()
    what = f"calls .{method}() of a response"
    return unknown(frame, what, join(frozenset({atom}), given.all), given.node)


def store_method(frame: Frame, method: str, given: Arguments) -> Value:
    """Return what a method of a LangGraph store gives: one place, whoever holds it."""
    where = frame.where(given.node)
    used = frame.use(given.all, given.node)
    frame.escape(used, "passed to the store", where)
    reads = method.lstrip("a") in ("get", "search", "list_namespaces")
    frame.recorder.look(world("store"), where)
    if not reads:
        frame.recorder.change(world("store"), where, SCALAR)
    frame.recorder.contact("read" if reads else "write", f"store.{method}()", where)
    return join(tame(frozenset({WORLD})), NONE)


_SDK: Final[Mapping[str, External]] = {
    "openai.resources.chat.completions.completions.Completions.create": "model",
    "openai.resources.chat.completions.completions.AsyncCompletions.create": "model",
    "openai.resources.chat.completions.completions.Completions.parse": "model",
    "openai.resources.responses.responses.Responses.create": "model",
    "openai.resources.responses.responses.AsyncResponses.create": "model",
    "openai.resources.embeddings.Embeddings.create": "model",
    "openai.resources.embeddings.AsyncEmbeddings.create": "model",
    "anthropic.resources.messages.messages.Messages.create": "model",
    "anthropic.resources.messages.messages.AsyncMessages.create": "model",
}
"""Methods of SDK clients, by the class that stands under the name."""


def _sdk_method(frame: Frame, atom: Typed, method: str, given: Arguments) -> Value | None:
    cls = class_of(atom)
    asked = asks_model(cls, method)
    if asked:
        used = frame.use(given.all, given.node)
        frame.escape(used, f"passed to .{method}()", frame.where(given.node))
        frame.recorder.contact("model", f".{method}() is a model call", frame.where(given.node))
        return tame() if asked is True else frozenset({Object(asked)})
    if issubclass(cls, SdkPart) and method in ("close", "with_options", "copy"):
        return NONE if method == "close" else frozenset({atom})
    external = _SDK.get(f"{library_name_of_class(cls)}.{method}")
    if external is None or not is_librarys_method(frame, atom, method, frame.where(given.node)):
        return None
    used = frame.use(given.all, given.node)
    frame.escape(used, f"passed to .{method}()", frame.where(given.node))
    frame.recorder.contact(external, f".{method}() is a {external} call", frame.where(given.node))
    return tame()
