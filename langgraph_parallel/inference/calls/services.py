"""From calls of loaders, stores, splitters and search clients to what they ask, change and give.

loader = WebBaseLoader(url)                    made here
docs = splitter.split_documents(loader.load()) reads the world, then computes
store.add_documents(docs)                      changes `store`: a place, like any object
store.as_retriever().invoke(question)          looks at `store`, reads the world
"""

from __future__ import annotations

import sys
from typing import Any, Final

from langchain_core.document_loaders import BaseLoader
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore

from langgraph_parallel.effects import External, Keys, union
from langgraph_parallel.inference.calls.external import gives_of
from langgraph_parallel.inference.calls.known import without_callbacks
from langgraph_parallel.inference.calls.plugged_code import change_kept, run_given, run_plugged
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a, is_users
from langgraph_parallel.inference.code.families import is_from_client
from langgraph_parallel.inference.code.family_tables import (
    PANDAS,
)
from langgraph_parallel.inference.code.services import (
    ONE_AT_A_TIME,
    Does,
    function_of,
    holds_in_memory,
    service_of,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    NONE,
    SCALAR,
    Chain,
    Data,
    Live,
    Object,
    Value,
    const,
    data,
    fresh,
    join,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.held import CONTAINERS, place_of
from langgraph_parallel.inference.objects.objects import (
    Typed,
    change_object,
    class_of,
    is_librarys_method,
    look_at_object,
)
from langgraph_parallel.locations import world


def make_service(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return a loader, store, splitter or client that a node makes; None for any other class."""
    if service_of(cls) is None:
        return None
    if not run_given(frame, given):
        return unknown(frame, f"makes a {cls.__name__}", given.all, given.node)
    _speak(frame, cls, given)
    frame.escape(without_callbacks(given.all), "passed on", frame.where(given.node))
    return frozenset({Object(cls, _held(given.all))})


def _speak(frame: Frame, cls: type, given: Arguments) -> None:
    """Wikipedia's client has one language for the whole process, which making a wrapper sets."""
    if not cls.__name__.startswith("Wikipedia"):
        return
    module = sys.modules.get("wikipedia.wikipedia")
    address = getattr(module, "API_URL", "http://en.")
    languages = strings_of(given.named.get("lang", const("en")))
    where = frame.where(given.node)
    frame.recorder.look(world("wikipedia"), where)
    if languages is None or any(f"//{lang}." not in address for lang in languages):
        frame.recorder.change(world("wikipedia"), where, SCALAR)


def _held(value: Value) -> Keys:
    """Return what an object that is made of `value` may alias: not the models that it asks."""
    kept = frozenset(
        atom for atom in value if not isinstance(atom, Live) or type(atom.obj) in CONTAINERS
    )
    return roots_of(kept)


def _use(frame: Frame, given: Arguments) -> Value:
    """Look at the arguments; objects of libraries among them have been looked at as such."""
    data = frozenset(
        atom
        for atom in without_callbacks(given.all)
        if not isinstance(atom, Live) or type(atom.obj) in CONTAINERS
    )
    return frame.use(data, given.node)


def service_class_method(frame: Frame, cls: type, name: str, given: Arguments) -> Value | None:
    """Return what `FAISS.from_documents(...)` and the like give; None for any other method."""
    if service_of(cls) is None or not name.startswith("from_"):
        return None
    if not run_given(frame, given):
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    _use(frame, given)
    where = frame.where(given.node)
    if issubclass(cls, VectorStore):
        kind: External = "model" if holds_in_memory(cls) else "write"
        kind = "read" if name.startswith("from_existing") else kind
        frame.recorder.contact(kind, f"{cls.__name__}.{name}() is a {kind} call", where)
    frame.escape(given.all, "passed on", where)
    return frozenset({Object(cls, _held(given.all))})


def service_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a loader, store, splitter or client gives; None for any other."""
    cls = class_of(atom)
    methods = service_of(cls)
    if methods is None:
        return None
    if issubclass(cls, VectorStore) and name == "as_retriever":
        return _as_retriever(frame, atom, given)
    does = methods.get(name)
    where = frame.where(given.node)
    if does is None or not is_librarys_method(frame, atom, name, where):
        return None
    if not run_given(frame, given) or not _is_understood(frame, atom, given):
        return unknown(frame, f"calls .{name}()", join(frozenset({atom}), given.all), given.node)
    used = _use(frame, given)
    look_at_object(frame, atom, where)
    if does.place:
        frame.recorder.look(world(does.place), where)
    for kind in sorted(does.contact):
        frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
    _keep_cookies(frame, atom, where)
    if cls.__name__ in ONE_AT_A_TIME:
        frame.recorder.resources |= {ONE_AT_A_TIME[cls.__name__]}
    if does.changes:
        frame.escape(given.all, f"kept by .{name}()", where)
        _change(frame, atom, given)
    return _gives(atom, does, used)


def service_function(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return what a function of a small library gives; None when `function` is none of them."""
    does = function_of(function)
    if does is None or not run_given(frame, given) or _is_extended(function):
        return None
    where = frame.where(given.node)
    used = _use(frame, given)
    if does.place:
        frame.recorder.look(world(does.place), where)
    for kind in sorted(does.contact):
        frame.recorder.contact(kind, f"{given.callee} is a {kind} call", where)
    if does.gives in _PLAIN:
        return _PLAIN[does.gives]
    return _made_of(does, used, used)


_YAML_TABLES: Final = (
    *("yaml_constructors", "yaml_multi_constructors", "yaml_representers"),
    "yaml_multi_representers",
)


def _is_extended(function: Any) -> bool:
    """Tell whether YAML was taught more, or old code keeps what it fetches in a global."""
    if "_DFS" in getattr(getattr(function, "__code__", None), "co_names", ()):
        return True
    if not str(function.__module__).startswith("yaml"):
        return False
    makers = [
        maker
        for name in ("SafeLoader", "CSafeLoader", "SafeDumper", "CSafeDumper", "Dumper")
        for table in _YAML_TABLES
        for maker in getattr(getattr(sys.modules["yaml"], name, None), table, {}).values()
    ]
    return any(is_users(maker) for maker in makers)


def _is_understood(frame: Frame, atom: Typed, given: Arguments) -> bool:
    return not isinstance(atom, Live) or run_plugged(frame, atom.obj, given.node)


def _keep_cookies(frame: Frame, atom: Typed, where: str) -> None:
    """A loader that outlives the node has a session, whose cookies its pages may set."""
    if not isinstance(atom, Live) or not is_a(atom.obj, BaseLoader):
        return
    for held in instance_dict(atom.obj).values():
        if is_from_client(type(held)):
            frame.recorder.look(place_of(frame, held), where)
            frame.recorder.change(place_of(frame, held), where, SCALAR)


def _change(frame: Frame, atom: Typed, given: Arguments) -> None:
    if isinstance(atom, Live):
        change_kept(frame, atom.obj, given.node)
    else:
        change_object(frame, atom, None, frame.where(given.node), given.all)


def _as_retriever(frame: Frame, atom: Typed, given: Arguments) -> Value:
    """Return the retriever of a store, which is looked at here for all that is asked later."""
    if not run_given(frame, given) or not _is_understood(frame, atom, given):
        involved = join(frozenset({atom}), given.all)
        return unknown(frame, "calls .as_retriever()", involved, given.node)
    look_at_object(frame, atom, frame.where(given.node))
    return frozenset({Chain(frozenset({"read"}), gives_of(BaseRetriever))})


def _gives(atom: Typed, does: Does, used: Value) -> Value:
    if does.gives in _PLAIN:
        return _PLAIN[does.gives]
    return _made_of(does, frozenset({atom}), used)


def _made_of(does: Does, receiver: Value, used: Value) -> Value:
    """Return what is a table, or may hold parts of the receiver or of the arguments."""
    if does.gives == "frame":
        return frozenset({Object(PANDAS.made)})
    if does.gives == "given":
        return fresh(roots_of(used), plain=True)
    return frozenset({Data(union(roots_of(receiver), roots_of(used)), own=True, plain=True)})


_PLAIN: Final[dict[str, Value]] = {
    "data": data(),
    "list": fresh(plain=True),
    "documents": fresh(plain=True),
    "text": SCALAR,
    "date": MESSAGE,
    "tame": tame(),
    "prompt": frozenset({Chain(frozenset(), tame())}),
    "none": NONE,
}
