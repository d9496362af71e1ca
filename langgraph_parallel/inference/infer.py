"""From a node to its `Effects`: declared ones if there are any, else what its code may do."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from langgraph_parallel.effects import (
    ALL,
    Effects,
    Evidence,
    Keys,
    declared_effects,
    union,
)

# The rule tables fill when `calls` and `statements` are imported.
from langgraph_parallel.inference import calls as _calls  # noqa: F401
from langgraph_parallel.inference import statements as _statements  # noqa: F401
from langgraph_parallel.inference.callables import functions_of, unwrap_callable
from langgraph_parallel.inference.frame import Frame, GiveUpError, Recorder, Shape
from langgraph_parallel.inference.framework import framework
from langgraph_parallel.inference.functions import (
    bind_parameters,
    frame_for,
    is_generator,
    live_defaults,
    run_body,
    run_late,
)
from langgraph_parallel.inference.runnables import run_runnable
from langgraph_parallel.inference.shape import read_by_coercion
from langgraph_parallel.inference.source import Source, find_source
from langgraph_parallel.inference.values import (
    NOTHING,
    STATE,
    Cell,
    Const,
    Data,
    Injected,
    Routed,
    State,
    Value,
    strings_of,
)

_MOST_PASSES: Final = 6
"""Passes over a node until the set of leaked keys is stable; each pass adds a key or ends."""


RAISES_OWN_ERRORS = False
"""Set by our tests: what goes wrong in the analysis itself is raised, and not taken for a node that
cannot be read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What interpreting one function gave."""

    recorder: Recorder
    returned: Value


def node_effects(
    runnable: Any, shape: Shape, schema: Any, *, trusts_calls: bool = False
) -> Effects:
    """Return the effects of a node that receives a state of the given shape.

    Args:
        runnable: The node.
        shape: The state as the node receives it.
        schema: The schema that the shape was made from.
        trusts_calls: Take unknown calls to change none of their arguments.
    """
    functions = functions_of(runnable)
    if functions is None:
        return _runnable_effects(runnable, shape, trusts_calls)
    total = Effects()
    for function in functions:
        found = _declared(function) or _static_effects(function, shape, schema, trusts_calls)
        total = either(total, found)
    return total


def _runnable_effects(runnable: Any, shape: Shape, trusts_calls: bool) -> Effects:
    """Return the effects of a node that is a sequence, a sub-graph or another runnable."""
    recorder = Recorder(shape, trusts_calls=trusts_calls)
    place = ast.parse("lambda: None", mode="eval").body
    assert isinstance(place, ast.Lambda)
    source = Source(place, f"<{type(runnable).__name__}>")
    frame = Frame(recorder=recorder, source=source, namespace={}, cells={})
    try:
        returned = run_runnable(frame, runnable, STATE, place)
        run_late(frame)
    except Exception as error:
        return _unanalyzed(error)
    return _effects_of(Outcome(recorder, returned))


def _unanalyzed(error: Exception) -> Effects:
    if RAISES_OWN_ERRORS and not isinstance(error, GiveUpError):
        raise error
    what = str(error) if isinstance(error, GiveUpError) else f"{type(error).__name__}: {error}"
    return Effects.top(Evidence(what=f"not analyzed: {what}"))


def router_effects(path: Any, shape: Shape) -> Effects:
    """Return what a conditional edge's function reads and touches; it writes nothing."""
    functions = functions_of(path)
    if functions is None:
        return Effects.top(Evidence(what=f"a {type(path).__name__} is not analyzed"))
    total = Effects()
    for function in functions:
        try:
            outcome = _interpret(function, shape)
        except Exception as error:
            return _unanalyzed(error)
        if outcome is None:
            return Effects.top(Evidence(what="its source code is not available"))
        total = either(total, _effects_of(Outcome(outcome.recorder, NOTHING)))
    return total


def router_targets(path: Any, shape: Shape) -> frozenset[str] | None:
    """Return what a conditional edge's function may return, or None when it may be several nodes.

    Returns:
        The names it certainly returns one of; an empty set when it returns one value, not known
        which; None when it may return a list or a `Send`, or was not understood.
    """
    functions = functions_of(path)
    if functions is None:
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


def _is_one(atom: Any) -> bool:
    if isinstance(atom, Const):
        return not isinstance(atom.value, (tuple, frozenset))
    return isinstance(atom, Data) and atom.scalar


def _declared(function: Callable[..., Any]) -> Effects | None:
    target = unwrap_callable(function)
    return declared_effects(target[0]) if target is not None else None


def _static_effects(
    function: Callable[..., Any], shape: Shape, schema: Any, trusts_calls: bool
) -> Effects:
    try:
        outcome = _interpret(function, shape, trusts_calls)
    except RecursionError:
        return Effects.top(Evidence(what="not analyzed: the code is nested too deeply"))
    except Exception as error:
        # Looking at live objects may run code of theirs, which may raise anything.
        return _unanalyzed(error)
    if outcome is None:
        return Effects.top(Evidence(what="its source code is not available"))
    effects = _effects_of(outcome)
    coerced = read_by_coercion(schema, shape.keys)
    return replace(effects, reads=union(effects.reads, coerced)) if coerced else effects


