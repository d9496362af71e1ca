"""Whether a copy of a state value and the real one are alike, and which part is a copy of which.

Two values that cannot be compared count as different. What is one object on one side has to be one
on the other: whoever holds it would see.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
from typing import Any, Final

from langgraph_parallel.lowering.exact.values import (
    ATOMS,
    FIELDS_SET,
    MUTABLE_BASES,
    attributes,
    is_data,
    is_immutable,
    is_plain_tuple,
)

_BY_TEXT: Final[frozenset[Any]] = frozenset(
    {
        *(float, complex, decimal.Decimal, fractions.Fraction, range),
        *(datetime.datetime, datetime.time),
    }
)
"""Atoms of which different ones can be equal: the two zeros, one instant in two time zones."""
_DICTS: Final = (dict, collections.OrderedDict, collections.Counter, collections.defaultdict)
_CONTAINERS: Final[frozenset[Any]] = frozenset(
    {list, collections.deque, *_DICTS, set, frozenset, bytearray}
)


class Likeness:
    """Compares copies with real values, and notes which part is a copy of which."""

    __slots__ = ("_copies", "_seen", "real")

    def __init__(self) -> None:
        self.real: dict[int, Any] = {}
        """The real part by the id of its copy."""
        self._copies: dict[int, int] = {}
        """The id of the copy by that of the real part."""
        self._seen: list[Any] = []
        """Copies, kept so that no id is used twice."""

    def same(self, a: Any, b: Any) -> bool:
        """Tell whether a copy and a real value are alike, whatever a node may do with them."""
        try:
            return self._same(a, b)
        except Exception:  # a user's `==`, a structure without end
            return False

    def _same(self, a: Any, b: Any) -> bool:
        kind: Any = type(a)
        if kind is not type(b):
            return False
        if kind in ATOMS:
            return a is b or (repr(a) == repr(b) if kind in _BY_TEXT else bool(a == b))
        if kind in _CONTAINERS:
            return self._note(a, b) and (a is b or self._same_content(kind, a, b))
        if is_data(kind):  # type: ignore[arg-type]
            return self._note(a, b) and (a is b or self._same_attributes(a, b))
        if is_plain_tuple(kind):  # type: ignore[arg-type]
            return len(a) == len(b) and all(map(self._same, a, b)) and self._note(a, b)
        if is_immutable(a):
            return a is b or (_is_plain(kind) and bool(a == b) and repr(a) == repr(b))
        return False

    def _note(self, a: Any, b: Any) -> bool:
        """Note a pair; tell whether neither was paired with something else."""
        if isinstance(a, (tuple, frozenset)):
            # Handed over itself unless a part was copied, and so perhaps one on one side only.
            self.real.setdefault(id(a), b)
            self._seen.append(a)
            return True
        if self._copies.setdefault(id(b), id(a)) != id(a):
            return False
        self._seen.append(a)
        return self.real.setdefault(id(a), b) is b

    def _same_content(self, kind: Any, a: Any, b: Any) -> bool:
        if kind is list or kind is collections.deque:
            limits = getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
            return limits and len(a) == len(b) and all(map(self._same, a, b))
        if kind in _DICTS:
            # The order of keys is part of the value: whoever loops over them sees it.
            factories = getattr(a, "default_factory", None) is getattr(b, "default_factory", None)
            keys = factories and len(a) == len(b) and all(map(self._same, a, b))
            return keys and all(map(self._same, a.values(), b.values()))
        if kind is set or kind is frozenset:
            return self._same_order(a, b) and self._same_order(set(a), set(b))
        return bool(a == b)

    def _same_order(self, a: Any, b: Any) -> bool:
        """Tell whether two sets, or two that are made of them, list the same."""
        return len(a) == len(b) and all(map(self._same, a, b))

    def _same_attributes(self, a: Any, b: Any) -> bool:
        mine, real = attributes(a), attributes(b)
        for (name, part), (other, real_part) in zip(mine, real, strict=True):
            if name != other:
                return False
            if name == FIELDS_SET:
                if part != real_part:
                    return False
            elif not self._same(part, real_part):
                return False
        return True


def _is_plain(kind: Any) -> bool:
    """Tell whether a subclass of a built-in scalar compares like it."""
    return any(kind.__eq__ is base.__eq__ for base in MUTABLE_BASES)


def same(a: Any, b: Any) -> bool:
    """Tell whether two state values are certainly alike, whatever a node may do with them."""
    return Likeness().same(a, b)
