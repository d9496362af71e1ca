"""Copies of state values, and whether two of them are alike.

A node that runs early is handed copies: what it changes in place never reaches the real state, and
shows as a difference when the run is checked. A value that cannot be copied ends the early run; two
values that cannot be compared count as different.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import pickle
import types
import uuid
from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel

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


def copied(value: Any) -> Any:
    """Return a deep copy of a state value.

    Raises:
        Exception: What the copying of an object of the user's raises.
    """
    return value if type(value) in _ATOMS else copy.deepcopy(value)


def _is_bare_model(kind: type) -> bool:
    return issubclass(kind, BaseModel) and kind.__basicsize__ == BaseModel.__basicsize__


class _Attributes:
    """An object that is its attributes and no more; one with content of its own is larger."""


def same(a: Any, b: Any) -> bool:
    """Tell whether two state values are certainly alike, whatever a node may do with them."""
    try:
        return _same(a, b)
    except Exception:  # a user's `==`, an array's truth value, a structure without end
        return False


def _same(a: Any, b: Any) -> bool:
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in _ATOMS or isinstance(a, enum.Enum):
        return a is b or (repr(a) == repr(b) if kind in _BY_TEXT else bool(a == b))
    compare = _COMPARERS.get(kind)
    if compare is not None:
        return compare(a, b)
    if _is_bare_model(kind):
        return all(_same(getattr(a, part), getattr(b, part)) for part in _MODEL_PARTS)
    is_bare = kind.__dictoffset__ and kind.__basicsize__ == _Attributes.__basicsize__
    if dataclasses.is_dataclass(kind) and is_bare:
        return _same(vars(a), vars(b))
    return pickle.dumps(a) == pickle.dumps(b)


def _same_sequence(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(map(_same, a, b))


def _same_dict(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    # The order of keys is part of the value: whoever loops over them sees it.
    return len(a) == len(b) and all(map(_same, a, b)) and all(map(_same, a.values(), b.values()))


def _same_set(a: Any, b: Any) -> bool:
    return len(a) == len(b) and sorted(map(repr, a)) == sorted(map(repr, b)) and bool(a == b)


_COMPARERS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    list: _same_sequence,
    tuple: _same_sequence,
    dict: _same_dict,
    set: _same_set,
    frozenset: _same_set,
}
