"""From an attribute of an object whose class is known to what it gives, as Python resolves it.

Look-ups are static: no code of the user's runs. Code that Python would run is followed.
"""

from __future__ import annotations

import ast
import enum
import functools
import types
from typing import Any, Final

from pydantic import BaseModel

from langgraph_parallel.inference.code.datamodel import (
    MISSING,
    find,
    instance_dict,
    is_a,
    is_users,
    mro_of,
)
from langgraph_parallel.inference.code.families import (
    class_of_attribute,
    holds_objects,
)
from langgraph_parallel.inference.code.family_tables import (
    PANDAS,
)
from langgraph_parallel.inference.code.gentle import is_gentle
from langgraph_parallel.inference.code.imports import name_in
from langgraph_parallel.inference.code.services import asks_by_property, service_of
from langgraph_parallel.inference.machine.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import rooted
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Live,
    Made,
    Method,
    Object,
    Value,
    const,
    join,
    opaque,
    tame,
)
from langgraph_parallel.inference.objects.held import held_part, place_of
from langgraph_parallel.inference.objects.named_tuples import part_called
from langgraph_parallel.inference.objects.objects import (
    ROUTINES,
    WORLDLY,
    Typed,
    call_method,
    change_object,
    class_of,
    is_as_seen,
    keeps_class,
    look_at_object,
    roots_of_object,
)
from langgraph_parallel.inference.objects.plugged import brings_code
from langgraph_parallel.locations import HANDLERS, Location


