"""From a node to its `Effects`: declared ones if there are any, else what its code may do."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from dataclasses import replace
from types import FunctionType
from typing import Any, Final

from langgraph.graph.message import add_messages

from langgraph_parallel.effects import ALL, Effects, Evidence, declared_effects, union

# The tables of rules fill when these are imported.
from langgraph_parallel.inference.calls import calls, live_calls, tool_nodes, wrappers  # noqa: F401
from langgraph_parallel.inference.calls.functions import (
    bind_parameters,
    frame_for,
    live_defaults,
    placeholder_frame,
    run_body,
    run_late,
)
from langgraph_parallel.inference.calls.runnables import is_library_node, run_runnable
from langgraph_parallel.inference.code.callables import functions_of, is_bridge, unwrap_callable
from langgraph_parallel.inference.code.datamodel import forget_classes
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.ingredients import is_agents_code
from langgraph_parallel.inference.code.scopes import names_rebound, scope_of
from langgraph_parallel.inference.code.source import find_source
from langgraph_parallel.inference.code.tasks import with_tasks_of
from langgraph_parallel.inference.door import looking  # noqa: F401
from langgraph_parallel.inference.machine.annotations import value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep, strings_of
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import GiveUpError, Recorder, Shape
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    STATE,
    Atom,
    Const,
    Data,
    Injected,
    Live,
    Value,
    data,
    opaque,
    tame,
)
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.inference.returned import Outcome, effects_of
from langgraph_parallel.inference.shape import read_by_coercion
from langgraph_parallel.inference.syntax import (  # noqa: F401
    containers,
    expressions,
    flow,
    imports,
    patterns,
    statements,
)
from langgraph_parallel.locations import Location

_MOST_PASSES: Final = 12
"""Passes over a node until nothing it builds or leaks grows any more; each pass adds or ends."""
RAISES_OWN_ERRORS = False
"""Set by our tests: what goes wrong in the analysis itself is raised, and not taken for a node that
cannot be read."""


def infer_alone(node: Any, shape: Shape, schema: Any) -> Effects:
    """Return the effects of a node by itself: nobody else stores anything."""
    memory = Memory()
    for _ in range(_MOST_PASSES):
        found = node_effects(node, shape, schema, memory=memory)
        if not memory.is_stale:
            return found
        memory.forget_assumptions()
    return Effects.top(Evidence(what="not analyzed: what it stores does not settle"))


def node_effects(
    runnable: Any,
    shape: Shape,
    schema: Any,
    *,
    trusts_calls: bool = False,
    memory: Memory | None = None,
    watch: Watch | None = None,
) -> Effects:
    """Return the effects of a node that receives a state of the given shape.

    Args:
        runnable: The node.
        shape: The state as the node receives it.
        schema: The schema that the shape was made from.
        trusts_calls: Take unknown calls to change none of their arguments.
        memory: What the nodes of the graph do to memory; None for a node by itself. When it is
            stale afterwards, what was found for it and for nodes before it does not hold.
        watch: Sees what each part of the node's function does.
    """
    forget_classes()
    memory = Memory() if memory is None else memory
    functions = functions_of(runnable)
    if functions is None or any(map(is_library_node, functions)):
        return _runnable_effects(runnable, shape, trusts_calls, memory)
    total = Effects()
    for function in functions:
        found = _declared(function)
        if found is None:
            found = _static_effects(function, shape, schema, trusts_calls, memory, watch)
        total = either(total, found)
    return total


def _runnable_effects(runnable: Any, shape: Shape, trusts_calls: bool, memory: Memory) -> Effects:
    """Return the effects of a node that is a sequence, a sub-graph or another runnable."""
    recorder = Recorder(shape, memory, trusts_calls=trusts_calls)
    try:
        for _ in range(_MOST_PASSES):
            recorder.grown = False
            recorder.known_calls.clear()
            before = recorder.settled_by
            frame = placeholder_frame(recorder, type(runnable).__name__)
            returned = run_runnable(frame, runnable, STATE, frame.source.node)
            run_late(frame)
            if before == recorder.settled_by and not recorder.grown:
                return effects_of(Outcome(recorder, returned))
    except Exception as error:
        return _unanalyzed(error)
    return Effects.top(Evidence(what="not analyzed: its data flow does not settle"))


def _unanalyzed(error: Exception) -> Effects:
    if RAISES_OWN_ERRORS and not isinstance(error, GiveUpError):
        raise error
    what = str(error) if isinstance(error, GiveUpError) else f"{type(error).__name__}: {error}"
    return Effects.top(Evidence(what=f"not analyzed: {what}"))


def router_effects(path: Any, shape: Shape) -> Effects:
    """Return what a conditional edge's function reads and touches; it writes nothing."""
    forget_classes()
    functions = functions_of(path)
    if functions is None:
        return Effects.top(Evidence(what=f"a {type(path).__name__} is not analyzed"))
    if all(map(is_agents_code, functions)):
        return Effects(reads=ALL)  # it only looks at messages
    total = Effects()
    for function in functions:
        try:
            outcome = _interpret(function, shape)
        except Exception as error:
            return _unanalyzed(error)
        if outcome is None:
            return Effects.top(Evidence(what="its source code is not available"))
        total = either(total, effects_of(Outcome(outcome.recorder, NOTHING)))
    return total


