"""Method calls: which of the rules applies to the receiver."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langgraph_parallel.effects import union
from langgraph_parallel.inference.builtin_calls import fill_cell, run_key
from langgraph_parallel.inference.clients import client_method, store_method
from langgraph_parallel.inference.construct import run_serializers
from langgraph_parallel.inference.containers import cell_at
from langgraph_parallel.inference.datamodel import (
    find,
    is_a,
    is_users,
    mro_of,
    names_of,
    user_defined,
)
from langgraph_parallel.inference.door import (
    add_to,
    change,
    compare,
    iterate,
    put_at,
    unary,
)
from langgraph_parallel.inference.expressions import as_chain
from langgraph_parallel.inference.external import (
    builds_chain,
    calls_give,
    contact_of_class,
    describe_method,
    formatting_gives,
    gives_of,
    is_runnable,
    keeps_result,
    runs_chain,
)
from langgraph_parallel.inference.frame import Arguments, Frame, unknown
from langgraph_parallel.inference.framework import framework
from langgraph_parallel.inference.gentle import is_gentle
from langgraph_parallel.inference.handlers import log_to, run_given_handlers, run_hooks
from langgraph_parallel.inference.held import (
    CONTAINERS,
    MAPPINGS,
    held_item,
    held_items,
    held_keys,
    place_of,
)
from langgraph_parallel.inference.injected import injected_part
from langgraph_parallel.inference.known import run_callbacks
from langgraph_parallel.inference.parts import (
    attribute_of,
    cell_item,
    change_environment,
    item_of,
    look_at_environment,
    set_item,
)
from langgraph_parallel.inference.runnables import run_runnable
from langgraph_parallel.inference.tables import (
    MUTATING_METHODS,
    PROMPT_CALLS,
    READING_METHODS,
    STRING_METHODS,
    UNMISTAKABLE_METHODS,
)
from langgraph_parallel.inference.typed import (
    Typed,
    change_object,
    class_of,
    load_attr,
    look_at_object,
    parts_of,
    run_own_hooks,
    store_attr,
    use_object,
    use_properties,
)
from langgraph_parallel.inference.values import (
    GIVEN,
    NONE,
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    constants_of,
    data,
    fresh,
    holding,
    is_deep,
    is_scalar,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.writing import write_stream

# -- data ------------------------------------------------------------------------------------------


def _data_method(frame: Frame, atom: Data | Opaque | Const, name: str, given: Arguments) -> Value:
    """Return what a method of plain data, or of an unknown object, gives."""
    receiver = frozenset({atom})
    node = given.node
    if name.startswith("__"):
        return _dunder(frame, atom, name, given)
    if isinstance(atom, Opaque):
        found = _opaque_method(frame, atom, name, given)
        if found is not None:
            return found
    elif name in MUTATING_METHODS:
        return _mutating_method(frame, atom, name, given)
    elif name not in READING_METHODS:
        return unknown(frame, f"calls .{name}()", join(receiver, given.all), node)
    run_callbacks(frame, given)
    used = frame.use(given.all, node)
    if name in ("format", "format_map"):
        use_properties(frame, given.all, node)  # `"{0.prop}".format(x)`
    if is_scalar(receiver) or name in STRING_METHODS - _SPLITS:
        # `"".join(parts)` and the like make a new string.
        return SCALAR if isinstance(atom, (Const, Data)) else join(SCALAR, tame(roots_of(used)))
    if isinstance(atom, Data) and not atom.deep and name in ("count", "index"):
        frame.use(receiver, node)
        return SCALAR
    if isinstance(atom, Data) and not atom.deep:
        parts = frame.part_of(receiver)
        rest = given.all if name == "get" else NOTHING
        if name == "get":
            return join(parts, rest, NONE)
        roots = union(roots_of(receiver), frame.recorder.leaked)
        known = parts if name == "values" else join(parts, SCALAR)
        if name in ("items", "values", "copy"):
            pairs = known if name != "items" else holding(known, roots)
            return holding(pairs, roots)
        return opaque(roots)
    roots = union(union(roots_of(receiver), roots_of(used)), frame.recorder.leaked)
    if isinstance(atom, Opaque):
        return tame(roots)
    deep = is_deep(used) and not frame.recorder.leaked_opaque
    return data(roots) if deep else join(data(roots), given.all, opaque(roots))


_SPLITS: Final = frozenset({"split", "rsplit", "splitlines", "partition", "rpartition"})


def _opaque_method(frame: Frame, atom: Opaque, name: str, given: Arguments) -> Value | None:
    """Return what a method of an unknown object gives; None when it is surely one of a string's."""
    receiver = frozenset({atom})
    involved = join(receiver, given.all)
    if name in MUTATING_METHODS:  # even where unknown calls are trusted
        changed = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(changed, f".{name}()", frame.where(given.node), given.all)
    from_outside = isinstance(atom.roots, frozenset) and bool({WORLD, GIVEN} & atom.roots)
    if atom.tame and name in READING_METHODS and name not in MUTATING_METHODS:
        return None
    if name in UNMISTAKABLE_METHODS and not from_outside:
        return None
    return unknown(frame, f"calls .{name}() of an unknown type", involved, given.node)


