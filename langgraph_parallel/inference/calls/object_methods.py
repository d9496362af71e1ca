"""From a method of an object of known class to the rule for it, or to the code behind it."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langgraph_parallel.inference.calls.chance import own_generator_method
from langgraph_parallel.inference.calls.clients import client_method, store_method
from langgraph_parallel.inference.calls.concurrency import concurrent_method
from langgraph_parallel.inference.calls.construct import run_serializers
from langgraph_parallel.inference.calls.container_methods import container_method
from langgraph_parallel.inference.calls.context_variables import context_variable_method
from langgraph_parallel.inference.calls.data_families import (
    class_data_method,
    data_object_method,
)
from langgraph_parallel.inference.calls.databases import database_method
from langgraph_parallel.inference.calls.exit_stacks import exit_stack_method
from langgraph_parallel.inference.calls.external import (
    contact_of_class,
    contact_of_model,
    gives_of,
    is_own_model,
    is_runnable,
)
from langgraph_parallel.inference.calls.fields import named_tuple_method
from langgraph_parallel.inference.calls.following import follow_library
from langgraph_parallel.inference.calls.handlers import log_to, run_hooks
from langgraph_parallel.inference.calls.known import apply_known, run_callbacks
from langgraph_parallel.inference.calls.library import library_method
from langgraph_parallel.inference.calls.own_runnables import own_object_method
from langgraph_parallel.inference.calls.runnable_methods import (
    chain_method,
    class_method,
    runnable_method,
)
from langgraph_parallel.inference.calls.screen import console_method, pretty_print
from langgraph_parallel.inference.calls.services import service_class_method, service_method
from langgraph_parallel.inference.calls.tables import READING_METHODS, Known
from langgraph_parallel.inference.calls.tasks import future_method
from langgraph_parallel.inference.code.datamodel import (
    MUTATING,
    find,
    is_a,
    is_users,
    mro_of,
    names_of,
    user_defined,
)
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.gentle import is_gentle
from langgraph_parallel.inference.door.environment import environment_method
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    Chain,
    Live,
    Made,
    Object,
    Value,
    data,
    join,
    roots_of,
)
from langgraph_parallel.inference.objects.held import CONTAINERS
from langgraph_parallel.inference.objects.object_attributes import load_attr, store_attr
from langgraph_parallel.inference.objects.objects import (
    FUTURE,
    Typed,
    change_object,
    class_of,
    look_at_object,
    parts_of,
    roots_of_object,
)
from langgraph_parallel.inference.objects.special_methods import run_own_hooks, use_object


def object_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Return what a method of an object of known class gives."""
    if isinstance(atom, Live):
        found = _live_method(frame, atom.obj, name, given)
        if found is not None:
            return found
    known = known_method(frame, atom, name, given)
    if known is not None:
        return known
    cls = class_of(atom)
    if issubclass(cls, BaseMessage) and name == "pretty_print" and not user_defined(cls):
        frame.use(frozenset({atom}), given.node)
        return pretty_print(frame, given)
    if isinstance(atom, Object) and issubclass(cls, logging.Logger) and not user_defined(cls):
        return _log(frame, logging.getLogger(), given)
    if isinstance(atom, Object) and issubclass(cls, Runnable):
        external = contact_of_class(cls)
        if external is not None:
            return chain_method(frame, Chain(external, gives_of(cls)), name, given)
    if isinstance(atom, (Made, Object)) and is_own_model(cls) and name not in user_defined(cls):
        # What it is asked to do later counts as done here.
        contact = contact_of_model(frame, atom, given.node)
        return chain_method(frame, Chain(contact, gives_of(cls)), name, given)
    return frame.call(load_attr(frame, atom, name, given.node), given)


