"""Live built-in containers: what they hold now, and what it is safe to say of it later."""

from __future__ import annotations

import collections
import sys
import types
import weakref
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import (
    NO_ATTRIBUTES,
    instance_dict,
    is_a,
    is_constant,
)
from langgraph_parallel.inference.machine.certainty import rooted
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.memory import part_of_item
from langgraph_parallel.inference.machine.values import NOTHING, SCALAR, WORLD, Value, join, opaque
from langgraph_parallel.locations import ANYWHERE, Location

MAPPINGS: Final = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
SEQUENCES: Final = (list, tuple, set, frozenset, collections.deque)
CONTAINERS: Final = (*MAPPINGS, *SEQUENCES)
"""Types, of exactly which a live object is a container without code of its own."""
_MOST_PARTS: Final = 64
"""Parts of a live container up to which each of them is looked at by itself."""
_MOST_PLAIN: Final = 4096
"""Parts of a live container up to which it is checked that all of them are plain data."""


def label_of(frame: Frame, obj: Any) -> str:
    """Return how a report calls a live object: by the name the code has for it, or its type."""
    known = frame.recorder.names.get(id(obj))
    if known is not None:
        return known
    name = getattr(obj, "__name__", None) if is_a(obj, type) else None
    return name if isinstance(name, str) else type(obj).__name__


def place_of(frame: Frame, obj: Any, part: str | None = None) -> Location:
    """Return the location of a live object, or of a part of it."""
    return place_called(obj, part, label_of(frame, obj) + (part or ""))


def place_called(obj: Any, part: str | None, label: str) -> Location:
    """Return the location of a live object, or of a part of it, by a label.

    What has a second name has one place: an object and its `__dict__`, a module and its globals. A
    view of something else may be a place anywhere.
    """
    if is_a(obj, _VIEWS):
        return ANYWHERE
    if is_a(obj, types.CellType):
        return Location(obj, None, label, "name")
    if is_a(obj, types.ModuleType) or (type(obj) is dict and _is_namespace(obj)):
        name = None if part is None else part.strip(".[]'")
        return Location(vars(obj) if type(obj) is not dict else obj, name, label, "name")
    own = instance_dict(obj)
    return Location(obj if own is NO_ATTRIBUTES else own, part, label)


def _is_namespace(obj: dict[Any, Any]) -> bool:
    """Tell whether a dict is what a module keeps its globals in."""
    module = sys.modules.get(name) if isinstance(name := obj.get("__name__"), str) else None
    return "__builtins__" in obj or (module is not None and vars(module) is obj)


_VIEWS: Final[tuple[type, ...]] = (
    *(type({}.keys()), type({}.values()), type({}.items()), types.MappingProxyType, memoryview),
    *(weakref.ProxyType, weakref.CallableProxyType, weakref.WeakSet),
    *(weakref.WeakValueDictionary, weakref.WeakKeyDictionary),
)
"""Types of objects that show what another one holds, and that another one can empty."""


def held_part(frame: Frame, obj: Any, part: str, seen: Any, where: str) -> Value:
    """Return what a part of a live object holds in which `seen` was found.

    That nobody but the nodes puts something else there is what binds a closure, too.
    """
    value = frame.live(seen)
    place = place_of(frame, obj, part)
    if not is_constant(seen):
        frame.recorder.names.setdefault(id(seen), str(place))
    return frame.as_content(frame.recorder.look(place, where), value)


def held_items(frame: Frame, obj: Any, where: str) -> Value:
    """Return what any element of a live built-in container may be."""
    content = frame.recorder.look(place_of(frame, obj), where)
    seen = seen_items(obj, frame)
    if not seen and content == "seen":
        return promised_items(frame, obj)
    return frame.as_content(content, seen)


def promised_items(frame: Frame, obj: Any) -> Value:
    """Return what an element of an empty container may be, which nobody of the nodes fills."""
    promised = frame.recorder.promises.get(id(obj), NOTHING)
    return rooted(promised, frozenset({WORLD})) or opaque(frozenset({WORLD}))


def seen_items(obj: Any, frame: Frame) -> Value:
    """Return what the elements of a live built-in container are now; empty when it has none."""
    parts = _parts(obj)
    if len(parts) <= _MOST_PARTS:
        return join(*(_kind_of(part, frame) for part in parts))
    if len(parts) <= _MOST_PLAIN and all(map(is_constant, parts)):
        return SCALAR
    return opaque(frozenset({WORLD}))


def held_keys(frame: Frame, obj: Any, where: str) -> Value:
    """Return what any key of a live mapping may be."""
    content = frame.recorder.look(place_of(frame, obj), where)
    try:
        keys = list(obj)
    except RuntimeError:
        keys = []
    constant = len(keys) <= _MOST_PLAIN and all(map(is_constant, keys))
    if constant and content == "seen":
        return join(*map(frame.live, keys))
    return SCALAR if constant and content != "unknown" else opaque(frozenset({WORLD}))


def held_item(frame: Frame, obj: Any, keys: frozenset[Any] | None, where: str) -> Value:
    """Return what a live built-in container holds at one of some keys; None: any key."""
    if keys is None or type(obj) not in MAPPINGS:
        return held_items(frame, obj, where)
    found = NOTHING
    for key in keys:
        part = part_of_item(key)
        if key in obj:
            found = join(found, held_part(frame, obj, part, obj[key], where))
        else:
            content = frame.recorder.look(place_of(frame, obj, part), where)
            seen = seen_items(obj, frame)
            if not seen and content == "seen":
                found = join(found, promised_items(frame, obj))
            else:
                found = join(found, frame.as_content(content, seen))
    return found


def _parts(obj: Any) -> list[Any]:
    try:
        return list(dict.values(obj)) if is_a(obj, dict) else list(obj)
    except RuntimeError:  # another thread changes it at this moment
        return [object()]


def _kind_of(part: Any, frame: Frame) -> Value:
    return SCALAR if is_constant(part) else frame.live(part)
