"""From what runs functions beside their caller, tasks and pools of threads, to their effects.

    with ThreadPoolExecutor() as pool:           waits for all at its end
        pool.map(ask, topics)
    async with asyncio.TaskGroup() as group:     so does this
        group.create_task(ask(topic))
    task = asyncio.create_task(ask(topic))       only where the task is awaited

When a function has run to its end nobody can tell before it is waited for, so it counts as run
where it is started. What is not certainly waited for is not known: it may go on after the node.
"""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from langgraph_parallel.effects import LEFT_RUNNING
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.waiting import (
    goes_over_all,
    is_awaited,
    is_context,
    takes_result,
)
from langgraph_parallel.inference.door.contexts import holding_place
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import await_value, iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Cell,
    Closure,
    Live,
    Made,
    Object,
    Value,
    join,
)
from langgraph_parallel.inference.objects.objects import FUTURE, Typed, class_of
from langgraph_parallel.locations import EVENT_LOOPS, world

LOOP: Final = asyncio.AbstractEventLoop
_TIMEOUT: Final = asyncio.Timeout


def concurrent_call(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return what a function or class gives that runs others beside it; None for any other."""
    for known, rule in _RULES:
        if obj is known:
            return rule(frame, given)
    return None


def concurrent_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a pool, a group of tasks or a loop gives; None for any other."""
    cls = class_of(atom)
    if cls is ThreadPoolExecutor:
        return _method_of_pool(frame, atom, name, given)
    if cls is asyncio.TaskGroup and isinstance(atom, Made) and name == "create_task":
        return _future(frame, await_value(frame, _first(given), given.node), given)
    if isinstance(atom, Object) and cls is LOOP:
        return _method_of_loop(frame, name, given)
    if cls is _TIMEOUT and isinstance(atom, Made) and name in _OF_TIMEOUTS:
        frame.use(given.all, given.node)
        return _OF_TIMEOUTS[name]
    return None


_OF_TIMEOUTS: Final = {"reschedule": NONE, "when": SCALAR, "expired": SCALAR}


def _first(given: Arguments) -> Value:
    return join(*given.positional[:1], given.named.get("coro", NOTHING), given.unpacked)


def _future(frame: Frame, found: Value, given: Arguments) -> Value:
    """Return the future of something that counts as run."""
    cell = frame.recorder.cells.setdefault((id(given.node), FUTURE), Cell("object"))
    frame.recorder.grown |= cell.put("result", found)
    return frozenset({Made(FUTURE, cell)})


# -- tasks of a loop -------------------------------------------------------------------------------


def _start_task(frame: Frame, given: Arguments) -> Value:
    found = _future(frame, await_value(frame, _first(given), given.node), given)
    return found if _is_awaited(frame, given) else _not_waited_for(frame, given)


def _is_awaited(frame: Frame, given: Arguments) -> bool:
    def waits(call: ast.Call) -> bool:
        name = ast.unparse(call.func).rpartition(".")[2]
        if name not in ("gather", "wait", "wait_for"):
            return False
        callee = frame.evaluate(call.func)
        if callee == frozenset({Live(asyncio.wait)}):
            return not call.keywords
        return callee in (frozenset({Live(asyncio.gather)}), frozenset({Live(asyncio.wait_for)}))

    return is_awaited(frame.source.node, given.node, waits)


def _not_waited_for(frame: Frame, given: Arguments) -> Value:
    what = f"may leave running what {given.callee} has begun"
    frame.recorder.note(what, frame.where(given.node), LEFT_RUNNING)
    return unknown(frame, f"calls {given.callee} and may not wait for it", given.all, given.node)


def _gather(frame: Frame, given: Arguments) -> Value:
    parts = await_value(frame, join(*given.positional, given.unpacked), given.node)
    return collected(frame, given.node, parts)


def _await_first(frame: Frame, given: Arguments) -> Value:
    if not given.positional:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    return await_value(frame, given.positional[0], given.node)


def _to_thread(frame: Frame, given: Arguments) -> Value:
    if not given.positional:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    return frame.call(given.positional[0], given.rest())


def _wait(frame: Frame, given: Arguments) -> Value:
    """Return the two sets of futures, those that are done and those that are not."""
    node = given.node
    futures = iterate(frame, join(*given.positional[:1], given.named.get("fs", NOTHING)), node)
    key = (id(node), "wait")
    cell = frame.recorder.cells.setdefault(key, Cell("list"))
    frame.recorder.grown |= cell.add(futures)
    return collected(frame, node, frozenset({cell}))


def _each_when_done(frame: Frame, given: Arguments) -> Value:
    futures = iterate(
        frame, join(*given.positional[:1], given.named.get("fs", NOTHING)), given.node
    )
    return collected(frame, given.node, futures)


def _each_of_all(frame: Frame, given: Arguments) -> Value:
    found = _each_when_done(frame, given)
    is_each = goes_over_all(frame.source.node, given.node)
    return found if is_each else _not_waited_for(frame, given)


def _run_loop(frame: Frame, given: Arguments) -> Value:
    """Run a coroutine in a loop of its own, to which locks of another one do not belong."""
    frame.recorder.change(EVENT_LOOPS, frame.where(given.node), SCALAR)
    # A client that all share keeps connections that belong to one loop: not two at a time.
    frame.recorder.resources |= {"asyncio.run"}
    return await_value(frame, given.positional[0], given.node) if given.positional else NONE


def _running_loop(frame: Frame, given: Arguments) -> Value | None:
    del given
    is_inside = isinstance(frame.source.node, ast.AsyncFunctionDef)
    return frozenset({Object(LOOP, frozenset({WORLD}))}) if is_inside else None


def _group(frame: Frame, given: Arguments) -> Value:
    return _made(frame, asyncio.TaskGroup, given)


def _timeout(frame: Frame, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    return _made(frame, _TIMEOUT, given)


def _made(frame: Frame, cls: type, given: Arguments) -> Value:
    cell = frame.recorder.cells.setdefault((id(given.node), cls), Cell("object"))
    return frozenset({Made(cls, cell)})


def _method_of_loop(frame: Frame, name: str, given: Arguments) -> Value | None:
    if name == "time":
        frame.recorder.look(world("clock"), frame.where(given.node))
        return SCALAR
    if name == "create_task":
        return _start_task(frame, given)
    if name != "run_in_executor" or len(given.positional) < 2:
        return None
    pools, work = given.positional[0], given.rest()
    found = _run_in(frame, pools, work)
    if found is None:
        return None
    made = _future(frame, found, given)
    return made if _is_awaited(frame, given) else _not_waited_for(frame, given)


# -- pools of threads ------------------------------------------------------------------------------


def _make_pool(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) > 2 or {"initializer", "initargs"} & given.named.keys():
        return unknown(
            frame, f"calls {given.callee} with code to begin with", given.all, given.node
        )
    if not is_context(frame.source.node, given.node):
        return _not_waited_for(frame, given)
    frame.use(given.all, given.node)
    return _made(frame, ThreadPoolExecutor, given)


def _method_of_pool(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    pool = frozenset({atom})
    if name == "shutdown" and isinstance(atom, Made):
        return NONE
    if name not in ("submit", "map") or not given.positional:
        return None
    if name == "submit":
        found = _run_in(frame, pool, given)
        made = None if found is None else _future(frame, found, given)
        is_waited = isinstance(atom, Made) or takes_result(frame.source.node, given.node)
    else:
        parts = tuple(iterate(frame, value, given.node) for value in given.positional[1:])
        found = _run_in(frame, pool, Arguments(given.node, (given.positional[0], *parts)))
        made = None if found is None else collected(frame, given.node, found)
        is_waited = isinstance(atom, Made)
    if made is None:
        return None
    return made if is_waited else _not_waited_for(frame, given)


def _run_in(frame: Frame, pools: Value, given: Arguments) -> Value | None:
    """Run a function in a pool; None when what else the pool runs is not known.

    Work in a pool that others use waits for a free thread. Whoever waits there for more of what
    others may hold is the only one to do so.
    """
    places = []
    for atom in pools - NONE:
        if not isinstance(atom, (Live, Made)) or class_of(atom) is not ThreadPoolExecutor:
            return None
        if isinstance(atom, Live):
            if not is_a(atom.obj, ThreadPoolExecutor) or atom.obj._initializer is not None:
                return None
            places.append(holding_place(frame, atom, given.node))
    if NONE & pools:
        places.append(holding_place(frame, None, given.node))
    for atom in given.positional[0]:
        if isinstance(atom, Closure):  # it sees what is assigned while it runs
            frame.recorder.started[atom, given.node] = atom, given.rest()
    try:
        return frame.call(given.positional[0], given.rest())
    finally:
        del frame.recorder.held[len(frame.recorder.held) - len(places) :]


_RULES: Final = (
    (asyncio.create_task, _start_task),
    (asyncio.ensure_future, _start_task),
    (asyncio.gather, _gather),
    (asyncio.wait_for, _await_first),
    (asyncio.shield, _await_first),
    (asyncio.to_thread, _to_thread),
    (asyncio.wait, _wait),
    (asyncio.as_completed, _each_of_all),
    (asyncio.run, _run_loop),
    (asyncio.get_running_loop, _running_loop),
    (asyncio.get_event_loop, _running_loop),
    (asyncio.TaskGroup, _group),
    (asyncio.timeout, _timeout),
    (asyncio.timeout_at, _timeout),
    (ThreadPoolExecutor, _make_pool),
    (concurrent.futures.as_completed, _each_when_done),
    (concurrent.futures.wait, _wait),
)
"""The rule for each function or class that runs others, or waits for what runs."""