def _dunder(frame: Frame, atom: Any, name: str, given: Arguments) -> Value:
    """Return what calling a special method by its name gives."""
    if name == "__getitem__" and given.positional:
        return item_of(frame, atom, given.positional[0], given.node)
    if name == "__setitem__" and len(given.positional) == 2:
        set_item(frame, frozenset({atom}), *given.positional, given.node)
        return NONE
    if not given.all:
        return unary(frame, name, frozenset({atom}), given.node)
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls .{name}()", involved, given.node)


def _mutating_method(frame: Frame, atom: Data | Const, name: str, given: Arguments) -> Value:
    run_callbacks(frame, given)
    frame.escape(given.all, f"stored by .{name}()", frame.where(given.node))
    frame.leak(given.all)
    if name in ("remove", "sort", "discard", "add") and isinstance(atom, Data) and not atom.deep:
        frame.use(frozenset({atom}), given.node)
    use_hashed(frame, name, given)
    if isinstance(atom, Data) and not atom.own and not atom.scalar:
        changed = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(changed, f".{name}()", frame.where(given.node), given.all)
    return join(frame.part_of(frozenset({atom})), NONE)


def use_hashed(frame: Frame, name: str, given: Arguments) -> None:
    """Adding to a set, or looking for something in a list, hashes and compares it."""
    if name in ("add", "remove", "discard", "setdefault", "pop", "update", "index", "count"):
        frame.use(given.positional[0] if given.positional else NOTHING, given.node)


# -- containers made in this call ------------------------------------------------------------------


def _cell_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    """Return what a method of a container made in this call gives."""
    if name.startswith("__"):
        return _dunder(frame, cell, name, given)
    if cell.kind == "list":
        return _list_method(frame, cell, name, given)
    return _dict_method(frame, cell, name, given)


def _list_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    node = given.node
    whole = frozenset({cell})
    use_hashed(frame, name, given)
    if name in ("append", "appendleft", "add", "insert", "extend", "update", "extendleft"):
        if name == "insert" and given.positional:
            unary(frame, "__index__", given.positional[0], node)
        value = join(*given.positional[1:] if name == "insert" else given.positional)
        value = join(value, given.unpacked)
        if name in ("extend", "update", "extendleft"):
            value = iterate(frame, value, node)
        add_to(frame, cell, value, node)
        return NONE
    if name in ("pop", "popleft", "rotate"):
        frame.use(given.all, node)
        return cell_item(frame, cell, SCALAR, node)
    if name == "sort":
        keyed = run_key(frame, given, iterate(frame, whole, node))
        compare(frame, "__lt__", keyed, keyed, node)
        return NONE
    if name in ("index", "count", "remove", "discard"):
        frame.use(whole, node)
        return join(SCALAR, NONE)
    if name in ("clear", "reverse"):
        return NONE
    if name in ("copy", "union", "intersection", "difference", "symmetric_difference"):
        made = frame.recorder.cells.setdefault((id(node), "copy"), Cell("list"))
        parts = join(iterate(frame, whole, node), iterate(frame, given.all, node))
        frame.use(parts if name != "copy" else NOTHING, node)
        add_to(frame, made, parts, node)
        return frozenset({made})
    if name in ("issubset", "issuperset", "isdisjoint"):
        frame.use(join(whole, given.all), node)
        return SCALAR
    if name in ("close", "aclose"):
        return NONE
    if name in ("send", "throw", "__next__", "asend"):
        return cell_item(frame, cell, SCALAR, node)
    change(frame, cell, f".{name}()", node, given.all)
    return unknown(frame, f"calls .{name}()", join(whole, given.all), node)