def _interpret(
    function: Callable[..., Any], shape: Shape, trusts_calls: bool = False
) -> Outcome | None:
    """Interpret a function on a state of the given shape; None when its code is not at hand."""
    target = unwrap_callable(function)
    source = find_source(target[0]) if target else None
    if target is None or source is None:
        return None
    if is_generator(source.node):
        msg = "it is a generator"
        raise GiveUpError(msg)
    recorder = Recorder(shape, trusts_calls=trusts_calls)
    for _ in range(_MOST_PASSES):
        before = (recorder.leaked, recorder.leaked_opaque, recorder.overlay)
        frame = frame_for(recorder, target[0], source, depth=0)
        _bind_node_parameters(frame, target[0], target[1], target[2])
        recorder.trail.append(target[0].__code__)
        returned = run_body(frame, source.node)
        run_late(frame)
        recorder.trail.pop()
        if before == (recorder.leaked, recorder.leaked_opaque, recorder.overlay):
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
    bind_parameters(frame, frame.source.node.args, defaults, positional, named, NOTHING)


def _effects_of(outcome: Outcome) -> Effects:
    recorder = outcome.recorder
    effects = Effects(
        reads=recorder.reads,
        mutates=recorder.mutates,
        external=frozenset(recorder.external),
        control=frozenset(recorder.control),
        goto=recorder.goto,
        resources=recorder.resources,
        evidence=tuple(recorder.evidence.values()),
    )
    for atom in outcome.returned:
        effects = _with_update(effects, atom, recorder)
    return (
        effects if effects.writes is ALL else replace(effects, keeps=effects.keeps - effects.writes)
    )


def _with_update(effects: Effects, atom: Any, recorder: Recorder) -> Effects:
    """Add what returning `atom` from the node writes."""
    if isinstance(atom, Const) and atom.value is None:
        return effects
    if isinstance(atom, Cell):
        return _with_cell(effects, atom, recorder)
    if isinstance(atom, State):
        whole = Cell(open=recorder.stored is ALL or recorder.shape.attributes, spread=True)
        whole.keys |= recorder.stored if recorder.stored is not ALL else set()
        return _with_cell(effects, whole, recorder)
    if isinstance(atom, Routed):
        return _with_command(effects, atom, recorder)
    note = Evidence(what="its return value is not understood")
    return replace(
        Effects.top(),
        external=effects.external | {"unknown"},
        evidence=(*effects.evidence, note),
    )


def _with_cell(effects: Effects, cell: Cell, recorder: Recorder) -> Effects:
    written: Keys = ALL if cell.open else frozenset(cell.keys)
    if cell.spread:
        written = union(written, recorder.stored)
        effects, written = _with_copy(effects, written, recorder.shape)
    plain = frozenset(key for key, is_plain in cell.folds.items() if is_plain)
    spoiled = frozenset(cell.keys) - plain
    unknown = cell.open or effects.writes is ALL
    folds = frozenset() if unknown else (effects.folds | plain) - spoiled
    earlier = effects.writes - effects.folds if effects.writes is not ALL else frozenset()
    return replace(effects, writes=union(effects.writes, written), folds=frozenset(folds) - earlier)


def _with_copy(effects: Effects, written: Keys, shape: Shape) -> tuple[Effects, Keys]:
    """Account for returning a copy of the whole state.

    A key that keeps the last value is only given back to itself. A key with a reducer takes its
    value in once more; and what is not known may be one.
    """
    if written is ALL or shape.plain is None:
        return replace(effects, reads=ALL), ALL
    again = shape.keys - shape.plain
    kept = (shape.keys & shape.plain) - written
    return (
        replace(effects, reads=union(effects.reads, again), keeps=effects.keeps | kept),
        written | again,
    )


def _with_command(effects: Effects, command: Routed, recorder: Recorder) -> Effects:
    for atom in command.update:
        is_dict = isinstance(atom, Cell) or (isinstance(atom, Const) and atom.value is None)
        if is_dict:
            effects = _with_update(effects, atom, recorder)
        else:  # a list of pairs, say: any key, and any of them an `Overwrite`
            effects = replace(effects, writes=ALL, folds=frozenset())
    if not command.goto and not command.elsewhere:
        return effects
    names = strings_of(command.goto)
    known = names is not None and not command.elsewhere
    return replace(
        effects,
        control=effects.control | ({"goto"} if known else {"goto", "send"}),
        goto=union(effects.goto, names if known and names is not None else ALL),
    )


def either(a: Effects, b: Effects) -> Effects:
    """Return the bound of a node that runs one of two bodies."""
    only_one = [e for e in (a, b) if e != Effects()]
    if len(only_one) < 2:
        return only_one[0] if only_one else a
    return Effects(
        reads=union(a.reads, b.reads),
        writes=union(a.writes, b.writes),
        mutates=union(a.mutates, b.mutates),
        external=a.external | b.external,
        control=a.control | b.control,
        goto=union(a.goto, b.goto),
        folds=a.folds & b.folds,
        keeps=a.keeps | b.keeps,
        resources=a.resources | b.resources,
        evidence=(*a.evidence, *b.evidence),
        certain=a.certain and b.certain,
    )
