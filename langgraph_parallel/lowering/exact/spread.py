"""The state of a node that gives most of it back: `return {**state, "x": ...}`.

Such a node copies values that it never looks at. Reading them would tie it to every earlier node;
so they stay tokens, and each token in the result becomes the real value when it is committed. That
they are not looked at is what the analysis of the node's code found (`Effects.keeps`); a token that
is used all the same ends the early run. Which keys there are is always part of what is read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.lowering.exact.view import EarlyRunAbandoned, KeyToken, Reads, plain


class SpreadReads(Reads):
    """What an early run has read of a state whose other values it gives back.

    Args:
        keys: As for `Reads`.
        look_up: As for `Reads`.
        present: The keys that have, or will have, a value.
    """

    __slots__ = ("present",)

    def __init__(self, keys: list[str], look_up: Any, present: list[str]) -> None:
        super().__init__(keys, look_up)
        self.present = present

    def hold_for(self, real: Mapping[str, Any]) -> bool:
        """Tell whether a run on the real input would have read the same keys and values."""
        return list(real) == self.present and super().hold_for(real)


class SpreadState(dict[str, Any]):
    """A dict state of which some values are tokens until they are asked for by name."""

    __slots__ = ("_reads",)

    def __init__(self, reads: SpreadReads, lazy: frozenset[str]) -> None:
        super().__init__({key: KeyToken(key) for key in reads.present})
        self._reads = reads
        for key in reads.present:
            if key not in lazy:
                self._look(key)

    def _look(self, key: Any) -> None:
        found = super().get(key)
        if type(found) is KeyToken and found.key == key:
            value = self._reads.read(key)
            if value is MISSING:
                msg = f"{key!r} has no value yet"
                raise EarlyRunAbandoned(msg)
            super().__setitem__(key, value)

    def _look_at_all(self) -> None:
        for key in list(self):
            self._look(key)

    def __getitem__(self, key: Any) -> Any:
        self._look(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key."""
        self._look(key)
        return super().get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        """Take out a key and return its value."""
        self._look(key)
        return super().pop(key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, set to `default` if it has none."""
        self._look(key)
        return super().setdefault(key, default)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        self._look_at_all()
        return copy.deepcopy(dict(self), memo)

    def __reduce_ex__(self, _: Any) -> Any:
        self._look_at_all()
        return dict, (dict(self),)


def _on_all_values(name: str) -> Any:
    """Return a dict method that brings in every value first."""
    method = getattr(dict, name)

    def look(self: SpreadState, *args: Any) -> Any:
        self._look_at_all()
        return method(self, *args)

    look.__name__ = name
    return look


_ON_VALUES: Final = ("values", "items", "popitem", "__repr__", "__eq__", "__ne__")
for _name in _ON_VALUES:
    setattr(SpreadState, _name, _on_all_values(_name))


def spread_result(result: Any) -> Any:
    """Return the result of a node without views; tokens may stay as values of the update."""
    if type(result) is SpreadState or type(result) is dict:
        raw = dict.items(result)
        return {key: part if type(part) is KeyToken else plain(part) for key, part in raw}
    return plain(result)


def settle(
    result: dict[Any, Any], real: Mapping[str, Any], restore: Callable[[Any], Any]
) -> dict[Any, Any]:
    """Return an update with the real values in place of tokens, and its other values restored."""
    return {
        key: real[part.key] if type(part) is KeyToken else restore(part)
        for key, part in result.items()
    }