@functools.lru_cache(maxsize=256)
def reducer_effects(reducer: Callable[..., Any]) -> Effects:
    """Return what folding a value into a key does beside that; its operands are plain data.

    One that cannot be read has a state of its own: it keeps the order in which it is called.
    """
    function = reducer
    while isinstance(function, functools.partial):
        function = function.func
    if any(function is known for known in _PLAIN_REDUCERS):
        return Effects()
    recorder, _ = _fold(reducer)
    return _effects_alone(recorder)


def call_effects(function: Callable[..., Any]) -> Effects:
    """Return what calling a function does whose arguments are what its annotations promise."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except Exception:
        return Effects.top(Evidence(what="its parameters are not known"))
    roots = frozenset({"given"})
    operands = tuple(
        opaque(roots) if p.annotation is p.empty else value_of_annotation(p.annotation, roots)
        for p in parameters
    )
    return _effects_alone(_call_alone(function, operands, "calls")[0])


def _call_alone(function: Any, operands: tuple[Value, ...], what: str) -> tuple[Recorder, Value]:
    """Return what a call does that no node makes, and what it gives."""
    recorder = Recorder(Shape(keys=frozenset()))
    frame = placeholder_frame(recorder, "call")
    try:
        given = frame.call(frozenset({Live(function)}), Arguments(frame.source.node, operands))
        run_late(frame)
    except Exception as error:
        _unanalyzed(error)
        recorder.contact("unknown", f"{what} {function!r}, which is not known", "")
        given = opaque()
    return recorder, given


def _effects_alone(recorder: Recorder) -> Effects:
    return Effects(
        mutates=recorder.mutates,
        looks_at=frozenset(recorder.looks_at),
        changes=frozenset(recorder.changes),
        external=frozenset(recorder.external),
        control=frozenset(recorder.control),
        evidence=tuple(recorder.evidence.values()),
    )


def keeps_parts(reducer: Callable[..., Any]) -> bool:
    """Tell whether a reducer puts nothing into a key but parts of its operands."""
    return any(reducer is known for known in _PLAIN_REDUCERS)


@functools.lru_cache(maxsize=256)
def gives_data(reducer: Callable[..., Any]) -> bool:
    """Tell whether a reducer certainly makes plain data out of plain data."""
    return keeps_parts(reducer) or is_deep(_fold(reducer)[1])


def _fold(reducer: Callable[..., Any]) -> tuple[Recorder, Value]:
    """Return what folding plain data with a reducer does, and what it gives."""
    operands = (data(frozenset({"old"})), data(frozenset({"new"})))
    return _call_alone(reducer, operands, "folds with")


def making_effects(schema: type) -> Effects:
    """Return what making an instance of a state class does beside filling its fields."""
    recorder = Recorder(Shape(keys=frozenset()))
    frame = placeholder_frame(recorder, schema.__name__)
    try:
        frame.call(frozenset({Live(schema)}), Arguments(frame.source.node, unpacked=tame()))
        run_late(frame)
    except Exception as error:
        return _unanalyzed(error)
    return effects_of(Outcome(recorder, NOTHING))


_PLAIN_REDUCERS: Final = (
    *(operator.add, operator.or_, operator.and_, operator.mul, max, min, add_messages),
    add_messages(format="langchain-openai").func,  # type: ignore[call-arg, union-attr]
)


def router_targets(path: Any, shape: Shape) -> frozenset[str] | None:
    """Return what a conditional edge's function may return, or None when it may be several nodes.

    Returns:
        The names it certainly returns one of; an empty set when it returns one value, not known
        which; None when it may return a list or a `Send`, or was not understood.
    """
    functions = functions_of(path)
    if functions is None or any(map(is_agents_code, functions)):
        return None
    names: frozenset[str] = frozenset()
    for function in functions:
        try:
            outcome = _interpret(function, shape)
        except Exception as error:
            _unanalyzed(error)
            return None
        if outcome is None or "send" in outcome.recorder.control or not outcome.returned:
            return None
        if not all(_is_one(atom) for atom in outcome.returned):
            return None
        names |= strings_of(outcome.returned) or frozenset()
    return names


def _is_one(atom: Atom) -> bool:
    if isinstance(atom, Const):
        return not isinstance(atom.value, (tuple, frozenset))
    return isinstance(atom, Data) and atom.scalar


def _declared(function: Callable[..., Any]) -> Effects | None:
    target = unwrap_callable(function)
    declared = declared_effects(target[0]) if target is not None else None
    return None if declared is None else with_tasks_of([function], declared)


def _static_effects(
    function: Callable[..., Any],
    shape: Shape,
    schema: Any,
    trusts_calls: bool,
    memory: Memory,
    watch: Watch | None,
) -> Effects:
    target = unwrap_callable(function)
    code = target[0].__code__ if target is not None else None
    if code in memory.given_up:
        # What it may assign makes names unknown, of which it would now seem to do less.
        return Effects.top(Evidence(what=memory.given_up[code]))
    try:
        outcome = _interpret(function, shape, trusts_calls, memory, schema, watch)
        why = "its source code is not available"
    except RecursionError:
        outcome, why = None, "not analyzed: the code is nested too deeply"
    except Exception as error:
        # Looking at live objects may run code of theirs, which may raise anything.
        outcome, why = None, str(_unanalyzed(error).evidence[0])
    if outcome is None:
        if target is not None:
            memory.given_up[code] = why
            _store_names_of(target[0], memory)
        return Effects.top(Evidence(what=why))
    effects = effects_of(outcome)
    coerced = read_by_coercion(schema, shape.keys)
    if not coerced:
        return effects
    what = f"is handed a {schema.__name__}, whose code looks at several fields at once"
    return replace(
        effects,
        reads=union(effects.reads, coerced),
        evidence=(*effects.evidence, Evidence(what=what)),
    )


def _store_names_of(function: FunctionType, memory: Memory) -> None:
    """Record the global names that a function assigns which was not analyzed to its end."""
    names, namespace = names_rebound(function.__code__), function.__globals__
    for name in names if names is not None else (None,):
        memory.store(Location(namespace, name, name or "a global", "name"), "unknown")


def _interpret(
    function: Callable[..., Any],
    shape: Shape,
    trusts_calls: bool = False,
    memory: Memory | None = None,
    schema: Any = None,
    watch: Watch | None = None,
) -> Outcome | None:
    """Interpret a function on a state of the given shape; None when its code is not at hand."""
    target = unwrap_callable(function)
    while target is not None and is_bridge(target[0]) and hasattr(target[0], "__wrapped__"):
        inner = unwrap_callable(target[0].__wrapped__)
        target = inner and (inner[0], (*inner[1], *target[1]), {**inner[2], **target[2]})
    source = find_source(target[0]) if target else None
    if target is None or source is None:
        return None
    if scope_of(source.node).is_generator:
        msg = "it is a generator"
        raise GiveUpError(msg)
    recorder = Recorder(shape, memory or Memory(), trusts_calls=trusts_calls, watch=watch)
    if watch is not None:
        watch.followed[source.node] = target[0]
    for _ in range(_MOST_PASSES):
        recorder.grown = False
        recorder.known_calls.clear()
        before = recorder.settled_by
        frame = frame_for(recorder, target[0], source, depth=0)
        if shape.attributes and isinstance(schema, type):
            # LangGraph makes the state object before it calls the node.
            frame.call(frozenset({Live(schema)}), Arguments(source.node, unpacked=tame(ALL)))
            recorder.grown = False
        _bind_node_parameters(frame, target[0], target[1], target[2])
        recorder.trail.append(target[0].__code__)
        returned = run_body(frame, source.node)
        run_late(frame)
        recorder.trail.pop()
        if before == recorder.settled_by and not recorder.grown:
            return Outcome(recorder, returned)
        recorder.generators.clear()
    msg = "its data flow does not settle"
    raise GiveUpError(msg)


def _bind_node_parameters(
    frame: Frame, function: Any, bound: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    parameters = inspect.signature(function, follow_wrapped=False).parameters
    positional = (*(frame.live(value) for value in bound), STATE)
    named = {name: frame.live(value) for name, value in keywords.items()}
    for name in list(parameters)[len(positional) :]:
        if name in framework().injected and name not in named:
            named[name] = frozenset({Injected(name)})
    defaults = live_defaults(frame, function)
    given = Arguments(frame.source.node, positional, named)
    bind_parameters(frame, frame.source.node.args, defaults, given)


def either(a: Effects, b: Effects) -> Effects:
    """Return the bound of a node that runs one of two bodies."""
    only_one = [e for e in (a, b) if e != Effects()]
    if len(only_one) < 2:
        return only_one[0] if only_one else a
    odd = (a.made - b.keeps) | (b.made - a.keeps)  # one of them does not give it back
    writes = union(union(a.writes, b.writes), odd)
    written = writes if writes is not ALL else frozenset()
    return Effects(
        reads=union(union(a.reads, b.reads), odd),
        writes=writes,
        mutates=union(a.mutates, b.mutates),
        looks_at=a.looks_at | b.looks_at,
        changes=a.changes | b.changes,
        external=a.external | b.external,
        control=a.control | b.control,
        goto=union(a.goto, b.goto),
        folds=a.folds & b.folds,
        keeps=(a.keeps | b.keeps) - written,
        made=(a.made | b.made) - written,
        resources=a.resources | b.resources,
        evidence=(*a.evidence, *b.evidence),
        certain=a.certain and b.certain,
    )
