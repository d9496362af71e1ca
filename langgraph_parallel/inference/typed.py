"""Attributes and special methods of objects whose class is known, resolved as Python does it.

    Live    which object it is: its attributes are places, and hold what is seen in them now
    Made    made in this call: its attributes hold what the call has put there
    Object  only its class is known: its attributes hold what their annotations promise

Look-ups are static: no code of the user's runs. Code that Python would run is followed.
"""

from __future__ import annotations

import ast
import enum
import functools
import types
from typing import Any, Final, TypeAlias, TypeGuard

from pydantic import BaseModel

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.datamodel import (
    MISSING,
    MUTATING,
    code_of,
    find,
    instance_dict,
    is_a,
    is_generated,
    is_users,
    mro_of,
    names_of,
    special_methods,
    user_defined,
)
from langgraph_parallel.inference.frame import Arguments, Frame, unknown
from langgraph_parallel.inference.gentle import is_gentle
from langgraph_parallel.inference.held import CONTAINERS, held_part, place_of
from langgraph_parallel.inference.values import (
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Data,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    Value,
    const,
    join,
    opaque,
    rooted,
)
from langgraph_parallel.locations import ANY_ITEM, ANYWHERE, HANDLERS, Location, any_attribute

Typed: TypeAlias = Live | Made | Object

_WORLDLY: Final = opaque(frozenset({WORLD}))
_ROUTINES: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
)


def class_of(atom: Typed) -> type:
    """Return the class on which special methods are looked up."""
    return type(atom.obj) if isinstance(atom, Live) else atom.cls


def is_container(atom: Any) -> TypeGuard[Live]:
    """Tell whether an atom is a live built-in container, which has no code of its own."""
    return isinstance(atom, Live) and type(atom.obj) in CONTAINERS


def is_instance(atom: Any) -> TypeGuard[Typed]:
    """Tell whether an atom is an object whose class says what touching it does."""
    return isinstance(atom, (Live, Made, Object)) and not is_container(atom)


def call_method(
    frame: Frame, atom: Typed, function: Any, operands: tuple[Value, ...], node: ast.AST
) -> Value:
    """Call a function that a class defines on a receiver."""
    if isinstance(function, staticmethod):
        return frame.call(frame.live(function.__func__), Arguments(node, operands))
    if isinstance(function, classmethod):
        first: Value = frozenset({Live(class_of(atom))})
        return frame.call(frame.live(function.__func__), Arguments(node, (first, *operands)))
    given = (frozenset({atom}), *operands)
    return frame.call(frame.live(function), Arguments(node, given))


# -- special methods -------------------------------------------------------------------------------


def run_special(
    frame: Frame,
    atom: Typed,
    operation: str,
    operands: tuple[Value, ...],
    node: ast.AST,
) -> Value:
    """Return what Python's special methods for an operation give; empty when there are none."""
    found: Value = NOTHING
    for base, attribute in special_methods(class_of(atom), operation):
        if attribute is None:
            continue  # `__hash__ = None`: it raises
        found = join(found, _run_found(frame, atom, operation, base, attribute, operands, node))
    return found


def _run_found(
    frame: Frame,
    atom: Typed,
    operation: str,
    base: type,
    attribute: Any,
    operands: tuple[Value, ...],
    node: ast.AST,
) -> Value:
    if is_users(attribute):
        return call_method(frame, atom, attribute, operands, node)
    code = code_of(attribute)
    if code is not None and is_generated(code):
        use_attributes(frame, atom, node)
        return frozenset({Object(object)}) if operation == "__iter__" else opaque()
    if is_a(attribute, (types.FunctionType, *_ROUTINES)) or is_gentle(base):
        return _run_library(frame, atom, operation, base, operands, node)
    # Some other object stands where a method does: it is called.
    return frame.call(frame.live(attribute), Arguments(node, operands))


