"""What runs ahead is handed copies; and whether the real arguments turned out to be the same.

Data is copied, part by part. What is called, and no data, is handed over itself: a model, a tool, a
chain of a library's classes, and any object that the analysis has seen, of which it knows all that
is done with it. Whatever else there is ends the run ahead.
"""

from __future__ import annotations

import inspect
import io
import sys
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langgraph_parallel.inference.calls.external import answers_from_a_script
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.lowering.exact.likeness import Likeness, same
from langgraph_parallel.lowering.exact.restore import Restoring
from langgraph_parallel.lowering.exact.values import (
    ATOMS,
    Memo,
    NotCopyableError,
    copied,
)

_CALLED: Final = (Runnable, types.ModuleType, types.MethodType)
_USED_UP: Final = (io.IOBase, types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)


def hand_over(value: Any, memo: Memo, known: Collection[int]) -> Any:
    """Return what stands ahead for the value of a variable or an argument.

    Args:
        value: The value.
        memo: Copies that were made for the same run ahead.
        known: Ids of the objects that the analysis has seen.

    Raises:
        NotCopyableError: If it is more than its content, and not known.
    """
    if type(value) in ATOMS or is_config(value):
        return value
    if isinstance(value, _CALLED):
        if id(value) in known or _is_trusted(value, known):
            return value
        msg = f"a {type(value).__name__} was not seen before"
        raise NotCopyableError(msg)
    try:
        return copied(value, memo)
    except NotCopyableError:
        if id(value) in known and not isinstance(value, _USED_UP) and not _is_filled(value):
            return value
        raise


def _is_filled(value: Any) -> bool:
    return isinstance(value, (list, dict, set, tuple, bytearray)) or hasattr(value, "__next__")


def _is_trusted(value: Any, known: Collection[int]) -> bool:
    """Tell whether something that is called is a library's, with all its parts."""
    if isinstance(value, types.MethodType):
        return id(value.__self__) in known or _is_trusted(value.__self__, known)
    if isinstance(value, types.ModuleType):
        return True
    if not isinstance(value, Runnable) or id(value) in known:
        return id(value) in known
    kind = type(value)
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not is_library(file) or answers_from_a_script(kind):
        return False
    return all(_is_trusted(part, known) for part in _parts_of(value))


def _parts_of(value: Any) -> Iterator[Any]:
    """Yield the runnables that a runnable is made of."""
    for name in ("bound", "runnable", "mapper", "first", "last", "default"):
        part = getattr(value, name, None)
        if isinstance(part, Runnable):
            yield part
    for name in ("middle", "fallbacks"):
        yield from getattr(value, name, None) or ()
    steps = getattr(value, "steps__", None)
    if isinstance(steps, Mapping):
        yield from steps.values()


def is_config(value: Any) -> bool:
    """Tell whether a value is the configuration of a run."""
    if type(value) is not dict:
        return False
    return isinstance(value.get("callbacks"), BaseCallbackManager)


def is_as_seen(function: Any, known: Collection[int]) -> bool:
    """Tell whether a function or method is what the analysis took it for, and no stand-in."""
    if id(function) in known:
        return True
    if isinstance(function, types.MethodType):
        own = isinstance(function.__func__, types.FunctionType)
        return own and _is_trusted(function, known)
    code = getattr(function, "__code__", None)
    return code is not None and is_library(code.co_filename)


def keeps_answers(function: Any) -> bool:
    """Tell whether a model keeps its answers, so that what is asked twice is called once."""
    owner = getattr(function, "__self__", None)
    return isinstance(owner, BaseLanguageModel) and getattr(owner, "cache", None) not in (
        None,
        False,
    )


@dataclass(slots=True)
class Given:
    """The function and the arguments of one call that was made ahead."""

    function: Any
    positional: Sequence[Any]
    named: Mapping[str, Any]
    _before: tuple[Sequence[Any], Mapping[str, Any]] | None = None
    """The arguments as they were, where the function may have changed them."""
    _likeness: Likeness = field(default_factory=Likeness)

    @classmethod
    def of(
        cls, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], known: Collection[int]
    ) -> Given:
        """Copy the arguments of a call.

        Raises:
            NotCopyableError: If one of them is more than its content, and not known.
        """

        def copies() -> tuple[list[Any], dict[str, Any]]:
            memo: Memo = {}
            positional = [hand_over(value, memo, known) for value in args]
            return positional, {name: hand_over(v, memo, known) for name, v in kwargs.items()}

        positional, named = copies()
        values = (*args, *kwargs.values())
        asks = isinstance(getattr(function, "__self__", None), BaseLanguageModel)
        may_change = not asks and any(type(value) not in ATOMS for value in values)
        return cls(function, positional, named, copies() if may_change else None)

    def fits(self, function: Any, positional: Sequence[Any], named: Mapping[str, Any]) -> bool:
        """Tell whether the real call is the same, and the early one has changed no argument."""
        if not _is_same_function(self.function, function):
            return False
        if len(positional) != len(self.positional) or named.keys() != self.named.keys():
            return False
        if self._before is not None:
            before, before_named = self._before
            if not all(map(_same, before, positional)):
                return False
            if not all(_same(before_named[name], value) for name, value in named.items()):
                return False
        mine = (*self.positional, *(self.named[name] for name in named))
        return all(map(self._alike, mine, (*positional, *named.values())))

    def _alike(self, copy: Any, real: Any) -> bool:
        if copy is real or _is_one_method(copy, real) or self._likeness.same(copy, real):
            return True
        return is_config(copy) and is_config(real) and _same_config(copy, real)

    def restored(self, result: Any) -> Any:
        """Return a result with the real arguments in it in place of copies.

        Raises:
            CannotRestoreError: If that cannot be done.
        """
        return Restoring(self._likeness.real).restore(result)


def _is_same_function(early: Any, real: Any) -> bool:
    """Tell whether two functions do the same: one, or one method of two equal runnables."""
    if early is real or early == real:
        return True
    if not isinstance(early, types.MethodType) or not isinstance(real, types.MethodType):
        return False
    mine, other = early.__self__, real.__self__
    if early.__func__ is not real.__func__ or type(mine) is not type(other):
        return False
    try:
        return _is_trusted(mine, ()) and bool(mine == other)
    except Exception:
        return False


def _same(copy: Any, real: Any) -> bool:
    if copy is real or _is_one_method(copy, real) or same(copy, real):
        return True
    return is_config(copy) and is_config(real) and _same_config(copy, real)


def _same_config(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two configurations hold the same, such as two that were made of one."""
    if one.keys() != other.keys():
        return False
    for key, value in one.items():
        real = other[key]
        if value is real or same(value, real):
            continue
        if not (isinstance(value, dict) and isinstance(real, dict)):
            return False
        if value.keys() != real.keys():
            return False
        if any(part is not real[k] and not same(part, real[k]) for k, part in value.items()):
            return False
    return True


def _is_one_method(copy: Any, real: Any) -> bool:
    return isinstance(copy, types.MethodType) and bool(copy == real)


def is_ready(result: Any) -> bool:
    """Tell whether a result is all there, and not still to be waited for or gone through."""
    return not (
        inspect.isawaitable(result) or isinstance(result, _USED_UP) or hasattr(result, "__next__")
    )


def for_the_slice(result: Any) -> Any:
    """Return what a slice goes on with, which must not change what the body is handed.

    Raises:
        NotCopyableError: If it cannot be copied, and it is not known what is done with it.
    """
    try:
        return copied(result)
    except NotCopyableError:
        if isinstance(result, BaseModel):
            return result  # what is done with an instance of a known class is known
        raise
