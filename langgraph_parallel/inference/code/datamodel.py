"""Python's data model, read off a class without running any of its code.

Python looks special methods up on the *type* of an object, and falls back from one to another:
`bool(x)` asks for `__bool__`, then for `__len__`. Here that is a table, and looking up is static.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from langgraph_parallel.inference.code.source import is_library

MISSING: Final = object()
"""What a look-up gives that finds nothing; None is a value."""

FALLBACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "__bool__": ("__bool__", "__len__"),
    "__str__": ("__str__", "__repr__"),
    "__format__": ("__format__", "__str__", "__repr__"),
    "__iter__": ("__iter__", "__getitem__", "__len__", "__length_hint__"),
    "__contains__": ("__contains__", "__iter__", "__next__", "__getitem__"),
    "__reversed__": ("__reversed__", "__len__", "__getitem__"),
    "__int__": ("__int__", "__index__", "__trunc__"),
    "__float__": ("__float__", "__index__"),
    "__complex__": ("__complex__", "__float__", "__index__"),
    "__bytes__": ("__bytes__", "__iter__", "__len__", "__getitem__", "__index__"),
    "__round__": ("__round__",),
    "__trunc__": ("__trunc__", "__int__"),
    "__floor__": ("__floor__", "__float__"),
    "__ceil__": ("__ceil__", "__float__"),
    "__getitem__": ("__getitem__", "__missing__", "__class_getitem__"),
    "__next__": ("__next__",),
    "__await__": ("__await__",),
    "__aiter__": ("__aiter__", "__anext__"),
    "__copy__": ("__copy__", "__reduce_ex__", "__reduce__", "__getstate__", "__setstate__"),
    "__deepcopy__": (
        "__deepcopy__",
        "__reduce_ex__",
        "__reduce__",
        "__getstate__",
        "__setstate__",
    ),
    "__reduce_ex__": ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs_ex__"),
    "__eq__": ("__eq__",),
    "__ne__": ("__ne__", "__eq__"),
}
"""For an operation, every special method that Python may call for it on one operand."""

_BINARY: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "xor", "or"),
)
REFLECTED: Final[Mapping[str, str]] = {
    **{f"__{name}__": f"__r{name}__" for name in _BINARY},
    "__lt__": "__gt__",
    "__gt__": "__lt__",
    "__le__": "__ge__",
    "__ge__": "__le__",
    "__eq__": "__eq__",
    "__ne__": "__ne__",
}
"""For an operation of two operands, what Python may call on the right one."""

MUTATING: Final = frozenset(
    {"__setitem__", "__delitem__", "__setattr__", "__delattr__", "__set__", "__delete__"}
    | {f"__i{name}__" for name in _BINARY}
)
"""Special methods that, where they are built in, change the object they are called on."""
_SCALARS: Final = (
    *(str, int, float, bool, bytes, complex),
    *(type(None), type(...), type(NotImplemented)),
)
_NO_ITEMS: Final[dict[Any, Any]] = {}
_EMPTY: Final[tuple[Iterable[Any], ...]] = (
    *([], (), _NO_ITEMS, set(), "", b"", range(0)),
    *(_NO_ITEMS.values(), _NO_ITEMS.items()),
)
ITERATORS: Final = tuple(type(iter(made)) for made in _EMPTY)
"""Types of iterators that run no code of anybody's when they move on."""


def in_place(operation: str) -> str:
    """Return the in-place form of a binary operation: `__iadd__` of `__add__`."""
    return f"__i{operation[2:]}"


def mro_of(cls: type) -> tuple[type, ...]:
    """Return the classes in which a class looks names up, without running `mro` or a metaclass."""
    return type.__dict__["__mro__"].__get__(cls)  # type: ignore[no-any-return]


def names_of(cls: type) -> Mapping[str, Any]:
    """Return what a class itself defines."""
    return type.__dict__["__dict__"].__get__(cls)  # type: ignore[no-any-return]


