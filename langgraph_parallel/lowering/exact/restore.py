"""Puts the real parts of a state back into a result that was made from copies of them.

What a node returns from early may hold parts of the state, and later nodes change them in place. So
every copied part has to be found and replaced. A result in which one cannot be replaced (as a key
of a dict, in a closure), or might hide (in an iterator, a view, an object of another language), is
of no use: the node then runs in its own time.
"""

from __future__ import annotations

import collections
import functools
import operator
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn

from langgraph_parallel.lowering.exact.values import (
    ATOMS,
    attributes,
    is_bare,
    is_immutable,
    is_plain_tuple,
    put,
)
from langgraph_parallel.lowering.exact.view import Token

_MOST_PARTS: Final = 100_000
"""Parts to look at: a result that refers to a whole program is not searched to its end. At about a
microsecond each, what is given up here would take longer than many a node."""


class CannotRestoreError(Exception):
    """A result holds, or may hold, a copy where the real part cannot be put."""


class Restoring:
    """Replaces copies in one result.

    Args:
        real: The real part by the id of its copy.
        may_hold_tokens: Whether tokens may stand in the result for values that were never copied.
    """

    __slots__ = ("_done", "_is_needed", "_kept", "_real")

    def __init__(self, real: Mapping[int, Any], *, may_hold_tokens: bool = False) -> None:
        self._real = real
        self._is_needed = may_hold_tokens or any(key != id(part) for key, part in real.items())
        self._done: dict[int, Any] = {}
        """What has become of a part, by its id."""
        self._kept: list[Any] = []
        """Parts, kept so that no id is used twice."""

    def restore(self, value: Any) -> Any:
        """Return what takes the place of a value: mostly itself, with its parts restored in place.

        Raises:
            CannotRestoreError: If some copy cannot be replaced, or might not have been found.
        """
        return self._restore(value) if self._is_needed else value

    def _restore(self, value: Any) -> Any:
        kind = type(value)
        if kind in ATOMS and kind not in _SEARCHED_ATOMS:
            return value
        key = id(value)
        if key in self._real:
            return self._real[key]
        if key in self._done:
            made = self._done[key]
            if made is _UNDER_WAY:
                self._refuse("a tuple that holds itself")
            return made
        if len(self._done) > _MOST_PARTS:
            self._refuse("more than can be searched")
        self._kept.append(value)
        if isinstance(value, tuple):
            return self._restore_tuple(kind, value)
        self._done[key] = value
        if isinstance(value, type):
            self._search_class(value)
        elif not is_immutable(value):
            self._restore_parts(kind, value)
        return value

    def _restore_tuple(self, kind: Any, value: Any) -> Any:
        self._done[id(value)] = _UNDER_WAY
        made = [self._restore(part) for part in value]
        if getattr(value, "__dict__", None):
            self._fix(vars(value).values())
        result = value
        if any(map(operator.is_not, made, value)):
            if not is_plain_tuple(kind):
                self._refuse(f"a copy in a {kind.__name__}")
            result = tuple.__new__(kind, made)
            self._kept.append(result)
        self._done[id(value)] = self._done[id(result)] = result
        return result

    def _restore_parts(self, kind: Any, value: Any) -> None:
        if isinstance(value, dict):
            self._fix(dict.keys(value))
            self._replace(dict.items(value), functools.partial(dict.__setitem__, value))
        elif isinstance(value, list):
            self._replace(enumerate(value), functools.partial(list.__setitem__, value))
        elif isinstance(value, collections.deque):
            put_at = functools.partial(collections.deque.__setitem__, value)
            self._replace(enumerate(value), put_at)
        elif isinstance(value, (set, frozenset)):
            self._fix(value)
        elif kind in _CALLABLES:
            self._fix(_held_by_callable(value))
            return
        elif kind in _LEAVES:
            return
        elif not is_bare(kind) or isinstance(value, Token):
            self._refuse(f"a {kind.__name__}, in which a part of the state may be hidden")
        self._search_class(kind)
        self._replace(attributes(value), functools.partial(put, value))

    def _replace(self, parts: Iterable[tuple[Any, Any]], put_at: Callable[[Any, Any], Any]) -> None:
        for key, part in list(parts):
            if (made := self._restore(part)) is not part:
                put_at(key, made)

    def _search_class(self, kind: type) -> None:
        """Look through a class that may be of this run's making."""
        for base in kind.__mro__:
            if "<locals>" in base.__qualname__:
                self._fix(filter(_is_searched, vars(base).values()))

    def _fix(self, parts: Iterable[Any]) -> None:
        """Refuse parts that would have to be replaced, where nothing can be."""
        for part in list(parts):
            if self._restore(part) is not part:
                self._refuse("a copy where it cannot be replaced")

    def _refuse(self, what: str) -> NoReturn:
        msg = f"its result holds {what}"
        raise CannotRestoreError(msg)


_UNDER_WAY: Final = object()
_SEARCHED_ATOMS: Final = (types.FunctionType, type)
_CALLABLES: Final = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
)
_LEAVES: Final = (object, bytearray, types.ModuleType)
"""Types without references to other objects, or that are the same for everybody."""


def _is_searched(part: Any) -> bool:
    """Tell whether an attribute of a class may hold what a run has put there."""
    return isinstance(part, (types.FunctionType, list, dict, tuple, set))


def _held_by_callable(value: Any) -> list[Any]:
    """Return what a callable carries along."""
    if isinstance(value, types.BuiltinFunctionType):
        return [value.__self__]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    return [*cells, *defaults, *vars(value).values()]


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
