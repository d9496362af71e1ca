"""The pydantic or dataclass state that an early node is handed, which notes what is read of it.

It is a twin: an instance of a subclass of its class. Fields that the node only gives back hold
tokens until the real state is known; the node may set others, and return the twin or a copy of it.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Final, cast

from langgraph.types import Command

from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.inference.code.datamodel import code_of, find, is_users
from langgraph_parallel.lowering.exact.values import FIELDS_SET
from langgraph_parallel.lowering.exact.view import EarlyRunAbandoned, KeyToken, Reads
from langgraph_parallel.reading.twins import has_fields, share, subclass_silently


class TwinReads(Reads):
    """What an early run has read of a pydantic or dataclass state.

    Args:
        state: The object made of the early values.
        fields: Its attributes that are state keys.
        lazy: Those of them that the node only gives back.
        eager: Those of them that it is expected to read.
    """

    __slots__ = ("_is_silent", "_own", "content", "eager", "fields", "lazy", "state", "twin")

    def __init__(
        self,
        state: Any,
        fields: frozenset[str],
        lazy: frozenset[str] = frozenset(),
        eager: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__([], lambda _: MISSING)
        self.state = state
        self.fields = fields
        self.lazy, self.eager = lazy, eager
        self.content = _attributes(state)
        for key in lazy & self.content.keys():
            object.__setattr__(state, key, KeyToken(key))
        self._own: set[str] = set()
        self._is_silent = False
        self.twin = share(state, _twin_class(cast("Any", type(state))))
        _READS[id(self.twin)] = self

    def look(self, name: str) -> None:
        """Note that an attribute is looked at; one that is no field shows the whole object.

        What the node has set itself, and tokens, say nothing of the state.
        """
        if self._is_silent or (name not in self.fields and _is_code(type(self.state), name)):
            return
        for key in (name,) if name in self.fields else self.content:
            if key not in self._own and key not in self.lazy:
                self.given.setdefault(key, self.content.get(key, MISSING))

    def set(self, name: str, assign: Callable[[], None]) -> None:
        """Let the node set an attribute, as its class does it."""
        self._is_silent = True
        try:
            assign()
        finally:
            self._is_silent = False
        self._own.add(name)

    def look_at_result(self, result: Any) -> None:
        """Note that the whole object is looked at, if it is given back."""
        if isinstance(result, Command):
            result = result.update
        if result is self.twin or isinstance(result, (list, tuple)):
            self.look("")

    def retire(self) -> None:
        """Make the twin a plain instance of its class, wherever it is referred to."""
        _READS.pop(id(self.twin), None)
        object.__setattr__(self.twin, "__class__", type(self.state))

    def hold_for(self, real: Any) -> bool:
        """Tell whether a run on the real input would have read the same values."""
        content = _attributes(real)
        if self.lazy and FIELDS_SET in self.given:
            # Whether a key was set before says nothing to a node that only writes it or gives it
            # back, and what is given back is as in the real state (`_fill`).
            self.given[FIELDS_SET] = self.given[FIELDS_SET] & self.eager
            content[FIELDS_SET] = content[FIELDS_SET] & self.eager
        return super().hold_for(content)

    def settle(self, result: Any, real: Any, restore: Callable[[Any], Any]) -> Any:
        """Return what the node gives back, with the real values in place of tokens."""
        if isinstance(result, Command):
            return dataclasses.replace(
                result,
                update=self.settle(result.update, real, restore),
                goto=restore(result.goto),
            )
        if type(result) is dict:
            return {
                key: getattr(real, part.key) if type(part) is KeyToken else restore(part)
                for key, part in result.items()
            }
        if has_fields(result):
            _fill(result, real)
        return restore(result)


def _is_code(kind: type, name: str) -> bool:
    """Tell whether an attribute is code of the user's that looks at the object by its attributes.

    What a library does with an object may pass its attributes by, and so may `super()`.
    """
    found = find(kind, name)
    if found is None or not is_users(found[1]):
        return False
    code = code_of(found[1])
    return code is not None and "super" not in code.co_names


def _fill(result: Any, real: Any) -> None:
    """Put real values where an object has tokens; what is set in the real one is so in it."""
    given: frozenset[str] = getattr(real, FIELDS_SET, frozenset())
    for name in _field_names(result):
        token = object.__getattribute__(result, name) if _has(result, name) else None
        if type(token) is not KeyToken:
            continue
        object.__setattr__(result, name, getattr(real, token.key))
        if token.key in given and hasattr(result, FIELDS_SET):
            getattr(result, FIELDS_SET).add(name)


def _field_names(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return list(vars(value))


def _has(value: Any, name: str) -> bool:
    try:
        object.__getattribute__(value, name)
    except AttributeError:
        return False
    return True


_READS: Final[dict[int, TwinReads]] = {}
"""What is read of each live twin, by its id: a twin has no room of its own."""


def _attributes(state: Any) -> dict[str, Any]:
    extra = {
        part: getattr(state, part)
        for part in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
        if hasattr(state, part)
    }
    if FIELDS_SET in extra:
        extra[FIELDS_SET] = set(extra[FIELDS_SET])  # the node may set more of them
    return {**_values(state), **extra}


def _values(state: Any) -> dict[str, Any]:
    if hasattr(state, "__dict__"):
        return dict(vars(state))
    return {name: getattr(state, name) for name in _field_names(state) if _has(state, name)}


@functools.lru_cache(maxsize=256)
def _twin_class(kind: Any) -> Any:
    """Return a subclass of a state's class that notes what is read of its instances.

    Raises:
        TypeError: If there can be none.
    """
    look: Any = kind.__getattribute__
    assign: Any = kind.__setattr__

    def look_at(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        reads = _READS.get(id(self))
        if reads is not None:
            reads.look(name)
        return look(self, name)

    def set_in(self: Any, name: str, value: Any) -> None:
        reads = _READS.get(id(self))
        if reads is None or name not in reads.fields:
            refuse()
        else:
            reads.set(name, lambda: assign(self, name, value))

    def refuse(*_: Any) -> Any:
        msg = "the state object was changed"
        raise EarlyRunAbandoned(msg)

    def plain(self: Any) -> Any:
        return share(self, kind)

    return subclass_silently(
        kind,
        {
            "__new__": lambda _cls, *args, **kwargs: kind(*args, **kwargs),
            "__getattribute__": look_at,
            "__setattr__": set_in,
            "__delattr__": refuse,
            "__reduce_ex__": lambda self, protocol: plain(self).__reduce_ex__(protocol),
            "__copy__": lambda self: copy.copy(plain(self)),
            "__deepcopy__": lambda self, memo: copy.deepcopy(plain(self), memo),
        },
    )