def _run_library(
    frame: Frame,
    atom: Typed,
    operation: str,
    base: type,
    operands: tuple[Value, ...],
    node: ast.AST,
) -> Value:
    """Run a special method of a library's class on an instance, which may be of a user's class."""
    where = frame.where(node)
    known = is_gentle(base) or operation in _LOOKING
    if not known:
        involved = join(frozenset({atom}), *operands)
        return unknown(frame, f"runs {base.__name__}.{operation}()", involved, node)
    if operation in MUTATING or operation in ("__next__", "__anext__"):
        change_object(frame, atom, None, where, join(*operands))
    look_at_object(frame, atom, where)
    if isinstance(atom, Made):
        frame.use(atom.cell.everything(), node)
    elif isinstance(atom, Live) and is_a(atom.obj, BaseException):
        frame.use(frame.live(atom.obj.args), node)
    if base is not object:
        run_own_hooks(frame, atom, operation, node)
    return opaque(frozenset({WORLD})) if isinstance(atom, Live) else opaque(_roots(atom))


_LOOKING: Final = frozenset(
    {
        *("__repr__", "__str__", "__format__", "__eq__", "__ne__", "__hash__", "__bool__"),
        *("__len__", "__contains__", "__dir__", "__sizeof__", "__reduce_ex__", "__reduce__"),
        *("__copy__", "__deepcopy__", "__getstate__", "__instancecheck__", "__subclasscheck__"),
        *("__lt__", "__le__", "__gt__", "__ge__", "__fspath__", "__index__"),
    }
)
"""Operations by which a library's object is looked at and not changed."""


def run_own_hooks(frame: Frame, atom: Typed, operation: str, node: ast.AST) -> None:
    """Run what a user's class adds to a library's base, which the base may call."""
    cls = class_of(atom)
    key = (id(cls), operation)
    if key in frame.recorder.trail:
        return
    frame.recorder.trail.append(key)
    try:
        for name in sorted(user_defined(cls)):
            if name in _NOT_HOOKS:
                continue
            found = find(cls, name)
            if found is not None and is_users(found[1]) and not is_a(found[1], property):
                call_method(frame, atom, found[1], (opaque(_roots(atom)),) * 2, node)
    finally:
        frame.recorder.trail.pop()


_NOT_HOOKS: Final = frozenset({"__init__", "__new__", "__init_subclass__", "__set_name__"})


def use_object(frame: Frame, atom: Typed, node: ast.AST) -> None:
    """Let something look at all of an object: any of its special methods may run."""
    look_at_object(frame, atom, frame.where(node))
    if isinstance(atom, Live) and is_a(atom.obj, types.FunctionType):
        return
    if isinstance(atom, Live) and is_a(atom.obj, type) and not user_defined(type(atom.obj)):
        return
    cls = class_of(atom)
    key = ("use", id(cls), id(atom.obj) if isinstance(atom, Live) else 0)
    if key in frame.recorder.trail:
        return
    frame.recorder.trail.append(key)
    try:
        own = user_defined(cls)
        for name in sorted(own & _IMPLICIT):
            found = find(cls, name)
            if found is not None and is_users(found[1]):
                given = (_WORLDLY,) if name in _ONE_OPERAND else ()
                result = call_method(frame, atom, found[1], given, node)
                if name == "__iter__":
                    _exhaust(frame, result, node)
        if not own or any(
            (code := code_of(value)) is not None and is_generated(code)
            for base in mro_of(cls)
            for value in names_of(base).values()
        ):
            use_attributes(frame, atom, node)
    finally:
        frame.recorder.trail.pop()


def _exhaust(frame: Frame, iterators: Value, node: ast.AST) -> None:
    for atom in iterators:
        if isinstance(atom, (Live, Made, Object)) and "__next__" in user_defined(class_of(atom)):
            run_special(frame, atom, "__next__", (), node)


_ONE_OPERAND: Final = frozenset(
    {
        *("__getitem__", "__contains__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__"),
        *("__ge__", "__format__", "__missing__", "__getattr__", "__getattribute__"),
        *("__deepcopy__", "__reduce_ex__", "__instancecheck__", "__subclasscheck__"),
    }
)
_IMPLICIT: Final = _ONE_OPERAND | {
    *("__repr__", "__str__", "__hash__", "__bool__", "__len__", "__iter__", "__next__"),
    *("__int__", "__float__", "__index__", "__complex__", "__bytes__", "__fspath__"),
    *("__length_hint__", "__reversed__", "__copy__", "__reduce__", "__getstate__", "__dir__"),
    *("__abs__", "__round__", "__neg__", "__pos__", "__invert__", "__trunc__", "keys", "items"),
    *("__floor__", "__ceil__", "__getnewargs__", "__getnewargs_ex__", "__sizeof__", "__class__"),
}
"""Methods that library code may call on whatever it is given, without being asked to."""


