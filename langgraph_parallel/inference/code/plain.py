"""From values to whether they are plain data, as the analysis may have taken them for."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.types import Command
from pydantic import BaseModel

from langgraph_parallel.inference.code.datamodel import user_defined

_ATOMS: Final[frozenset[type]] = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
        *(decimal.Decimal, fractions.Fraction, uuid.UUID),
        *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
    }
)
_MODELS: Final[frozenset[type]] = frozenset(
    {
        *(AIMessage, AIMessageChunk, ChatMessage, HumanMessage, RemoveMessage, SystemMessage),
        *(ToolMessage, Document),
    }
)
_ROWS: Final[frozenset[type]] = frozenset({list, tuple, set, frozenset})


def find_odd(given: Any, keys: Mapping[str, frozenset[type]]) -> str:
    """Return which key of what a graph is given holds more than plain data; empty when none does.

    Args:
        given: An input: a mapping, an object of the state's class, a `Command`, or None.
        keys: The keys to look into, with classes whose instances may stand there, too.
    """
    if isinstance(given, Command):
        given = given.update
    if given is None or not keys:
        return ""
    if isinstance(given, (list, tuple)):  # of pairs
        odd = odd_part(given, frozenset())
        return f"the update holds a {odd.__name__}" if odd else ""
    for key, also in keys.items():
        value = given.get(key) if isinstance(given, Mapping) else getattr(given, key, None)
        odd = odd_part(value, also)
        if odd is not None:
            return f"{key!r} holds a {odd.__name__}"
    return ""


def odd_part(value: Any, also: frozenset[type] = frozenset()) -> type | None:
    """Return the type of a part of a value that is no plain data; None when all of it is.

    Built-ins, messages and documents are data, and so are models and dataclasses without code of
    their own.

    Args:
        value: The value.
        also: Classes whose instances may be part of it, whatever they hold.

    Complexity: linear in its size. An object that stands in several places is looked at once.
    """
    pending, seen = [value], set()
    while pending:
        part = pending.pop()
        kind = type(part)
        if kind in _ATOMS or kind in also:
            continue
        if id(part) in seen:
            continue
        seen.add(id(part))
        if kind is dict:
            pending.extend(part)
            pending.extend(part.values())
        elif kind in _ROWS:
            pending.extend(part)
        elif kind in _MODELS or _is_record(kind):
            pending.extend(_attributes(part))
        elif not (issubclass(kind, enum.Enum) and not user_defined(kind)):
            return kind
    return None


def _is_record(kind: type) -> bool:
    """Tell whether a class only names fields: a model or dataclass without code of the user's."""
    is_one = issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)
    return is_one and not user_defined(kind)


def _attributes(part: Any) -> Iterator[Any]:
    yield from getattr(part, "__dict__", {}).values()
    if isinstance(part, BaseModel):
        yield part.__pydantic_extra__
        yield part.__pydantic_private__
    for base in type(part).__mro__:
        for name in getattr(base, "__slots__", ()) if dataclasses.is_dataclass(base) else ():
            yield getattr(part, name, None)
