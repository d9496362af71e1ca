"""From functions to what each of their statements and calls does, and those of what they call."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import FunctionType
from typing import Any, Final

from langgraph_parallel.inference.calls.functions import placeholder_frame, run_late
from langgraph_parallel.inference.infer import node_effects
from langgraph_parallel.inference.machine.annotations import value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.memory import Memory
from langgraph_parallel.inference.machine.recorder import GiveUpError, Recorder, Shape
from langgraph_parallel.inference.machine.values import GIVEN, Live, Value, data
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.inference.whole import Subject

_MOST_ROUNDS: Final = 16
"""Rounds over the nodes of a graph until none stores what another took for granted."""
_MOST_PASSES: Final = 12
"""Passes over one function until nothing that it builds grows any more."""


def watch_nodes(subjects: Iterable[Subject]) -> dict[str, Watch]:
    """Return what the parts of the nodes of a graph do, by node name.

    A node that could not be read to its end is not among them.

    Args:
        subjects: All nodes of the graph: each knows what the others store.
    """
    nodes, memory = list(subjects), Memory()
    for _ in range(_MOST_ROUNDS):
        watches = {}
        for node in nodes:
            watch = Watch()
            found = node_effects(node.runnable, node.shape, node.schema, memory=memory, watch=watch)
            if found.certain:
                watches[node.name] = watch
        if not memory.is_stale:
            return watches
        memory.forget_assumptions()
    return {}


def watch_call(function: FunctionType, owner: Any = None) -> tuple[Watch, str]:
    """Return what the parts of a function do that anybody may call, and why not, if not known.

    Args:
        function: The function; its arguments are what their annotations promise, those without
            one are plain data (`taken_for_data`).
        owner: The first argument of a method.
    """
    memory = Memory()
    for _ in range(_MOST_ROUNDS):
        watch = Watch()
        recorder = Recorder(Shape(keys=frozenset()), memory, watch=watch)
        try:
            _follow(recorder, function, owner)
        except GiveUpError as error:
            return Watch(), str(error)
        except Exception as error:  # looking at live objects may run code of theirs
            return Watch(), f"{type(error).__name__}: {error}"
        if not memory.is_stale:
            return watch, ""
        memory.forget_assumptions()
    return Watch(), "what it stores does not settle"


def _follow(recorder: Recorder, function: FunctionType, owner: Any) -> None:
    """Call a function until nothing grows any more."""
    for _ in range(_MOST_PASSES):
        recorder.grown = False
        before = recorder.settled_by
        frame = placeholder_frame(recorder, function.__name__)
        given = Arguments(frame.source.node, _operands(function, owner))
        frame.call(frame.live(function), given)
        run_late(frame)
        if before == recorder.settled_by and not recorder.grown:
            return
        recorder.generators.clear()
    msg = "its data flow does not settle"
    raise GiveUpError(msg)


def _operands(function: FunctionType, owner: Any) -> tuple[Value, ...]:
    """Return what the arguments of a function may be, by its annotations."""
    hints, roots = _hints(function), frozenset({GIVEN})
    operands: list[Value] = []
    for index, name in enumerate(_positional(function)):
        if index == 0 and owner is not None:
            operands.append(frozenset({Live(owner)}))
        elif name in hints:
            operands.append(value_of_annotation(hints[name], roots))
        else:
            operands.append(data(roots))
    return tuple(operands)


def taken_for_data(function: FunctionType, *, is_method: bool) -> tuple[str, ...]:
    """Return the parameters that say nothing of themselves, and are taken to be plain data."""
    hints = _hints(function)
    return tuple(n for n in _positional(function)[int(is_method) :] if n not in hints)


def _positional(function: FunctionType) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


def _hints(function: FunctionType) -> dict[str, Any]:
    try:
        return inspect.get_annotations(function, eval_str=True)
    except Exception:  # an annotation that means nothing yet
        return dict.fromkeys(function.__annotations__, object)
