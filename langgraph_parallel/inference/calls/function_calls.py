"""From the call of a function to its declared effects, its body or what its library does."""

from __future__ import annotations

import contextlib
import logging
import sys
import types
from typing import Any, Final

from langgraph_parallel.effects import ALL, TASK_CALL, Effects, declared_effects
from langgraph_parallel.inference.calls.agents import make_agent
from langgraph_parallel.inference.calls.following import follow_library
from langgraph_parallel.inference.calls.functions import call_live
from langgraph_parallel.inference.calls.handlers import log_to
from langgraph_parallel.inference.code.callables import is_bridge
from langgraph_parallel.inference.code.gentle import library_name
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.code.tasks import find_task
from langgraph_parallel.inference.door.filling import cell_at
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    NONE,
    SCALAR,
    Chain,
    Const,
    Object,
    State,
    Value,
    opaque,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of


def _init_chat_model() -> Any:
    module = sys.modules.get("langchain.chat_models.base")
    return getattr(module, "init_chat_model", None)


def call_function(frame: Frame, function: Any, given: Arguments) -> Value:
    """Call a function written in Python."""
    declared = declared_effects(function)
    if declared is not None:
        if task := find_task([function]):
            where = frame.where(given.node)
            frame.recorder.note(f"may call the task {task!r}", where, TASK_CALL)
        return _call_declared(frame, declared, function.__name__, given)
    if not isinstance(function, types.FunctionType):
        return frame.call(frame.live(function), given)
    if is_library(function.__code__.co_filename):
        return _call_library(frame, function, given)
    parts = (place_of(frame, function, f".{name}") for name in _MAKE_UP_FUNCTIONS)
    where = frame.where(given.node)
    is_as_written = all(frame.recorder.look(p, where, by_name=True) == "seen" for p in parts)
    found = call_live(frame, function, given) if is_as_written else None
    if found is not None:
        return found
    return unknown(frame, f"calls {given.callee}", given.all, given.node, function)


_MAKE_UP_FUNCTIONS: Final = ("__code__", "__defaults__", "__kwdefaults__")


def _call_library(frame: Frame, function: types.FunctionType, given: Arguments) -> Value:
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None and function.__code__ is _CONTEXT_HELPER:
        return frame.call(frame.live(wrapped), given)
    if wrapped is not None and is_bridge(function):
        return frame.call(frame.live(wrapped), given)
    agent = make_agent(frame, function, given)
    if agent is not None:
        return agent
    if function is _init_chat_model():
        frame.use(given.all, given.node)
        return frozenset({Chain(frozenset({"model"}), MESSAGE)})
    for rule_for in (_log_call, follow_library):
        found = rule_for(frame, function, given)
        if found is not None:
            return found
    return unknown(frame, f"calls {given.callee}", given.all, given.node, function)


def _helper_code() -> types.CodeType:
    @contextlib.contextmanager
    def nothing() -> Any:
        yield

    return nothing.__code__


_CONTEXT_HELPER: Final = _helper_code()
"""The code of what `contextlib.contextmanager` makes of a generator."""


def _log_call(frame: Frame, function: types.FunctionType, given: Arguments) -> Value | None:
    """Return what `logging.info(...)` and the like give; None when it is none of them."""
    if function is logging.getLogger:
        names = [a.value for v in given.positional for a in v if isinstance(a, Const)]
        if len(names) == 1 and given.positional and len(given.positional[0]) == 1:
            return frame.live(logging.getLogger(names[0]))
        return frozenset({Object(logging.Logger)}) if given.all else frame.live(logging.getLogger())
    if library_name(function) in _LOG_FUNCTIONS:
        frame.use(given.all, given.node)
        log_to(frame, logging.getLogger(), given.node)
        return NONE
    return None


_LOG_FUNCTIONS: Final = frozenset(
    f"logging.{name}"
    for name in ("debug", "info", "warning", "error", "critical", "exception", "log")
)


def _call_declared(frame: Frame, declared: Effects, name: str, given: Arguments) -> Value:
    """Return what a helper gives that its author declared with `@effects`."""
    where = frame.where(given.node)
    passed = given.all
    takes_state = State() in passed
    if takes_state:
        if declared.reads is ALL:
            frame.recorder.read_all(f"passed to {name}()", where)
        for key in declared.reads if declared.reads is not ALL else ():
            frame.recorder.read(key, where)
        passed = passed - {State()}
    reached = frame.escape(passed, f"passed to {name}()", where)
    if declared.mutates:
        frame.recorder.mutate(reached, f"{name}() was declared to", where, opaque())
    for contact in sorted(declared.external):
        frame.recorder.contact(contact, f"{name}() was declared a {contact} call", where)
    for control in sorted(declared.control):
        what = f"{name}() was declared to {control}"
        frame.recorder.leave(control, what, where, declared.goto)
    frame.recorder.resources |= declared.resources
    if not takes_state or declared.goto:
        return tame(reached)
    update = cell_at(frame, given.node)  # it works like a node: it gives an update
    update.open = update.shared = declared.writes is ALL
    for key in declared.writes if declared.writes is not ALL else ():
        frame.recorder.grown |= update.put(
            key, SCALAR if key in declared.folds else opaque(reached)
        )
    return frozenset({update, Const(None, type(None))})
