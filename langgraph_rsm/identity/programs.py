"""Programs: which one the present context belongs to, and when it is over.

A program is over when the last of its *holders* lets go: a `program()` block, or a root run that
made calls under its id. Several may hold the same id, one after another or at once.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from langgraph_rsm.errors import ConfigError
from langgraph_rsm.identity.forks import share_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


P = ParamSpec("P")
R = TypeVar("R")


class ProgramWatcher(Protocol):
    """Whoever keeps state per program; held weakly."""

    def end_program(self, program_id: str) -> None:
        """Take note that the program makes no more calls; unknown ids are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramScope:
    """What a `program()` block declares."""

    program_id: str
    tenant: str = "default"
    weight: float = 1.0


_scope: ContextVar[ProgramScope | None] = ContextVar("langgraph_rsm_program", default=None)
_lock = threading.RLock()  # a finalizer may end a call, and so a program, in the middle of it
share_lock(_lock)
_holders: dict[str, int] = {}
_watchers: tuple[weakref.ref[ProgramWatcher], ...] = ()


@contextmanager
def program(
    id: str | None = None, *, tenant: str = "default", weight: float = 1.0
) -> Iterator[ProgramScope]:
    """Make all model calls inside the block calls of one program.

    It is not needed for graph runs, which are told apart without it; it names a program, gives it a
    tenant or a weight, or joins several runs in one. The block follows the context: tasks and
    threads that copy it belong to the program, also when they outlive the block.

    Args:
        id: Name of the program; None makes a unique one. Blocks with the same id are one program.
        tenant: Who it is run for.
        weight: Share relative to other programs, above 0.

    Yields:
        The scope, with the id in use.

    Raises:
        ConfigError: `weight` is not above 0 or `id` is empty.
    """
    if not 0 < weight < float("inf") or id == "":
        msg = f"program(id={id!r}, weight={weight}) needs a non-empty id and a weight above 0"
        raise ConfigError(msg)
    scope = ProgramScope(program_id=id or uuid.uuid4().hex, tenant=tenant, weight=weight)
    hold_program(scope.program_id)
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)
        release_program(scope.program_id)


def current_scope() -> ProgramScope | None:
    """Return the innermost `program()` block of this context; None outside."""
    return _scope.get()


def keep_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in the context of this moment, wherever it is called.

    LangGraph, LangChain, `asyncio.to_thread` and tasks carry the context along; a bare
    `threading.Thread`, `ThreadPoolExecutor.submit` and `loop.run_in_executor` do not, and model
    calls in there belong to no program. Hand them `keep_context(function)`; it may be called many
    times, also at once.

    Example:
        `pool.map(keep_context(research), topics)`
    """
    context = copy_context()

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy per call: one context can be entered by one thread at a time only.
        return context.copy().run(function, *args, **kwargs)

    return run


def watch_program_ends(watcher: ProgramWatcher) -> None:
    """Have `watcher.end_program` called, outside any lock, whenever a program is over."""
    global _watchers
    with _lock:
        alive = (one for one in _watchers if one() is not None)
        _watchers = (*alive, weakref.ref(watcher))


def hold_program(program_id: str) -> None:
    """Keep a program alive until the matching `release_program`."""
    with _lock:
        _holders[program_id] = _holders.get(program_id, 0) + 1


def release_program(program_id: str) -> None:
    """Undo one `hold_program`; the last one ends the program."""
    with _lock:
        left = _holders.pop(program_id) - 1
        if left:
            _holders[program_id] = left
            return
    for ref in _watchers:
        watcher = ref()
        if watcher is not None:
            watcher.end_program(program_id)
