"""Classes and functions of libraries, known because they *are* these objects.

A name proves nothing: `functools.wraps` copies it, and anybody may choose it. Here a name only says
where to look; what counts is that the very object is found there, and that its code is the
library's.
"""

from __future__ import annotations

import functools
import sys
import types
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import ITERATORS, is_a
from langgraph_parallel.inference.code.source import is_library

_GENTLE_MODULES: Final = frozenset(
    {
        *("builtins", "collections", "_collections", "_collections_abc", "collections.abc"),
        *("typing", "typing_extensions", "abc", "_abc", "enum", "dataclasses", "datetime"),
        *("_datetime", "decimal", "_decimal", "_pydecimal", "fractions", "numbers", "uuid"),
        *("pathlib", "re", "_sre", "types", "functools", "_functools", "operator", "_operator"),
        *("string", "ipaddress", "zoneinfo", "itertools", "weakref", "_weakrefset", "array"),
        *("pydantic.main", "pydantic.root_model", "langchain_core.load.serializable"),
        *("statistics", "textwrap", "calendar", "time", "math", "http", "logging"),
    }
)
"""Modules whose classes do nothing beyond the object itself when Python calls their special
methods; what a subclass of the user's adds to them is followed."""
_GENTLE_PACKAGES: Final = ("langchain_core.messages.", "langchain_core.documents.")
_NOT_GENTLE: Final = frozenset({"generator", "coroutine", "async_generator", "map", "filter"})
"""Built-in classes whose special methods run other code: that of a function."""


def is_gentle(cls: type) -> bool:
    """Tell whether the special methods of a library's class only touch the object itself."""
    module = getattr(cls, "__module__", None)
    if not isinstance(module, str) or (cls.__name__ in _NOT_GENTLE and module == "builtins"):
        return False
    if module not in _GENTLE_MODULES and not module.startswith(_GENTLE_PACKAGES):
        return False
    if cls in _BUILTIN_KINDS:
        return True
    return found_under(module, cls.__qualname__) is cls


_BUILTIN_KINDS: Final = frozenset(
    {
        *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
        *(types.MappingProxyType, types.SimpleNamespace, types.CellType, types.GenericAlias),
        *(type(None), type(...), type(NotImplemented)),
        *(type({}.keys()), type({}.values()), type({}.items())),
        *ITERATORS,
    }
)
"""Built-in types that no module names."""


def found_under(module: str, qualified: str) -> Any:
    """Return what stands under a dotted name in a loaded module, or None."""
    found: Any = sys.modules.get(module)
    if found is None:
        return None
    for name in qualified.split("."):
        found = getattr(found, "__dict__", {}).get(name)
        if found is None:
            return None
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
    return found


def library_name(obj: Any) -> str:
    """Return `module.name` of a function or class of a library; empty when `obj` is not that one.

    The object must be what stands under the name, and its code must be a library's.
    """
    if not is_a(obj, (*_FUNCTIONS, types.MethodType, types.BuiltinMethodType, type)):
        return ""
    owner = getattr(obj, "__self__", None)
    if is_a(obj, types.MethodType):
        if not isinstance(owner, type):
            return ""
        inner = obj.__func__
        name = library_name_of_class(owner)
        is_own = name and getattr(inner, "__code__", None) and is_library_code(inner)
        return f"{name}.{inner.__name__}" if is_own else ""
    if is_a(obj, types.BuiltinMethodType) and isinstance(owner, type):
        name = library_name_of_class(owner)
        return f"{name}.{obj.__name__}" if name else ""
    if is_a(obj, type):
        return library_name_of_class(obj)
    return _name_of_function(obj)


_FUNCTIONS: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    functools._lru_cache_wrapper,
)


def _name_of_function(obj: Any) -> str:
    if is_a(obj, types.FunctionType) and not is_library_code(obj):
        return ""
    name, module = getattr(obj, "__qualname__", None), getattr(obj, "__module__", None)
    if not isinstance(name, str):
        return ""
    bound = getattr(obj, "__self__", None)
    if isinstance(bound, types.ModuleType):
        module = bound.__name__
    if not isinstance(module, str):
        return ""
    return f"{module}.{name}" if found_under(module, name) is obj else ""


def is_library_code(function: Any) -> bool:
    """Tell whether a Python function is written in a library."""
    return is_library(function.__code__.co_filename)


@functools.lru_cache(maxsize=4096)
def library_name_of_class(cls: type) -> str:
    """Return `module.name` of a class that stands there in a loaded module; else empty."""
    module, name = cls.__module__, cls.__qualname__
    if not isinstance(module, str) or found_under(module, name) is not cls:
        return ""
    return f"{module}.{name}"
