"""What a call does: which of the rules applies to the thing that is called."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import dataclasses
import functools
import inspect
import itertools
import logging
import random
import sys
import types
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langgraph.types import Command, Overwrite, Send, interrupt
from pydantic import BaseModel
from typing_extensions import is_typeddict

from langgraph_parallel.effects import ALL, Effects, declared_effects
from langgraph_parallel.inference.annotations import DATA_CLASSES
from langgraph_parallel.inference.builtin_calls import fill_cell, rule_of
from langgraph_parallel.inference.clients import client_call, make_client
from langgraph_parallel.inference.construct import make
from langgraph_parallel.inference.containers import cell_at
from langgraph_parallel.inference.datamodel import (
    find,
    is_a,
    is_users,
    mro_of,
    names_of,
    user_defined,
)
from langgraph_parallel.inference.door import await_value, iterate, spread_mapping
from langgraph_parallel.inference.external import contact_of_class, gives_of, is_runnable
from langgraph_parallel.inference.files import open_file
from langgraph_parallel.inference.frame import (
    Arguments,
    Frame,
    GiveUpError,
    call_unknown,
    called,
    expression,
    unknown,
)
from langgraph_parallel.inference.framework import framework
from langgraph_parallel.inference.functions import call_live, collected
from langgraph_parallel.inference.gentle import library_name
from langgraph_parallel.inference.handlers import log_to, run_given_handlers
from langgraph_parallel.inference.held import place_of
from langgraph_parallel.inference.known import apply_known, describe_call, run_callbacks, use_callee
from langgraph_parallel.inference.methods import call_builtin_method, method_of
from langgraph_parallel.inference.runnables import run_runnable
from langgraph_parallel.inference.source import is_library
from langgraph_parallel.inference.states import state_method
from langgraph_parallel.inference.tables import PURE_CLASSES
from langgraph_parallel.inference.typed import Typed, class_of, own_or_class
from langgraph_parallel.inference.values import (
    MESSAGE,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Bound,
    Cell,
    Chain,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    Routed,
    State,
    Value,
    holding,
    is_deep,
    join,
    opaque,
    rooted,
    roots_of,
    tame,
)
from langgraph_parallel.inference.writing import write_stream
from langgraph_parallel.locations import world

_NEVER: Final = frozenset(
    {
        *(eval, exec, globals, locals, vars, __import__, compile),
        *(sys._getframe, inspect.currentframe, inspect.stack, inspect.trace),
    }
)
"""Calls that reach names, attributes or frames in a way that no argument shows."""


@expression(ast.Call)
def _call(frame: Frame, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute):
        if _is_super(node.func.value):
            return _super_method(frame, node.func.attr, arguments_of(frame, node))
        base = frame.evaluate(node.func.value)
        given = arguments_of(frame, node)
        return join(*(method_of(frame, atom, node.func.attr, given) for atom in base))
    callee = frame.evaluate(node.func)
    return frame.call(callee, arguments_of(frame, node))


def arguments_of(frame: Frame, node: ast.Call) -> Arguments:
    """Evaluate the arguments of a call, in order."""
    positional, unpacked = [], NOTHING
    for argument in node.args:
        value = frame.evaluate(argument)
        if isinstance(argument, ast.Starred) or unpacked:
            unpacked = join(unpacked, value)
        else:
            positional.append(value)
    named = {}
    for keyword in node.keywords:
        value = frame.evaluate(keyword.value)
        if keyword.arg is not None:
            named[keyword.arg] = value
            continue
        entries = spread_mapping(frame, value, node)
        named_part = _known_entries(value)
        if named_part is not None:
            named.update(named_part)
        else:
            unpacked = join(unpacked, entries)
    return Arguments(node, tuple(positional), named, unpacked)


def _known_entries(value: Value) -> dict[str, Value] | None:
    """Return the entries of a mapping made in this call, when all of them are known."""
    if len(value) != 1:
        return None
    atom = next(iter(value))
    if not isinstance(atom, Cell) or atom.kind != "dict":
        return None
    atom.looked = True
    return None if atom.open or atom.spread or atom.rest else dict(atom.values)


@called(Bound)
def _call_state_method(frame: Frame, atom: Bound, given: Arguments) -> Value:
    return state_method(frame, atom.method, given)


@called(Injected)
def _call_injected(frame: Frame, atom: Injected, given: Arguments) -> Value:
    is_writer = atom.name in ("writer", "stream_writer")
    return write_stream(frame, given) if is_writer else call_unknown(frame, atom, given)


@called(Opaque)
def _call_opaque(frame: Frame, atom: Opaque, given: Arguments) -> Value:
    if atom.tame and not atom.roots:
        return use_callee(frame, given)
    return call_unknown(frame, atom, given)


@called(Live)
def _call_live(frame: Frame, atom: Live, given: Arguments) -> Value:
    return _call_object(frame, atom.obj, given)


@called(Method)
def _call_bound(frame: Frame, atom: Method, given: Arguments) -> Value:
    function = atom.function
    if isinstance(function, types.FunctionType) and is_users(function):
        first = (frozenset({atom.receiver}), *given.positional)
        inner = Arguments(given.node, first, given.named, given.unpacked)
        return _call_function(frame, function, inner)
    name = getattr(function, "__name__", "")
    return call_builtin_method(frame, atom.receiver, name, given)


@called(Made, Object)
def _call_instance(frame: Frame, atom: Typed, given: Arguments) -> Value:
    """Call an object by the `__call__` of its class."""
    cls = class_of(atom)
    found = find(cls, "__call__")
    if found is not None and is_users(found[1]):
        inner = Arguments(
            given.node, (frozenset({atom}), *given.positional), given.named, given.unpacked
        )
        function = getattr(found[1], "__func__", found[1])
        return _call_function(frame, function, inner)
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls {given.callee}", involved, given.node)


def _call_object(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Return what calling the live object `obj` gives."""
    special = _special(frame, obj, given)
    if special is not None:
        return special
    rule = rule_of(obj)
    if rule is not None:
        return rule(frame, given)
    known = describe_call(obj)
    if known is not None:
        return apply_known(frame, known, given.callee, given)
    fetched = client_call(frame, obj, given)
    if fetched is not None:
        return fetched
    if is_a(obj, type):
        return _call_class(frame, obj, given)
    if is_a(obj, (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)):
        return _call_live_method(frame, obj, given)
    if is_a(obj, types.FunctionType):
        return _call_function(frame, obj, given)
    return _call_wrapped(frame, obj, given)


