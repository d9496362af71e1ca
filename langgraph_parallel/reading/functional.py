"""From a graph made by `@entrypoint` to why it stays as it is, and to what its author could change.

    a = draft(topic).result()          the second task waits for the first, though it does not
    b = picture(topic).result()        need it

    a, b = draft(topic), picture(topic)          both run, then both are waited for
    text = a.result() + b.result()

Such a graph has one node, and its order is that of the function's own statements, which is not
rewritten. Where neighboring statements wait for tasks one by one that do not need one another,
their lines are named.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langgraph.graph import END, START
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel

from langgraph_parallel._compat.calls import TASK
from langgraph_parallel.effects import Effects
from langgraph_parallel.inference.code.callables import unwrap_callable
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.source import Source, find_source
from langgraph_parallel.inference.infer import call_effects
from langgraph_parallel.locations import ordered_places
from langgraph_parallel.reading.model import Refusal

_ENTRYPOINT: Final = Refusal(
    rule="entrypoint",
    nodes=(),
    reason="it is made by @entrypoint: its order is that of the function's own statements, and "
    "there are no nodes and edges to rewrite.",
    remedy="Tasks run side by side when all of them are called before the first is waited for "
    "(`a, b = f(x), g(x)`, then `a.result()`; or `await asyncio.gather(f(x), g(x))`); a StateGraph "
    "of the same functions is rewritten.",
)
_PREGEL: Final = Refusal(
    rule="plain-pregel",
    nodes=(),
    reason="it is a Pregel without edges: its nodes are started by the channels that they watch.",
    remedy="Build it with StateGraph.",
)


def is_without_edges(graph: Any) -> bool:
    """Tell whether something is a graph of LangGraph's that has no nodes and edges to rewrite."""
    return isinstance(graph, Pregel) and not isinstance(graph, CompiledStateGraph)


def refuse(graph: Pregel[Any, Any, Any, Any]) -> tuple[Refusal, ...]:
    """Return why a graph without edges stays as it is, and which of its tasks could overlap."""
    if len(graph.nodes) != 1 or not {START, END, "__previous__"} <= graph.channels.keys():
        return (_PREGEL,)
    (node,) = graph.nodes.values()
    function = getattr(node.bound, "func", None) or getattr(node.bound, "afunc", None)
    target = unwrap_callable(function) if callable(function) else None
    source = find_source(target[0]) if target is not None else None
    if target is None or source is None:
        return (_ENTRYPOINT,)
    return (_ENTRYPOINT, *_overlaps(target[0], source))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """A statement that calls one task and waits for it."""

    task: Any
    gives: frozenset[str]
    """The names that it assigns."""
    uses: frozenset[str]
    """The names in the task's arguments."""
    place: ast.stmt


def _overlaps(function: types.FunctionType, source: Source) -> Iterator[Refusal]:
    """Yield the runs of neighboring statements whose tasks could all be started first."""
    for block in _blocks(source.node):
        run: list[_Wait] = []
        for statement in (*block, None):
            found = _read(statement, function) if statement is not None else None
            if found is not None and _is_calm(found.task) and _is_free(found, run):
                run.append(found)
                continue
            if len(run) > 1:
                yield _hint(run, source)
            run = [found] if found is not None and _is_calm(found.task) else []


def _blocks(function: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    """Yield the lists of statements of a function, without those of functions inside of it."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(function, name, None)
        if isinstance(block, list):
            yield block
            for statement in block:
                if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    yield from _blocks(statement)
    for handler in getattr(function, "handlers", ()):
        yield from _blocks(handler)


def _read(statement: ast.stmt, function: types.FunctionType) -> _Wait | None:
    """Return what a statement waits for; None when it does anything else."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return None
    call = _awaited(statement.value)
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if call is None or len(names) != len(targets) or not isinstance(call.func, ast.Name):
        return None
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    parts = [part for argument in arguments for part in ast.walk(argument)]
    task = _named(call.func.id, function)
    if not is_a(task, TASK) or not all(isinstance(part, _PLAIN) for part in parts):
        return None
    uses = frozenset(part.id for part in parts if isinstance(part, ast.Name))
    return _Wait(task=task, gives=frozenset(names), uses=uses, place=statement)


_PLAIN: Final = (
    *(ast.Name, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.expr_context),
    *(ast.List, ast.Tuple, ast.Dict, ast.Subscript, ast.keyword),
)
"""What the arguments of a task may be made of that can as well be made earlier."""


def _awaited(value: ast.expr | None) -> ast.Call | None:
    """Return the call in `await call(...)` or `call(...).result()`."""
    if isinstance(value, ast.Await):
        inner: ast.expr = value.value
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr != "result" or value.args or value.keywords:
            return None
        inner = value.func.value
    else:
        return None
    return inner if isinstance(inner, ast.Call) else None


def _named(name: str, function: types.FunctionType) -> Any:
    """Return what a name of a function's surroundings stands for; None when it has none."""
    if name in function.__code__.co_varnames:
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    if name in cells:
        try:
            return cells[name].cell_contents
        except ValueError:  # not filled yet
            return None
    return function.__globals__.get(name)


def _is_calm(task: Any) -> bool:
    """Tell whether it does not matter when a task runs, as far as others can notice."""
    found: Effects = call_effects(task.func)
    is_reading = found.external <= {"model", "read"} and not found.control - {"raise"}
    return is_reading and not found.mutates and not ordered_places(found.changes)


def _is_free(found: _Wait, run: Sequence[_Wait]) -> bool:
    """Tell whether a task needs nothing that those before it in a run give."""
    given = frozenset[str]().union(*(wait.gives for wait in run))
    return not given & (found.uses | found.gives)


def _hint(run: Sequence[_Wait], source: Source) -> Refusal:
    names = tuple(str(getattr(wait.task.func, "__name__", "?")) for wait in run)
    lines = ", ".join(str(wait.place.lineno) for wait in run[1:])
    return Refusal(
        rule="tasks-in-a-row",
        nodes=names,
        reason=f"each waits for the one before it ({source.where(run[0].place)}, {lines}), and "
        "none needs what another gives.",
        remedy="Call all of them before the first is waited for.",
    )
