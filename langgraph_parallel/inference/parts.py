"""Attributes, items and contexts: taking things out of a value and putting them in.

The part of the door that is about parts: each rule is one function of (operation, receiver).
"""

from __future__ import annotations

import ast
import collections
import enum
import os
from collections.abc import Mapping
from typing import Any, Final

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.datamodel import find, is_a, is_users, user_defined
from langgraph_parallel.inference.door import (
    change,
    from_state,
    put_at,
    use_state,
)
from langgraph_parallel.inference.frame import Arguments, Frame, unknown
from langgraph_parallel.inference.held import CONTAINERS, MAPPINGS, held_item, place_of
from langgraph_parallel.inference.injected import injected_part
from langgraph_parallel.inference.typed import (
    call_method,
    class_of,
    delete_attr,
    load_attr,
    look_at_object,
    look_behind,
    run_special,
    store_attr,
)
from langgraph_parallel.inference.values import (
    GIVEN,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Bound,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    State,
    Value,
    const,
    constants_of,
    holding,
    is_scalar,
    join,
    opaque,
    roots_of,
    strings_of,
    tame,
)
from langgraph_parallel.locations import ANY_ITEM, Location, any_attribute, world

STATE_METHODS: Final = frozenset(
    {
        *("get", "keys", "values", "items", "copy", "pop", "setdefault", "update", "popitem"),
        *("clear", "model_dump", "model_dump_json", "dict", "json", "model_copy"),
    }
)
"""Methods of a state that mean something to the analysis."""


# -- attributes ------------------------------------------------------------------------------------


def get_attribute(frame: Frame, value: Value, name: str, node: ast.AST) -> Value:
    """Return what `value.name` may be."""
    return join(*(attribute_of(frame, atom, name, node) for atom in value))


