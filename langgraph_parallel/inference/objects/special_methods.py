"""From an operation on an object of known class to the special methods that Python calls."""

from __future__ import annotations

import ast
import types
from typing import Any, Final

from langgraph_parallel.effects import union
from langgraph_parallel.inference.code.datamodel import (
    FALLBACKS,
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
from langgraph_parallel.inference.code.families import (
    class_of_operation,
    is_copy,
    is_mask,
)
from langgraph_parallel.inference.code.family_tables import (
    Family,
)
from langgraph_parallel.inference.code.gentle import is_gentle
from langgraph_parallel.inference.machine.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    WORLD,
    Data,
    Live,
    Made,
    Object,
    Value,
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import (
    ROUTINES,
    WORLDLY,
    Typed,
    call_method,
    change_object,
    class_of,
    family_of_object,
    is_as_seen,
    is_users_object,
    keeps_class,
    look_at_object,
    roots_of_object,
)


def run_special(
    frame: Frame,
    atom: Typed,
    operation: str,
    operands: tuple[Value, ...],
    node: ast.AST,
) -> Value:
    """Return what Python's special methods for an operation give; empty when there are none."""
    family = family_of_object(atom)
    if family is not None:
        return _run_on_data(frame, atom, family, operation, operands, node)
    found: Value = NOTHING
    where, names = frame.where(node), FALLBACKS.get(operation, (operation,))
    if not (keeps_class(frame, atom, where) and is_as_seen(frame, class_of(atom), names, where)):
        involved = join(frozenset({atom}), *operands)
        found = unknown(frame, f"runs {operation} of a class that a node changes", involved, node)
    for base, attribute in special_methods(class_of(atom), operation):
        if attribute is None:
            continue  # `__hash__ = None`: it raises
        found = join(found, _run_found(frame, atom, operation, base, attribute, operands, node))
    return found


def _run_on_data(
    frame: Frame,
    atom: Typed,
    family: Family,
    operation: str,
    operands: tuple[Value, ...],
    node: ast.AST,
) -> Value:
    """Run an operation on a table, an array or a page: what comes out is of the same family."""
    where, given = frame.where(node), join(*operands)
    used = frame.use(given, node)
    look_at_object(frame, atom, where)
    if operation in _GIVES_SCALAR:
        return SCALAR
    if operation in MUTATING:
        frame.escape(given, "stored", where)
        if not is_copy(class_of(atom)):
            change_object(frame, atom, None, where, given)
    roots = union(roots_of_object(atom), roots_of(used))
    by_mask = operation == "__getitem__" and _picks_rows(given)
    made = class_of_operation(family, operation, by_mask=by_mask)
    if operation in MUTATING and isinstance(atom, Object):
        made = atom.cls
    return frozenset({Object(made, roots)})


def _picks_rows(index: Value) -> bool:
    """Tell whether an index is what a comparison of a whole table gives."""
    masks = [atom for atom in index if isinstance(atom, Object) and is_mask(atom.cls)]
    rest = index - frozenset(masks)
    return bool(masks) and all(isinstance(atom, Data) and atom.scalar for atom in rest)


_GIVES_SCALAR: Final = frozenset(
    {
        *("__str__", "__repr__", "__format__", "__bool__", "__len__", "__hash__", "__contains__"),
        *("__int__", "__float__", "__index__", "__complex__", "__bytes__", "__length_hint__"),
    }
)


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
    if is_a(attribute, (types.FunctionType, *ROUTINES)) or is_gentle(base):
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
    elif isinstance(atom, Live):
        use_attributes(frame, atom, node)
    if base is not object:
        run_own_hooks(frame, atom, operation, node)
    return opaque(frozenset({WORLD})) if isinstance(atom, Live) else opaque(roots_of_object(atom))


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
    if frame.recorder.follows(key):
        return
    frame.recorder.trail.append(key)
    try:
        for name in sorted(user_defined(cls)):
            if name in _NOT_HOOKS:
                continue
            found = find(cls, name)
            if found is not None and is_users(found[1]) and not is_a(found[1], property):
                call_method(frame, atom, found[1], (opaque(roots_of_object(atom)),) * 2, node)
    finally:
        frame.recorder.trail.pop()


_NOT_HOOKS: Final = frozenset({"__init__", "__new__", "__init_subclass__", "__set_name__"})


def use_object(frame: Frame, atom: Typed, node: ast.AST) -> None:
    """Let something look at all of an object: any of its special methods may run."""
    look_at_object(frame, atom, frame.where(node))
    if isinstance(atom, Live) and is_a(atom.obj, types.FunctionType):
        return
    if family_of_object(atom) is not None:
        return
    if isinstance(atom, Live) and is_a(atom.obj, type) and not user_defined(type(atom.obj)):
        return
    cls = class_of(atom)
    key = ("use", id(cls), id(atom.obj) if isinstance(atom, Live) else 0)
    if frame.recorder.follows(key):
        return
    where = frame.where(node)
    if not (keeps_class(frame, atom, where) and is_as_seen(frame, cls, _SHOWN_BY, where)):
        unknown(frame, "looks at an object of a class that a node changes", WORLDLY, node)
    frame.recorder.trail.append(key)
    try:
        own = user_defined(cls)
        for name in sorted(own & IMPLICIT):
            found = find(cls, name)
            if found is not None and is_users(found[1]):
                given = (WORLDLY,) if name in _ONE_OPERAND else ()
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
IMPLICIT: Final = _ONE_OPERAND | {
    *("__repr__", "__str__", "__hash__", "__bool__", "__len__", "__iter__", "__next__"),
    *("__int__", "__float__", "__index__", "__complex__", "__bytes__", "__fspath__"),
    *("__length_hint__", "__reversed__", "__copy__", "__reduce__", "__getstate__", "__dir__"),
    *("__abs__", "__round__", "__neg__", "__pos__", "__invert__", "__trunc__", "keys", "items"),
    *("__floor__", "__ceil__", "__getnewargs__", "__getnewargs_ex__", "__sizeof__", "__class__"),
}
"""Methods that library code may call on whatever it is given, without being asked to."""
_SHOWN_BY: Final = (
    "__repr__",
    "__str__",
    "__format__",
    "__eq__",
    "__hash__",
    "__len__",
    "__iter__",
)
"""Those of them that nearly all library code calls."""


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
