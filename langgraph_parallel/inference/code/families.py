"""Classes of libraries whose instances only hold data: tables, arrays, parsed pages, shown things.

Whatever comes out of one is of the same family: an item of a table is a column, a part of a page is
a page. So a value is known by its family, and a method by its name in that family.

    pd.read_csv(path)["price"].mean()       reads a file, then computes
    soup.find("a").get_text()               computes
    frame.drop(columns="x", inplace=True)   changes `frame`
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import (
    REFLECTED,
    find,
    is_a,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.code.family_tables import FAMILIES, Family
from langgraph_parallel.inference.code.gentle import library_name_of_class
from langgraph_parallel.inference.code.source import is_library

_BY_PACKAGE: Final = {family.package: family for family in FAMILIES}
_BY_MADE: Final = {
    id(made): family
    for family in FAMILIES
    for made in (family.made, family.own, family.mask)
    if made is not None
}


def family_of(cls: type) -> Family | None:
    """Return the family of a class; None for one that is no data or has code of the user's."""
    made = _BY_MADE.get(id(cls))
    if made is not None:
        return made
    module = cls.__module__ if isinstance(cls.__module__, str) else ""
    family = _BY_PACKAGE.get(module.partition(".")[0])
    if family is None or not library_name_of_class(cls) or user_defined(cls):
        return None
    if not is_library(getattr(sys.modules.get(module), "__file__", None) or "<frozen"):
        return None
    name = cls.__name__
    is_data = name in family.classes if family.classes else name not in family.others
    return family if is_data and not issubclass(cls, (BaseException, type)) else None


_MOST: Final = 100_000
"""Elements of a table or array up to which all of them are looked at."""


def holds_objects(obj: Any) -> bool:
    """Tell whether a live table or array may hold objects of the user's, whose code it runs."""
    kind = getattr(obj, "dtype", None)
    if kind is not None:
        return getattr(kind, "kind", "") == "O" and not _are_plain(obj)
    columns = getattr(obj, "dtypes", None)
    if columns is None or not hasattr(obj, "items"):
        return False
    kinds = ((part, getattr(getattr(part, "dtype", None), "kind", "")) for _, part in obj.items())
    return not all(_are_plain(part) for part, kind in kinds if kind == "O")


def _are_plain(part: Any) -> bool:
    values = getattr(part, "values", part)
    if getattr(values, "size", _MOST + 1) > _MOST:
        return False
    return not any(user_defined(kind) for kind in set(map(type, values.ravel().tolist())))


def is_copy(cls: type) -> bool:
    """Tell whether a class stands for what is certainly a copy."""
    family = _BY_MADE.get(id(cls))
    return family is not None and cls is family.own


def is_mask(cls: type) -> bool:
    """Tell whether a class stands for what picks rows, of which a table then makes copies."""
    family = _BY_MADE.get(id(cls))
    return family is not None and cls is family.mask


_INDEXERS: Final = frozenset({"loc", "iloc", "at", "iat"})
"""Attributes of a table by which parts of it are assigned."""


_SETTINGS: Final = frozenset({"headers", "cookies", "params", "proxies"})
"""Attributes of an HTTP client that hold data, which is sent with every request."""


def is_from_client(cls: type) -> bool:
    """Tell whether a class is that of an HTTP client, which is no data itself."""
    module = cls.__module__ if isinstance(cls.__module__, str) else ""
    is_known = module.partition(".")[0] in ("requests", "httpx", "aiohttp")
    is_named = cls.__name__ in ("Session", "Client", "AsyncClient", "ClientSession")
    return is_known and is_named and bool(library_name_of_class(cls)) and not user_defined(cls)


def class_of_attribute(cls: type, name: str) -> type | None:
    """Return what stands for the class of an attribute of a data class; None for other classes.

    For an attribute that is certainly immutable that is `str`.
    """
    if name in _SETTINGS and is_from_client(cls):
        return _BY_PACKAGE[cls.__module__.partition(".")[0]].made
    family = family_of(cls)
    if family is None or is_plugged_in(family, name):
        return None
    if name in family.texts and id(cls) not in _BY_MADE:
        return str
    return cls if is_copy(cls) and name in _INDEXERS else family.made


def class_of_result(family: Family, name: str) -> type:
    """Return what stands for the class of what a method or function of a family gives."""
    if family.own is not None and name in family.copies:
        return family.own
    return family.mask if family.mask is not None and name in family.asks else family.made


_COMPARES: Final = frozenset(
    f"__{name}__"
    for name in (
        *("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "invert", "rand", "ror", "rxor"),
    )
)
_COMPUTES: Final = frozenset(REFLECTED) | frozenset(REFLECTED.values())


def class_of_operation(family: Family, operation: str, *, by_mask: bool) -> type:
    """Return what stands for the class of what an operator of a family gives.

    Args:
        family: The family.
        operation: The special method.
        by_mask: An item is asked for by a mask.
    """
    if family.mask is not None and operation in _COMPARES:
        return family.mask
    copies = by_mask or (operation in _COMPUTES and operation not in _COMPARES)
    return family.own if family.own is not None and copies else family.made


def is_plugged_in(family: Family, name: str) -> bool:
    """Tell whether the user has put an attribute of that name into the classes of a family."""
    package = sys.modules.get(family.package)
    for leading in family.leading:
        cls = getattr(package, leading, None)
        found = find(cls, name) if isinstance(cls, type) else None
        if found is None:
            continue
        accessor = getattr(found[1], "_accessor", None)
        if is_users(found[1]) or (isinstance(accessor, type) and user_defined(accessor)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class FamilyFunction:
    """A function of a data library."""

    family: Family
    name: str
    reads_files: bool = field(default=False)


_INNER: Final = ("", ".linalg", ".fft")


def family_function(obj: Any) -> FamilyFunction | None:
    """Return what a data library's function is, which is known by standing under its name."""
    name = getattr(obj, "__name__", None) if not is_a(obj, type) else None
    module = getattr(obj, "__module__", None) or type(obj).__module__
    if not isinstance(name, str) or not isinstance(module, str):
        return None
    family = _BY_PACKAGE.get(module.partition(".")[0])
    if family is None or name not in family.functions | family.files:
        return None
    code = getattr(obj, "__code__", None)
    if code is not None and not is_library(code.co_filename):
        return None
    for inner in _INNER:
        found = getattr(sys.modules.get(family.package + inner), "__dict__", {}).get(name)
        if found is obj:
            return FamilyFunction(family, name, name in family.files)
    return None
