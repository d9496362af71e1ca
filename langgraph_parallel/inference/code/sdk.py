"""Clients of model services: from a class of an SDK to what its resources and methods ask for.

client = openai.OpenAI()                      a client, made in a node or found in one
client.chat.completions.create(...)           a resource of it, and a call of the model

The resources are loaded by the SDK when they are asked for; here they are known by their names.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from langgraph_parallel.inference.code.datamodel import user_defined
from langgraph_parallel.inference.code.gentle import library_name_of_class


class SdkPart:
    """Stands for a client or a resource of one; nobody makes an instance of it."""

    path: ClassVar[str] = ""
    """The attributes that lead to it from the client; `stream` for an answer in bits."""


@functools.cache
def part_at(path: str) -> type[SdkPart]:
    """Return the class that stands for the part of a client under a dotted name."""
    return type("Part", (SdkPart,), {"path": path})


_CLIENTS: Final = frozenset(
    {
        *("openai.OpenAI", "openai.AsyncOpenAI", "openai.Client", "openai.AsyncClient"),
        *("openai.lib.azure.AzureOpenAI", "openai.lib.azure.AsyncAzureOpenAI"),
        *("anthropic.Anthropic", "anthropic.AsyncAnthropic", "groq.Groq", "groq.AsyncGroq"),
    }
)
_CREATES: Final = frozenset({"create", "parse"})
_METHODS: Final[Mapping[str, frozenset[str]]] = {
    "chat.completions": _CREATES,
    "completions": _CREATES,
    "responses": _CREATES,
    "embeddings": _CREATES,
    "moderations": _CREATES,
    "messages": _CREATES | {"count_tokens"},
}
"""For each resource, the methods that ask a model and change nothing."""
_STREAMS: Final = frozenset({"chat.completions", "responses", "messages"})
"""Resources that also have a method `stream`."""


def is_client_class(cls: type) -> bool:
    """Tell whether a class is that of a client of a model service, and nobody's own."""
    return library_name_of_class(cls) in _CLIENTS and not user_defined(cls)


def part_below(cls: type, name: str) -> type[SdkPart] | None:
    """Return the resource that an attribute of a client, or of a resource of one, is."""
    if issubclass(cls, SdkPart):
        path = f"{cls.path}.{name}".lstrip(".")
    elif is_client_class(cls):
        path = name
    else:
        return None
    known = path.removeprefix("beta").removeprefix(".")
    leads_on = not known or any(f"{one}.".startswith(f"{known}.") for one in _METHODS)
    return part_at(path) if leads_on else None


def asks_model(cls: type, method: str) -> type[SdkPart] | bool:
    """Tell what a method of a resource gives: an answer, a stream of one, or nothing known."""
    if not issubclass(cls, SdkPart):
        return False
    path = cls.path.removeprefix("beta").removeprefix(".")
    if method == "stream" and path in _STREAMS:
        return part_at("stream")
    return method in _METHODS.get(path, frozenset())


def has_plugged_code(client: Any) -> bool:
    """Tell whether a live client has a transport or hooks of the user's."""
    inner = getattr(client, "_client", None)
    hooks = getattr(inner, "_event_hooks", None) or {}
    own = user_defined(type(getattr(inner, "_transport", None)))
    return bool(own or user_defined(type(inner)) or any(hooks.values()))