def find(cls: type, name: str) -> tuple[type, Any] | None:
    """Return the class that defines a name for instances of `cls`, and what it defines."""
    for base in mro_of(cls):
        found = names_of(base).get(name, MISSING)
        if found is not MISSING:
            return base, found
    return None


def special_methods(cls: type, operation: str) -> Iterator[tuple[type, Any]]:
    """Yield what Python may call on an instance of `cls` for an operation, in order.

    What `object` itself defines ends the search and is not yielded: it calls what comes after it
    in the fallbacks, and does nothing else.
    """
    for name in FALLBACKS.get(operation, (operation,)):
        found = find(cls, name)
        if found is not None and found[0] is not object:
            yield found


NO_ATTRIBUTES: Final[Mapping[str, Any]] = {}
"""What `instance_dict` gives for an instance that has no `__dict__`."""


def instance_dict(obj: Any) -> Mapping[str, Any]:
    """Return the attributes that an instance holds itself, without running any code."""
    slot = find(type(obj), "__dict__")
    kinds = (types.GetSetDescriptorType, types.MemberDescriptorType)
    if slot is None or not isinstance(slot[1], kinds):
        return NO_ATTRIBUTES
    try:
        found = slot[1].__get__(obj)
    except (AttributeError, TypeError):
        return NO_ATTRIBUTES
    return found if type(found) is dict else NO_ATTRIBUTES


def code_of(attribute: Any) -> types.CodeType | None:
    """Return the code behind something that a class defines, if it is written in Python."""
    if type(attribute) is types.FunctionType:
        return attribute.__code__
    if isinstance(attribute, property):
        attribute = attribute.fget
    elif isinstance(attribute, (classmethod, staticmethod)):
        attribute = attribute.__func__
    code = attribute.__code__ if is_a(attribute, (types.FunctionType, types.MethodType)) else None
    return code if is_a(code, types.CodeType) else None


def is_users(attribute: Any) -> bool:
    """Tell whether something that a class defines is code of the user's.

    `dataclass` and the like make methods in files named `<string>`, which only look at fields.
    """
    code = code_of(attribute)
    return code is not None and not is_library(code.co_filename) and not is_generated(code)


def is_generated(code: types.CodeType) -> bool:
    """Tell whether a method was made by `dataclass`, `namedtuple` or `attrs`, not written."""
    return code.co_filename.startswith(("<string>", "<attrs generated"))


_USERS: Final[dict[int, tuple[type, frozenset[str]]]] = {}
"""What `user_defined` found, by the identity of the class: hashing one may run code of its own."""


def user_defined(cls: type) -> frozenset[str]:
    """Return the names of a class that the user's own code defines, in it or in its bases."""
    known = _USERS.get(id(cls))
    if known is None:
        known = _USERS[id(cls)] = (
            cls,
            frozenset(
                name
                for base in mro_of(cls)
                for name, value in names_of(base).items()
                if is_users(value)
            ),
        )
    return known[1]


def forget_classes() -> None:
    """Look at all classes anew: before the analysis of a node, others may have changed them."""
    _USERS.clear()


def is_users_class(cls: type) -> bool:
    """Tell whether any class in which `cls` looks names up has code of the user's."""
    return bool(user_defined(cls))


def is_a(obj: Any, kinds: type | tuple[type, ...]) -> bool:
    """Tell what `isinstance` tells, by the real class: it would ask a `__class__` of the user's."""
    return issubclass(type(obj), kinds)


def is_constant(obj: Any) -> bool:
    """Tell whether a live object is built-in and immutable through and through."""
    if type(obj) is tuple:
        return all(map(is_constant, obj))
    if type(obj) is frozenset:
        return all(map(is_constant, obj))
    if is_a(obj, enum.Enum):
        return not user_defined(type(obj)) and is_constant(obj.value)
    return type(obj) in _SCALARS
