"""From a call of a function whose code is at hand, a helper or inner function, to its body."""

from __future__ import annotations

import ast
import types
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from langgraph_parallel.inference.calls.summaries import apply, summary_of
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.scopes import scope_of
from langgraph_parallel.inference.code.source import FunctionNode, Source, find_source
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, called, statement, unknown
from langgraph_parallel.inference.machine.recorder import Recorder
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    join,
)


@called(Closure)
def call_closure(frame: Frame, closure: Closure, arguments: Arguments) -> Value:
    """Return what a function defined inside the node gives, following its body."""
    home: Frame = closure.home
    inner = Frame(
        recorder=frame.recorder,
        source=Source(closure.node, home.source.filename),
        namespace=home.namespace,
        cells=home.cells,
        parent=home,
        local_names=scope_of(closure.node).assigned,
        outer_names=scope_of(closure.node).outer,
        depth=frame.depth + 1,
    )
    if frame.recorder.follows(closure):
        involved = join(frozenset({closure}), arguments.all)
        return unknown(frame, f"calls {arguments.callee} again", involved, arguments.node)
    if _runs_later(closure):
        frame.recorder.started[closure, arguments.node] = closure, arguments
    frame.recorder.trail.append(closure)
    try:
        inner.check_depth()
        bind_parameters(inner, closure.node.args, closure.defaults, arguments)
        return run_body(inner, closure.node)
    finally:
        frame.recorder.trail.pop()


def _runs_later(closure: Closure) -> bool:
    """Tell whether a body runs after its call, and may see what is assigned in between."""
    node = closure.node
    if not isinstance(node, ast.AsyncFunctionDef) and not scope_of(node).is_generator:
        return False
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    home: Frame | None = closure.home
    while home is not None:
        if not names.isdisjoint(_bound_again(home.source.node)):
            return True
        home = home.parent
    return False


@lru_cache(maxsize=1024)
def _bound_again(node: FunctionNode) -> frozenset[str]:
    """Return the names that a function binds in more than one place."""
    bound = [part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)]
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    bound += [part.id for part in names if not isinstance(part.ctx, ast.Load)]
    return frozenset(name for name, count in Counter(bound).items() if count > 1)


def call_live(frame: Frame, function: types.FunctionType, arguments: Arguments) -> Value | None:
    """Return what a user's function gives, following its body; None when it has no source."""
    recorder = frame.recorder
    source = find_source(function)
    if source is None or recorder.follows(function.__code__):
        return None
    watch = recorder.watch
    if watch is not None:
        watch.followed[source.node] = function
    is_own = bool(recorder.held) or watch is not None  # what it does here is asked for
    key = None if is_own else _same_call(function, arguments)
    if key in recorder.known_calls:
        return recorder.known_calls[key]

    def follow(inside: Recorder, given: Arguments) -> Value:
        inner = frame_for(inside, function, source, depth=frame.depth + 1)
        inside.trail.append(function.__code__)
        try:
            inner.check_depth()
            bind_parameters(inner, source.node.args, live_defaults(inner, function), given)
            returned = run_body(inner, source.node)
            if inside is not recorder:
                run_late(inner)
            return returned
        finally:
            inside.trail.pop()

    summary = None if is_own else summary_of(recorder, function, arguments, follow)
    if summary is not None:
        found = apply(summary, recorder, arguments.node)
        recorder.known_calls[key] = found
        return found
    cuts = recorder.cuts
    found = follow(recorder, arguments)
    if key is not None and cuts == recorder.cuts:
        recorder.known_calls[key] = found
    return found


def _same_call(function: types.FunctionType, given: Arguments) -> Any:
    """Return what calls have in common that do the same; None for a call that none may be like.

    What a call does only depends on its arguments and on what only grows: when that grows, there
    is another pass. A function of the node's own may assign to variables of whoever calls it.
    """
    if not all(is_passive(value, 0) for value in (given.all, *given.named.values())):
        return None
    return function, tuple(given.positional), frozenset(given.named.items()), given.unpacked


def is_passive(value: Value, depth: int) -> bool:
    """Tell whether a value certainly holds no function that was defined in the node.

    Args:
        value: The value.
        depth: How many containers it lies in.
    """
    for atom in value:
        if isinstance(atom, (Cell, Made)):
            cell = atom if isinstance(atom, Cell) else atom.cell
            held = join(cell.rest, *cell.values.values())
            if depth >= _DEEPEST_HELD or not is_passive(held, depth + 1):
                return False
        elif isinstance(atom, Data):
            if atom.parts is not None and not is_passive(atom.parts, depth + 1):
                return False
        elif isinstance(atom, Chain) and atom.steps is not None:
            if depth >= _DEEPEST_HELD or not is_passive(join(*atom.steps), depth + 1):
                return False
        elif not isinstance(atom, (Const, Opaque, Live, Object, State, Injected, Chain)):
            return False
    return True


_DEEPEST_HELD: Final = 3


def frame_for(recorder: Any, function: types.FunctionType, source: Source, depth: int) -> Frame:
    """Return a fresh frame for a live function."""
    names = function.__code__.co_freevars
    cells = dict(zip(names, function.__closure__ or (), strict=True))
    return Frame(
        recorder=recorder,
        source=source,
        namespace=function.__globals__,
        cells=cells,
        local_names=scope_of(source.node).assigned,
        outer_names=scope_of(source.node).outer,
        depth=depth,
    )


