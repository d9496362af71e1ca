"""From a node's runnable to one that does the same and counts what it sees of each run."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import statistics
import threading
import types
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel

from langgraph_parallel._compat.runnables import RunnableCallable
from langgraph_parallel.effects import Control
from langgraph_parallel.reading.twins import Handover, has_fields, share, subclass_silently

_MOST_DURATIONS: Final = 256
"""Runs of a node whose duration is kept; the median of more does not move."""
_MOST_ERRORS: Final = 16
"""Error types of a node that are counted by name; the rest is counted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one node was seen to do, over all its runs."""

    runs: int = 0
    """Runs that were started and have ended, in whichever way."""
    reads: frozenset[str] = frozenset()
    """State keys that were looked at one by one."""
    whole: int = 0
    """Runs that used the state as a whole, so that the keys that mattered are not known."""
    writes: frozenset[str] = frozenset()
    """State keys that an update contained, with another value than the node was handed."""
    keeps: frozenset[str] = frozenset()
    """State keys that an update contained with the very value that the node was handed."""
    overwrites: frozenset[str] = frozenset()
    """Written keys whose value was an `Overwrite`."""
    opaque: int = 0
    """Runs whose result could not be read."""
    mutates: frozenset[str] = frozenset()
    """State keys whose value was changed in place, as far as small built-in containers show."""
    control: frozenset[Control] = frozenset()
    """Ways in which a run left the straight line; `raise` where the node's own frame raised."""
    goto: frozenset[str] = frozenset()
    """Nodes of the graph that a `Command` or `Send` named."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Failed runs, by the name of the error's type."""
    median_s: float | None = None
    """Median wall seconds of the runs that came to their end; None when none did."""


