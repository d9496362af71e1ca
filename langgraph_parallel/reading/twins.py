"""From a state to what a recorded node is handed in its place, and back from what it returns.

    dict             -> a `StateView`
    model, dataclass -> a twin: an instance of a subclass that shares the attributes of the original

A twin is changed back into an instance of the original class when the node ends.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, Final

from langgraph.types import Command, Send
from pydantic import BaseModel

from langgraph_parallel.reading.views import SILENT, AccessLog, StateView, write_back

_WHOLE_NAMES: Final = frozenset({"__dict__", "__pydantic_fields_set__", "model_fields_set"})
"""Attributes that reveal every field at once."""
_DEEPEST: Final = 3
"""Levels of a result in which the state itself is looked for: a list of commands of updates."""
_LONGEST: Final = 256
"""Parts of one container of a result in which the state itself is looked for."""


class Handover:
    """What one run of a node is handed for its state.

    Args:
        state: The state as LangGraph hands it to the node.
        keys: The state keys to watch; None hands over the state itself.
    """

    __slots__ = ("_before", "_state", "given", "log")

    def __init__(self, state: Any, keys: frozenset[str] | None) -> None:
        self._state = state
        self.log = AccessLog(keys or frozenset())
        self.given = state if keys is None else _watched(state, self.log)
        """What the node is to be called with."""
        if self.given is state:
            self.log.whole = True
        self._before = _content(state) if self.given is not state else {}

    def is_given_back(self, key: str, value: Any) -> bool:
        """Tell whether a value is the very one that the node was handed under this key."""
        return key in self._before and self._before[key] is value

    def take_back(self) -> frozenset[str]:
        """End the watch and return the keys whose value was changed in place."""
        mutated = self.log.mutated()
        self.log.close()
        if isinstance(self.given, StateView):
            write_back(self.given, self._state)
        elif self.given is not self._state:
            retire_twin(self.given, self._state)
        return mutated

    def plain(self, result: Any, depth: int = _DEEPEST) -> Any:
        """Return a node's result with the state itself wherever it holds what was handed over."""
        if type(result) is StateView:
            result.reveal()
            return self._state if result is self.given else result.content()
        if result is self.given:
            return self._state
        if depth == 0 or type(result) not in _PARTS:
            return result
        parts = _PARTS[type(result)](result)
        if len(parts) > _LONGEST:
            return result
        plain = {name: self.plain(part, depth - 1) for name, part in parts.items()}
        if all(plain[name] is part for name, part in parts.items()):
            return result
        return _rebuilt(result, plain)


_PARTS: Final[dict[type, Any]] = {
    dict: lambda result: result,
    list: lambda result: dict(enumerate(result)),
    tuple: lambda result: dict(enumerate(result)),
    Command: lambda result: {"update": result.update, "goto": result.goto},
    Send: lambda result: {"arg": result.arg},
}


def _rebuilt(result: Any, parts: dict[Any, Any]) -> Any:
    if isinstance(result, dict):
        return parts
    if isinstance(result, Command):
        return dataclasses.replace(result, **parts)
    if isinstance(result, Send):
        made = copy.copy(result)
        made.arg = parts["arg"]
        return made
    return type(result)(parts.values())


def _content(state: Any) -> dict[Any, Any]:
    """Return the values of a state; those of a dict are its own, which its view does not touch."""
    return state if isinstance(state, dict) else dict(getattr(state, "__dict__", {}))


def _watched(state: Any, log: AccessLog) -> Any:
    """Return a view or twin of `state`, or `state` itself where there can be none."""
    if type(state) is dict:
        return StateView.over(state, log)
    if has_fields(state):
        try:
            return make_twin(state, log)
        except (TypeError, AttributeError, RecursionError):
            return state
    return state


# -- states with attributes ------------------------------------------------------------------------


class Shield:
    """Base that keeps `__init_subclass__` of the class it is mixed into from seeing a subclass."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Do not pass the news on."""


