"""What an annotation promises about a value: its abstract value, trusted as written."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import types
import uuid
from collections.abc import Collection, Mapping, MutableMapping, MutableSequence, Sequence
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
)

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages
from pydantic import BaseModel
from typing_extensions import ReadOnly, get_type_hints, is_typeddict

from langgraph_parallel.effects import Keys
from langgraph_parallel.inference.code.families import family_of
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.services import service_of
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.values import (
    NONE,
    SCALAR,
    Data,
    Injected,
    Object,
    Opaque,
    Value,
    join,
)

SCALARS: Final = (str, int, float, bool, bytes)
LISTS: Final = (list, Sequence, MutableSequence, tuple, set, frozenset, Collection)
_DICTS: Final = (dict, Mapping, MutableMapping)
_WRAPPERS: Final = (Annotated, Required, NotRequired, ReadOnly)
DATA_CLASSES: Final = (
    *(BaseMessage, Document, datetime.date, datetime.timedelta, datetime.time, decimal.Decimal),
    *(fractions.Fraction, uuid.UUID, pathlib.PurePath),
)
"""Classes of libraries whose instances are plain data."""
_DEEPEST: Final = 6


def value_of_annotation(annotation: Any, roots: Keys) -> Value:
    """Return what a value of an annotated type may be, where it may alias `roots`."""
    return _value_of(annotation, roots, 0)


def _value_of(annotation: Any, roots: Keys, depth: int) -> Value:
    annotation = list[BaseMessage] if _holds_messages(annotation) else strip(annotation)
    if annotation is None or annotation is type(None):
        return NONE
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return join(*(_value_of(part, roots, depth) for part in arguments))
    if is_scalar_type(annotation):
        return SCALAR
    kind = origin or annotation
    if depth > _DEEPEST or not isinstance(kind, type):
        return frozenset({Opaque(roots, spent=True)})
    if kind in framework().handed:
        return frozenset({Injected(framework().handed[kind])})
    if issubclass(kind, DATA_CLASSES):
        return frozenset({Data(roots, plain=True, kind=kind)})
    if kind in LISTS or kind in _DICTS:
        inner = arguments[1:] if kind in _DICTS else arguments
        return _container(kind, inner, roots, depth)
    if is_typeddict(kind):
        return _container(dict, tuple(hints_of(kind).values()), roots, depth)
    is_made_of_fields = dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)
    if is_made_of_fields or family_of(kind) is not None or service_of(kind) is not None:
        return frozenset({Object(kind, roots)})
    return frozenset({Opaque(roots, spent=kind is object or hasattr(kind, "__next__"))})


def _holds_messages(annotation: Any) -> bool:
    """Tell whether the reducer of a key makes messages of all that is put into its list."""
    while get_origin(annotation) in _WRAPPERS:
        if any(part is add_messages for part in getattr(annotation, "__metadata__", ())):
            return get_origin(strip(annotation)) in (list, None)
        annotation = get_args(annotation)[0]
    return False


def _container(kind: Any, inner: tuple[Any, ...], roots: Keys, depth: int) -> Value:
    plain = kind not in _DICTS
    parts = [_value_of(part, frozenset(), depth + 1) for part in inner if part is not Ellipsis]
    known = join(*parts)
    if parts and is_deep(known):
        return frozenset({Data(roots, plain=plain)})
    unknown = not parts or any(isinstance(atom, Opaque) for atom in known)
    return frozenset({Data(roots, plain=plain, deep=False, parts=None if unknown else known)})


def leaves_open(annotation: Any) -> bool:
    """Tell whether a type leaves open what is in a value, without naming a class of its own."""
    openness = _openness(annotation, 0)
    return openness is not None and openness


def _openness(annotation: Any, depth: int) -> bool | None:
    """Return whether anything is left open; None for types of which nothing is known."""
    annotation = strip(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, object):
        return True
    if annotation in (None, type(None), Ellipsis) or is_scalar_type(annotation):
        return False
    kind = origin or annotation
    if depth > _DEEPEST:
        return None
    inner: Collection[Any] = arguments
    if kind in LISTS or kind in _DICTS:
        if not arguments:
            return True
    elif kind not in (Union, types.UnionType):
        if not isinstance(kind, type):
            return None
        if not is_typeddict(kind):
            is_known = issubclass(kind, (BaseModel, *DATA_CLASSES)) or dataclasses.is_dataclass(
                kind
            )
            return False if is_known else None
        inner = hints_of(kind).values()
    found = [_openness(part, depth + 1) for part in inner]
    return None if None in found else any(found)


def is_scalar_type(annotation: Any) -> bool:
    """Tell whether all values of a type are immutable and without parts."""
    if get_origin(annotation) is Literal:
        return True
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return annotation.__module__ != "builtins"
    return annotation in SCALARS


def hints_of(obj: Any) -> Mapping[str, Any]:
    """Return the annotations of a class or function; empty when they cannot be resolved."""
    return _resolved(obj)


@functools.lru_cache(maxsize=2048)
def _resolved(obj: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(obj, include_extras=True)
    except Exception:
        return {}


def strip(annotation: Any) -> Any:
    """Return the type inside of `Annotated`, `Required`, a `NewType` or a named alias."""
    while get_origin(annotation) in _WRAPPERS:
        annotation = get_args(annotation)[0]
    supertype = getattr(annotation, "__supertype__", None)
    if supertype is not None:
        return strip(supertype)
    is_alias = type(annotation).__name__ == "TypeAliasType"
    return strip(annotation.__value__) if is_alias else annotation
