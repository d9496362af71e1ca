"""From a function, class or method of Python's library to what calling it does, read off tables.

    [pathlib.Path]                                a module, or a class with its methods
    files | scalar | exists is_dir read_text      contact | result | names
        is_file                                   a row goes on where the line is indented
    left out: opens a file | open                 not known, with the reason

A table names things as a program imports them; what counts is that the very object stands there in
the library. `*` is every name that stands in no other row.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from langgraph_parallel.inference.calls.tables import CONTACTS, RESULTS, Known
from langgraph_parallel.inference.code.datamodel import find, is_users
from langgraph_parallel.inference.code.gentle import library_name, library_name_of_class

_TABLES: Final = Path(__file__).parent / "library"
_HOMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("posix", "nt"), "os"),
    **dict.fromkeys(("posixpath", "ntpath", "genericpath"), "os.path"),
    **dict.fromkeys(("pathlib._local", "pathlib._abc"), "pathlib"),
    **dict.fromkeys(("_hashlib", "_blake2", "_md5", "_sha1", "_sha2", "_sha3"), "hashlib"),
    **dict.fromkeys(("_sha256", "_sha512"), "hashlib"),
    **{f"asyncio.{name}": "asyncio" for name in ("tasks", "locks", "queues", "events", "futures")},
    **{f"asyncio.{name}": "asyncio" for name in ("runners", "coroutines", "threads", "timeouts")},
    **{f"asyncio.{name}": "asyncio" for name in ("taskgroups", "base_futures")},
    **{f"concurrent.futures.{name}": "concurrent.futures" for name in ("_base", "thread")},
    **{f"json.{name}": "json" for name in ("decoder", "encoder")},
    **{f"_{name}": name for name in ("io", "operator", "heapq", "bisect", "struct", "csv", "bz2")},
    **{f"_{name}": name for name in ("codecs", "locale", "random", "queue", "lzma", "statistics")},
    **{f"_{name}": name for name in ("collections", "functools", "datetime", "decimal", "socket")},
    "_pydecimal": "decimal",
    "_pydatetime": "datetime",
    "_thread": "threading",
    "_warnings": "warnings",
    "tomllib._parser": "tomllib",
    "zoneinfo._zoneinfo": "zoneinfo",
}
"""Modules that define what a program imports from another one."""


@functools.lru_cache(maxsize=1)
def library() -> Mapping[str, Known]:
    """Return what is known of each function, class and method, by its dotted name."""
    return {name: known for name, known, _ in _entries() if known is not None}


@functools.lru_cache(maxsize=1)
def left_out() -> Mapping[str, str]:
    """Return the reason for each name that the tables leave out on purpose."""
    return {name: reason for name, known, reason in _entries() if known is None}


def _entries() -> Iterator[tuple[str, Known | None, str]]:
    for file in sorted(_TABLES.glob("*.txt")):
        home = ""
        for line in file.read_text(encoding="utf-8").replace("\n    ", " ").splitlines():
            if line.startswith("["):
                home = line.strip("[]")
            elif line and not line.startswith("#"):
                contact, *columns = (part.strip() for part in line.split("|"))
                reason = contact.partition(": ")[2]
                known = None if reason else _known(contact, columns[0])
                for name in columns[-1].split():
                    yield f"{home}.{name}", known, reason


def _known(contact: str, result: str) -> Known | None:
    if contact == "by rule":
        return BY_RULE
    known = CONTACTS[contact]
    maybe, result = result.endswith("?"), result.rstrip("?")
    assert result in RESULTS or "." in result, result
    return replace(known, result=result, maybe=maybe)


BY_RULE: Final = Known()
"""What has a rule of its own elsewhere: an operation, an iteration, a call of what is given."""


def library_call(obj: Any) -> Known | None:
    """Return what calling a function or class of Python's library does; None where not known."""
    name = library_name(obj)
    if not name:
        return None
    owner = getattr(obj, "__self__", None)
    if isinstance(owner, type):  # `datetime.today`, which `date` defines
        return library_method(owner, obj.__name__)
    return _lookup(_public(name))


def _lookup(name: str) -> Known | None:
    known = library().get(name)
    if known is None and name not in left_out():
        known = library().get(f"{name.rpartition('.')[0]}.*")
    return None if known is BY_RULE else known


def _public(name: str) -> str:
    """Return the name under which a program imports what a library calls `name`."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        home = _HOMES.get(".".join(parts[:end]))
        if home is not None:
            return ".".join((home, *parts[end:])).replace("hashlib.openssl_", "hashlib.")
    return name


def library_method(cls: type, name: str) -> Known | None:
    """Return what a method does that a class of Python's library defines; None where not known."""
    found = find(cls, name)
    if found is None or is_users(found[1]):
        return None
    home = library_name_of_class(found[0])
    if cls is not found[0] and (known := _lookup(f"{_public(library_name_of_class(cls))}.{name}")):
        return known
    return _lookup(f"{_public(home)}.{name}") if home else None


@functools.lru_cache(maxsize=1)
def _stateful() -> frozenset[str]:
    return frozenset(name.rpartition(".")[0] for name, known in library().items() if known.receiver)


def is_stateful(cls: type) -> bool:
    """Tell whether methods of a class of Python's library change the object."""
    return _public(library_name_of_class(cls)) in _stateful()


def class_called(name: str) -> type | None:
    """Return the class of Python's library that a table calls `name`, where it is loaded."""
    module, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(module), attribute, None)
    return found if isinstance(found, type) else None
