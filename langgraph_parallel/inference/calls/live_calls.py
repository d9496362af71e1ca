"""From calling a live object to the rule for it."""

from __future__ import annotations

import functools
import random
import types
from typing import Any, Final

from langgraph_parallel.inference.calls.builtin_calls import rule_of
from langgraph_parallel.inference.calls.chance import draw_from
from langgraph_parallel.inference.calls.class_calls import call_class
from langgraph_parallel.inference.calls.clients import client_call
from langgraph_parallel.inference.calls.concurrency import concurrent_call
from langgraph_parallel.inference.calls.data_families import (
    called_as,
    data_function,
    data_object_method,
)
from langgraph_parallel.inference.calls.databases import connect, read_frame
from langgraph_parallel.inference.calls.external import is_runnable
from langgraph_parallel.inference.calls.fields import fields_call
from langgraph_parallel.inference.calls.function_calls import call_function
from langgraph_parallel.inference.calls.known import apply_known, describe_call
from langgraph_parallel.inference.calls.methods import method_of
from langgraph_parallel.inference.calls.object_methods import call_builtin_method, known_method
from langgraph_parallel.inference.calls.runnables import run_runnable
from langgraph_parallel.inference.calls.screen import show
from langgraph_parallel.inference.calls.services import service_function
from langgraph_parallel.inference.calls.special_calls import special_call
from langgraph_parallel.inference.calls.tasks import call_task
from langgraph_parallel.inference.code.datamodel import (
    find,
    instance_dict,
    is_a,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep, rooted
from langgraph_parallel.inference.machine.frame import Frame, call_unknown, called, unknown
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    WORLD,
    Cell,
    Data,
    Live,
    Made,
    Object,
    Opaque,
    Value,
    join,
    opaque,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import Typed, class_of, look_at_object
from langgraph_parallel.locations import CACHES, world


@called(Live)
def _call_live(frame: Frame, atom: Live, given: Arguments) -> Value:
    return _call_object(frame, atom.obj, given)


@called(Made, Object)
def _call_instance(frame: Frame, atom: Typed, given: Arguments) -> Value:
    """Call an object by the `__call__` of its class."""
    cls = class_of(atom)
    called = called_as(cls)
    if called:
        return data_object_method(frame, atom, called, given) or NOTHING
    found = find(cls, "__call__")
    if found is not None and is_users(found[1]):
        function = getattr(found[1], "__func__", found[1])
        return call_function(frame, function, given.after(frozenset({atom})))
    return call_unknown(frame, atom, given)


def _call_object(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Return what calling the live object `obj` gives."""
    special = special_call(frame, obj, given)
    if special is not None:
        return special
    rule = rule_of(obj)
    if rule is not None:
        return rule(frame, given)
    known = describe_call(obj)
    if known is not None:
        owner = obj if is_a(obj, type) else getattr(obj, "__self__", None)
        cls = owner if is_a(owner, type) else None
        return apply_known(frame, known, given.callee, given, cls)
    for rule_for in _FUNCTIONS_OF_LIBRARIES:
        found = rule_for(frame, obj, given)
        if found is not None:
            return found
    if is_a(obj, type):
        return call_class(frame, obj, given)
    if is_a(obj, (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)):
        return _call_live_method(frame, obj, given)
    if is_a(obj, types.FunctionType):
        return call_function(frame, obj, given)
    return _call_wrapped(frame, obj, given)


_FUNCTIONS_OF_LIBRARIES: Final = (
    *(
        concurrent_call,
        fields_call,
        client_call,
        data_function,
        service_function,
        show,
        connect,
        read_frame,
    ),
)
"""The rules for functions of the libraries that are known by themselves."""


def _call_wrapped(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Call an object that stands for a function: a partial, a cache, a routine, an instance."""
    if is_a(obj, functools.partial) and not user_defined(type(obj)):
        look_at_object(frame, Live(obj), frame.where(given.node))
        frame.recorder.look(place_of(frame, obj.keywords), frame.where(given.node))
        inner = Arguments(
            given.node,
            (*(frame.live(part) for part in obj.args), *given.positional),
            {**{k: frame.live(v) for k, v in obj.keywords.items()}, **given.named},
            given.unpacked,
        )
        return frame.call(frame.live(obj.func), inner)
    if is_a(obj, functools._lru_cache_wrapper):
        frame.use(given.all, given.node)  # it hashes and compares them
        frame.recorder.change(CACHES, frame.where(given.node), SCALAR)
        return shared(frame, frame.call(frame.live(obj.__wrapped__), given))
    if is_a(obj, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return _call_unbound(frame, obj, given)
    future = call_task(frame, obj, given)
    if future is not None:
        return future
    if is_runnable(obj):
        return run_runnable(frame, obj, given.all, given.node)
    return _call_instance(frame, Live(obj), given)


def shared(frame: Frame, found: Value) -> Value:
    """Return what a cache gives: the next caller is given the same object."""
    kept: list[Value] = []
    for atom in found:
        given = frozenset({atom})
        if isinstance(atom, Made) and atom.cell.kind == "object":
            frame.escape(given, "kept by a cache", frame.where(frame.source.node))
            kept.append(frozenset({Object(atom.cls, frozenset({WORLD}))}))
        elif isinstance(atom, (Cell, Made)) or (isinstance(atom, Data) and not atom.scalar):
            is_data = _holds_data(given, 0)
            frame.escape(given, "kept by a cache", frame.where(frame.source.node))
            world = frozenset({WORLD})
            kept.append(frozenset({Data(world)}) if is_data else opaque(world))
        elif isinstance(atom, Opaque):
            kept.append(rooted(given, frozenset({WORLD})))
        else:
            kept.append(given)
    return join(*kept)


def _holds_data(value: Value, depth: int) -> bool:
    """Tell whether what a cache keeps was made of plain data, whoever has it by now."""
    for atom in value:
        if isinstance(atom, Cell):
            is_plain = atom.kind != "object" and not (atom.spent or atom.spread)
            inside = join(atom.everything(), atom.index)
            if not is_plain or depth > _DEEPEST or not _holds_data(inside, depth + 1):
                return False
        elif not is_deep(frozenset({atom})):
            return False
    return True


_DEEPEST: Final = 4


def _call_unbound(frame: Frame, obj: Any, given: Arguments) -> Value:
    """Call a built-in method through its class: `dict.get(x, key)`, `list.append(x, part)`."""
    if not given.positional:
        return unknown(frame, f"calls {given.callee}", given.all, given.node, obj)
    name, inner = obj.__name__, given.rest()
    parts = []
    for atom in given.positional[0]:
        if isinstance(atom, (Live, Made, Object)):
            parts.append(call_builtin_method(frame, atom, name, inner))
        else:
            parts.append(method_of(frame, atom, name, inner))
    return join(*parts)


def _call_live_method(frame: Frame, obj: Any, given: Arguments) -> Value:
    receiver = obj.__self__
    if is_a(obj, types.MethodType):
        function, inner = obj.__func__, given.after(frame.live(receiver))
        if isinstance(function, types.FunctionType):
            if is_users(function):
                return call_function(frame, function, inner)
        elif not isinstance(function, types.BuiltinFunctionType):
            return frame.call(frame.live(function), inner)
    if is_a(receiver, types.ModuleType) or receiver is None:
        return unknown(frame, f"calls {given.callee}", given.all, given.node, obj)
    if _is_of_its_class(obj):
        if is_runnable(receiver) and obj.__name__ not in instance_dict(receiver):
            return method_of(frame, Live(receiver), obj.__name__, given)
        known = known_method(frame, Live(receiver), obj.__name__, given)
        if known is not None:
            return known
    if is_a(receiver, random.Random):
        return _draw(frame, receiver, obj.__name__, given)
    return call_builtin_method(frame, Live(receiver), obj.__name__, given)


def _is_of_its_class(obj: Any) -> bool:
    """Tell whether a bound method is the one that its receiver's class defines under its name."""
    found = find(type(obj.__self__), obj.__name__)
    return found is not None and found[1] is getattr(obj, "__func__", found[1])


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
    drawn = draw_from(frame, name, given)
    if drawn is not None:
        return drawn
    frame.use(given.all, given.node)
    return SCALAR
