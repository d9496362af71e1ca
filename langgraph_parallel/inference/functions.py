"""Following calls into functions whose code is at hand: the user's helpers and inner functions."""

from __future__ import annotations

import ast
import inspect
import types
from functools import lru_cache
from typing import Any

from langgraph_parallel.inference.expressions import parameter_defaults
from langgraph_parallel.inference.frame import Frame, GiveUpError, statement
from langgraph_parallel.inference.source import FunctionNode, Source, find_source
from langgraph_parallel.inference.values import (
    NOTHING,
    Closure,
    Value,
    const,
    fresh,
    join,
    opaque,
    roots_of,
)


def call_closure(
    frame: Frame,
    closure: Closure,
    positional: tuple[Value, ...],
    named: dict[str, Value],
    unpacked: Value,
) -> Value:
    """Return what a function defined inside the node gives, following its body."""
    home: Frame = closure.home
    inner = Frame(
        recorder=frame.recorder,
        source=Source(closure.node, home.source.filename),
        namespace=home.namespace,
        cells=home.cells,
        parent=home,
        local_names=assigned_names(closure.node),
        depth=frame.depth + 1,
    )
    return _run_function(inner, closure.node, closure.defaults, positional, named, unpacked)


def call_live(
    frame: Frame,
    function: types.FunctionType,
    positional: tuple[Value, ...],
    named: dict[str, Value],
    unpacked: Value,
) -> Value | None:
    """Return what a user's function gives, following its body; None when it has no source."""
    source = find_source(function)
    trail = frame.recorder.trail
    if source is None or function.__code__ in trail or is_generator(source.node):
        return None
    inner = frame_for(frame.recorder, function, source, depth=frame.depth + 1)
    trail.append(function.__code__)
    try:
        defaults = live_defaults(inner, function)
        return _run_function(inner, source.node, defaults, positional, named, unpacked)
    finally:
        trail.pop()


def frame_for(recorder: Any, function: types.FunctionType, source: Source, depth: int) -> Frame:
    """Return a fresh frame for a live function."""
    cells = {
        name: cell.cell_contents
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        )
        if _is_filled(cell)
    }
    return Frame(
        recorder=recorder,
        source=source,
        namespace=function.__globals__,
        cells=cells,
        local_names=assigned_names(source.node),
        depth=depth,
    )


def live_defaults(frame: Frame, function: types.FunctionType) -> dict[str, Value]:
    """Return the default of each parameter of a live function."""
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return {p.name: frame.live(p.default) for p in parameters if p.default is not p.empty}


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _run_function(
    inner: Frame,
    node: FunctionNode,
    defaults: dict[str, Value],
    positional: tuple[Value, ...],
    named: dict[str, Value],
    unpacked: Value,
) -> Value:
    inner.check_depth()
    bind_parameters(inner, node.args, defaults, positional, named, unpacked)
    return run_body(inner, node)


def run_body(frame: Frame, node: FunctionNode) -> Value:
    """Run a function's body and return what it may give."""
    if isinstance(node, ast.Lambda):
        return frame.evaluate(node.body)
    frame.run(node.body)
    falls_through = const(None) if frame.env is not None else NOTHING
    return join(*frame.returns, falls_through)


def bind_parameters(
    frame: Frame,
    arguments: ast.arguments,
    defaults: dict[str, Value],
    positional: tuple[Value, ...],
    named: dict[str, Value],
    unpacked: Value,
) -> None:
    """Bind the parameters of a call; `unpacked` may land in any of them."""
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    for index, name in enumerate(names):
        given = positional[index] if index < len(positional) else named.get(name, NOTHING)
        frame.bind(name, join(given or defaults.get(name, NOTHING), unpacked))
    for argument in arguments.kwonlyargs:
        given = named.get(argument.arg) or defaults.get(argument.arg, NOTHING)
        frame.bind(argument.arg, join(given, unpacked))
    extra = join(*positional[len(names) :], unpacked)
    if arguments.vararg:
        frame.leak(extra)
        frame.escape(extra, "passed as *args", frame.where(frame.source.node))
        frame.bind(arguments.vararg.arg, fresh(roots_of(extra), deep=False))
    if arguments.kwarg:
        rest = join(*(v for k, v in named.items() if k not in names), unpacked)
        frame.leak(rest)
        frame.escape(rest, "passed as **kwargs", frame.where(frame.source.node))
        frame.bind(arguments.kwarg.arg, fresh(roots_of(rest), deep=False))


@lru_cache(maxsize=4096)
def assigned_names(node: FunctionNode) -> frozenset[str]:
    """Return the names that are local to a function by Python's scoping."""
    arguments = node.args
    names = {a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs}
    names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a}
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    pending: list[ast.AST] = list(body)
    while pending:
        part = pending.pop()
        names |= _bound_by(part)
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(part, _COMPREHENSIONS):
            # Only a walrus inside a comprehension binds a name of the function.
            names |= {w.target.id for w in ast.walk(part) if isinstance(w, ast.NamedExpr)}
            continue
        pending.extend(ast.iter_child_nodes(part))
    return frozenset(names)


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _bound_by(part: ast.AST) -> set[str]:
    if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
        return {part.id}
    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {part.name}
    if isinstance(part, ast.alias):
        return {(part.asname or part.name).split(".")[0]}
    if isinstance(part, ast.ExceptHandler) and part.name:
        return {part.name}
    if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
        return {part.name}
    if isinstance(part, ast.MatchMapping) and part.rest:
        return {part.rest}
    return set()


@statement(ast.FunctionDef, ast.AsyncFunctionDef)
def _define(frame: Frame, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if is_generator(node):
        msg = f"{node.name} is a generator"
        raise GiveUpError(msg)
    value: Value = frozenset({Closure(node, parameter_defaults(frame, node.args), frame)})
    for decorator in node.decorator_list:
        applied = frame.evaluate(decorator)
        frame.escape(value, "decorated", frame.where(node))
        frame.recorder.contact("unknown", "an inner function is decorated", frame.where(node))
        value = opaque(roots_of(applied))
    frame.bind(node.name, value)


def run_late(frame: Frame) -> None:
    """Analyze what runs later: inner functions that others may call, generator expressions."""
    for generator_frame, node in frame.recorder.generators:
        generator_frame.env = dict(generator_frame.history)
        generator_frame.evaluate(node)
    done: dict[Closure, Value] = {}
    while pending := [c for c, value in frame.recorder.late.items() if done.get(c) != value]:
        closure = pending[0]
        done[closure] = frame.recorder.late[closure]
        call_closure(frame, closure, (), {}, done[closure])


@lru_cache(maxsize=4096)
def is_generator(node: FunctionNode) -> bool:
    """Tell whether calling a function only makes a generator."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    pending: list[ast.AST] = list(body)
    while pending:
        part = pending.pop()
        if isinstance(part, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(part))
    return False
