"""From a context manager to what entering and leaving it runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.inference.code.datamodel import find, is_users, user_defined
from langgraph_parallel.inference.code.family_tables import Connection
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
from langgraph_parallel.inference.objects.objects import class_of
from langgraph_parallel.inference.objects.special_methods import run_special

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
    "contextlib.suppress": False,
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


def enter(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Return what `with manager as x` binds to `x`."""
    return join(*(_enter(frame, atom, node, is_async=is_async) for atom in manager))


def _enter(frame: Frame, atom: Atom, node: ast.AST, *, is_async: bool) -> Value:
    given = frozenset({atom})
    if isinstance(atom, Cell) and atom.spent:
        return atom.everything()  # of `@contextmanager`: its body counts as run
    if isinstance(atom, (Live, Made, Object)):
        cls = class_of(atom)
        if issubclass(cls, SdkPart):
            return tame() if cls.path == "stream" else given
        known = _QUIET_MANAGERS.get(f"{cls.__module__}.{cls.__qualname__}")
        if known is not None and not user_defined(cls):
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


def leave(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Run what leaving a context runs; return what tells whether an error is swallowed."""
    name = "__aexit__" if is_async else "__exit__"
    found: Value = NOTHING
    for atom in manager:
        if isinstance(atom, (Live, Made, Object)):
            hook = find(class_of(atom), name)
            if hook is not None and is_users(hook[1]):
                error = join(NONE, frozenset({Object(BaseException, frozenset({GIVEN}))}))
                given = (error, error, join(NONE, opaque()))
                found = join(found, run_special(frame, atom, name, given, node))
    return found