def _call_wrapped(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Call an object that stands for a function: a partial, a cache, a routine, an instance."""
    if is_a(obj, functools.partial) and not user_defined(type(obj)):
        inner = Arguments(
            given.node,
            (*(frame.live(part) for part in obj.args), *given.positional),
            {**{k: frame.live(v) for k, v in obj.keywords.items()}, **given.named},
            given.unpacked,
        )
        return frame.call(frame.live(obj.func), inner)
    if is_a(obj, functools._lru_cache_wrapper):
        frame.use(given.all, given.node)  # it hashes and compares them
        return _shared(frame, frame.call(frame.live(obj.__wrapped__), given))
    if is_a(obj, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return _call_unbound(frame, obj, given)
    if is_runnable(obj):
        return run_runnable(frame, obj, given.all, given.node)
    return _call_instance(frame, Live(obj), given)


def _shared(frame: Frame, found: Value) -> Value:
    """Return what a cache gives: the next caller is given the same object."""
    kept: list[Value] = []
    for atom in found:
        given = frozenset({atom})
        if isinstance(atom, (Cell, Made)) or (isinstance(atom, Data) and not atom.scalar):
            is_data = is_deep(given) and not (isinstance(atom, Cell) and atom.spent)
            frame.escape(given, "kept by a cache", frame.where(frame.source.node))
            world = frozenset({WORLD})
            kept.append(frozenset({Data(world)}) if is_data else opaque(world))
        elif isinstance(atom, Opaque):
            kept.append(rooted(given, frozenset({WORLD})))
        else:
            kept.append(given)
    return join(*kept)


def _call_unbound(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Call a built-in method through its class: `dict.get(x, key)`, `list.append(x, part)`."""
    if not given.positional:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    receiver, *rest = given.positional
    inner = Arguments(given.node, tuple(rest), given.named, given.unpacked)
    name = obj.__name__
    parts = []
    for atom in receiver:
        if isinstance(atom, (Live, Made, Object)):
            parts.append(call_builtin_method(frame, atom, name, inner))
        else:
            parts.append(method_of(frame, atom, name, inner))
    return join(*parts)


def _call_live_method(frame: Frame, obj: Any, given: Arguments) -> Value:
    receiver = obj.__self__
    if is_a(obj, types.MethodType):
        function = obj.__func__
        if isinstance(function, types.FunctionType):
            if is_users(function):
                first = (frame.live(receiver), *given.positional)
                inner = Arguments(given.node, first, given.named, given.unpacked)
                return _call_function(frame, function, inner)
        elif not isinstance(function, types.BuiltinFunctionType):
            first = (frame.live(receiver), *given.positional)
            inner = Arguments(given.node, first, given.named, given.unpacked)
            return frame.call(frame.live(function), inner)
    if is_a(receiver, types.ModuleType) or receiver is None:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    if is_a(receiver, random.Random):
        return _draw(frame, receiver, obj.__name__, given)
    return call_builtin_method(frame, Live(receiver), obj.__name__, given)


def _draw(frame: Frame, generator: random.Random, name: str, given: Arguments) -> Value:
    """Draw random numbers, which moves the generator on for everybody."""
    where = frame.where(given.node)
    if isinstance(generator, random.SystemRandom):
        frame.recorder.contact("read", "draws random numbers", where)
    else:
        shared = generator is getattr(random, "_inst", None)
        place = world("random") if shared else place_of(frame, generator)
        frame.recorder.look(place, where)
        frame.recorder.change(place, where, SCALAR)
    if name in ("choice", "choices", "sample"):
        parts = iterate(frame, given.positional[0], given.node) if given.positional else NOTHING
        return parts if name == "choice" else collected(frame, given.node, parts)
    if name == "shuffle":
        return unknown(frame, "shuffles a list", given.all, given.node)
    frame.use(given.all, given.node)
    return SCALAR


def _init_chat_model() -> Any:
    module = sys.modules.get("langchain.chat_models.base")
    return getattr(module, "init_chat_model", None)


_BRIDGES: Final = frozenset({"langsmith.run_helpers", "tenacity", "tenacity.asyncio"})
"""Modules whose decorators run the function they wrap and tell a service of it, or run it again."""


def _call_function(frame: Frame, function: Any, given: Arguments) -> Value:
    """Call a function written in Python."""
    declared = declared_effects(function)
    if declared is not None:
        return _call_declared(frame, declared, function.__name__, given)
    if not isinstance(function, types.FunctionType):
        return frame.call(frame.live(function), given)
    if is_library(function.__code__.co_filename):
        return _call_library(frame, function, given)
    found = call_live(frame, function, given)
    if found is not None:
        return found
    return unknown(frame, f"calls {given.callee}", given.all, given.node)


def _call_library(frame: Frame, function: types.FunctionType, given: Arguments) -> Value:
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None and function.__code__ is _CONTEXT_HELPER:
        return frame.call(frame.live(wrapped), given)
    if wrapped is not None and is_bridge(function):
        return frame.call(frame.live(wrapped), given)
    if function is _init_chat_model():
        frame.use(given.all, given.node)
        return frozenset({Chain(frozenset({"model"}), MESSAGE)})
    logged = _log_call(frame, function, given)
    if logged is not None:
        return logged
    return _call_async_helper(frame, function, given)


def _helper_code() -> types.CodeType:
    @contextlib.contextmanager
    def nothing() -> Any:
        yield

    return nothing.__code__


_CONTEXT_HELPER: Final = _helper_code()
"""The code of what `contextlib.contextmanager` makes of a generator."""


def is_bridge(function: types.FunctionType) -> bool:
    """Tell whether a function only runs the one that it wraps, and tells a service of it."""
    for name in _BRIDGES:
        module = sys.modules.get(name)
        if (
            module is not None
            and getattr(module, "__file__", None) == function.__code__.co_filename
        ):
            return True
    return False


def _log_call(frame: Frame, function: types.FunctionType, given: Arguments) -> Value | None:
    """Return what `logging.info(...)` and the like give; None when it is none of them."""
    if function is logging.getLogger:
        names = [a.value for v in given.positional for a in v if isinstance(a, Const)]
        if len(names) == 1 and given.positional and len(given.positional[0]) == 1:
            return frame.live(logging.getLogger(names[0]))
        return (
            frame.live(logging.getLogger())
            if not given.all
            else frozenset({Object(logging.Logger)})
        )
    if library_name(function) in _LOG_FUNCTIONS:
        frame.use(given.all, given.node)
        log_to(frame, logging.getLogger(), given.node)
        return NONE
    return None


_LOG_FUNCTIONS: Final = frozenset(
    f"logging.{name}"
    for name in ("debug", "info", "warning", "error", "critical", "exception", "log")
)


def _call_async_helper(frame: Frame, function: types.FunctionType, given: Arguments) -> Value:
    """Call the functions of asyncio that run or await what they are given."""
    if function is asyncio.gather:
        parts = await_value(frame, join(*given.positional, given.unpacked), given.node)
        return collected(frame, given.node, parts)
    if function in (asyncio.wait_for, asyncio.shield) and given.positional:
        return await_value(frame, given.positional[0], given.node)
    if function is asyncio.to_thread and given.positional:
        callee, *rest = given.positional
        return frame.call(callee, Arguments(given.node, tuple(rest), given.named, given.unpacked))
    return unknown(frame, f"calls {given.callee}", given.all, given.node)


def _call_class(frame: Frame, cls: type, given: Arguments) -> Value:
    """Return what calling a class gives."""
    client = make_client(frame, cls, given)
    if client is not None:
        return client
    external = contact_of_class(cls)
    if external is not None:
        run_given_handlers(frame, given.all, given.node)
        frame.escape(given.all, "passed on", frame.where(given.node))
        return frozenset({Chain(external, gives_of(cls))})
    plain = _plain_instance(frame, cls, given)
    if plain is not None:
        return plain
    known = is_users_or_simple(cls) or cls is types.SimpleNamespace
    made = make(frame, cls, given) if known else None
    if made is not None:
        return made
    return unknown(frame, f"calls {given.callee}", given.all, given.node)


def is_users_or_simple(cls: type) -> bool:
    """Tell whether a class is the user's, or made of fields or of a built-in exception."""
    if issubclass(cls, (BaseException, BaseModel)) or dataclasses.is_dataclass(cls):
        return True
    return not is_library(_file_of(cls)) or bool(user_defined(cls))


def _file_of(cls: type) -> str:
    module = sys.modules.get(cls.__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _plain_instance(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return an instance of a library's class that holds data and does nothing else."""
    if user_defined(cls):
        return None
    if issubclass(cls, DATA_CLASSES) and cls.__module__.startswith(("langchain_core.", "datetime")):
        used = frame.use(given.all, given.node)
        frame.escape(used, f"kept in a {cls.__name__}", frame.where(given.node))
        return holding(used, roots_of(used))
    if library_name(cls) in PURE_CLASSES or cls in (itertools.count, itertools.cycle):
        run_callbacks(frame, given)
        used = frame.use(given.all, given.node)
        frame.escape(used, "passed on", frame.where(given.node))
        roots = roots_of(used)
        if issubclass(cls, DATA_CLASSES):
            return MESSAGE
        if issubclass(cls, dict) or cls.__name__ in ("deque", "chain", "islice", "product"):
            return frozenset({Data(roots, own=True, deep=is_deep(used))})
        if cls.__name__ in ("itemgetter", "attrgetter"):
            return tame()
        return tame(roots) if is_deep(used) else opaque(roots)
    return None


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
        frame.recorder.mutate(reached, f"{name}() was declared to", where)
    for contact in sorted(declared.external):
        frame.recorder.contact(contact, f"{name}() was declared a {contact} call", where)
    for control in sorted(declared.control):
        what = f"{name}() was declared to {control}"
        frame.recorder.leave(control, what, where, declared.goto)
    frame.recorder.resources |= declared.resources
    if not takes_state or declared.goto:
        return tame(reached)
    update = cell_at(frame, given.node)  # it works like a node: it gives an update
    update.open = declared.writes is ALL
    for key in declared.writes if declared.writes is not ALL else ():
        frame.recorder.grown |= update.put(
            key, SCALAR if key in declared.folds else opaque(reached)
        )
    return frozenset({update, Const(None, type(None))})


def _special(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Handle the calls that mean something to the analysis itself."""
    where = frame.where(given.node)
    if any(obj is forbidden for forbidden in _NEVER):
        msg = f"it calls {obj.__name__}()"
        raise GiveUpError(msg)
    if is_a(obj, types.FunctionType) and obj in framework().getters:
        return frozenset({Injected(framework().getters[obj])})
    if obj is interrupt:
        frame.escape(given.all, "interrupt", where)
        frame.recorder.leave("interrupt", "calls interrupt()", where)
        return opaque(frozenset({WORLD}))
    if obj is Command:
        return _command(given)
    if obj is Send:
        frame.escape(given.all, "sent", where)
        frame.recorder.leave("send", "builds a Send", where, ALL)
        return opaque(roots_of(given.all))
    if obj is Overwrite:
        frame.escape(given.all, "overwritten", where)
        return opaque(roots_of(given.all))
    if obj is open:
        return open_file(frame, given)
    if obj is input:
        frame.recorder.contact("write", "asks a person by input()", where)
        return SCALAR
    if is_typeddict(obj):
        cell = cell_at(frame, given.node)
        fill_cell(frame, cell, given)
        return frozenset({cell})
    return None


def _command(given: Arguments) -> Value:
    if given.positional or given.unpacked:
        msg = "a Command is built in a way not understood"
        raise GiveUpError(msg)
    named = dict(given.named)
    update = named.pop("update", NONE)
    goto = named.pop("goto", NOTHING)
    return frozenset({Routed(update, goto, bool(named))})


# -- super() ---------------------------------------------------------------------------------------


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "super"
        and not node.args
    )


def _super_method(frame: Frame, name: str, given: Arguments) -> Value:
    """Call `super().name(...)`: what the classes after the one that defines the function have."""
    receivers = _first_parameter(frame)
    owner = _defining_class(frame)
    parts = [_super_of(frame, atom, owner, name, given) for atom in receivers]
    return join(*parts)


def _first_parameter(frame: Frame) -> Value:
    node = frame.source.node
    names = [a.arg for a in node.args.posonlyargs + node.args.args]
    return frame.history.get(names[0], NOTHING) if names else NOTHING


def _defining_class(frame: Frame) -> type | None:
    """Return the class whose `__class__` cell the function closes over."""
    cell = frame.cells.get("__class__")
    try:
        found = cell.cell_contents if cell is not None else None
    except ValueError:
        return None
    return found if isinstance(found, type) else None


def _super_of(frame: Frame, atom: Any, owner: type | None, name: str, given: Arguments) -> Value:
    involved = join(frozenset({atom}), given.all)
    cls = atom.obj if isinstance(atom, Live) and is_a(atom.obj, type) else None
    if isinstance(atom, (Live, Made, Object)) and owner is not None:
        cls = cls if cls is not None and issubclass(cls, owner) else class_of(atom)
        mro = list(mro_of(cls))
        after = mro[mro.index(owner) + 1 :] if owner in mro else []
        for base in after:
            attribute = names_of(base).get(name)
            if attribute is not None:
                return _call_super(frame, atom, base, attribute, name, given)
    return unknown(frame, f"calls super().{name}()", involved, given.node)


def _call_super(
    frame: Frame, atom: Typed, base: type, attribute: Any, name: str, given: Arguments
) -> Value:
    if is_users(attribute):
        static = is_a(attribute, staticmethod)
        function = getattr(attribute, "__func__", attribute)
        first = given.positional if static else (frozenset({atom}), *given.positional)
        inner = Arguments(given.node, first, given.named, given.unpacked)
        return _call_function(frame, function, inner)
    if base is object or name in ("__init__", "__init_subclass__", "__set_name__"):
        return _super_of_object(frame, atom, name, given)
    if issubclass(class_of(atom), BaseLanguageModel):
        frame.recorder.contact(
            "model", f"super().{name}() is a model call", frame.where(given.node)
        )
        return tame()
    return call_builtin_method(frame, atom, name, given)


def _super_of_object(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    node = given.node
    if name == "__new__":
        return frozenset({atom})
    if name == "__setattr__" and len(given.positional) == 2:
        return call_builtin_method(frame, atom, name, given)
    if name in ("__getattribute__", "__getattr__") and given.positional:
        names = [a.value for a in given.positional[0] if isinstance(a, Const)]
        plain = [own_or_class(frame, atom, str(n), node) for n in names]
        return join(*plain) if names else opaque(roots_of(frozenset({atom})))
    if isinstance(atom, Made):
        frame.recorder.grown |= atom.cell.add(given.all)
        for key, value in given.named.items():
            frame.recorder.grown |= atom.cell.put(key, value)
    frame.use(given.all, node)
    return NONE