def subclass_silently(kind: type, namespace: Mapping[str, Any]) -> Any:
    """Return a subclass of `kind` of the same name and module, running no hook of `kind`.

    Raises:
        TypeError: If `kind` cannot be subclassed.
    """
    hooked = any("__init_subclass__" in vars(base) for base in kind.__mro__[:-1])
    bases = (Shield, kind) if hooked else (kind,)
    same = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    scope = {**same, **namespace}
    # The metaclass itself is skipped: pydantic's would build a second validator.
    return type.__new__(type(kind), kind.__name__, bases, scope)


_LOGS: Final[dict[int, AccessLog]] = {}
"""Log of each live twin, by its id; a twin has no room of its own, so that it can be changed back
into an instance of the original class."""


def has_fields(value: object) -> bool:
    """Tell whether a value is a pydantic model or a dataclass instance."""
    return isinstance(value, BaseModel) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def make_twin(value: Any, log: AccessLog) -> Any:
    """Return an object that shares the attributes of `value` and notes reading them in `log`.

    Raises:
        TypeError: If there can be no such object.
    """
    kind: Any = type(value)
    twin = share(value, _twin_class(kind))
    _LOGS[id(twin)] = log
    return twin


def retire_twin(twin: Any, value: Any) -> None:
    """Change a twin into a plain second instance of its class, wherever it is referred to."""
    _LOGS.pop(id(twin), None)
    kind: type = type(value)
    object.__setattr__(twin, "__class__", kind)
    _share_slots(twin, value)


def share(value: Any, kind: type) -> Any:
    """Return an instance of `kind`, a subclass of its class, with the attributes of `value`."""
    made: Any = object.__new__(kind)
    _share_slots(value, made)
    attributes = getattr(value, "__dict__", None)
    if attributes is not None:
        object.__setattr__(made, "__dict__", attributes)
    return made


def _share_slots(source: Any, target: Any) -> None:
    kind: Any = type(source)
    for slot in _slots(kind):
        try:
            slot.__set__(target, slot.__get__(source))
        except AttributeError:
            continue  # it has no value


@functools.lru_cache(maxsize=256)
def _slots(kind: Any) -> tuple[types.MemberDescriptorType, ...]:
    return tuple(
        found
        for base in kind.__mro__
        for found in vars(base).values()
        if isinstance(found, types.MemberDescriptorType)
    )


@functools.lru_cache(maxsize=256)
def _twin_class(kind: Any) -> Any:
    look: Any = kind.__getattribute__
    assign: Any = kind.__setattr__

    def look_at(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        log = _LOGS.get(id(self), SILENT)
        try:
            value = look(self, name)
        except AttributeError:
            log.note(name)
            raise
        if name in _WHOLE_NAMES:
            log.note_whole(value.items() if isinstance(value, dict) else ())
        else:
            log.note(name, value)
        return value

    def set_in(self: Any, name: str, value: Any) -> None:
        log = _LOGS.get(id(self), SILENT)
        was_open, log.is_open = log.is_open, False  # what the class does to set it is no reading
        try:
            assign(self, name, value)
        finally:
            log.is_open = was_open

    def _plain(self: Any) -> Any:
        log = _LOGS.get(id(self), SILENT)
        log.note_whole((key, getattr(self, key, None)) for key in log.keys)
        return share(self, kind)

    namespace = {
        "__getattribute__": look_at,
        "__setattr__": set_in,
        "__reduce_ex__": lambda self, protocol: _plain(self).__reduce_ex__(protocol),
        "__copy__": lambda self: copy.copy(_plain(self)),
        "__deepcopy__": lambda self, memo: copy.deepcopy(_plain(self), memo),
    }
    made = subclass_silently(kind, namespace)
    # Fails here, before anybody has a twin, if a twin could not be changed back.
    object.__setattr__(object.__new__(made), "__class__", kind)
    return made
