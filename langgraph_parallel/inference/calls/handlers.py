"""Code of the user's that hangs on something: callback handlers on runnables, handlers on loggers.

A model call runs the handlers of the model and of the runnables around it; a log call runs those of
the logger and of its parents. They are code like any other. Handlers that the graph's caller passes
are not known here: whoever looks at a handler looks at `HANDLERS`, to which every call adds.
"""

from __future__ import annotations

import ast
import io
import logging
import logging.handlers
import sys
from collections.abc import Iterable
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager

from langgraph_parallel.inference.code.datamodel import find, is_a, is_users, user_defined
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    SCALAR,
    Cell,
    Live,
    Made,
    Object,
    Value,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import Typed, call_method, class_of
from langgraph_parallel.locations import HANDLERS, LOG, world


def handlers_of(obj: Any) -> list[Any]:
    """Return the callback handlers that hang on a runnable itself."""
    config = getattr(obj, "config", None)
    found = list(_listed(getattr(obj, "callbacks", None)))
    if isinstance(config, dict):
        found += _listed(config.get("callbacks"))
    return found


def _listed(callbacks: Any) -> Iterable[Any]:
    if isinstance(callbacks, BaseCallbackManager):
        return [*callbacks.handlers, *callbacks.inheritable_handlers]
    return callbacks if isinstance(callbacks, (list, tuple)) else []


def run_handlers(frame: Frame, obj: Any, node: ast.AST) -> None:
    """Run the callback handlers of a runnable that is run."""
    frame.recorder.change(HANDLERS, frame.where(node))
    for handler in handlers_of(obj):
        run_hooks(frame, Live(handler), "on_", node)


def run_given_handlers(frame: Frame, value: Value, node: ast.AST) -> None:
    """Run the callback handlers among the arguments of a call."""
    pending, seen = list(value), set()
    while pending:
        atom = pending.pop()
        if id(atom) in seen:
            continue
        seen.add(id(atom))
        if isinstance(atom, (Live, Made, Object)) and issubclass(
            class_of(atom), BaseCallbackHandler
        ):
            run_hooks(frame, atom, "on_", node)
        elif isinstance(atom, Live) and is_a(atom.obj, (dict, list)):
            parts = atom.obj.values() if is_a(atom.obj, dict) else atom.obj
            pending.extend(Live(part) for part in list(parts)[:64])
        elif isinstance(atom, Cell):
            pending.extend(atom.everything())


def run_hooks(frame: Frame, atom: Typed, prefix: str, node: ast.AST) -> None:
    """Run the methods of the user's whose name has a prefix, with anything as arguments."""
    cls = class_of(atom)
    for name in sorted(user_defined(cls)):
        found = find(cls, name)
        if name.startswith(prefix) and found is not None and is_users(found[1]):
            call_hook(frame, atom, found[1], node)


def call_hook(frame: Frame, atom: Typed, function: Any, node: ast.AST) -> None:
    """Call a method of the user's with anything that a library may pass to it."""
    code = getattr(function, "__code__", None)
    count = max(code.co_argcount - 1, 0) if code is not None else 0
    if isinstance(function, (classmethod, staticmethod)):
        count = 2
    call_method(frame, atom, function, (tame(),) * count, node)


def log_to(frame: Frame, logger: logging.Logger, node: ast.AST) -> None:
    """Write to a logger: run the handlers, filters and formatters of the user's on its way."""
    frame.recorder.change(LOG, frame.where(node))
    current: logging.Logger | None = logger
    while current is not None:
        frame.recorder.look(place_of(frame, current), frame.where(node))
        for part in (*current.filters, *current.handlers):
            _run_log_part(frame, part, node)
        current = current.parent if current.propagate else None
    _run_record_factory(frame, node)


def _run_log_part(frame: Frame, part: Any, node: ast.AST) -> None:
    if not isinstance(part, (logging.Handler, logging.Filter)):
        frame.call(frozenset({Live(part)}), Arguments(node, (tame(),)))
        return
    where = frame.where(node)
    if isinstance(part, logging.FileHandler):
        frame.recorder.change(world("files"), where)
    elif isinstance(part, logging.handlers.BufferingHandler):
        frame.recorder.change(place_of(frame, part), where)
        frame.recorder.change(place_of(frame, part.buffer), where)
        target = getattr(part, "target", None)
        if target is not None:
            _run_log_part(frame, target, node)
    for prefix in ("emit", "handle", "filter", "format", "write", "flush", "should"):
        run_hooks(frame, Live(part), prefix, node)
    formatter = getattr(part, "formatter", None)
    if formatter is not None:
        run_hooks(frame, Live(formatter), "format", node)
    for inner in getattr(part, "filters", ()):
        _run_log_part(frame, inner, node)
    write_to_stream(frame, getattr(part, "stream", None), node)


def write_to_stream(frame: Frame, stream: Any, node: ast.AST) -> bool:
    """Write text to a live stream; return False when it is not known what that does."""
    where = frame.where(node)
    if user_defined(type(stream)):
        for prefix in ("write", "flush", "isatty", "__getattr"):
            run_hooks(frame, Live(stream), prefix, node)
        return True
    if isinstance(stream, (io.StringIO, io.BytesIO)):
        frame.recorder.change(place_of(frame, stream), where, SCALAR)
        return True
    if any(stream is known for known in (sys.__stdout__, sys.__stderr__)):
        return True
    if type(stream) is io.TextIOWrapper:
        frame.recorder.change(world("files"), where, SCALAR)
    return any(stream is known for known in (sys.stdout, sys.stderr))


def _run_record_factory(frame: Frame, node: ast.AST) -> None:
    factory = logging.getLogRecordFactory()
    if factory is not logging.LogRecord:
        frame.call(frozenset({Live(factory)}), Arguments(node, (tame(),) * 7))