def attribute_of(frame: Frame, atom: Any, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be."""
    given = frozenset({atom})
    if isinstance(atom, State):
        return _state_attribute(frame, name, node)
    if isinstance(atom, Live) and atom.obj is os.environ:
        return frozenset({Method(Object(type(os.environ)), getattr(os.environ, name, None))})
    if isinstance(atom, (Live, Made, Object)):
        return load_attr(frame, atom, name, node)
    if isinstance(atom, Injected):
        return injected_part(frame, atom, frozenset({name}), node)
    if isinstance(atom, Opaque) and not atom.tame:
        return unknown(frame, f"looks up .{name} of an unknown type", given, node)
    if isinstance(atom, (Data, Opaque)):
        look_behind(frame, atom, node)
        return SCALAR if isinstance(atom, Data) and atom.scalar else frame.part_of(given)
    if isinstance(atom, Const):
        return _attribute_of_constant(frame, atom, name)
    if isinstance(atom, Chain):
        return tame()
    if isinstance(atom, (Closure, Method)):
        return opaque()
    return opaque(frame.escape(given, f"attribute {name}", frame.where(node)))


def _attribute_of_constant(frame: Frame, atom: Const, name: str) -> Value:
    if isinstance(atom.value, enum.Enum) and name in ("value", "name"):
        return frame.live(getattr(atom.value, name))
    return SCALAR


def _state_attribute(frame: Frame, name: str, node: ast.AST) -> Value:
    shape = frame.recorder.shape
    runs_code = bool(shape.own_code & {name, "__getattribute__"})
    if shape.attributes and name in shape.keys and not runs_code:
        return frame.recorder.read(name, frame.where(node))
    if name in STATE_METHODS and not runs_code:
        return frozenset({Bound(name)})
    frame.recorder.read_all(f"attribute {name!r} of the state", frame.where(node))
    frame.recorder.contact("unknown", f"attribute {name!r} of the state", frame.where(node))
    return opaque(ALL)


def set_attribute(frame: Frame, value: Value, name: str, new: Value, node: ast.AST) -> None:
    """Assign `value.name`."""
    for atom in value:
        if isinstance(atom, State):
            store_in_state(frame, const(name), new, frame.where(node))
        elif isinstance(atom, (Live, Made, Object)):
            store_attr(frame, atom, name, new, node)
        elif isinstance(atom, Opaque) and not atom.tame:
            _store_unknown(frame, atom, new, "assignment", node, any_attribute(name))
        elif isinstance(atom, (Closure, Chain)):
            frame.escape(new, f"kept in .{name}", frame.where(node))
            frame.leak(new)
        else:
            frame.escape(new, f"kept in .{name}", frame.where(node))
            frame.leak(new)
            change(frame, atom, "assignment", node, new, any_attribute(name))


def _store_unknown(
    frame: Frame,
    atom: Opaque,
    new: Value,
    what: str,
    node: ast.AST,
    place: Location = ANY_ITEM,
) -> None:
    frame.escape(new, "stored", frame.where(node))
    frame.leak(new)
    change(frame, atom, what, node, new, place)
    unknown(frame, f"{what} to an object of unknown type", frozenset({atom}), node)


def delete_attribute(frame: Frame, value: Value, name: str, node: ast.AST) -> None:
    """Delete `value.name`."""
    for atom in value:
        if isinstance(atom, State):
            from_state(frame, const(name), node)  # it fails when the key has no value
        elif isinstance(atom, (Live, Made, Object)):
            delete_attr(frame, atom, name, node)
        elif isinstance(atom, Opaque) and not atom.tame:
            _store_unknown(frame, atom, NOTHING, "deletion", node, any_attribute(name))
        else:
            change(frame, atom, "del", node, NOTHING, any_attribute(name))


# -- items -----------------------------------------------------------------------------------------


def get_item(
    frame: Frame, value: Value, index: Value, node: ast.AST, *, is_slice: bool = False
) -> Value:
    """Return what `value[index]` may be."""
    parts = [item_of(frame, atom, index, node, is_slice=is_slice) for atom in value]
    return join(*parts)


def item_of(
    frame: Frame, atom: Any, index: Value, node: ast.AST, *, is_slice: bool = False
) -> Value:
    """Return what `atom[index]` may be."""
    given = frozenset({atom})
    if isinstance(atom, State):
        if "__getitem__" in frame.recorder.shape.own_code:
            use_state(frame, node)
        return from_state(frame, index, node)
    if isinstance(atom, Const):
        return _item_of_constant(frame, atom, index)
    if isinstance(atom, Injected):
        return injected_part(frame, atom, strings_of(index), node)
    if isinstance(atom, Cell):
        return cell_item(frame, atom, index, node, is_slice=is_slice)
    if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        return _item_of_container(frame, atom.obj, index, node, is_slice=is_slice)
    if isinstance(atom, Live) and atom.obj is os.environ:
        look_at_environment(frame, index, node)
        return SCALAR
    if isinstance(atom, Live) and is_a(atom.obj, type):
        return _item_of_class(frame, atom.obj, index, node)
    if isinstance(atom, (Live, Made, Object)):
        found = run_special(frame, atom, "__getitem__", (index,), node)
        look_at_object(frame, atom, frame.where(node))
        inherited = isinstance(atom, Made) and find(atom.cls, "__getitem__") is not None
        if isinstance(atom, Made):
            atom.cell.looked = True
        held = atom.cell.rest if inherited and isinstance(atom, Made) else NOTHING
        return join(found, held) or opaque(roots_of(given))
    if isinstance(atom, Opaque) and not atom.tame:
        return unknown(frame, "takes an item of an unknown type", join(given, index), node)
    if isinstance(atom, (Data, Opaque)):
        look_behind(frame, atom, node)
        if not is_scalar(index):
            frame.use(index, node)
        if isinstance(atom, Data) and (atom.scalar or is_slice):
            return given
        return frame.part_of(given)
    return opaque(frame.escape(given, "subscript", frame.where(node)))


def _item_of_constant(frame: Frame, atom: Const, index: Value) -> Value:
    if not isinstance(atom.value, tuple):
        return SCALAR
    places = constants_of(index)
    if places and all(
        isinstance(p, int) and -len(atom.value) <= p < len(atom.value) for p in places
    ):
        return join(*(frame.live(atom.value[p]) for p in places))
    return join(*(frame.live(part) for part in atom.value), SCALAR)


def cell_item(
    frame: Frame, cell: Cell, index: Value, node: ast.AST, *, is_slice: bool = False
) -> Value:
    """Return an element of a container built in this call."""
    cell.looked = True
    if not is_scalar(index):
        frame.use(index, node)
    loose = opaque(union(cell.roots, frame.recorder.leaked)) if cell.open else NOTHING
    if is_slice:
        return holding(join(cell.everything(), loose), cell.roots, plain=cell.kind == "list")
    keys = strings_of(index)
    if keys is None:
        copied = from_state(frame, index, node) if cell.spread else NOTHING
        return join(cell.everything(), loose, copied)
    found = join(*(cell.values.get(key, NOTHING) for key in keys), cell.rest, loose)
    if cell.spread:
        # What is put after the copy may be put on one path only.
        untouched = not keys & cell.keys and not cell.open and not cell.rest
        copied = from_state(frame, index, node)
        return copied if untouched else join(copied, found)
    return found


def _item_of_container(
    frame: Frame, obj: Any, index: Value, node: ast.AST, *, is_slice: bool
) -> Value:
    where = frame.where(node)
    if not is_scalar(index):
        frame.use(index, node)
    keys = constants_of(index)
    if is_a(obj, dict):
        found = held_item(frame, obj, keys, where)
        if type(obj) is collections.defaultdict:
            part = f"[{next(iter(keys))!r}]" if keys and len(keys) == 1 else None
            made = frame.call(frame.live(obj.default_factory), Arguments(node))
            frame.recorder.change(place_of(frame, obj, part), where, made)
            return join(found, made)
        return join(found, SCALAR) if type(obj) is collections.Counter else found
    found = held_item(frame, obj, keys, where)
    if is_slice:
        return holding(found, frozenset({WORLD}))
    return found


def _item_of_class(frame: Frame, cls: type, index: Value, node: ast.AST) -> Value:
    """Return what `Class[index]` gives: by its metaclass, else by `__class_getitem__`."""
    if isinstance(cls, enum.EnumMeta):
        return join(*(frame.live(member) for member in cls._member_map_.values()))
    hook = find(type(cls), "__getitem__")
    if hook is not None and is_users(hook[1]):
        return call_method(frame, Live(cls), hook[1], (index,), node)
    own = find(cls, "__class_getitem__")
    if own is not None and is_users(own[1]):
        function = getattr(own[1], "__func__", own[1])
        given = (frozenset({Live(cls)}), index)
        return frame.call(frame.live(function), Arguments(node, given))
    return frozenset({Live(cls)})


def set_item(frame: Frame, value: Value, index: Value, new: Value, node: ast.AST) -> None:
    """Assign `value[index]`."""
    for atom in value:
        _set_item(frame, atom, index, new, node)


def _set_item(frame: Frame, atom: Any, index: Value, new: Value, node: ast.AST) -> None:
    where = frame.where(node)
    if isinstance(atom, State):
        store_in_state(frame, index, new, where)
    elif isinstance(atom, Cell):
        put_at(frame, atom, index, new, node)
    elif isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        if not is_scalar(index):
            frame.use(index, node)
        frame.escape(new, "stored", where)
        keys = constants_of(index) if type(atom.obj) in MAPPINGS else None
        for place in _places_of(frame, atom.obj, keys):
            frame.recorder.change(place, where, new)
    elif isinstance(atom, Live) and atom.obj is os.environ:
        change_environment(frame, index, node)
    elif isinstance(atom, (Live, Made, Object)):
        done = run_special(frame, atom, "__setitem__", (index, new), node)
        if isinstance(atom, Made):
            frame.recorder.grown |= atom.cell.add(new)
        elif not done:
            change(frame, atom, "assignment", node, new)
        frame.escape(new, "stored", where)
    elif isinstance(atom, Opaque) and not atom.tame:
        frame.use(index, node)
        _store_unknown(frame, atom, new, "assignment", node)
    else:
        frame.use(index, node)
        frame.escape(new, "stored", where)
        frame.leak(new)
        change(frame, atom, "assignment", node, new)


def _places_of(frame: Frame, obj: Any, keys: frozenset[Any] | None) -> list[Location]:
    if keys is None:
        return [place_of(frame, obj)]
    return [place_of(frame, obj, f"[{key!r}]") for key in keys]


def delete_item(frame: Frame, value: Value, index: Value, node: ast.AST) -> None:
    """Delete `value[index]`."""
    for atom in value:
        if isinstance(atom, State):
            from_state(frame, index, node)  # it fails when the key has no value
        elif isinstance(atom, Cell):
            if atom.spread:
                from_state(frame, index, node)
            change(frame, atom, "del", node, NOTHING)
        elif isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
            keys = constants_of(index) if type(atom.obj) in MAPPINGS else None
            for place in _places_of(frame, atom.obj, keys):
                frame.recorder.change(place, frame.where(node), SCALAR)
        elif isinstance(atom, Live) and atom.obj is os.environ:
            change_environment(frame, index, node)
        elif isinstance(atom, (Live, Made, Object)):
            if not run_special(frame, atom, "__delitem__", (index,), node):
                change(frame, atom, "del", node, NOTHING)
        elif isinstance(atom, Opaque) and not atom.tame:
            _store_unknown(frame, atom, NOTHING, "deletion", node)
        else:
            change(frame, atom, "del", node, NOTHING)


def store_in_state(frame: Frame, index: Value, value: Value, where: str) -> None:
    """Store `value` in the node's own copy of the state, which shows when it is returned."""
    roots = frame.escape(value, "stored in the state", where)
    keys = strings_of(index)
    frame.recorder.overlay = union(frame.recorder.overlay, roots)
    frame.recorder.stored = union(frame.recorder.stored, ALL if keys is None else keys)


def look_at_environment(frame: Frame, index: Value, node: ast.AST) -> None:
    """Record a look at variables of the environment."""
    names = strings_of(index)
    for name in [None] if names is None else names:
        part = None if name is None else f"[{name!r}]"
        frame.recorder.look(world("environment", part), frame.where(node))


def change_environment(frame: Frame, index: Value, node: ast.AST) -> None:
    """Record a change of variables of the environment."""
    names = strings_of(index)
    for name in [None] if names is None else names:
        part = None if name is None else f"[{name!r}]"
        frame.recorder.change(world("environment", part), frame.where(node), SCALAR)


# -- contexts --------------------------------------------------------------------------------------

_QUIET_MANAGERS: Final[Mapping[str, bool]] = {
    "_thread.lock": False,
    "_thread.RLock": False,
    "threading.Lock": False,
    "threading._RLock": False,
    "threading.Semaphore": False,
    "threading.BoundedSemaphore": False,
    "threading.Condition": False,
    "asyncio.locks.Lock": False,
    "asyncio.locks.Semaphore": False,
    "asyncio.locks.BoundedSemaphore": False,
    "contextlib.suppress": False,
    "contextlib.nullcontext": False,
    "httpx.Client": True,
    "httpx.AsyncClient": True,
    "httpx.Response": True,
    "requests.sessions.Session": True,
    "requests.models.Response": True,
    "aiohttp.client.ClientSession": True,
    "_io.TextIOWrapper": True,
    "_io.BufferedReader": True,
    "_io.StringIO": True,
    "_io.BytesIO": True,
}
"""Library classes whose instances, as context managers, only let a thing be used by one at a time
or close it at the end; and whether `as` gives the thing itself."""


def enter(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Return what `with manager as x` binds to `x`."""
    return join(*(_enter(frame, atom, node, is_async=is_async) for atom in manager))


def _enter(frame: Frame, atom: Any, node: ast.AST, *, is_async: bool) -> Value:
    given = frozenset({atom})
    if isinstance(atom, (Live, Made, Object)):
        cls = class_of(atom)
        known = _QUIET_MANAGERS.get(f"{cls.__module__}.{cls.__qualname__}")
        if known is not None and not user_defined(cls):
            return given if known else NONE
        for name in ("__aenter__", "__aexit__") if is_async else ("__enter__", "__exit__"):
            found = find(cls, name)
            if found is not None and not is_users(found[1]):
                break
        else:
            name = "__aenter__" if is_async else "__enter__"
            return run_special(frame, atom, name, (), node)
    return unknown(frame, "enters a context manager", given, node)


def leave(frame: Frame, manager: Value, node: ast.AST, *, is_async: bool) -> Value:
    """Run what leaving a context runs; return what tells whether an error is swallowed."""
    name = "__aexit__" if is_async else "__exit__"
    found: Value = NOTHING
    for atom in manager:
        if isinstance(atom, (Live, Made, Object)):
            hook = find(class_of(atom), name)
            if hook is not None and is_users(hook[1]):
                error = join(NONE, frozenset({Object(BaseException, frozenset({GIVEN}))}))
                given = (error, error, join(NONE, opaque()))
                found = join(found, run_special(frame, atom, name, given, node))
    return found
