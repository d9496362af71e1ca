"""Copies of state values, and whether two of them are alike.

A node that runs early is handed copies: what it changes in place never reaches the real state, and
shows as a difference when the run is checked. A value that cannot be copied ends the early run; two
values that cannot be compared count as different, and so do objects of which a copy is never as
good as the original. What is one object on one side has to be one on the other; in the result, the
parts that were copied are replaced by those that they are copies of.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import functools
import io
import operator
import pickle
import sys
import types
import uuid
from typing import Any, Final, cast

from pydantic import BaseModel

from langgraph_parallel.inference.source import is_library

_ATOMS: Final = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        type,
        type(Ellipsis),
        range,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
        types.FunctionType,
        types.BuiltinFunctionType,
    }
)
"""Types whose values cannot be changed in place, or have no value but themselves."""

_MODEL_PARTS: Final = (
    "__dict__",
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)
_BY_TEXT: Final = frozenset(
    {float, complex, decimal.Decimal, datetime.datetime, datetime.time, range}
)
"""Atoms of which different ones can be equal: the two zeros, one instant in two time zones."""


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a deep copy of a state value; one object stays one in all copies with one `memo`.

    Raises:
        Exception: What the copying of an object of the user's raises.
    """
    return value if type(value) in _ATOMS else copy.deepcopy(value, memo)


class Likeness:
    """Compares copies with real values, and notes which part is a copy of which."""

    __slots__ = ("_copies", "_real", "_seen")

    def __init__(self) -> None:
        self._real: dict[int, Any] = {}
        """The real part by the id of its copy."""
        self._copies: dict[int, int] = {}
        """The id of the copy by that of the real part."""
        self._seen: list[Any] = []
        """Copies, kept so that no id is used twice."""

    def same(self, a: Any, b: Any) -> bool:
        """Tell whether a copy and a real value are alike, whatever a node may do with them."""
        try:
            return self._same(a, b)
        except Exception:  # a user's `==`, an array's truth value, a structure without end
            return False

    def _same(self, a: Any, b: Any) -> bool:
        kind = type(a)
        if kind is not type(b):
            return False
        if kind in _ATOMS or isinstance(a, enum.Enum):
            return a is b or (repr(a) == repr(b) if kind in _BY_TEXT else bool(a == b))
        if kind is tuple:
            return len(a) == len(b) and all(map(self._same, a, b)) and self._note(a, b)
        return self._note(a, b) and (a is b or self._same_content(kind, a, b))

    def _note(self, a: Any, b: Any) -> bool:
        """Note a pair; tell whether neither was paired with something else."""
        if type(a) is not tuple and self._copies.setdefault(id(b), id(a)) != id(a):
            return False
        self._seen.append(a)
        return type(a) is tuple or self._real.setdefault(id(a), b) is b

    def _same_content(self, kind: Any, a: Any, b: Any) -> bool:
        if kind is list:
            return len(a) == len(b) and all(map(self._same, a, b))
        if kind is dict:
            # The order of keys is part of the value: whoever loops over them sees it.
            keys = len(a) == len(b) and all(map(self._same, a, b))
            return keys and all(map(self._same, a.values(), b.values()))
        if kind in (set, frozenset):
            return sorted(map(repr, a)) == sorted(map(repr, b)) and bool(a == b)
        if _is_compared_by_identity(kind) or not _is_its_content(kind):
            return False
        if _is_bare_model(kind):
            return all(self._same(getattr(a, part), getattr(b, part)) for part in _MODEL_PARTS)
        if kind.__dictoffset__ and kind.__basicsize__ == _Attributes.__basicsize__:
            return self._same(vars(a), vars(b))
        return _pickled(a) == _pickled(b)

    def restored(self, value: Any) -> Any:
        """Return a node's result with the real parts in place of their copies."""
        return self._restore(value, set()) if self._real else value

    def _restore(self, value: Any, seen: set[int]) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if id(value) in self._real:
            return self._real[id(value)]
        if id(value) in seen:
            return value
        seen.add(id(value))
        if kind is tuple:
            made = tuple(self._restore(part, seen) for part in value)
            return made if any(map(operator.is_not, made, value)) else value
        for key, part in _slots_of(value):
            found = self._restore(part, seen)
            if found is not part:
                _put(value, key, found)
        return value


def _slots_of(value: Any) -> list[tuple[Any, Any]]:
    """Return what a mutable object refers to, by index, key or name of the attribute."""
    if isinstance(value, dict):
        return list(dict.items(value))
    if isinstance(value, (list, collections.deque)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    if isinstance(value, BaseModel) or not (callable(value) or _is_of_library(type(value))):
        return list(getattr(value, "__dict__", {}).items())
    return []  # what a library keeps inside is no part of an answer, and may be large


def _put(value: Any, key: Any, part: Any) -> None:
    if isinstance(value, dict):
        dict.__setitem__(value, key, part)
    elif isinstance(value, (list, collections.deque)):
        value[key] = part
    else:
        object.__setattr__(value, key, part)


def _is_bare_model(kind: type) -> bool:
    return issubclass(kind, BaseModel) and kind.__basicsize__ == BaseModel.__basicsize__


class _Attributes:
    """An object that is its attributes and no more; one with content of its own is larger."""


def _is_compared_by_identity(kind: Any) -> bool:
    return bool(kind.__eq__ is object.__eq__)


def _is_of_library(kind: Any) -> bool:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is not None and is_library(file)


@functools.lru_cache(maxsize=1024)
def _is_its_content(kind: Any) -> bool:
    """Tell whether a copy of an object is as good as the object.

    It is not where objects are compared by identity, nor where a class of the user's says itself
    what becomes of a copy: it may leave something out.
    """
    if kind is not object and _is_of_library(kind):
        return True
    return not _is_compared_by_identity(kind) and not any(
        hasattr(vars(base).get(name), "__code__")
        and not is_library(vars(base)[name].__code__.co_filename)
        for base in kind.__mro__
        for name in _COPYING
    )


_COPYING: Final = ("__deepcopy__", "__copy__", "__reduce__", "__reduce_ex__", "__getstate__")


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)) or _is_its_content(cast("Any", type(obj))):
            return NotImplemented
        msg = f"a {type(obj).__name__} is more than its content"
        raise TypeError(msg)


def _pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def same(a: Any, b: Any) -> bool:
    """Tell whether two state values are certainly alike, whatever a node may do with them."""
    return Likeness().same(a, b)
