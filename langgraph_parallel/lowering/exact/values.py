"""Copies of state values that nobody can tell from the originals, but by identity.

A node that runs early is handed copies: what it changes in place never reaches the real state, and
shows as a difference when the run is checked. What cannot change is handed over itself. Built-in
containers and data classes without code of their own are copied, part by part; anything else is
more than its content, or may be, and a node that reads it runs in its own time.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import operator
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias

from pydantic import BaseModel

from langgraph_parallel.inference.code.source import is_library

ATOMS: Final[frozenset[Any]] = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, type, type(Ellipsis), range),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
        *(zoneinfo.ZoneInfo, decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern),
        *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
        types.FunctionType,
    }
)
"""Types whose values cannot be changed in place, or have no value but themselves."""

MUTABLE_BASES: Final = (str, int, float, complex, bytes)
"""Built-in types that a subclass makes mutable only by giving its instances attributes."""


class NotCopyableError(TypeError):
    """A value that is, or may be, more than its content."""


Memo: TypeAlias = dict[int, tuple[Any, Any]]
"""Originals with their copies, by the id of the original."""


def copied(value: Any, memo: Memo | None = None) -> Any:
    """Return a deep copy of a state value; one object stays one in all copies with one `memo`.

    Raises:
        NotCopyableError: If some part of it might be told from a copy.
        RecursionError: If it is nested too deeply.
    """
    return _copy(value, {} if memo is None else memo)


def _copy(value: Any, memo: Memo) -> Any:
    kind: Any = type(value)
    if kind in ATOMS:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known[1]
    make = _COPIERS.get(kind)
    if make is not None:
        return make(value, memo)
    if is_immutable(value):
        return value
    if is_plain_tuple(kind):
        return _copy_tuple(value, memo)
    if is_data(kind):
        return _copy_object(value, memo)
    _refuse(value)


def _refuse(value: Any) -> NoReturn:
    msg = f"a {type(value).__name__} may be more than its content"
    raise NotCopyableError(msg)


def _noted(value: Any, made: Any, memo: Memo) -> Any:
    memo[id(value)] = value, made
    return made


def is_immutable(value: Any) -> bool:
    """Tell whether a value that is no container cannot be changed in place."""
    if isinstance(value, (enum.Enum, type)):
        return True
    kind: Any = type(value)
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or isinstance(value.__self__, types.ModuleType)
    return isinstance(value, MUTABLE_BASES) and not kind.__dictoffset__ and not _members(kind)


def _unchangeable(parts: Iterable[Any], memo: Memo) -> None:
    """Refuse parts, found by their hash, of which a copy is not the part itself."""
    for part in parts:
        if _copy(part, memo) is not part:
            _refuse(part)


def _copy_list(value: list[Any], memo: Memo) -> Any:
    made: list[Any] = _noted(value, [], memo)
    made.extend([_copy(part, memo) for part in value])
    return made


def _copy_deque(value: collections.deque[Any], memo: Memo) -> Any:
    made: collections.deque[Any] = _noted(value, collections.deque(maxlen=value.maxlen), memo)
    made.extend([_copy(part, memo) for part in value])
    return made


def _copy_dict(value: dict[Any, Any], memo: Memo) -> Any:
    if type(value) is collections.defaultdict:
        if value.default_factory not in _FACTORIES:
            _refuse(value)
        made: dict[Any, Any] = collections.defaultdict(value.default_factory)
    else:
        made = type(value)()
    if getattr(value, "__dict__", None):
        _refuse(value)
    _noted(value, made, memo)
    for key, part in value.items():
        if type(key) not in ATOMS:
            _unchangeable((key,), memo)
        made[key] = _copy(part, memo)
    return made


_FACTORIES: Final = (None, list, dict, set, int, float, str, bool, tuple)


def _copy_tuple(value: tuple[Any, ...], memo: Memo) -> Any:
    parts = [_copy(part, memo) for part in value]
    known = memo.get(id(value))
    if known is not None:  # a part of it holds the tuple itself
        return known[1]
    if not any(map(operator.is_not, parts, value)):
        return value
    return _noted(value, tuple.__new__(type(value), parts), memo)


def _copy_frozenset(value: frozenset[Any], memo: Memo) -> Any:
    _unchangeable(value, memo)
    return value


def _copy_set(value: set[Any], memo: Memo) -> Any:
    """Copy a set to one that lists its elements in the same order.

    The order depends on how a set has come to its size. A copy is as large as it needs to be; a set
    that is filled one by one is as large as most that programs have filled.
    """
    _unchangeable(value, memo)
    made = set(value)
    if not _is_listed_alike(made, value):
        made = set()
        for part in value:
            made.add(part)
        if not _is_listed_alike(made, value):
            _refuse(value)
    return _noted(value, made, memo)


def _is_listed_alike(one: set[Any], other: set[Any]) -> bool:
    return all(map(operator.is_, one, other))


def _copy_object(value: Any, memo: Memo) -> Any:
    kind: Any = type(value)
    made = _noted(value, object.__new__(kind), memo)
    for name, part in attributes(value):
        if name == FIELDS_SET:
            put(made, name, set(part))  # nobody looks at the order of this one
        else:
            put(made, name, _copy(part, memo))
    return made


FIELDS_SET: Final = "__pydantic_fields_set__"
_COPIERS: Final[dict[type, Callable[[Any, Memo], Any]]] = {
    list: _copy_list,
    collections.deque: _copy_deque,
    dict: _copy_dict,
    collections.OrderedDict: _copy_dict,
    collections.Counter: _copy_dict,
    collections.defaultdict: _copy_dict,
    tuple: _copy_tuple,
    frozenset: _copy_frozenset,
    set: _copy_set,
    bytearray: lambda value, memo: _noted(value, bytearray(value), memo),
}


# -- objects ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _members(kind: Any) -> tuple[str, ...]:
    """Return the names of the slots of a class."""
    return tuple(
        name
        for base in kind.__mro__
        for name, found in vars(base).items()
        if isinstance(found, types.MemberDescriptorType)
    )


def attributes(value: Any) -> list[tuple[str, Any]]:
    """Return the attributes of an object, those in slots included; not what its class computes.

    The dict of attributes is one of them (`__dict__`), so that a copy is a copy of it too.
    """
    found = []
    for name in _places(type(value)):  # type: ignore[arg-type]
        try:
            found.append((name, object.__getattribute__(value, name)))
        except AttributeError:
            continue  # it has no value
    return found


@functools.lru_cache(maxsize=1024)
def _places(kind: Any) -> tuple[str, ...]:
    return ("__dict__", *_members(kind)) if kind.__dictoffset__ else _members(kind)


def put(value: Any, name: str, part: Any) -> None:
    """Set an attribute of an object, whatever its class says to it."""
    object.__setattr__(value, name, part)


_MADE_AT_RUN_TIME: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE` of Python's `object.h`."""