class Probe:
    """Counts what one node does; safe to use from several threads.

    Args:
        keys: The state keys that the node may read; None hands over the state unwatched.
        channels: The state keys that it may write; True for those where writing the value that
            they have changes nothing.
        nodes: Names of the graph's nodes.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        keys: frozenset[str] | None,
        channels: Mapping[str, bool],
        nodes: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        self._keys, self._channels, self._nodes = keys, channels, nodes
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seen: dict[str, set[Any]] = {name: set() for name in _SETS}
        self._errors: Counter[str] = Counter()
        self._seconds: deque[float] = deque(maxlen=_MOST_DURATIONS)

    def unwatched(self) -> None:
        """Hand over the state itself from now on."""
        self._keys = None

    def observation(self) -> Observation:
        """Return what was seen so far."""
        with self._lock:
            return Observation(
                runs=self._counts["runs"],
                whole=self._counts["whole"],
                opaque=self._counts["opaque"],
                **{name: frozenset(seen) for name, seen in self._seen.items()},
                errors=dict(self._errors),
                median_s=statistics.median(self._seconds) if self._seconds else None,
            )

    def run(self, function: Callable[..., Any], state: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a node's function on what stands for `state` and return its result."""
        handover = Handover(state, self._keys)
        start_s = self._clock()
        try:
            result = function(handover.given, *args, **kwargs)
        except BaseException as error:
            self._failed(handover, error)
            raise
        return self._ended(handover, result, self._clock() - start_s)

    async def arun(
        self, function: Callable[..., Any], state: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a node's async function, as `run` does."""
        handover = Handover(state, self._keys)
        start_s = self._clock()
        try:
            result = await function(handover.given, *args, **kwargs)
        except BaseException as error:
            self._failed(handover, error)
            raise
        return self._ended(handover, result, self._clock() - start_s)

    def _ended(self, handover: Handover, result: Any, seconds: float) -> Any:
        result = handover.plain(result)
        seen: dict[str, set[Any]] = {}
        is_opaque = isinstance(result, Runnable) or inspect.isawaitable(result)
        try:
            for key, value in _updates(result):
                if key in self._channels:
                    is_kept = self._channels[key] and handover.is_given_back(key, value)
                    seen.setdefault("keeps" if is_kept else "writes", set()).add(key)
                    if _is_overwrite(value):
                        seen.setdefault("overwrites", set()).add(key)
            for target in _targets(result):
                seen.setdefault("control", set()).add("send" if _is_send(target) else "goto")
                name = target.node if isinstance(target, Send) else target
                if name in self._nodes:
                    seen.setdefault("goto", set()).add(name)
        except Exception:
            is_opaque = True  # the user's own classes may refuse to be looked at
        if isinstance(result, Runnable):
            handover.log.whole = True  # LangGraph runs it on the state
        self._count(handover, seen, is_opaque=is_opaque, seconds=seconds)
        return result

    def _failed(self, handover: Handover, error: BaseException) -> None:
        control: set[Any] = set()
        name = ""
        if isinstance(error, GraphBubbleUp):
            control.add("interrupt" if isinstance(error, GraphInterrupt) else "goto")
        elif isinstance(error, Exception):
            name = type(error).__name__
            frames = error.__traceback__  # ours, then the node's, then those it calls
            own = frames and frames.tb_next
            if own and own.tb_next is None:
                control.add("raise")
        self._count(handover, {"control": control}, error=name)

    def _count(
        self,
        handover: Handover,
        seen: dict[str, set[Any]],
        *,
        is_opaque: bool = False,
        seconds: float | None = None,
        error: str = "",
    ) -> None:
        seen["mutates"] = set(handover.take_back())
        seen["reads"] = handover.log.read
        with self._lock:
            self._counts["runs"] += 1
            self._counts["whole"] += handover.log.whole
            self._counts["opaque"] += is_opaque
            for name, found in seen.items():
                self._seen[name] |= found
            if seconds is not None:
                self._seconds.append(seconds)
            if error:
                is_known = error in self._errors or len(self._errors) < _MOST_ERRORS
                self._errors[error if is_known else "others"] += 1


_SETS: Final = ("reads", "writes", "keeps", "overwrites", "mutates", "control", "goto")


# -- what a result says ----------------------------------------------------------------------------


def _updates(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values that LangGraph takes from a node's result."""
    if isinstance(result, dict):
        yield from result.items()
    elif isinstance(result, Command):
        if result.graph != Command.PARENT:
            yield from _command_updates(result.update)
    elif isinstance(result, (list, tuple)):
        if any(isinstance(part, Command) for part in result):
            for part in result:
                yield from _updates(part)
    elif has_fields(result) or getattr(type(result), "__annotations__", None):
        yield from _field_updates(result)
    if result is not None and not isinstance(result, Command):
        yield "__root__", result


def _command_updates(update: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(update, (list, tuple)):
        for part in update:
            if isinstance(part, tuple) and len(part) == 2:
                yield part
    elif update is not None:
        yield from _updates(update)


def _field_updates(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object that LangGraph writes: not a None that is but a default."""
    is_model = isinstance(result, BaseModel)
    for name in getattr(result, "__annotations__", {}) if not is_model else ():
        if hasattr(result, name):
            yield name, getattr(result, name)
    if isinstance(result, BaseModel):
        for name, given in type(result).model_fields.items():
            value = getattr(result, name)
            if value is not None or given.default is not None or name in result.model_fields_set:
                yield name, value


def _targets(result: Any) -> Iterator[Any]:
    """Yield the nodes and `Send`s that a node's result starts."""
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from _targets(part)
    elif isinstance(result, Send):
        yield result
    elif isinstance(result, Command):
        yield from [result.goto] if isinstance(result.goto, (str, Send)) else result.goto


def _is_send(target: Any) -> bool:
    return isinstance(target, Send)


def _is_overwrite(value: Any) -> bool:
    if isinstance(value, dict):
        return "__overwrite__" in value or value.get("type") == "__overwrite__"
    return isinstance(value, Overwrite)


# -- wrapping --------------------------------------------------------------------------------------


def observe(runnable: Any, probe: Probe) -> Any:
    """Return a runnable that does what a node's runnable does and is counted by `probe`.

    Functions are handed something that stands for the state. Other runnables are handed the state
    itself, and so are seen from outside only; a run of theirs that LangGraph streams for
    `astream_events` is not counted.

    Raises:
        TypeError: If the runnable cannot be wrapped without changing what it is.
    """
    if type(runnable) is RunnableCallable:
        if not runnable.explode_args:
            return _observe_callable(runnable, probe)
    elif type(runnable) is RunnableLambda and not _generates(runnable):
        return _observe_lambda(runnable, probe)
    probe.unwatched()
    return _observe_from_outside(runnable, probe)


def _observe_callable(runnable: Any, probe: Probe) -> Any:
    wrapped = copy.copy(runnable)
    if runnable.func is not None:
        wrapped.func = _wrap(runnable.func, probe)
    afunc = runnable.afunc
    if afunc is not None and runnable.func is not None and _runs_in_executor(afunc, runnable.func):
        # LangGraph tells by this shape that the node is synchronous.
        in_executor = functools.partial(afunc.func, *afunc.args[:-1], wrapped.func)
        wrapped.afunc = functools.wraps(wrapped.func)(in_executor)
    elif afunc is not None:
        wrapped.afunc = _wrap_async(afunc, probe)
    return wrapped


def _runs_in_executor(afunc: Any, function: Any) -> bool:
    return isinstance(afunc, functools.partial) and bool(afunc.args) and afunc.args[-1] is function


def _observe_lambda(runnable: Any, probe: Probe) -> Any:
    wrapped = copy.copy(runnable)
    _ = wrapped.deps  # cached, from the functions that are about to be hidden
    for name, wrap in (("func", _wrap), ("afunc", _wrap_async)):
        if hasattr(runnable, name):
            setattr(wrapped, name, wrap(getattr(runnable, name), probe))
    return wrapped


def _generates(runnable: Any) -> bool:
    functions = (getattr(runnable, name, None) for name in ("func", "afunc"))
    return any(inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f) for f in functions)


def _wrap(function: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    def observed(state: Any, /, *args: Any, **kwargs: Any) -> Any:
        return probe.run(function, state, *args, **kwargs)

    return _disguised(observed, function)


def _wrap_async(function: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    async def observed(state: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await probe.arun(function, state, *args, **kwargs)

    return _disguised(observed, function)


def _disguised(wrapper: Any, function: Any) -> Callable[..., Any]:
    """Give a wrapper the identity that LangGraph's caches and sub-graph detection see.

    Both look at the function itself: the cache at its module and qualified name, the detection at
    what it wraps, one level deep.
    """
    is_function = isinstance(function, (types.FunctionType, types.MethodType))
    functools.update_wrapper(wrapper, function, updated=("__dict__",) if is_function else ())
    wrapper.__wrapped__ = getattr(function, "__wrapped__", function)
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if name is None:
        wrapper.__module__ = None  # has no identity, like a partial
    else:
        wrapper.__qualname__ = name
    return wrapper  # type: ignore[no-any-return]


def _observe_from_outside(runnable: Any, probe: Probe) -> Any:
    """Return a copy of a runnable, of a subclass whose `invoke` and `ainvoke` are counted."""
    if not isinstance(runnable, Runnable):
        msg = "it is not a runnable"
        raise TypeError(msg)
    kind = type(runnable)

    def invoke(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        with _only_once(probe) as is_first:
            call = functools.partial(kind.invoke, self)
            if is_first:
                return probe.run(call, input, config, **kwargs)
            return call(input, config, **kwargs)

    async def ainvoke(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        with _only_once(probe) as is_first:
            call = functools.partial(kind.ainvoke, self)
            if is_first:
                return await probe.arun(call, input, config, **kwargs)
            return await call(input, config, **kwargs)

    namespace: dict[str, Any] = {"invoke": invoke}
    if kind.ainvoke is not Runnable.ainvoke:  # LangGraph tells by this whether it can time out
        namespace["ainvoke"] = ainvoke
    made = share(runnable, subclass_silently(kind, namespace))
    if (attributes := getattr(runnable, "__dict__", None)) is not None:
        object.__setattr__(made, "__dict__", dict(attributes))
    return made


_COUNTING: Final[ContextVar[frozenset[int]]] = ContextVar("counting", default=frozenset())
"""Ids of the probes of the runnables that are running in this context."""


@contextlib.contextmanager
def _only_once(probe: Probe) -> Iterator[bool]:
    """Tell whether this is the outer of two calls: `ainvoke` may call `invoke`."""
    counting = _COUNTING.get()
    token = _COUNTING.set(counting | {id(probe)})
    try:
        yield id(probe) not in counting
    finally:
        _COUNTING.reset(token)