def load_attr(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be, following the code that looking it up runs."""
    where = frame.where(node)
    if isinstance(atom, Live) and is_a(atom.obj, types.ModuleType):
        return _module_attribute(frame, atom.obj, name, node)
    cls = class_of(atom)
    if name == "__dict__" and not isinstance(atom, Made):
        change_object(frame, atom, None, where, WORLDLY)  # what is put there is an attribute
        return WORLDLY
    looked_up = (name, "__getattr__", "__getattribute__")
    if not (keeps_class(frame, atom, where) and is_as_seen(frame, cls, looked_up, where)):
        return unknown(frame, f"looks up .{name}", frozenset({atom}), node)
    if (hook := find(cls, "__getattribute__")) is not None and is_users(hook[1]):
        return call_method(frame, atom, hook[1], (const(name),), node)
    data_class = class_of_attribute(cls, name)
    if data_class is not None and not (isinstance(atom, Live) and holds_objects(atom.obj)):
        look_at_object(frame, atom, where)
        is_text = data_class is str
        return SCALAR if is_text else frozenset({Object(data_class, roots_of_object(atom))})
    _look_at_handler(frame, atom, where)
    found = find(cls, name)
    if found is not None and _is_data_descriptor(found[1]):
        part = part_called(frame, atom, name)
        return part or _describe(frame, atom, name, found[1], node)
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
            return join(held or NOTHING, opaque(roots_of_object(atom)))
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
        return rooted(_promised(frame, atom, name, where), roots_of_object(atom))
    if is_a(descriptor, types.MemberDescriptorType):
        return _slot(frame, atom, name, descriptor, where)
    if is_a(descriptor, types.GetSetDescriptorType):
        if name == "__class__":
            return frozenset({Live(class_of(atom))})
        look_at_object(frame, atom, where, by_name=name in _TEXTS)
        if name in _TEXTS:
            return SCALAR
        return opaque(roots_of_object(atom))
    if (getter := find(type(descriptor), "__get__")) is not None and is_users(getter[1]):
        given = (
            frozenset({Live(descriptor)}),
            frozenset({atom}),
            frozenset({Live(class_of(atom))}),
        )
        return frame.call(frame.live(getter[1]), Arguments(node, given))
    if is_a(descriptor, types.DynamicClassAttribute) or is_gentle(type(descriptor)):
        look_at_object(frame, atom, where)
        is_member = issubclass(class_of(atom), enum.Enum) and name in ("value", "name")
        return (
            _of_member(frame, atom, f"_{name}_", where)
            if is_member
            else opaque(roots_of_object(atom))
        )
    involved = join(frozenset({atom}), frozenset({Live(descriptor)}))
    return unknown(frame, f"looks up .{name}", involved, node)


def _of_member(frame: Frame, atom: Typed, name: str, where: str) -> Value:
    """Return the value or name of a member of an enumeration, of any if it is not known which."""
    cls = class_of(atom)
    members = [atom.obj] if isinstance(atom, Live) else vars(cls)["_member_map_"].values()
    found: Value = NOTHING
    for member in members:
        held = instance_dict(member).get(name)
        found = join(found, held_part(frame, member, f".{name}", held, where))
    return found


_TEXTS: Final = frozenset({"__name__", "__qualname__", "__module__", "__doc__"})
"""What functions and classes say about themselves."""


def _promised(frame: Frame, atom: Typed, name: str, where: str) -> Value:
    """Return what a property of a library's class gives: by its annotation, else anything."""
    if asks_by_property(class_of(atom)):
        frame.recorder.contact("read", f"looks up .{name}, which is fetched", where)
        return frozenset({Object(PANDAS.made)})
    found = find(class_of(atom), name)
    getter = getattr(found[1], "fget", None) if found else None
    hint = hints_of(getter).get("return", MISSING) if getter is not None else MISSING
    return opaque() if hint is MISSING else value_of_annotation(hint, frozenset())


def _slot(
    frame: Frame, atom: Typed, name: str, slot: types.MemberDescriptorType, where: str
) -> Value:
    if not isinstance(atom, Live):
        own = _own_attribute(frame, atom, name, where)
        return opaque(roots_of_object(atom)) if own is None else own
    try:
        seen = slot.__get__(atom.obj)
    except AttributeError:
        frame.recorder.look(place_of(frame, atom.obj, f".{name}"), where)
        return WORLDLY
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
    if is_a(attribute, ROUTINES):
        if isinstance(atom, Live):
            return frame.live(attribute.__get__(atom.obj, class_of(atom)))
        return frozenset({Method(atom, attribute)})
    if is_a(attribute, functools.cached_property):
        change_object(frame, atom, name, where, WORLDLY)
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
        if isinstance(atom, Live):
            own = frame.recorder.look(place_of(frame, atom.obj, f".{name}"), where, by_name=True)
            if own != "seen":
                return unknown(frame, f"looks up .{name}", frozenset({atom}), node)
        return call_method(frame, atom, hook[1], (const(name),), node)
    if isinstance(atom, Live):
        place = place_of(frame, atom.obj, f".{name}")
        content = frame.recorder.look(place, where)
        if hook is not None and not is_gentle(hook[0]):
            return WORLDLY
        return WORLDLY if content == "seen" else frame.as_content(content, NOTHING)
    if isinstance(atom, Made):
        return opaque(roots_of_object(atom)) if atom.cell.open or hook is not None else NOTHING
    roots = roots_of_object(atom)
    return tame(roots) if service_of(atom.cls) is not None else opaque(roots)


def _module_attribute(frame: Frame, module: types.ModuleType, name: str, node: ast.AST) -> Value:
    namespace = vars(module)
    where = frame.where(node)
    place = Location(namespace, name, f"{module.__name__}.{name}", "name")
    if name in namespace:
        return frame.held(place, namespace[name], where)
    hook = namespace.get("__getattr__")
    lazy = MISSING if hook is None else name_in(module, name)
    if lazy is not MISSING:
        return frame.held(place, lazy, where)
    if hook is not None:
        return frame.call(frame.live(hook), Arguments(node, (const(name),)))
    frame.recorder.look(place, where)
    return WORLDLY


def _class_attribute(
    frame: Frame, cls: type, name: str, meta: tuple[type, Any] | None, node: ast.AST
) -> Value:
    """Return an attribute of a class, where the metaclass comes last."""
    where = frame.where(node)
    if not is_as_seen(frame, cls, (name,), where):
        return unknown(frame, f"looks up .{name}", frozenset({Live(cls)}), node)
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
    if is_a(attribute, _AS_THEY_ARE):
        return frozenset({Live(attribute)})
    if is_a(attribute, staticmethod):
        return frame.live(attribute.__func__)
    if is_a(attribute, (classmethod, types.ClassMethodDescriptorType)):
        return frame.live(attribute.__get__(None, cls))
    if (getter := find(type(attribute), "__get__")) is not None and is_users(getter[1]):
        given = (frozenset({Live(attribute)}), NONE, frozenset({Live(cls)}))
        return frame.call(frame.live(getter[1]), Arguments(node, given))
    return held_part(frame, base, f".{name}", attribute, where)


_AS_THEY_ARE: Final = (
    *(types.FunctionType, types.BuiltinFunctionType, property),
    *(types.MethodDescriptorType, types.WrapperDescriptorType),
)
"""What a class gives as it is defined in it."""


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
    if name == "__dict__":
        unknown(
            frame, "gives an object the attributes of another", join(frozenset({atom}), value), node
        )
        return
    if brings_code(cls, value):
        unknown(frame, f"gives a {cls.__name__} a .{name}", value, node)
        return
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
    change_object(frame, atom, name, frame.where(node), WORLDLY)


def own_or_class(frame: Frame, atom: Typed, name: str, node: ast.AST) -> Value:
    """Return an attribute without asking `__getattribute__` or `__getattr__` of the user's."""
    own = _own_attribute(frame, atom, name, frame.where(node))
    if own is not None:
        return own
    found = find(class_of(atom), name)
    return (
        opaque(roots_of_object(atom))
        if found is None
        else _from_class(frame, atom, name, found, node)
    )
