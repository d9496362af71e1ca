"""From a context manager to what entering and leaving it runs."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Mapping
from typing import Final, TypeGuard

from langgraph_parallel.inference.code.datamodel import find, is_users, user_defined
from langgraph_parallel.inference.code.family_tables import Connection
from langgraph_parallel.inference.code.scopes import scope_of
from langgraph_parallel.inference.code.sdk import SdkPart
from langgraph_parallel.inference.code.services import service_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    NONE,
    NOTHING,
    Atom,
    Cell,
    Live,
    Made,
    Object,
    Value,
    join,
    opaque,
    tame,
)
from langgraph_parallel.inference.machine.watch import PAUSES
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import class_of
from langgraph_parallel.inference.objects.special_methods import run_special
from langgraph_parallel.locations import ANYWHERE, EVENT_LOOPS, Location, world

_QUIET_MANAGERS: Final[Mapping[str, bool]] = {
    "_thread.lock": False,
    "_thread.RLock": False,
    "threading.Lock": False,
    "threading._RLock": False,
    "threading.Semaphore": False,
    "threading.BoundedSemaphore": False,
    "threading.Condition": False,
    "asyncio.locks.Lock": False,
    "asyncio.locks.Semaphore": False,
    "asyncio.locks.BoundedSemaphore": False,
    "asyncio.timeouts.Timeout": True,
    "asyncio.taskgroups.TaskGroup": True,
    "concurrent.futures.thread.ThreadPoolExecutor": True,
    "contextlib.suppress": False,
    "contextlib.ExitStack": True,
    "contextlib.AsyncExitStack": True,
    "httpx.Client": True,
    "httpx.AsyncClient": True,
    "httpx.Response": True,
    "requests.sessions.Session": True,
    "requests.models.Response": True,
    "aiohttp.client.ClientSession": True,
    "_io.TextIOWrapper": True,
    "_io.BufferedReader": True,
    "_io.StringIO": True,
    "_io.BytesIO": True,
    f"{Connection.__module__}.{Connection.__qualname__}": True,
}
"""Library classes whose instances, as context managers, only let a thing be used by one at a time
or close it at the end; and whether `as` gives the thing itself."""

_LOCKS: Final = frozenset(
    name
    for name in _QUIET_MANAGERS
    if name.startswith(("_thread.", "threading.", "asyncio.locks."))
)
"""Those that others may have to wait for."""


def enter(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Return what `with manager as x` binds to `x`."""
    return join(*(_enter(frame, atom, node, is_async=is_async) for atom in manager))


def _note_lock(frame: Frame, cls: type, node: ast.AST) -> None:
    if _name_of(cls) in _LOCKS:
        frame.recorder.note("waits for a lock", frame.where(node), PAUSES)


def _enter(frame: Frame, atom: Atom, node: ast.AST, *, is_async: bool) -> Value:
    given = frozenset({atom})
    if isinstance(atom, Cell) and atom.spent:
        return atom.everything()  # of `@contextmanager`: its body counts as run
    if isinstance(atom, (Live, Made, Object)):
        cls = class_of(atom)
        if cls is contextlib.nullcontext and isinstance(atom, Made):
            return atom.cell.at("enter_result")
        if issubclass(cls, SdkPart):
            return tame() if cls.path == "stream" else given
        known = _QUIET_MANAGERS.get(_name_of(cls))
        _note_lock(frame, cls, node)
        if known is not None and not user_defined(cls):
            if is_shared_lock(atom):
                holding_place(frame, atom, node, is_async=is_async)
            return given if known else NONE
        if service_of(cls) is not None:
            return given
        for name in ("__aenter__", "__aexit__") if is_async else ("__enter__", "__exit__"):
            found = find(cls, name)
            if found is not None and not is_users(found[1]):
                break
        else:
            name = "__aenter__" if is_async else "__enter__"
            return run_special(frame, atom, name, (), node)
    return unknown(frame, "enters a context manager", given, node)


def _name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def is_shared_lock(atom: Atom) -> TypeGuard[Live | Object]:
    """Tell whether entering an object may wait for another node to leave it."""
    if not isinstance(atom, (Live, Object)) or user_defined(class_of(atom)):
        return False
    return _name_of(class_of(atom)) in _LOCKS


def holding_place(
    frame: Frame, atom: Live | Object | None, node: ast.AST, *, is_async: bool = False
) -> Location:
    """Hold a lock, or a place in a pool, that others wait for; return where it is.

    Nodes that run together could wait for each other for ever, where one after the other they do
    not: when they hold two at a time, or go on waiting for something else inside of a lock that
    halts a whole thread. Such a node has what it holds for itself.

    Args:
        frame: Where it is held.
        atom: The lock or pool; None for the pool that a loop has.
        node: The place in the code.
        is_async: Whether only a task waits for it, and not a thread.
    """
    where, recorder = frame.where(node), frame.recorder
    place = world("threads of the loop") if atom is None else ANYWHERE
    if isinstance(atom, Live):
        place = place_of(frame, atom.obj)
    if is_async:
        recorder.look(EVENT_LOOPS, where)
    else:
        recorder.look(place, where)
    scope = scope_of(frame.source.node)
    may_halt = not is_async and isinstance(frame.source.node, ast.AsyncFunctionDef)
    is_lock = atom is not None and is_shared_lock(atom)
    if recorder.held or (is_lock and (may_halt or scope.is_generator)):
        for held in (place, *recorder.held):
            recorder.change(held, where)
    recorder.held.append(place)
    return place


def leave(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Run what leaving a context runs; return what tells whether an error is swallowed."""
    name = "__aexit__" if is_async else "__exit__"
    found: Value = NOTHING
    for atom in manager:
        if is_shared_lock(atom) and frame.recorder.held:
            frame.recorder.held.pop()
        if isinstance(atom, (Live, Made, Object)):
            hook = find(class_of(atom), name)
            if hook is not None and is_users(hook[1]):
                error = join(NONE, frozenset({Object(BaseException, frozenset({GIVEN}))}))
                given = (error, error, join(NONE, opaque()))
                found = join(found, run_special(frame, atom, name, given, node))
    return found
