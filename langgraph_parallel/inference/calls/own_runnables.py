"""From a loader, retriever or tool of the user's class to the user's method that the base runs.

class Notes(BaseRetriever):
def _get_relevant_documents(self, query, *, run_manager): ...

Notes(path=path).invoke(question)       runs that method
"""

from __future__ import annotations

from typing import Any, Final

from langchain_core.document_loaders import BaseLoader
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool

from langgraph_parallel.inference.calls.external import overrides
from langgraph_parallel.inference.calls.tables import RUNS_ONCE
from langgraph_parallel.inference.code.datamodel import find, is_a, is_users, names_of
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Injected,
    Live,
    Made,
    Object,
    Value,
    join,
    tame,
)
from langgraph_parallel.inference.objects.objects import (
    Typed,
    call_method,
    class_of,
    is_librarys_method,
)

_LOADS: Final = {
    "load": "lazy_load",
    "aload": "lazy_load",
    "alazy_load": "lazy_load",
}
"""Methods of a loader, and the one of the user's that they go through."""
_BODIES: Final[dict[type, tuple[str, ...]]] = {
    BaseRetriever: ("_get_relevant_documents", "_aget_relevant_documents"),
    BaseTool: ("_run", "_arun"),
}


def own_object_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a library's method gives that runs one of the user's; None for any other."""
    cls = class_of(atom)
    if issubclass(cls, BaseLoader) and name in _LOADS:
        return _load(frame, atom, name, given)
    if not isinstance(atom, (Made, Object)) or name not in RUNS_ONCE or not given.positional:
        return None
    for base, bodies in _BODIES.items():
        if issubclass(cls, base):
            return _run(frame, atom, base, bodies, given)
    return None


def _load(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    cls = class_of(atom)
    by_base = names_of(BaseLoader).get(name)
    body = find(cls, _LOADS[name])
    own_async = find(cls, "alazy_load")
    if given.all or body is None or not is_users(body[1]) or find(cls, name) is None:
        return None
    where = frame.where(given.node)
    if not all(is_librarys_method(frame, atom, one, where) for one in (name, _LOADS[name])):
        return None
    if (find(cls, name) or (None, None))[1] is not by_base:
        return None
    parts = iterate(frame, call_method(frame, atom, body[1], (), given.node), given.node)
    if name != "load" and own_async is not None and is_users(own_async[1]):
        made = call_method(frame, atom, own_async[1], (), given.node)
        parts = join(parts, iterate(frame, made, given.node, is_async=True))
    return collected(frame, given.node, parts)


def _run(
    frame: Frame, atom: Typed, base: type, bodies: tuple[str, ...], given: Arguments
) -> Value | None:
    """Run a retriever or tool: its base checks what it is given and calls the body."""
    cls = class_of(atom)
    defined = [body[1] for name in bodies if (body := find(cls, name)) is not None]
    own = [body for body in defined if is_users(body)]
    if not own or overrides(cls, base) or _is_hooked(cls):
        return None
    where = frame.where(given.node)
    if base is BaseRetriever:
        frame.recorder.contact("read", f"runs the {cls.__name__}", where)
    schema = getattr(cls, "model_fields", {}).get("args_schema")
    if schema is not None and is_a(schema.default, type):
        frame.call(frozenset({Live(schema.default)}), Arguments(given.node, unpacked=tame()))
    passed = frozenset(atom for atom in given.all if not isinstance(atom, Injected))
    used = frame.use(passed, given.node)
    parts = frame.part_of(used) if base is BaseTool else NOTHING
    found: Value = NOTHING
    for function in own:
        code: Any = getattr(function, "__code__", None)
        count = code.co_argcount + code.co_kwonlyargcount if code is not None else 0
        names = code.co_varnames[1:count] if code is not None else ()
        arguments = Arguments(given.node, (), dict.fromkeys(names, join(used, parts, tame())))
        found = join(found, frame.call(frame.live(function), arguments.after(frozenset({atom}))))
    return join(found, tame())


def _is_hooked(cls: type) -> bool:
    """Tell whether the errors of a tool are handled by code of the user's."""
    fields = getattr(cls, "model_fields", {})
    handlers = (fields.get(f"handle_{kind}_error") for kind in ("tool", "validation"))
    return any(field is not None and callable(field.default) for field in handlers)
