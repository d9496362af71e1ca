"""From a live object of a library to what hangs on it: code of the user's, and what it keeps.

RecursiveCharacterTextSplitter(length_function=count)     runs `count`
EnsembleRetriever(retrievers=[Notes(), bm25])             runs the methods of `Notes`
VectorStoreRetriever(vectorstore=store)                   looks into `store`
"""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from pydantic import BaseModel

from langgraph_parallel.inference.code.datamodel import (
    instance_dict,
    is_a,
    is_constant,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.code.families import (
    family_of,
)
from langgraph_parallel.inference.code.family_tables import Connection
from langgraph_parallel.inference.code.services import short_name
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.values import Atom, Live, Value
from langgraph_parallel.inference.objects.held import CONTAINERS, MAPPINGS

_MOST: Final = 400
"""Objects behind one that are looked at; beyond, nothing is said of it."""
_CLOSED: Final = frozenset(
    " ".join(
        (
            "_asyncio _io _ssl _thread aiohttp anthropic asyncio boto3 botocore builtins",
            "chromadb collections concurrent curl_cffi datetime decimal elasticsearch enum",
            "faiss fitz google googleapiclient grpc http httpcore httpcore2 lancedb",
            "langchain_openai langsmith logging neo4j numpy openai opensearchpy opentelemetry",
            "pandas pathlib pinecone posixpath primp psycopg psycopg2 psycopg_pool pydantic",
            "pydantic_core pymilvus pymongo qdrant_client queue re redis regex requests",
            "selectors sqlalchemy ssl supabase tenacity threading tiktoken types typing",
            "urllib3 uuid weakref weaviate",
        )
    ).split()
)
"""Packages whose objects do not hand code of the user's on, and keep nothing that others reach."""


_MODELS: Final = frozenset(
    {
        *("ctransformers", "gpt4all", "llama_cpp", "sentence_transformers", "tokenizers"),
        *("torch", "transformers"),
    }
)
"""Packages whose objects are models in this process, which work for one thread at a time."""


@dataclass(slots=True)
class Behind:
    """What hangs on an object."""

    code: list[Any] = field(default_factory=list)
    """Functions and instances of classes of the user's."""
    models: list[Any] = field(default_factory=list)
    """Models in this process."""
    kept: list[Any] = field(default_factory=list)
    """Objects and containers of the library that it is made of, itself included."""


def behind(obj: Any, *, without: tuple[type, ...] = ()) -> Behind | None:
    """Return what hangs on a library's object; None where that is too much to look at.

    Args:
        obj: The object.
        without: Classes of objects that are not followed.
    """
    found, seen, pending = Behind(), set(), [obj]
    while pending:
        part = pending.pop()
        if is_constant(part) or id(part) in seen or is_a(part, without):
            continue
        seen.add(id(part))
        if len(seen) > _MOST or _belongs_to_a_thread(part):
            return None
        if is_a(part, types.FunctionType) and is_users(part):
            found.code.append(part)
        elif is_a(part, (types.FunctionType, types.MethodType, functools.partial)):
            pending += _parts_of_function(part)
        elif type(part) in CONTAINERS:
            found.kept.append(part)
            pending += list(part.values() if type(part) in MAPPINGS else part)
        elif user_defined(type(part)) and not is_a(part, type):
            found.code.append(part)
        elif _package_of(part) in _MODELS:
            found.models.append(part)
        elif part is obj or not _is_closed(part):
            found.kept.append(part)
            pending += _attributes(part)
    return found


def _package_of(part: Any) -> str:
    return str(type(part).__module__).partition(".")[0]


def _belongs_to_a_thread(part: Any) -> bool:
    """Tell whether an object answers only, or another thing, in the thread that has made it.

    Nodes that run together run in threads of their own.
    """
    package = _package_of(part)
    if package == "sqlite3":
        return True
    pool = instance_dict(part).get("pool") if package == "sqlalchemy" else None
    return type(pool).__name__ == "SingletonThreadPool"


def _is_closed(part: Any) -> bool:
    if is_a(part, (type, types.ModuleType, types.BuiltinFunctionType, BaseLanguageModel)):
        return True
    return _package_of(part) in _CLOSED or family_of(type(part)) is not None


def _parts_of_function(function: Any) -> list[Any]:
    """Return what a library's function, bound method or partial holds."""
    if is_a(function, functools.partial):
        return [function.func, *function.args, *function.keywords.values()]
    if is_a(function, types.MethodType):
        return [function.__func__, function.__self__]
    held: list[Any] = list(function.__defaults__ or ())
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    return held


_PRIVATE: Final = ("__pydantic_private__", "__pydantic_extra__")


def _attributes(part: Any) -> list[Any]:
    held = list(instance_dict(part).values())
    if is_a(part, BaseModel):
        for name in _PRIVATE:
            more = getattr(part, name, None)
            held += list(more.values()) if isinstance(more, dict) else []
    for base in type(part).__mro__:
        for slot in vars(base).values():
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    held.append(slot.__get__(part))
                except AttributeError:
                    continue
    return held


_PLUGGABLE: Final = frozenset({"requests.Session", "httpx.Client", "httpx.AsyncClient"})
"""Clients to which code can be given by assigning an attribute, such as an authentication."""


def brings_code(cls: type, value: Value) -> bool:
    """Tell whether assigning a value to an attribute of a client may make it run other code."""
    if cls is not Connection and short_name(cls) not in _PLUGGABLE:
        return False
    return not all(_is_librarys(atom) for atom in value)


def _is_librarys(atom: Atom) -> bool:
    is_class = isinstance(atom, Live) and is_a(atom.obj, type) and not user_defined(atom.obj)
    return is_class or is_deep(frozenset({atom}))