@functools.lru_cache(maxsize=1024)
def is_bare(kind: Any) -> bool:
    """Tell whether the instances of a class are their attributes and no more.

    Those of a class that was not made in Python have other content, or may be larger.
    """
    if not all(base is object or base.__flags__ & _MADE_AT_RUN_TIME for base in kind.__mro__):
        return False
    pointers = len(_members(kind)) + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    size = object.__basicsize__ + pointers * tuple.__itemsize__
    return (
        kind is not object
        and not issubclass(kind, type)
        and not kind.__itemsize__
        and bool(kind.__basicsize__ == size)
    )


@functools.lru_cache(maxsize=1024)
def is_plain_tuple(kind: Any) -> bool:
    """Tell whether a class is `tuple`, or one with names and no code of its own."""
    return kind is tuple or (
        issubclass(kind, tuple)
        and kind.__base__ is tuple
        and hasattr(kind, "_fields")
        and not kind.__dictoffset__
        and not any(map(_is_code_of_users, vars(kind).values()))
    )


@functools.lru_cache(maxsize=1024)
def is_data(kind: Any) -> bool:
    """Tell whether a copy of an object of a class is as good as the object.

    It is where the class is a data class that is compared by content and that has no code of the
    user's. Validators do not count: copying runs none.
    """
    is_model = issubclass(kind, BaseModel)
    if not is_bare(kind) or not (is_model or dataclasses.is_dataclass(kind)):
        return False
    if kind.__eq__ is object.__eq__ or kind.__hash__ is object.__hash__:
        return False
    if is_model and not all(getattr(kind, n) is getattr(BaseModel, n) for n in _COPYING_MODELS):
        return False
    validators = _validators(kind) if is_model else frozenset()
    return not any(
        _is_code_of_users(found)
        for base in kind.__mro__
        for name, found in vars(base).items()
        if name not in validators
    )


_COPYING_MODELS: Final = ("__deepcopy__", "__copy__", "__getstate__", "__getattribute__")


def _validators(kind: Any) -> frozenset[str]:
    rules = kind.__pydantic_decorators__
    groups = (rules.validators, rules.field_validators, rules.root_validators)
    return frozenset().union(*groups, rules.model_validators)


def _is_code_of_users(found: Any) -> bool:
    """Tell whether an attribute of a class runs code that neither Python nor a library wrote."""
    for name in ("__func__", "fget", "func", "wrapped"):
        found = getattr(found, name, found)
    code = getattr(found, "__code__", None)
    if code is None:
        custom = type(found)
        return hasattr(custom, "__get__") and not _is_of_library(custom)
    # Methods of data classes and named tuples are compiled from text.
    return not (is_library(code.co_filename) or code.co_filename.startswith("<"))


def _is_of_library(kind: Any) -> bool:
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return kind.__module__ in sys.builtin_module_names or (file is not None and is_library(file))
