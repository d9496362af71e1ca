"""From a call of a library's Python code to its body, where all of that can be followed.

What a library writes is code like any other. It is followed in a trial first, which counts for
nothing: where something in it is not known, or it is too long, the call is not known as a whole,
and says so in the user's words.
"""

from __future__ import annotations

import functools
import os
import sysconfig
import types
from typing import Any, Final

from langgraph_parallel.inference.calls.functions import call_live, is_passive, placeholder_frame
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import GiveUpError, Recorder
from langgraph_parallel.inference.machine.values import Cell, Data, Made, Value

_LONGEST: Final = 1_200
"""Syntax nodes visited in one trial."""
_LARGEST: Final = 60_000
"""Bytes of a file, all of which is read to find one function."""
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
_ENGINES: Final = frozenset(
    " ".join(
        (
            "aiohttp anthropic anyio google grpc httpx langchain langchain_anthropic",
            "langchain_classic langchain_community langchain_core langchain_openai langgraph",
            "langgraph_sdk langsmith numpy openai pandas pydantic pydantic_core torch",
        )
    ).split()
)
"""Packages whose code is too large, or too close to the engine, to be worth a trial."""
_OPEN: Final = frozenset({"langchain_core.tools.retriever", "langchain_core.document_loaders.base"})
"""Modules of those that are."""
_KEPT: Final = 4096
_HOPELESS: Final[set[Any]] = set()
"""Functions that could not be followed, with the kinds of their arguments."""


def follow_library(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return what a function of an installed library gives; None when it cannot be followed."""
    if not isinstance(function, types.FunctionType) or not _is_worth_a_trial(function):
        return None
    if not all(is_passive(value, 0) for value in (given.all, *given.named.values())):
        return None
    if frame.recorder.is_trial:
        return call_live(frame, function, given)
    key = (function.__code__, frozenset(map(type, given.all)))
    if key in _HOPELESS or not _try(frame, function, given):
        if len(_HOPELESS) >= _KEPT:
            _HOPELESS.clear()
        _HOPELESS.add(key)
        return None
    return call_live(frame, function, given)


def _is_worth_a_trial(function: types.FunctionType) -> bool:
    code = function.__code__
    package = str(function.__module__).partition(".")[0]
    is_open = package not in _ENGINES or function.__module__ in _OPEN
    return is_open and code.co_filename.startswith(_INSTALLED) and _is_short(code.co_filename)


@functools.lru_cache(maxsize=1024)
def _is_short(filename: str) -> bool:
    """Tell whether reading a file of a library takes no time worth mentioning."""
    try:
        return os.path.getsize(filename) <= _LARGEST
    except OSError:
        return False


def _try(frame: Frame, function: types.FunctionType, given: Arguments) -> bool:
    """Follow a function for nobody; tell whether all that it does is known."""
    real = frame.recorder
    trial = Recorder(
        real.shape,
        Memory(),
        leaked=real.leaked,
        leaked_opaque=real.leaked_opaque,
        budget=min(_LONGEST, real.budget // 4),
        is_trial=True,
    )
    held = _cells_in(given.all)
    before = [_content_of(cell) for cell in held]
    inner = placeholder_frame(trial, "library")
    inner.depth = frame.depth
    try:
        found = call_live(inner, function, given)
    except (GiveUpError, RecursionError):
        return False
    finally:
        # Whatever it has put into containers of the node's stays there.
        real.grown = real.grown or before != [_content_of(cell) for cell in held]
    return found is not None and "unknown" not in trial.external and not trial.control - {"raise"}


def _cells_in(value: Value) -> list[Cell]:
    """Return the containers of the node's that a value is, or holds."""
    found: list[Cell] = []
    pending = list(value)
    while pending:
        atom = pending.pop()
        cell = atom.cell if isinstance(atom, Made) else atom
        if isinstance(cell, Cell) and cell not in found:
            found.append(cell)
            pending += [*cell.rest, *(part for held in cell.values.values() for part in held)]
        elif isinstance(atom, Data):
            pending += atom.parts or ()
    return found


def _content_of(cell: Cell) -> tuple[Any, ...]:
    parts = dict(cell.values), cell.rest, cell.index, dict(cell.folds)
    return *parts, cell.open, cell.shared, cell.spread