def live_defaults(frame: Frame, function: types.FunctionType) -> dict[str, Value]:
    """Return the default of each parameter of a live function."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    given = function.__defaults__ or ()
    late = names[len(names) - len(given) :]
    found = {name: frame.live(value) for name, value in zip(late, given, strict=True)}
    return found | {n: frame.live(v) for n, v in (function.__kwdefaults__ or {}).items()}


def run_body(frame: Frame, node: FunctionNode) -> Value:
    """Run a function's body and return what it may give; a generator gives what it yields."""
    if isinstance(node, ast.Lambda):
        given = frame.evaluate(node.body)
        return generated(frame, node) if scope_of(node).is_generator else given
    frame.run(node.body)
    if frame.recorder.watch is not None:
        frame.recorder.watch.note_values(node, frame.history)
    if scope_of(node).is_generator:
        return generated(frame, node)
    falls_through = NONE if frame.env is not None else NOTHING
    return join(*frame.returns, falls_through)


def generated(frame: Frame, node: FunctionNode) -> Value:
    """Return the generator that a call gives: its body counts as run where it is made.

    Whoever uses it up later sees what the body does no earlier than it is claimed here.
    """
    cell = frame.recorder.cells.setdefault(("generator", id(node)), Cell("list", spent=True))
    for value in frame.yields:
        frame.recorder.grown |= cell.add(value)
    return frozenset({cell})


def bind_parameters(
    frame: Frame, parameters: ast.arguments, defaults: dict[str, Value], given: Arguments
) -> None:
    """Bind the parameters of a call; what is unpacked may land in any of them."""
    positional, named, unpacked = given.positional, given.named, given.unpacked
    names = [a.arg for a in parameters.posonlyargs + parameters.args]
    for index, name in enumerate(names):
        value = positional[index] if index < len(positional) else named.get(name)
        frame.bind(name, join(_given_for(name, value, defaults, unpacked), unpacked))
    for argument in parameters.kwonlyargs:
        value = _given_for(argument.arg, named.get(argument.arg), defaults, unpacked)
        frame.bind(argument.arg, join(value, unpacked))
    if parameters.vararg:
        extra = join(*positional[len(names) :], unpacked)
        frame.bind(parameters.vararg.arg, collected(frame, parameters.vararg, extra))
    if parameters.kwarg:
        taken = {*names[len(parameters.posonlyargs) :], *(a.arg for a in parameters.kwonlyargs)}
        rest = {k: v for k, v in named.items() if k not in taken}
        frame.bind(parameters.kwarg.arg, _keywords(frame, parameters.kwarg, rest, unpacked))


def _given_for(
    name: str, value: Value | None, defaults: Mapping[str, Value], unpacked: Value
) -> Value:
    """Return what a parameter holds: a library fills in by name what nobody else gives."""
    if value or name in defaults:
        return value or defaults[name]
    if value is None and not unpacked and name in framework().injected:
        return frozenset({Injected(name)})
    return NOTHING


def _keywords(frame: Frame, node: ast.AST, named: dict[str, Value], unpacked: Value) -> Value:
    cell = frame.recorder.cells.setdefault(id(node), Cell())
    for name, value in named.items():
        frame.recorder.grown |= cell.put(name, value)
    if unpacked:
        frame.recorder.grown |= cell.add(unpacked)
        frame.recorder.grown |= cell.loosen()
    return frozenset({cell})


@statement(ast.FunctionDef, ast.AsyncFunctionDef)
def _define(frame: Frame, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    value: Value = frozenset({Closure(node, parameter_defaults(frame, node.args), frame)})
    for decorator in reversed(node.decorator_list):
        applied = frame.evaluate(decorator)
        value = frame.call(applied, Arguments(decorator, (value,)))
    frame.bind(node.name, value)


def parameter_defaults(frame: Frame, arguments: ast.arguments) -> dict[str, Value]:
    """Return the default of each parameter that has one."""
    positional = arguments.posonlyargs + arguments.args
    late = positional[len(positional) - len(arguments.defaults) :]
    pairs = list(zip(late, arguments.defaults, strict=True))
    pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d]
    return {argument.arg: frame.evaluate(default) for argument, default in pairs}


def run_late(frame: Frame) -> None:
    """Analyze what runs later: inner functions that others may call, generator expressions."""
    for generator_frame, node in frame.recorder.generators:
        generator_frame.env = dict(generator_frame.history)
        generator_frame.evaluate(node)
    started = frame.recorder.started
    for key in list(started):
        closure, arguments = started.pop(key)
        call_closure(frame, closure, arguments)
    done: dict[Closure, Value] = {}
    while pending := [c for c, value in frame.recorder.late.items() if done.get(c) != value]:
        closure = pending[0]
        given = done[closure] = frame.recorder.late[closure]
        call_closure(frame, closure, Arguments(closure.node, unpacked=given))


@lru_cache(maxsize=1024)
def _placeholder(text: str) -> ast.Lambda:
    place = ast.parse(text, mode="eval").body
    assert isinstance(place, ast.Lambda)
    return place


def placeholder_frame(recorder: Any, what: str) -> Frame:
    """Return a frame for code that is no function of the user's, such as a chain of runnables."""
    source = Source(_placeholder("lambda: None"), f"<{what}>")
    return Frame(recorder=recorder, source=source, namespace={}, cells={})
