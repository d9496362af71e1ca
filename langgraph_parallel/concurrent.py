"""`@concurrent_calls`: a function of the user's into one whose independent calls run together.

    @concurrent_calls
    def grade(docs: list[str]) -> list[str]:
        return [llm.invoke(f"Is this relevant? {doc}").content for doc in docs]

It is read when it is called for the first time, when the names that it uses mean something.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, ParamSpec, TypeVar, overload

from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.parts import taken_for_data, watch_call
from langgraph_parallel.lowering.bodies.body import DEFAULT_CALLS
from langgraph_parallel.lowering.bodies.build import Built, build
from langgraph_parallel.lowering.bodies.told import told
from langgraph_parallel.lowering.exact.values import ATOMS, NotCopyableError, copied
from langgraph_parallel.report.bodies import body_lines

_P = ParamSpec("_P")
_T = TypeVar("_T")
_FORMS: Final = "__langgraph_parallel_forms__"


@overload
def concurrent_calls(function: Callable[_P, _T], /) -> Callable[_P, _T]: ...
@overload
def concurrent_calls(*, max_calls: int = ...) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]: ...
def concurrent_calls(
    function: Callable[..., Any] | None = None, /, *, max_calls: int = DEFAULT_CALLS
) -> Any:
    """Let independent calls in the body of a function or method run together.

    Calls that ask a model or only read, and that need nothing of one another, start as soon as
    their arguments are known; the function takes their answers in program order. What it does and
    gives is the same, exceptions included. What keeps its place, and why, `calls_of` tells.

    Args:
        function: A function or method, sync or async, whose source is at hand.
        max_calls: Calls that are made at a time (>= 1); a run's `max_concurrency` lowers it.

    Returns:
        A function of the same name and signature; the original is its `__wrapped__`.

    Raises:
        AnalysisError: If it is no function with code of its own, or `max_calls` is below 1.
    """
    if max_calls < 1:
        msg = f"max_calls={max_calls} must be at least 1."
        raise AnalysisError(msg)
    if function is None:
        return functools.partial(_mark, max_calls=max_calls)
    return _mark(function, max_calls=max_calls)


def calls_of(function: Callable[..., Any]) -> str:
    """Return, line by line, what becomes of the calls of a function under `concurrent_calls`.

    Args:
        function: A function or bound method, marked or not.
    """
    owner = getattr(function, "__self__", None)
    forms = getattr(function, _FORMS, None) or _Forms(_checked(function), DEFAULT_CALLS)
    form = forms.form_for(owner)
    bodies = told(form.built)
    if not bodies:
        why = form.why or "no call in it reaches the world"
        return f"{forms.function.__name__}: {why}"
    return "\n".join(line for body in bodies for line in body_lines(body.name, body))


def _mark(function: Callable[..., Any], *, max_calls: int) -> Callable[..., Any]:
    forms = _Forms(_checked(function), max_calls)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return function  # it runs as it is asked: nothing of it can be run ahead
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await forms.form(args, kwargs)(*args, **kwargs)

        setattr(run_async, _FORMS, forms)
        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return forms.form(args, kwargs)(*args, **kwargs)

    setattr(run, _FORMS, forms)
    return run


def _checked(function: Any) -> FunctionType:
    if not isinstance(function, (staticmethod, classmethod)):
        function = getattr(function, "__func__", function)
    original = getattr(function, "__wrapped__", function) if hasattr(function, _FORMS) else function
    if isinstance(original, FunctionType):
        return original
    msg = (
        f"@concurrent_calls marks a function or method, not {original!r}. Put it below "
        "@staticmethod, @classmethod and @tool, right above `def`."
    )
    raise AnalysisError(msg)


@dataclass(frozen=True, slots=True)
class _Form:
    """One form of a function, and what was found of it."""

    function: FunctionType
    built: Built
    why: str
    """Why it is the function itself, or empty."""
    owner: Any = None
    """The object whose method it is; kept, so that its id is not used twice."""


class _Forms:
    """The forms of one function: one for all, or of a method one for each of a few objects."""

    def __init__(self, function: FunctionType, most: int) -> None:
        self.function, self._most = function, most
        self._lock = threading.Lock()
        self._known: dict[int, _Form] = {}
        first = function.__code__.co_varnames[: min(1, function.__code__.co_argcount)]
        self._is_method = "." in function.__qualname__ and first in (("self",), ("cls",))
        self._data = taken_for_data(function, is_method=self._is_method)
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        self._places = tuple(map(names.index, self._data))

    def form(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FunctionType:
        """Return the form for a call with these arguments."""
        form = self.form_for(args[0] if self._is_method and args else None)
        if form.function is not self.function and not self._are_data(args, kwargs):
            return self.function
        return form.function

    def _are_data(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Tell whether what is taken for plain data is just that."""
        for place, name in zip(self._places, self._data, strict=True):
            value = args[place] if place < len(args) else kwargs.get(name)
            if type(value) not in ATOMS:
                try:
                    copied(value)
                except (NotCopyableError, RecursionError):
                    return False
        return True

    def form_for(self, owner: Any) -> _Form:
        """Return the form for the methods of an object, or for a function."""
        known = self._known.get(id(owner))
        if known is None:
            with self._lock:
                known = self._known.get(id(owner)) or self._make(owner)
        return known

    def _make(self, owner: Any) -> _Form:
        if len(self._known) >= _MOST_OWNERS:
            return _Form(self.function, Built(), "it is a method of very many objects")
        watch, why = watch_call(self.function, owner)
        built = Built()
        if not why and watch.parts:
            built = build(self.function, watch, most=self._most)
        made = _Form(built.inner.get(self.function, self.function), built, why, owner)
        self._known[id(owner)] = made
        return made


_MOST_OWNERS: Final = 32
"""Objects whose method is read for each; those of more are taken for values, and not for services
that live as long as the program."""