def use_properties(frame: Frame, value: Value, node: ast.AST) -> None:
    """Let something look up any attribute by its name, which may run code."""
    for atom in value:
        if not isinstance(atom, (Live, Made, Object)):
            continue
        for name in sorted(user_defined(class_of(atom))):
            found = find(class_of(atom), name)
            if found is not None and is_a(found[1], property):
                load_attr(frame, atom, name, node)
            elif found is not None and name in ("__getattr__", "__getattribute__", "__getitem__"):
                call_method(frame, atom, found[1], (SCALAR,), node)


def use_attributes(frame: Frame, atom: Typed, node: ast.AST) -> None:
    """Let something look at the value of every attribute."""
    if isinstance(atom, Made):
        parts = atom.cell.everything()
    elif isinstance(atom, Live):
        parts = join(*(frozenset({Live(v)}) for v in _shown_fields(atom.obj)))
    else:
        hints = hints_of(atom.cls)
        parts = join(*(value_of_annotation(hint, atom.roots) for hint in hints.values()))
    frame.use(parts, node)


def _shown_fields(obj: Any) -> list[Any]:
    if is_a(obj, (type, types.ModuleType, types.FunctionType)):
        return []
    return [value for value in instance_dict(obj).values() if is_users_object(value)]


def is_users_object(obj: Any) -> bool:
    """Tell whether printing or comparing an object may run code of the user's."""
    return bool(user_defined(type(obj))) or type(obj) in (dict, list, tuple, set)


# -- attributes ------------------------------------------------------------------------------------


