"""Reading: the state, parts of values, attributes of live objects, injected parameters."""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any, Final

from langchain_core.runnables import Runnable

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.frame import Frame, expression
from langgraph_parallel.inference.source import is_library
from langgraph_parallel.inference.values import (
    GIVEN,
    SCALAR,
    WORLD,
    Atom,
    Bound,
    Cell,
    Chain,
    Const,
    Data,
    Injected,
    Live,
    Opaque,
    State,
    Value,
    constants_of,
    data,
    join,
    opaque,
    roots_of,
    strings_of,
)

_STATE_METHODS = frozenset(
    [
        "get",
        "keys",
        "values",
        "items",
        "copy",
        "pop",
        "setdefault",
        "update",
        "popitem",
        "clear",
        "model_dump",
        "model_dump_json",
        "dict",
        "json",
        "model_copy",
    ]
)


def truth(frame: Frame, node: ast.expr) -> Value:
    """Evaluate a condition: asking whether something is true looks at all of it."""
    value = frame.evaluate(node)
    consume(frame, value, node)
    return value


def consume(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Use the whole of `value` at once (print it, compare it, compute with it)."""
    kept: list[Atom] = []
    for atom in value:
        if isinstance(atom, State):
            _use_state(frame, node)
            kept.append(Opaque(ALL))
        elif isinstance(atom, Cell):
            if atom.spread:
                _use_state(frame, node)
            kept.append(Data(roots_of(frozenset({atom})), deep=False))
        else:
            _run_operators(frame, atom, node)
            kept.append(atom)
    return frozenset(kept)


def _use_state(frame: Frame, node: ast.AST) -> None:
    frame.recorder.read_all("used as a whole", frame.where(node))
    if frame.recorder.shape.own_code & _OPERATORS:
        what = "runs an operator of the state's class"
        frame.recorder.contact("unknown", what, frame.where(node))


def _run_operators(frame: Frame, atom: Atom, node: ast.AST) -> None:
    """Record that printing or comparing a live object may run code of its class."""
    unknown = isinstance(atom, Opaque) and atom.roots is not ALL and WORLD in atom.roots
    if isinstance(atom, Live) and not isinstance(atom.obj, type):
        cls = type(atom.obj)
        # An iterator outside the state moves on for everyone.
        unknown = hasattr(cls, "__next__") or bool(_OPERATORS & user_defined(cls))
    if unknown:
        what = "uses an operator or iterator outside the state"
        frame.recorder.contact("unknown", what, frame.where(node))


_OPERATORS: Final = frozenset(
    f"__{name}__"
    for name in (
        *("str", "repr", "format", "bool", "len", "hash", "contains", "iter", "next", "getitem"),
        *("eq", "ne", "lt", "le", "gt", "ge", "add", "radd", "sub", "rsub", "mul", "rmul"),
        *("mod", "rmod", "or", "ror", "and", "rand", "neg", "getattr", "getattribute"),
    )
)


def user_defined(cls: type) -> set[str]:
    """Return the names of a class that the user's own code defines, in it or in its bases."""
    return {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if (code := getattr(_function_of(value), "__code__", None)) is not None
        and not is_library(code.co_filename)
        and code.co_filename != "<string>"  # made by `dataclass`
    }


def _function_of(value: Any) -> Any:
    if isinstance(value, property):
        return value.fget
    return value.__func__ if isinstance(value, (classmethod, staticmethod)) else value


def store_in_state(frame: Frame, index: Value, value: Value, where: str) -> None:
    """Store `value` in the node's own copy of the state, which shows when it is returned."""
    roots = frame.escape(value, "stored in the state", where)
    keys = strings_of(index)
    frame.recorder.overlay = union(frame.recorder.overlay, roots)
    frame.recorder.stored = union(frame.recorder.stored, ALL if keys is None else keys)


def read_keys(frame: Frame, index: Value, node: ast.AST) -> Value:
    """Read the state at `index`."""
    keys = strings_of(index)
    if keys is None:
        frame.recorder.read_all("the key is not a known string", frame.where(node))
        return opaque(ALL)
    return join(*(frame.recorder.read(key, frame.where(node)) for key in keys))


@expression(ast.Subscript)
def _subscript(frame: Frame, node: ast.Subscript) -> Value:
    base, index = frame.evaluate(node.value), frame.evaluate(node.slice)
    return join(*(_item(frame, atom, index, node) for atom in base))


def _item(frame: Frame, atom: Any, index: Value, node: ast.AST) -> Value:
    if isinstance(atom, State):
        if "__getitem__" in frame.recorder.shape.own_code:
            _use_state(frame, node)
        return read_keys(frame, index, node)
    if isinstance(atom, Const):
        return SCALAR
    if isinstance(atom, Injected):
        return injected_part(frame, atom, strings_of(index), node)
    if isinstance(atom, (Data, Opaque)):
        return frame.part_of(frozenset({atom}))
    if isinstance(atom, Live):
        _run_operators(frame, atom, node)
        return live_item(frame, atom.obj)
    if isinstance(atom, Cell):
        return cell_item(frame, atom, index, node)
    return opaque(frame.escape(frozenset({atom}), "subscript", frame.where(node)))


def cell_item(frame: Frame, cell: Cell, index: Value, node: ast.AST) -> Value:
    """Return an element of a dictionary built in this call."""
    own = opaque(union(cell.roots, frame.recorder.leaked))
    if not cell.spread:
        return own
    keys = strings_of(index)
    copied = read_keys(frame, index, node)
    untouched = keys is not None and not keys & cell.keys and not cell.open
    return copied if untouched else join(copied, own)


_MOST_TOOLS: Final = 50
"""Entries of a table of tools up to which each of them is looked at."""


def live_item(frame: Frame, obj: Any) -> Value:
    """Return an element of a live object; it may change between runs, so its value is not used."""
    frame.recorder.external.add("read")
    held = _members(obj) if type(obj) in (dict, list, tuple, set) else []
    if 0 < len(held) <= _MOST_TOOLS and all(isinstance(part, Runnable) for part in held):
        return frozenset(Live(part) for part in held)  # a table of tools stays what it is
    plain = type(obj) in (dict, list, tuple, set) and all(map(_is_text, held))
    return data(frozenset({WORLD})) if plain else opaque(frozenset({WORLD}))


def _members(obj: Any) -> list[Any]:
    return list(obj.values()) if isinstance(obj, dict) else list(obj)


def _is_text(obj: Any) -> bool:
    return type(obj) in (str, int, float, bool)


@expression(ast.Attribute)
def _attribute(frame: Frame, node: ast.Attribute) -> Value:
    base = frame.evaluate(node.value)
    return join(*(attribute_of(frame, atom, node.attr, node) for atom in base))


def attribute_of(frame: Frame, atom: Any, name: str, node: ast.AST) -> Value:
    """Return what `atom.name` may be."""
    if isinstance(atom, State):
        return _state_attribute(frame, name, node)
    if isinstance(atom, Live):
        return live_attribute(frame, atom.obj, name, frame.where(node))
    if isinstance(atom, Injected):
        return injected_part(frame, atom, frozenset({name}), node)
    if isinstance(atom, (Data, Opaque)):
        return frame.part_of(frozenset({atom}))
    if isinstance(atom, Const):
        return SCALAR
    if isinstance(atom, Chain):
        is_response = atom.yields == "data"
        return data() if is_response else opaque(frozenset({WORLD}))
    return opaque(frame.escape(frozenset({atom}), f"attribute {name}", frame.where(node)))


def _state_attribute(frame: Frame, name: str, node: ast.AST) -> Value:
    shape = frame.recorder.shape
    runs_code = bool(shape.own_code & {name, "__getattribute__"})
    if shape.attributes and name in shape.keys and not runs_code:
        return frame.recorder.read(name, frame.where(node))
    if name in _STATE_METHODS and not runs_code:
        return frozenset({Bound(name)})
    frame.recorder.read_all(f"attribute {name!r} of the state", frame.where(node))
    frame.recorder.contact("unknown", f"attribute {name!r} of the state", frame.where(node))
    return opaque(ALL)


def live_attribute(frame: Frame, obj: Any, name: str, where: str) -> Value:
    """Return an attribute of a live object without running any of the user's code."""
    if isinstance(obj, types.ModuleType):
        found = vars(obj).get(name, frame)
        return opaque(frozenset({WORLD})) if found is frame else frame.live(found)
    is_dynamic = {"__getattribute__", "__getattr__"} & user_defined(type(obj))
    static = inspect.getattr_static(obj, name, frame)
    if static is frame or is_dynamic:
        frame.recorder.contact("unknown", f"looks up .{name}, which may run code", where)
        return opaque(frozenset({WORLD}))
    kind = type(static)
    if kind in _ROUTINES:
        return frame.live(getattr(obj, name))
    if isinstance(static, property) or hasattr(kind, "__get__"):
        code = getattr(_function_of(static), "__code__", None)
        if code is not None and is_library(code.co_filename):
            return opaque(frozenset({GIVEN}))
        if not isinstance(static, types.MemberDescriptorType):
            frame.recorder.contact("unknown", f"runs the property .{name}", where)
        return opaque(frozenset({WORLD}))
    value = frame.live(static)
    if isinstance(obj, type) or constants_of(value) is None:
        return value
    # An attribute of an instance may be assigned between now and the run: no constant.
    return frozenset({Data(frozenset({WORLD}), scalar=True, plain=True)})


_ROUTINES: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    classmethod,
    staticmethod,
)
"""What looking up binds without running code; a descriptor of the user's may do anything."""


def _is_private(key: str) -> bool:
    return key.startswith("__") or key in _STEP_KEYS


_STEP_KEYS: Final = frozenset({"checkpoint_id", "checkpoint_ns", "checkpoint_map", "metadata"})


def injected_part(
    frame: Frame, atom: Injected, keys: frozenset[str] | None, node: ast.AST
) -> Value:
    """Return a part of `config` or `runtime`; the parts that reach into the engine are refused."""
    wanted = keys or frozenset({"?"})
    if atom.name == "config" and wanted <= {"configurable", "tags", "get"}:
        return frozenset({Injected("settings")})
    if atom.name == "settings" and keys is not None and not any(map(_is_private, keys)):
        return opaque(frozenset({GIVEN}))
    if atom.name == "runtime" and len(wanted) == 1:
        part = next(iter(wanted))
        if part == "context":
            return opaque(frozenset({GIVEN}))
        if part in ("store", "stream_writer"):
            return frozenset({Injected(part)})
    where = frame.where(node)
    frame.recorder.leave("step", f"looks at the superstep through {atom.name}", where)
    frame.recorder.contact("unknown", f"{atom.name} used in a way not known", where)
    frame.recorder.read_all(f"through {atom.name}", where)
    return opaque(ALL)
