"""From calling one of LangGraph's tasks to what its function does, and to the future that it gives.

    future = summarize(text)       runs the function on a thread of its own
    ...
    future.result(), await future  gives what the function returned

When the function has run to its end nobody can tell before that, so it counts as run where it is
called. LangGraph waits for every task of a superstep, whether its result is asked for or not.
"""

from __future__ import annotations

from typing import Any

from langgraph.types import RetryPolicy

from langgraph_parallel.effects import TASK_CALL, union
from langgraph_parallel.inference.code.datamodel import is_a, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import SCALAR, WORLD, Cell, Made, Value, opaque
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import FUTURE, result_of


def call_task(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return the future that calling a task gives; None when `obj` is none that is understood."""
    if not is_a(obj, framework().tasks) or user_defined(type(obj)) or not _only_runs(obj):
        return None
    where = frame.where(given.node)
    if frame.recorder.look(place_of(frame, obj, ".func"), where, by_name=True) != "seen":
        return None
    name = getattr(obj.func, "__name__", "?")
    frame.recorder.note(f"calls the task {name!r}", where, TASK_CALL)
    found = frame.call(frame.live(obj.func), given)
    cell = frame.recorder.cells.setdefault((id(given.node), FUTURE), Cell("object"))
    frame.recorder.grown |= cell.put("result", found)
    return frozenset({Made(FUTURE, cell)})


def _only_runs(task: Any) -> bool:
    """Tell whether calling a task runs its function, and no other code of the user's."""
    policies = task.retry_policy
    policies = [policies] if is_a(policies, RetryPolicy) else list(policies or ())
    return task.cache_policy is None and all(_retries_by_type(p.retry_on) for p in policies)


def _retries_by_type(retry_on: Any) -> bool:
    if retry_on is RetryPolicy().retry_on:
        return True
    kinds = retry_on if is_a(retry_on, (tuple, list)) else (retry_on,)
    return all(is_a(kind, type) and issubclass(kind, BaseException) for kind in kinds)


def future_method(frame: Frame, atom: Made, name: str, given: Arguments) -> Value | None:
    """Return what a method of a task's future gives; None when that is not known."""
    if name == "result":
        frame.use(given.all, given.node)
        found = result_of(atom)
        if atom.cell.shared:  # whoever has the future may change what it gives
            return opaque(union(atom.cell.roots, frozenset({WORLD})))
        return found
    return SCALAR if name in ("done", "running", "cancelled", "cancel", "get_name") else None