def load_attr(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be, following the code that looking it up runs."""
    where = frame.where(node)
    if isinstance(atom, Live) and is_a(atom.obj, types.ModuleType):
        return _module_attribute(frame, atom.obj, name, node)
    cls = class_of(atom)
    if name == "__dict__" and not isinstance(atom, Made):
        change_object(frame, atom, None, where, _WORLDLY)  # what is put there is an attribute
        return _WORLDLY
    if (hook := find(cls, "__getattribute__")) is not None and is_users(hook[1]):
        return call_method(frame, atom, hook[1], (const(name),), node)
    _look_at_handler(frame, atom, where)
    found = find(cls, name)
    if found is not None and _is_data_descriptor(found[1]):
        return _describe(frame, atom, name, found[1], node)
    if isinstance(atom, Live) and is_a(atom.obj, type):
        return _class_attribute(frame, atom.obj, name, found, node)
    own = _own_attribute(frame, atom, name, where)
    if own is not None:
        return own
    if found is not None:
        return _from_class(frame, atom, name, found, node)
    return _not_found(frame, atom, name, node)


def _look_at_handler(frame: Frame, atom: Typed, where: str) -> None:
    """Looking at a callback handler shows what model calls have told it."""
    from_langchain = any(c.__name__ == "BaseCallbackHandler" for c in mro_of(class_of(atom)))
    if from_langchain and not isinstance(atom, Made):
        frame.recorder.look(HANDLERS, where)


def _own_attribute(frame: Frame, atom: Typed, name: str, where: str) -> Value | None:
    """Return what the instance itself holds; None when it does not hold the name."""
    if isinstance(atom, Live):
        seen = instance_dict(atom.obj).get(name, MISSING)
        if type(seen) in (dict, list, set) and not seen:
            frame.promise(seen, hints_of(type(atom.obj)), name)
        return None if seen is MISSING else held_part(frame, atom.obj, f".{name}", seen, where)
    if isinstance(atom, Made):
        atom.cell.looked = True
        held = atom.cell.values.get(name)
        if atom.cell.open:
            return join(held or NOTHING, opaque(_roots(atom)))
        return held
    hint = hints_of(atom.cls).get(name, MISSING)
    return None if hint is MISSING else value_of_annotation(hint, atom.roots)


def _is_data_descriptor(attribute: Any) -> bool:
    if is_a(attribute, (property, types.GetSetDescriptorType, types.MemberDescriptorType)):
        return True
    kind = type(attribute)
    return find(kind, "__set__") is not None or find(kind, "__delete__") is not None


def _describe(frame: Frame, atom: Typed, name: str, descriptor: Any, node: ast.AST) -> Value:
    """Return what a descriptor gives for an instance."""
    where = frame.where(node)
    if is_a(descriptor, property):
        if descriptor.fget is None:
            return NOTHING
        if is_users(descriptor):
            return frame.call(frame.live(descriptor.fget), Arguments(node, (frozenset({atom}),)))
        look_at_object(frame, atom, where)
        return rooted(_promised(atom, name), _roots(atom))
    if is_a(descriptor, types.MemberDescriptorType):
        return _slot(frame, atom, name, descriptor, where)
    if is_a(descriptor, types.GetSetDescriptorType):
        if name == "__class__":
            return frozenset({Live(class_of(atom))})
        if name in _TEXTS:
            return SCALAR
        look_at_object(frame, atom, where)
        return opaque(_roots(atom))
    if (getter := find(type(descriptor), "__get__")) is not None and is_users(getter[1]):
        given = (
            frozenset({Live(descriptor)}),
            frozenset({atom}),
            frozenset({Live(class_of(atom))}),
        )
        return frame.call(frame.live(getter[1]), Arguments(node, given))
    if is_a(descriptor, types.DynamicClassAttribute) or is_gentle(type(descriptor)):
        look_at_object(frame, atom, where)
        return opaque(_roots(atom))
    involved = join(frozenset({atom}), frozenset({Live(descriptor)}))
    return unknown(frame, f"looks up .{name}", involved, node)


_TEXTS: Final = frozenset({"__name__", "__qualname__", "__module__", "__doc__"})
"""What functions and classes say about themselves."""


def _promised(atom: Typed, name: str) -> Value:
    """Return what a property of a library's class gives: by its annotation, else anything."""
    found = find(class_of(atom), name)
    getter = getattr(found[1], "fget", None) if found else None
    hint = hints_of(getter).get("return", MISSING) if getter is not None else MISSING
    return opaque() if hint is MISSING else value_of_annotation(hint, frozenset())


def _slot(
    frame: Frame, atom: Typed, name: str, slot: types.MemberDescriptorType, where: str
) -> Value:
    if not isinstance(atom, Live):
        own = _own_attribute(frame, atom, name, where)
        return opaque(_roots(atom)) if own is None else own
    try:
        seen = slot.__get__(atom.obj)
    except AttributeError:
        frame.recorder.look(place_of(frame, atom.obj, f".{name}"), where)
        return _WORLDLY
    return held_part(frame, atom.obj, f".{name}", seen, where)


def _from_class(
    frame: Frame, atom: Typed, name: str, found: tuple[type, Any], node: ast.AST
) -> Value:
    """Return what an attribute of the class gives for an instance."""
    base, attribute = found
    where = frame.where(node)
    if is_a(attribute, types.FunctionType):
        return _bind(atom, attribute)
    if is_a(attribute, staticmethod):
        return frame.live(attribute.__func__)
    if is_a(attribute, classmethod):
        return frame.live(types.MethodType(attribute.__func__, class_of(atom)))
    if is_a(attribute, _ROUTINES):
        if isinstance(atom, Live):
            return frame.live(attribute.__get__(atom.obj, class_of(atom)))
        return frozenset({Method(atom, attribute)})
    if is_a(attribute, functools.cached_property):
        change_object(frame, atom, name, where, _WORLDLY)
        return frame.call(frame.live(attribute.func), Arguments(node, (frozenset({atom}),)))
    if is_a(attribute, functools.partialmethod):
        return _partial_method(frame, atom, attribute, node)
    if find(type(attribute), "__get__") is not None:
        return _describe(frame, atom, name, attribute, node)
    if isinstance(atom, Live):
        # An instance may get an attribute of its own that hides the one of its class.
        frame.recorder.look(place_of(frame, atom.obj, f".{name}"), where)
        own = frame.recorder.memory.content(place_of(frame, atom.obj, f".{name}"))
        return frame.as_content(own, held_part(frame, base, f".{name}", attribute, where))
    return held_part(frame, base, f".{name}", attribute, where)


def _partial_method(
    frame: Frame, atom: Typed, attribute: functools.partialmethod[Any], node: ast.AST
) -> Value:
    involved = frozenset({atom, Live(attribute.func)})
    return unknown(frame, "looks up a partial method", involved, node)


def _bind(atom: Typed, function: types.FunctionType) -> Value:
    if isinstance(atom, Live):
        return frozenset({Live(types.MethodType(function, atom.obj))})
    return frozenset({Method(atom, function)})


def _not_found(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    where = frame.where(node)
    hook = find(class_of(atom), "__getattr__")
    if hook is not None and is_users(hook[1]):
        return call_method(frame, atom, hook[1], (const(name),), node)
    if isinstance(atom, Live):
        place = place_of(frame, atom.obj, f".{name}")
        content = frame.recorder.look(place, where)
        if hook is not None and not is_gentle(hook[0]):
            return _WORLDLY
        return _WORLDLY if content == "seen" else frame.as_content(content, NOTHING)
    if isinstance(atom, Made):
        return opaque(_roots(atom)) if atom.cell.open or hook is not None else NOTHING
    return opaque(_roots(atom))


def _module_attribute(frame: Frame, module: types.ModuleType, name: str, node: ast.AST) -> Value:
    namespace = vars(module)
    where = frame.where(node)
    place = Location(namespace, name, f"{module.__name__}.{name}", "name")
    if name in namespace:
        return frame.held(place, namespace[name], where)
    hook = namespace.get("__getattr__")
    if hook is not None:
        return frame.call(frame.live(hook), Arguments(node, (const(name),)))
    frame.recorder.look(place, where)
    return _WORLDLY


def _class_attribute(
    frame: Frame, cls: type, name: str, meta: tuple[type, Any] | None, node: ast.AST
) -> Value:
    """Return an attribute of a class, where the metaclass comes last."""
    where = frame.where(node)
    if isinstance(cls, enum.EnumMeta) and name in cls._member_map_:
        return frame.live(cls._member_map_[name])
    if name in _TEXTS:
        return SCALAR
    found = find(cls, name)
    if found is None:
        if meta is not None:
            return _from_class(frame, Live(cls), name, meta, node)
        return _not_found(frame, Live(cls), name, node)
    base, attribute = found
    if is_a(attribute, (types.FunctionType, types.MethodDescriptorType)):
        return frame.live(attribute)
    if is_a(attribute, (types.WrapperDescriptorType, property)):
        return frozenset({Live(attribute)})
    if is_a(attribute, staticmethod):
        return frame.live(attribute.__func__)
    if is_a(attribute, (classmethod, types.ClassMethodDescriptorType)):
        bound = attribute.__get__(None, cls)
        return frame.live(bound)
    if is_a(attribute, types.BuiltinFunctionType):
        return frame.live(attribute)
    if (getter := find(type(attribute), "__get__")) is not None and is_users(getter[1]):
        given = (frozenset({Live(attribute)}), NONE, frozenset({Live(cls)}))
        return frame.call(frame.live(getter[1]), Arguments(node, given))
    return held_part(frame, base, f".{name}", attribute, where)


def store_attr(
    frame: Frame, atom: Typed, name: str, value: Value, node: ast.AST, *, hooks: bool = True
) -> None:
    """Assign `atom.name`, following the code that assigning it runs.

    Args:
        frame: Where it is assigned.
        atom: The object.
        name: The attribute.
        value: What is assigned.
        node: The place.
        hooks: Run the class's `__setattr__`; False for `object.__setattr__` itself.
    """
    cls = class_of(atom)
    hook = find(cls, "__setattr__")
    if hooks and hook is not None and is_users(hook[1]):
        call_method(frame, atom, hook[1], (const(name), value), node)
        return
    found = find(cls, name)
    if found is not None and _runs_setter(frame, atom, found[1], value, node):
        return
    if (
        hook is not None
        and issubclass(cls, BaseModel)
        and cls.model_config.get("validate_assignment")
    ):
        frame.call(frozenset({Live(cls)}), Arguments(node, unpacked=value))
    if isinstance(atom, Made) and not atom.cell.open:
        frame.recorder.grown |= atom.cell.put(name, value)
        return
    frame.escape(value, f"kept in .{name}", frame.where(node))
    change_object(frame, atom, name, frame.where(node), value)


def _runs_setter(frame: Frame, atom: Typed, attribute: Any, value: Value, node: ast.AST) -> bool:
    if is_a(attribute, property):
        if attribute.fset is not None:
            frame.call(frame.live(attribute.fset), Arguments(node, (frozenset({atom}), value)))
        return True
    setter = find(type(attribute), "__set__")
    if setter is not None and is_users(setter[1]):
        given = (frozenset({Live(attribute)}), frozenset({atom}), value)
        frame.call(frame.live(setter[1]), Arguments(node, given))
        return True
    return False


def delete_attr(frame: Frame, atom: Typed, name: str, node: ast.AST) -> None:
    """Delete `atom.name`, following the code that deleting it runs."""
    cls = class_of(atom)
    hook = find(cls, "__delattr__")
    if hook is not None and is_users(hook[1]):
        call_method(frame, atom, hook[1], (const(name),), node)
        return
    found = find(cls, name)
    if found is not None:
        if is_a(found[1], property) and found[1].fdel is not None:
            frame.call(frame.live(found[1].fdel), Arguments(node, (frozenset({atom}),)))
            return
        deleter = find(type(found[1]), "__delete__")
        if deleter is not None and is_users(deleter[1]):
            given = (frozenset({Live(found[1])}), frozenset({atom}))
            frame.call(frame.live(deleter[1]), Arguments(node, given))
            return
    if isinstance(atom, Made):
        return
    change_object(frame, atom, name, frame.where(node), _WORLDLY)


# -- the object as a place -------------------------------------------------------------------------


def look_at_object(frame: Frame, atom: Typed, where: str) -> None:
    """Record a look at all of an object."""
    if isinstance(atom, Live):
        if not _is_immutable(atom.obj):
            frame.recorder.look(place_of(frame, atom.obj), where)
    elif isinstance(atom, Object) and _reaches_memory(atom):
        frame.recorder.look(ANYWHERE, where)


def look_behind(frame: Frame, atom: Data | Opaque, node: ast.AST) -> None:
    """Record a look at memory where data or an object may live outside of the node."""
    if atom.roots is not ALL and WORLD in atom.roots:
        frame.recorder.look(ANYWHERE, frame.where(node))


def change_object(frame: Frame, atom: Typed, name: str | None, where: str, value: Value) -> None:
    """Record that an attribute of an object, or any part of it, is changed in place."""
    if isinstance(atom, Live):
        part = None if name is None else f".{name}"
        if is_a(atom.obj, types.ModuleType):
            label = f"{atom.obj.__name__}{part or ''}"
            frame.recorder.change(Location(vars(atom.obj), name, label, "name"), where, value)
            return
        frame.recorder.change(place_of(frame, atom.obj, part), where, value)
    elif isinstance(atom, Made):
        if atom.cell.open:
            place = ANY_ITEM if name is None else any_attribute(name)
            frame.recorder.change(place, where, value)
        if name is not None:
            frame.recorder.grown |= atom.cell.put(name, value)
    else:
        place = ANY_ITEM if name is None else any_attribute(name)
        frame.recorder.mutate(atom.roots, "assignment", where, value, place)


def _is_immutable(obj: Any) -> bool:
    return isinstance(
        obj, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)
    ) and not is_users_object(obj)


def _reaches_memory(atom: Object) -> bool:
    if issubclass(atom.cls, BaseException):
        return False  # whoever catches one is the first to look at it
    return not isinstance(atom.roots, frozenset) or WORLD in atom.roots


def _roots(atom: Typed) -> Any:
    if isinstance(atom, Live):
        return frozenset({WORLD})
    return atom.cell.roots if isinstance(atom, Made) else atom.roots


def parts_of(atom: Typed) -> Value:
    """Return what an object with a built-in base, such as a list or a dict, may hold."""
    if isinstance(atom, Made) and not atom.cell.open:
        return atom.cell.everything() or opaque(_roots(atom))
    return opaque(_roots(atom))


def own_or_class(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    """Return an attribute without asking `__getattribute__` or `__getattr__` of the user's."""
    own = _own_attribute(frame, atom, name, frame.where(node))
    if own is not None:
        return own
    found = find(class_of(atom), name)
    return opaque(_roots(atom)) if found is None else _from_class(frame, atom, name, found, node)
