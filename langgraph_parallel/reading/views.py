"""From a dict state to a view of it that notes which keys a node looks at.

A view answers like the dict in all that Python code can ask, but for `type(state)`. What C code
takes straight out of it is not seen. A use that reveals no single key, such as `len(state)` or
`dict(state)`, is noted as a use of the whole state.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

_MOST_PARTS: Final = 2000
"""Parts of state values compared for in-place changes in one run; about 0.3 ms of work."""
_CONTAINERS: Final = (list, dict, set, tuple)
_LENGTH_OF_SUBJECT: Final = dis.opmap["GET_LEN"]


class AccessLog:
    """The state keys that one run of a node has looked at, and the values it was handed.

    Args:
        keys: The keys to note; other names are not state and may be anybody's data.
    """

    __slots__ = ("_budget", "_watched", "is_open", "keys", "read", "whole")

    def __init__(self, keys: frozenset[str]) -> None:
        self.keys = keys
        self.read: set[str] = set()
        self.whole = False
        self.is_open = True
        self._budget = _MOST_PARTS
        self._watched: dict[str, tuple[Any, list[Any]]] = {}

    def note(self, key: Any, value: Any = None) -> None:
        """Note that the node has been told about one key, and its value if it has one.

        Keys looked at after a use of the whole state do not count one by one: `dict(state)` asks
        for each of them, whatever becomes of the copy.
        """
        if self.is_open and key in self.keys:
            if not self.whole:
                self.read.add(key)
            self._watch(key, value)

    def note_whole(self, items: Iterable[tuple[Any, Any]]) -> None:
        """Note that the node has been told about every key."""
        if self.is_open:
            self.whole = True
            for key, value in items:
                if key in self.keys:
                    self._watch(key, value)

    def mutated(self) -> frozenset[str]:
        """Return the keys whose value has changed in place since it was handed out."""
        return frozenset(
            key
            for key, (value, before) in self._watched.items()
            if not _is_same(before, flatten(value, len(before)))
        )

    def close(self) -> None:
        """Stop noting; what the node has kept of its input is inert from now on."""
        self.is_open = False
        self._watched = {}

    def _watch(self, key: str, value: Any) -> None:
        if type(value) in _CONTAINERS and key not in self._watched:
            flat = flatten(value, self._budget)
            if flat is not None:
                self._budget -= len(flat)
                self._watched[key] = (value, flat)


def flatten(value: Any, most: int) -> list[Any] | None:
    """Return the parts of a nest of built-in containers, each by identity, in a fixed order.

    Returns:
        The containers with their lengths, and the leaves; None when there are more than `most`, or
        when another thread changes the value at this moment.
    """
    flat: list[Any] = []
    waiting = [value]
    try:
        while waiting:
            part = waiting.pop()
            flat.append(part)
            if type(part) in _CONTAINERS:
                flat.append(len(part))
                waiting.extend(part)
                if type(part) is dict:
                    waiting.extend(part.values())
            if len(flat) + len(waiting) > most:
                return None
    except RuntimeError:
        return None
    return flat


def _is_same(before: list[Any], after: list[Any] | None) -> bool:
    if after is None or len(before) != len(after):
        return False
    return all(
        a is b or (type(a) is int and type(b) is int and a == b)
        for a, b in zip(before, after, strict=True)
    )


SILENT: Final = AccessLog(frozenset())
"""Notes nothing."""
SILENT.close()


class _Repr:
    """`repr` that notes its use, yet leaves `type(state).__repr__` what `pprint` looks for."""

    def __get__(self, view: StateView | None, _owner: type) -> Callable[..., str]:
        if view is None:
            return dict.__repr__
        view.reveal()
        return functools.partial(dict.__repr__, view)


class StateView(dict[Any, Any]):
    """A dict that notes which of its keys are looked at; keys that the node itself set are not."""

    __slots__ = ("_log", "_own")

    # `dict(view)` and `{**view}` take the slow way through `keys` because `__iter__` is overridden.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._log = SILENT
        self._own: set[Any] = set()

    @classmethod
    def over(cls, state: Mapping[Any, Any], log: AccessLog) -> StateView:
        """Return a view of `state` that writes to `log`."""
        view = cls(state)
        view._log = log
        return view

    def reveal(self) -> None:
        """Note that everything has been looked at."""
        log = self._log
        if log.is_open and not self._own.issuperset(log.keys):
            log.note_whole((k, v) for k, v in super().items() if k not in self._own)

    def content(self) -> dict[Any, Any]:
        """Return a plain copy, without noting anything."""
        return dict(super().items())  # copying the view itself would ask for its keys

    def _note(self, key: Any) -> None:
        if key not in self._own:
            self._log.note(key, super().get(key))

    # Looking.

    __class__ = property(lambda _self: dict)
    __repr__ = _Repr()

    def __getitem__(self, key: Any) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key, as `dict.get` does."""
        self._note(key)
        return super().get(key, default)

    def __contains__(self, key: Any) -> bool:
        self._note(key)
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        self.reveal()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self.reveal()
        return super().__reversed__()

    def __len__(self) -> int:
        caller = sys._getframe(1)
        # A mapping pattern asks for the length first, which says no more than its keys do.
        if caller.f_code.co_code[caller.f_lasti] != _LENGTH_OF_SUBJECT:
            self.reveal()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self.reveal()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self.reveal()
        return super().__ne__(other)

    __hash__ = None

    def keys(self) -> Any:
        """Return the keys, as `dict.keys` does."""
        self.reveal()
        return super().keys()

    def values(self) -> Any:
        """Return the values, as `dict.values` does."""
        self.reveal()
        return super().values()

    def items(self) -> Any:
        """Return the items, as `dict.items` does."""
        self.reveal()
        return super().items()

    def copy(self) -> Any:
        """Return a copy that notes what is looked at in it."""
        view = StateView.over(self.content(), self._log)
        view._own = set(self._own)
        return view

    def __or__(self, other: Any) -> Any:
        self.reveal()
        return self.content() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        self.reveal()
        return other | self.content() if isinstance(other, dict) else NotImplemented

    def __reduce_ex__(self, _protocol: Any) -> Any:
        self.reveal()
        return dict, (self.content(),)

    # Setting.

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._own.add(key)

    def __delitem__(self, key: Any) -> None:
        self._note(key)
        super().__delitem__(key)
        self._own.add(key)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set keys, as `dict.update` does."""
        added = dict(*args, **kwargs)
        super().update(added)
        self._own.update(added)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key or set it, as `dict.setdefault` does."""
        self._note(key)
        if not super().__contains__(key):
            self._own.add(key)
        return super().setdefault(key, default)

    def pop(self, key: Any, /, *default: Any) -> Any:
        """Remove a key, as `dict.pop` does."""
        self._note(key)
        self._own.add(key)
        return super().pop(key, *default)

    def popitem(self) -> Any:
        """Remove the last key, as `dict.popitem` does."""
        self.reveal()
        return super().popitem()

    def clear(self) -> None:
        """Remove every key."""
        self._own.update(self._log.keys)
        super().clear()

    @classmethod
    def fromkeys(cls, *args: Any) -> Any:
        """Return a plain dict, as `dict.fromkeys` does."""
        return dict.fromkeys(*args)


def write_back(view: StateView, state: dict[Any, Any]) -> None:
    """Give `state` the content of its view, so that a retry sees what the node has set in it."""
    content = view.content()
    if len(content) != len(state) or any(
        key not in state or state[key] is not value for key, value in content.items()
    ):
        state.clear()
        state.update(content)