def _dict_method(frame: Frame, cell: Cell, name: str, given: Arguments) -> Value:
    node = given.node
    whole = frozenset({cell})
    if name == "update":
        fill_cell(frame, cell, given)
        return NONE
    if name == "setdefault" and given.positional:
        default = given.positional[1] if len(given.positional) > 1 else NONE
        put_at(frame, cell, given.positional[0], default, node)
        return join(default, cell_item(frame, cell, given.positional[0], node))
    if name == "copy":
        copy = cell_at(frame, node)
        frame.recorder.grown |= copy.merge(cell)
        return frozenset({copy})
    if name in ("get", "pop") and given.positional:
        found = cell_item(frame, cell, given.positional[0], node)
        rest = join(*given.positional[1:], given.unpacked, *given.named.values())
        return join(found, rest, NONE)
    if name in ("items", "keys", "values", "popitem", "clear"):
        if cell.spread:
            frame.use(whole, node)
        loose = opaque(union(cell.roots, frame.recorder.leaked)) if cell.open else NOTHING
        keys = iterate(frame, whole, node)
        parts = join(cell.everything(), loose)
        if name == "items" or name == "popitem":
            parts = holding(join(keys, parts), cell.roots)
            if name == "popitem":
                return parts
        return holding(keys if name == "keys" else parts, cell.roots)
    change(frame, cell, f".{name}()", node, given.all)
    return unknown(frame, f"calls .{name}()", join(whole, given.all), node)


# -- chains and injected parameters ----------------------------------------------------------------


