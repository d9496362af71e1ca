"""The state that an early node is handed, which notes what the node reads of it.

A dict state becomes an `EarlyState`, a dict whose values appear when they are asked for. Where code
written in C reaches past its methods it finds tokens, on which every operation fails: such a run is
given up, and never goes unnoticed. A pydantic or dataclass state becomes a twin of its own class.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from langgraph.types import Command

from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.lowering.exact.likeness import Likeness
from langgraph_parallel.lowering.exact.values import Memo, copied


class EarlyRunAbandoned(BaseException):
    """Raised inside an early run that does what only the real run may do; nobody else sees it.

    No `Exception`, so that the node's own error handling does not take it for one.
    """


class Reads:
    """What one early run has read: each key, with the copy that it was handed.

    Args:
        keys: The keys of the node's input, in the order in which LangGraph fills them in.
        look_up: Returns the value that a key has for this run, or `MISSING`; may raise
            `EarlyRunAbandoned`.
    """

    __slots__ = ("_look_up", "_memo", "_ready", "given", "keys", "likeness")

    def __init__(self, keys: list[str], look_up: Callable[[str], Any]) -> None:
        self.keys = keys
        self.given: dict[str, Any] = {}
        """Copies by key; `MISSING` for a key that had no value."""
        self._look_up = look_up
        self._memo: Memo = {}
        self._ready: dict[str, Any] = {}
        """Copies that nobody has asked for yet."""
        self.likeness = Likeness()
        """Which copies stand for which real parts, since `hold_for`."""

    def prepare(self, keys: Iterable[str]) -> None:
        """Copy the values that a node will probably read, so that it ends here if it cannot.

        Raises:
            EarlyRunAbandoned: If one cannot be copied.
        """
        for key in keys:
            try:
                value = self._look_up(key) if key in self.keys else MISSING
            except EarlyRunAbandoned:
                continue  # the node may do without it
            if value is not MISSING:
                self._ready[key] = self._copy(key, value)

    def read(self, key: str) -> Any:
        """Return this run's copy of a value, or `MISSING`."""
        if key in self.given:
            return self.given[key]
        ready = self._ready.pop(key, MISSING)  # runnables side by side may ask at once
        if ready is not MISSING:
            return self.given.setdefault(key, ready)
        value = self._look_up(key) if key in self.keys else MISSING
        if value is not MISSING:
            value = self._copy(key, value)
        return self.given.setdefault(key, value)

    def _copy(self, key: str, value: Any) -> Any:
        try:
            return copied(value, self._memo)
        except Exception as exc:
            msg = f"the value of {key!r} cannot be copied: {exc}"
            raise EarlyRunAbandoned(msg) from exc

    def hold_for(self, real: Mapping[str, Any]) -> bool:
        """Tell whether a run on the real input would have read the same values."""
        self.likeness = likeness = Likeness()
        for key, value in list(self.given.items()):
            found = real.get(key, MISSING)
            if (found is MISSING) != (value is MISSING):
                return False
            if value is not MISSING and not likeness.same(value, found):
                return False
        return True


class Token:
    """Stands in a dict for a value that nobody has asked for."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        msg = "the state was read around its methods"
        raise EarlyRunAbandoned(msg)

    __call__ = __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __str__ = __repr__ = __format__ = __bytes__ = __index__ = __int__ = __float__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __or__ = __ror__ = __mod__ = _refuse
    __copy__ = __deepcopy__ = __reduce_ex__ = _refuse
    __getattr__ = _refuse


TOKEN: Final = Token()


class KeyToken(Token):
    """Stands for the value of one key, until the real one is known."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def __copy__(self) -> KeyToken:
        return self

    def __deepcopy__(self, _: Any) -> KeyToken:
        return self


def plain(value: Any) -> Any:
    """Return a value without views: an `EarlyState` in built-in containers becomes a dict.

    Raises:
        EarlyRunAbandoned: If it holds a value that was never read.
    """
    kind = type(value)
    if isinstance(value, Token):
        value._refuse()
    if kind is EarlyState:
        return {key: plain(part) for key, part in as_dict(value).items()}
    if kind is dict or (issubclass(kind, dict) and hasattr(kind, "_look_at_all")):
        made: Any = {key: plain(part) for key, part in value.items()}
        changed = kind is not dict or any(made[key] is not part for key, part in value.items())
        return made if changed else value
    if kind is list or kind is tuple:
        made = kind(map(plain, value))
        return made if any(map(operator.is_not, made, value)) else value
    if kind is Command:
        parts = {"update": plain(value.update), "goto": plain(value.goto)}
        unchanged = parts["update"] is value.update and parts["goto"] is value.goto
        return value if unchanged else dataclasses.replace(value, **parts)
    return value


class EarlyState(dict[str, Any]):
    """A dict state whose values appear, and are noted, when they are asked for."""

    __slots__ = ("_open", "_reads")

    def __init__(self, reads: Reads, present: list[str]) -> None:
        super().__init__(dict.fromkeys(present, TOKEN))
        self._reads = reads
        self._open = True

    def _look(self, key: Any) -> bool:
        """Bring in the value of one key; tell whether it has one."""
        if dict.get(self, key, TOKEN) is TOKEN and self._open:
            value = self._reads.read(key) if isinstance(key, str) else MISSING
            if value is not MISSING:
                super().__setitem__(key, value)
            else:
                super().pop(key, None)
        return super().__contains__(key)

    def _look_at_all(self) -> None:
        """Bring in every value, in LangGraph's order; from now on this is an ordinary dict."""
        if self._open:
            found = {k: v for k in self._reads.keys if (v := self._reads.read(k)) is not MISSING}
            self._open = False
            super().clear()
            super().update(found)

    # One key at a time.

    def __getitem__(self, key: Any) -> Any:
        if self._look(key):
            return super().__getitem__(key)
        raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return self._look(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key."""
        return super().__getitem__(key) if self._look(key) else default


def _on_the_whole(name: str) -> Any:
    """Return a dict method that brings in every value first."""
    plain = getattr(dict, name)

    def method(self: EarlyState, *args: Any, **kwargs: Any) -> Any:
        self._look_at_all()
        others = [dict(part) if isinstance(part, EarlyState) else part for part in args]
        return plain(self, *others, **kwargs)

    method.__name__ = name
    return method


_WHOLE: Final = (
    # Changes belong here too: deleting a key and setting it again moves it to the end.
    *("__iter__", "__len__", "__repr__", "__reversed__", "__eq__", "__ne__", "__or__", "__ror__"),
    *("__ior__", "__setitem__", "__delitem__", "items", "keys", "values", "pop", "popitem"),
    *("setdefault", "update", "clear"),
)
for _name in _WHOLE:
    setattr(EarlyState, _name, _on_the_whole(_name))


def as_dict(self: EarlyState, *_: Any) -> dict[str, Any]:
    """Return the whole state as an ordinary dict."""
    self._look_at_all()
    return dict(dict.items(self))


_SPECIAL: Final[dict[str, Any]] = {
    "copy": as_dict,
    "__copy__": as_dict,
    "__deepcopy__": lambda self, memo: copy.deepcopy(as_dict(self), memo),
    "__reduce_ex__": lambda self, _: (dict, (as_dict(self),)),
}
for _name, _method in _SPECIAL.items():
    setattr(EarlyState, _name, _method)