def _of_future(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    is_future = isinstance(atom, Made) and atom.cls is FUTURE
    return future_method(frame, atom, name, given) if is_future else None  # type: ignore[arg-type]


_RULES: Final = (
    *(_of_future, client_method, data_object_method, service_method, own_object_method),
    *(console_method, database_method, concurrent_method, own_generator_method),
    *(named_tuple_method, exit_stack_method, context_variable_method),
)
"""The rules for methods of the classes of libraries that are known by themselves."""


def known_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a known class of a library gives; None for any other."""
    for rule_for in _RULES:
        found = rule_for(frame, atom, name, given)
        if found is not None:
            return found
    return None


def _live_method(frame: Frame, receiver: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live object of a library gives; None when it is looked up."""
    if type(receiver) in CONTAINERS:
        return container_method(frame, receiver, name, given)
    if receiver is os.environ:
        return environment_method(frame, name, given)
    if is_a(receiver, logging.LoggerAdapter) and name in _LOG_METHODS:
        run_hooks(frame, Live(receiver), "process", given.node)
        inner = receiver.logger
        return _live_method(frame, inner, name, given)
    is_own = bool(user_defined(type(receiver)))
    if is_a(receiver, logging.Logger) and name in _LOG_METHODS and not is_own:
        return _log(frame, receiver, given)
    if is_a(receiver, framework().stores) and not is_own:
        return store_method(frame, name, given)
    if is_a(receiver, type):
        for rule_for in (class_data_method, service_class_method, class_method):
            found = rule_for(frame, receiver, name, given)
            if found is not None:
                return found
        return None
    if is_runnable(receiver):
        return runnable_method(frame, receiver, name, given)
    return None


_LOG_METHODS: Final = frozenset(
    {"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "fatal"}
)


def _log(frame: Frame, logger: logging.Logger, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    log_to(frame, logger, given.node)
    return NONE


def call_builtin_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Call a method that a library or Python itself defines on an object of known class."""
    node = given.node
    involved = join(frozenset({atom}), given.all)
    if isinstance(atom, Object) and atom.cls is type(os.environ):
        return environment_method(frame, name, given)
    if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        found = container_method(frame, atom.obj, name, given)
        if found is not None:
            return found
    if name == "__setattr__" and len(given.positional) == 2:
        for key in constants_of(given.positional[0]) or ():
            store_attr(frame, atom, str(key), given.positional[1], node, hooks=False)
        if constants_of(given.positional[0]) is not None:
            return NONE
    if issubclass(class_of(atom), BaseModel) and name in _DUMPS:
        return _dump(frame, atom, name, given)
    known = library_method(class_of(atom), name)
    if known is not None:
        return _known_method(frame, atom, known, name, given)
    base = _defining(class_of(atom), name)
    if base is not None and is_gentle(base):
        return _gentle_method(frame, atom, name, given)
    found = _follow(frame, atom, name, given)
    return unknown(frame, f"calls .{name}()", involved, node) if found is None else found


def _follow(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Follow a method that a library has written in Python; None when that does not work."""
    defined = find(class_of(atom), name)
    if defined is None or is_a(defined[1], (staticmethod, classmethod)):
        return None
    if isinstance(atom, Live) and atom.obj is sys.stdin:
        return None  # whatever stands there now, it asks somebody
    return follow_library(frame, defined[1], given.after(frozenset({atom})))


def _known_method(frame: Frame, atom: Typed, known: Known, name: str, given: Arguments) -> Value:
    """Call a method of Python's library on an object of its class, or of the user's below it."""
    if user_defined(class_of(atom)):
        run_own_hooks(frame, atom, name, given.node)
        use_object(frame, atom, given.node)
    elif known.receiver == "changes":
        _change_all(frame, atom, given)
    look_at_object(frame, atom, frame.where(given.node))
    if known.result == "entries":
        frame.use(given.all, given.node)
        return join(parts_of(atom), NONE)
    return apply_known(frame, known, f".{name}()", given, class_of(atom))


def _defining(cls: type, name: str) -> type | None:
    found = find(cls, name)
    while found is not None and is_users(found[1]):
        mro = list(mro_of(cls))
        rest = mro[mro.index(found[0]) + 1 :]
        found = next(((b, names_of(b)[name]) for b in rest if name in names_of(b)), None)
    return found[0] if found is not None else None


_DUMPS: Final = frozenset({"model_dump", "model_dump_json", "dict", "json", "copy", "model_copy"})


def _dump(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Return what dumping or copying a pydantic model gives."""
    frame.use(join(frozenset({atom}), given.all), given.node)
    if "copy" in name:
        frame.escape(frozenset({atom}), "copied", frame.where(given.node))
        return join(frozenset({Object(class_of(atom), roots_of_object(atom))}), frozenset({atom}))
    run_serializers(frame, atom, class_of(atom), given.node)
    return data(roots_of(frozenset({atom})))


def _gentle_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Call a method of a library's class that only touches the object itself."""
    node = given.node
    if name.startswith("__"):
        if name in ("__init_subclass__", "__set_name__"):
            return NONE
        if name in MUTATING or name in ("__init__", "__setstate__"):
            _change_all(frame, atom, given)
        look_at_object(frame, atom, frame.where(node))
        frame.use(given.all, node)
        return parts_of(atom)
    run_callbacks(frame, given)
    if name not in READING_METHODS and not _is_value_class(class_of(atom)):
        _change_all(frame, atom, given)
        use_object(frame, atom, node)
        return join(parts_of(atom), given.all, NONE)
    frame.use(given.all, node)
    if user_defined(class_of(atom)):
        run_own_hooks(frame, atom, name, node)
        use_object(frame, atom, node)
    else:
        look_at_object(frame, atom, frame.where(node))
    if _is_value_class(class_of(atom)):
        return data()
    return join(parts_of(atom), given.all, NONE)


def _is_value_class(cls: type) -> bool:
    """Tell whether a class is immutable and holds plain data: a match, a pattern, a template."""
    return cls.__module__ in _VALUE_MODULES


_VALUE_MODULES: Final = ("re", "string", "datetime", "decimal", "uuid", "fractions", "zoneinfo")


def _change_all(frame: Frame, atom: Typed, given: Arguments) -> None:
    frame.escape(given.all, "stored", frame.where(given.node))
    if isinstance(atom, Made):
        frame.recorder.grown |= atom.cell.add(given.all)
    change_object(frame, atom, None, frame.where(given.node), given.all)
    run_own_hooks(frame, atom, "change", given.node)