def _chain_method(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    """Return what a method of a runnable of known parts gives."""
    run_given_handlers(frame, given.all, given.node)
    if builds_chain(name):
        built = _built(frame, chain, name, given)
        if built is not None:
            return built
    elif runs_chain(name):
        return _run_chain(frame, chain, name, given)
    return unknown(frame, f"calls .{name}()", given.all, given.node)


def _built(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value | None:
    """Return the chain that `.bind(...)`, `.with_structured_output(...)` and the like build."""
    if name == "with_structured_output":
        return frozenset({Chain(chain.external, _structured(frame, given))})
    runnables = [a for a in _flat(given.all) if isinstance(a, Chain) or _is_live_runnable(a)]
    parts = [as_chain(frame, a, given.node) for a in runnables]
    code = [a for a in _flat(given.all) if isinstance(a, Closure)]
    if name in ("bind_tools", "bind", "with_config", "with_retry", "with_types"):
        # What is bound here is shown to the model, and not run.
        return frozenset({chain})
    if None in parts or code or any(isinstance(a, Opaque) and not a.tame for a in given.all):
        return None
    external = chain.external.union(*(p.external for p in parts if p))
    gives = chain.gives if keeps_result(name) else join(*(p.gives for p in parts if p))
    if name == "with_fallbacks":
        gives = join(chain.gives, gives)
    return frozenset({Chain(external, gives or opaque())})


def _flat(value: Value) -> list[Any]:
    found: list[Any] = []
    for atom in value:
        found += list(atom.everything()) if isinstance(atom, Cell) else [atom]
    return found


def _structured(frame: Frame, given: Arguments) -> Value:
    """Return what a model with structured output gives: an instance of the schema, validated."""
    schema = given.positional[0] if given.positional else given.named.get("schema", NOTHING)
    raw = given.named.get("include_raw")
    found: Value = NOTHING
    for atom in schema:
        is_class = isinstance(atom, Live) and is_a(atom.obj, type)
        if isinstance(atom, Live) and is_class and issubclass(atom.obj, BaseModel):
            inner = Arguments(given.node, unpacked=tame())
            frame.call(frozenset({atom}), inner)
            found = join(found, frozenset({Object(atom.obj)}), NONE)
        else:
            found = join(found, data())
    return found if raw is None else join(found, tame(), data())


def _run_chain(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    where = frame.where(given.node)
    passed = frozenset(a for a in given.all if not isinstance(a, Injected))
    used = frame.use(passed, given.node)
    frame.escape(used, f"passed to .{name}()", where)
    for kind in sorted(chain.external):
        frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
    if name in PROMPT_CALLS and name != "parse":
        return formatting_gives(name)
    return calls_give(name, chain.gives)


def _is_live_runnable(atom: Any) -> bool:
    return isinstance(atom, Live) and is_runnable(atom.obj)


def _injected_method(frame: Frame, atom: Injected, name: str, given: Arguments) -> Value:
    """Return what a method of `config`, `runtime` or `store` gives."""
    if atom.name == "store":
        return store_method(frame, name, given)
    if atom.name == "runtime" and name == "stream_writer":
        return write_stream(frame, given)
    if atom.name in ("config", "settings") and name == "get" and given.positional:
        names = constants_of(given.positional[0])
        known = frozenset(map(str, names)) if names is not None else None
        return join(injected_part(frame, atom, known, given.node), *given.positional[1:])
    return unknown(frame, f"calls {atom.name}.{name}()", given.all, given.node)


# -- objects of known class ------------------------------------------------------------------------


def _typed_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Return what a method of an object of known class gives."""
    if isinstance(atom, Live):
        found = _live_method(frame, atom.obj, name, given)
        if found is not None:
            return found
    known = client_method(frame, atom, name, given)
    if known is not None:
        return known
    cls = class_of(atom)
    if isinstance(atom, Object) and issubclass(cls, logging.Logger) and not user_defined(cls):
        return _log(frame, logging.getLogger(), given)
    if isinstance(atom, Object) and issubclass(cls, (Runnable,)):
        external = contact_of_class(cls)
        if external is not None:
            return _chain_method(frame, Chain(external, gives_of(cls)), name, given)
    return frame.call(load_attr(frame, atom, name, given.node), given)


def _live_method(frame: Frame, receiver: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live object of a library gives; None when it is looked up."""
    if type(receiver) in CONTAINERS:
        return _container_method(frame, receiver, name, given)
    if receiver is os.environ:
        return _environment_method(frame, name, given)
    if is_a(receiver, logging.LoggerAdapter) and name in _LOG_METHODS:
        run_hooks(frame, Live(receiver), "process", given.node)
        inner = receiver.logger
        return _live_method(frame, inner, name, given)
    is_own = bool(user_defined(type(receiver)))
    if is_a(receiver, logging.Logger) and name in _LOG_METHODS and not is_own:
        return _log(frame, receiver, given)
    if is_a(receiver, framework().stores) and not is_own:
        return store_method(frame, name, given)
    if is_a(receiver, type):
        return _class_method(frame, receiver, name, given)
    if is_runnable(receiver):
        return _runnable_method(frame, receiver, name, given)
    return None


_LOG_METHODS: Final = frozenset(
    {"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "fatal"}
)


def _log(frame: Frame, logger: logging.Logger, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    log_to(frame, logger, given.node)
    return NONE


def _runnable_method(frame: Frame, receiver: Any, name: str, given: Arguments) -> Value | None:
    run_given_handlers(frame, given.all, given.node)
    where = frame.where(given.node)
    if name in ("invoke", "ainvoke") and given.positional:
        value, *rest = given.positional
        passed = join(*rest, given.unpacked, *given.named.values())
        frame.escape(
            frozenset(a for a in passed if not isinstance(a, (Closure, Injected))),
            "passed on",
            where,
        )
        return run_runnable(frame, receiver, value, given.node)
    if builds_chain(name):
        chain = as_chain(frame, Live(receiver), given.node)
        built = None if chain is None else _built(frame, chain, name, given)
        if built is not None:
            return built
    found = describe_method(frame, receiver, name, given.node)
    if found is not None:
        external, gives = found
        frame.use(frozenset(a for a in given.all if not isinstance(a, Injected)), given.node)
        for kind in sorted(external):
            frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
        return gives
    return None


def _class_method(frame: Frame, cls: type, name: str, given: Arguments) -> Value | None:
    external = contact_of_class(cls)
    if external is not None and not issubclass(cls, BaseLanguageModel):
        frame.escape(given.all, f"passed to .{name}()", frame.where(given.node))
        return frozenset({Chain(external, gives_of(cls))})
    if issubclass(cls, BaseModel) and name in (
        "model_validate",
        "model_validate_json",
        "parse_obj",
    ):
        inner = Arguments(given.node, unpacked=tame(roots_of(given.all)))
        return frame.call(frozenset({Live(cls)}), inner)
    if issubclass(cls, BaseModel) and name in ("model_json_schema", "schema", "schema_json"):
        return data()
    return None


def _environment_method(frame: Frame, name: str, given: Arguments) -> Value | None:
    index = given.positional[0] if given.positional else opaque()
    if name in ("get", "pop", "setdefault", "__getitem__", "__contains__"):
        look_at_environment(frame, index, given.node)
        if name in ("pop", "setdefault"):
            change_environment(frame, index, given.node)
        return join(SCALAR, *given.positional[1:], NONE)
    look_at_environment(frame, opaque(), given.node)
    if name in ("update", "clear", "popitem", "__setitem__", "__delitem__"):
        change_environment(frame, opaque(), given.node)
    return fresh()


def _container_method(frame: Frame, obj: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live built-in container gives."""
    where, node = frame.where(given.node), given.node
    if name in MUTATING_METHODS:
        run_callbacks(frame, given)
        if name in ("sort", "remove", "discard", "add"):
            frame.use(frozenset({Live(obj)}), node)
        use_hashed(frame, name, given)
        frame.escape(given.all, f"stored by .{name}()", where)
        for place in _changed_places(frame, obj, name, given):
            frame.recorder.change(place, where, _stored_by(name, given))
        if name in ("pop", "popleft", "popitem", "setdefault"):
            return join(held_items(frame, obj, where), *given.positional[1:], NONE)
        return NONE
    if is_a(obj, dict):
        return _mapping_method(frame, obj, name, given)
    if name in ("index", "count", "issubset", "issuperset", "isdisjoint"):
        frame.use(join(frozenset({Live(obj)}), given.all), node)
        return SCALAR
    if name in ("copy", "union", "intersection", "difference", "symmetric_difference"):
        frame.use(given.all, node)
        parts = join(held_items(frame, obj, where), iterate(frame, given.all, node))
        return holding(parts, frozenset({WORLD}))
    return None


def _stored_by(name: str, given: Arguments) -> Value:
    if name in ("sort", "remove", "discard", "pop", "popleft", "clear", "reverse", "rotate"):
        return SCALAR
    return given.all


def _changed_places(frame: Frame, obj: Any, name: str, given: Arguments) -> list[Any]:
    keyed = type(obj) in MAPPINGS and name in ("pop", "setdefault") and given.positional
    keys = constants_of(given.positional[0]) if keyed else None
    if keys is None:
        return [place_of(frame, obj)]
    return [place_of(frame, obj, f"[{key!r}]") for key in keys]


def _mapping_method(frame: Frame, obj: Any, name: str, given: Arguments) -> Value | None:
    where, node = frame.where(given.node), given.node
    if name == "get" and given.positional:
        if not is_scalar(given.positional[0]):
            frame.use(given.positional[0], node)
        found = held_item(frame, obj, constants_of(given.positional[0]), where)
        return join(found, *given.positional[1:], *given.named.values(), NONE)
    if name == "keys":
        return holding(held_keys(frame, obj, where), frozenset())
    if name in ("values", "items", "copy", "most_common", "elements"):
        parts = held_items(frame, obj, where)
        if name == "values":
            return holding(parts, frozenset({WORLD}))
        both = join(parts, held_keys(frame, obj, where))
        pair = holding(both, frozenset({WORLD}))
        return holding(parts if name == "copy" else pair, frozenset({WORLD}))
    return None


def call_builtin_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Call a method that a library or Python itself defines on an object of known class."""
    node = given.node
    involved = join(frozenset({atom}), given.all)
    if isinstance(atom, Object) and atom.cls is type(os.environ):
        return _environment_method(frame, name, given) or SCALAR
    if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        found = _container_method(frame, atom.obj, name, given)
        if found is not None:
            return found
    if name == "__setattr__" and len(given.positional) == 2:
        for key in constants_of(given.positional[0]) or ():
            store_attr(frame, atom, str(key), given.positional[1], node, hooks=False)
        if constants_of(given.positional[0]) is not None:
            return NONE
    if issubclass(class_of(atom), BaseModel) and name in _DUMPS:
        return _dump(frame, atom, name, given)
    base = _defining(class_of(atom), name)
    if base is not None and is_gentle(base):
        return _gentle_method(frame, atom, name, given)
    return unknown(frame, f"calls .{name}()", involved, node)


def _defining(cls: type, name: str) -> type | None:
    found = find(cls, name)
    while found is not None and is_users(found[1]):
        mro = list(mro_of(cls))
        rest = mro[mro.index(found[0]) + 1 :]
        found = next(((b, names_of(b)[name]) for b in rest if name in names_of(b)), None)
    return found[0] if found is not None else None


_DUMPS: Final = frozenset({"model_dump", "model_dump_json", "dict", "json", "copy", "model_copy"})


def _dump(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Return what dumping or copying a pydantic model gives."""
    frame.use(join(frozenset({atom}), given.all), given.node)
    if "copy" in name:
        return frozenset({atom})
    run_serializers(frame, atom, class_of(atom), given.node)
    return data(roots_of(frozenset({atom})))


def _gentle_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    """Call a method of a library's class that only touches the object itself."""
    node = given.node
    if name.startswith("__"):
        if name in ("__init__", "__init_subclass__", "__set_name__"):
            return NONE
        mutates = name in ("__setitem__", "__delitem__")
        if mutates:
            _change_all(frame, atom, given)
        look_at_object(frame, atom, frame.where(node))
        frame.use(given.all, node)
        return parts_of(atom)
    run_callbacks(frame, given)
    if name not in READING_METHODS and not _is_value_class(class_of(atom)):
        _change_all(frame, atom, given)
        use_object(frame, atom, node)
        return join(parts_of(atom), given.all, NONE)
    frame.use(given.all, node)
    if user_defined(class_of(atom)):
        run_own_hooks(frame, atom, name, node)
        use_object(frame, atom, node)
    else:
        look_at_object(frame, atom, frame.where(node))
    if _is_value_class(class_of(atom)):
        return data()
    return join(parts_of(atom), given.all, NONE)


def _is_value_class(cls: type) -> bool:
    """Tell whether a class is immutable and holds plain data: a match, a pattern, a template."""
    return cls.__module__ in (
        "re",
        "string",
        "datetime",
        "decimal",
        "uuid",
        "fractions",
        "zoneinfo",
    )


def _change_all(frame: Frame, atom: Typed, given: Arguments) -> None:
    frame.escape(given.all, "stored", frame.where(given.node))
    if isinstance(atom, Made):
        frame.recorder.grown |= atom.cell.add(given.all)
    change_object(frame, atom, None, frame.where(given.node), given.all)
    run_own_hooks(frame, atom, "change", given.node)


def _state_method(frame: Frame, atom: State, name: str, given: Arguments) -> Value:
    return frame.call(attribute_of(frame, atom, name, given.node), given)


_METHODS: Final[Mapping[type[Atom], Callable[[Frame, Any, str, Arguments], Value]]] = {
    State: _state_method,
    **dict.fromkeys((Const, Data, Opaque), _data_method),
    Cell: _cell_method,
    Chain: _chain_method,
    Injected: _injected_method,
    **dict.fromkeys((Live, Made, Object), _typed_method),
}
"""The rule for calling a method of each kind of atom."""


def method_of(frame: Frame, atom: Atom, name: str, given: Arguments) -> Value:
    """Return what `atom.name(...)` gives."""
    rule = _METHODS.get(type(atom))
    if rule is not None:
        return rule(frame, atom, name, given)
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls .{name}()", involved, given.node)
