"""Methods of the state, of data, of chains and of injected parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.access import (
    attribute_of,
    cell_item,
    consume,
    injected_part,
    read_keys,
    store_in_state,
)
from langgraph_parallel.inference.containers import cell_at, put_keys
from langgraph_parallel.inference.expressions import as_chain
from langgraph_parallel.inference.external import (
    builds_chain,
    describe_method,
    external_of_class,
    is_runnable,
    keeps_yield,
    runs_chain,
    yields_of,
)
from langgraph_parallel.inference.frame import Frame
from langgraph_parallel.inference.http_clients import CLIENT, RESPONSE, http_method, is_client
from langgraph_parallel.inference.live import call_live_object
from langgraph_parallel.inference.outside import (
    Arguments,
    apply_known,
    fill_cell,
    run_callbacks,
    unknown_call,
    without_callbacks,
    write_stream,
)
from langgraph_parallel.inference.runnables import run_runnable
from langgraph_parallel.inference.tables import (
    MUTATING_METHODS,
    READING_METHODS,
    STRING_METHODS,
    UNMISTAKABLE_METHODS,
    Known,
    Result,
)
from langgraph_parallel.inference.values import (
    SCALAR,
    STATE,
    WORLD,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Opaque,
    Value,
    Yields,
    const,
    constants_of,
    data,
    is_deep,
    join,
    opaque,
    roots_of,
)


def state_method(frame: Frame, method: str, arguments: Arguments) -> Value:
    """Return what a method of the state gives."""
    where = frame.where(arguments.node)
    if method in ("get", "pop", "setdefault") and arguments.positional:
        value = read_keys(frame, arguments.positional[0], arguments.node)
        default = join(*arguments.positional[1:], arguments.unpacked)
        if method == "setdefault":
            store_in_state(frame, arguments.positional[0], default, where)
        return join(value, default or const(None))
    if method == "update":
        store_in_state(frame, opaque(ALL), arguments.all, where)
        return const(None)
    if method == "copy" and not frame.recorder.shape.attributes:
        cell = cell_at(frame, arguments.node)
        cell.spread = True
        return frozenset({cell})
    frame.recorder.read_all(f".{method}()", where)
    if method in ("copy", "model_copy"):
        frame.recorder.stored = ALL
        return STATE  # a copy reads like the original; what is stored in it is returned as ALL
    return opaque(ALL)


def data_method(frame: Frame, atom: Data | Opaque | Const, method: str, args: Arguments) -> Value:
    """Return what a method of plain data, or of an unknown object, gives."""
    receiver = frozenset({atom})
    if isinstance(atom, Opaque):
        from_outside = atom.roots is not ALL and WORLD in atom.roots
        if method in MUTATING_METHODS:  # even where unknown calls are trusted
            changed = union(atom.roots, frame.recorder.leaked)
            frame.recorder.mutate(changed, f".{method}()", frame.where(args.node))
        if method not in UNMISTAKABLE_METHODS or from_outside:
            return unknown_call(frame, f".{method}() of an object not known", args)
    elif method in MUTATING_METHODS:
        run_callbacks(frame, f".{method}()", args)
        return _mutating_method(frame, atom, method, args)
    elif method not in READING_METHODS:
        return unknown_call(frame, f".{method}()", args)
    used = consume(frame, args.all, args.node)
    if _is_scalar(receiver) or method in STRING_METHODS - {"split", "rsplit", "splitlines"}:
        # `"".join(parts)` and the like make a new string.
        return SCALAR if isinstance(atom, (Const, Data)) else join(SCALAR, opaque(roots_of(used)))
    roots = union(union(roots_of(receiver), roots_of(used)), frame.recorder.leaked)
    deep = is_deep(receiver) and is_deep(used) and not frame.recorder.leaked_opaque
    return data(roots) if deep else opaque(roots)


def _mutating_method(frame: Frame, atom: Data | Const, method: str, args: Arguments) -> Value:
    frame.escape(args.all, f"stored by .{method}()", frame.where(args.node))
    frame.leak(args.all)
    if isinstance(atom, Data) and not atom.own and not atom.scalar:
        changed = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(changed, f".{method}()", frame.where(args.node))
    return join(frame.part_of(frozenset({atom})), const(None))


def _is_scalar(value: Value) -> bool:
    return all(isinstance(a, Const) or (isinstance(a, Data) and a.scalar) for a in value)


def cell_method(frame: Frame, cell: Cell, method: str, arguments: Arguments) -> Value:
    """Return what a method of a dictionary built in this call gives."""
    everything = opaque(union(roots_of(frozenset({cell})), frame.recorder.leaked))
    if method == "update":
        fill_cell(frame, cell, arguments)
        return const(None)
    if method == "setdefault" and arguments.positional:
        default = arguments.positional[1] if len(arguments.positional) > 1 else const(None)
        put_keys(frame, cell, arguments.positional[0], default)
        return join(default, everything)
    if method == "copy":
        copy = cell_at(frame, arguments.node)
        copy.merge(cell)
        return frozenset({copy})
    if method in ("get", "pop") and cell.spread and arguments.positional:
        frame.escape(arguments.all, f".{method}()", frame.where(arguments.node))
        found = cell_item(frame, cell, arguments.positional[0], arguments.node)
        return join(found, *arguments.positional[1:], arguments.unpacked, const(None))
    if method in ("get", "pop", "items", "keys", "values", "popitem", "clear"):
        consume(frame, frozenset({cell}), arguments.node)
        frame.escape(arguments.all, f".{method}()", frame.where(arguments.node))
        return join(everything, arguments.all)
    cell.open = True
    return unknown_call(frame, f".{method}()", arguments)


def chain_method(frame: Frame, chain: Chain, method: str, args: Arguments) -> Value:
    """Return what a method of a runnable of known parts gives."""
    if chain in (CLIENT, RESPONSE):
        return http_method(frame, chain, method, args)
    if builds_chain(method):
        parts = [as_chain(a) for a in args.all if isinstance(a, Chain) or _is_live_runnable(a)]
        others = [a for a in args.all if isinstance(a, (Closure, Opaque))]
        if None not in parts and not others:
            external = chain.external.union(*(p.external for p in parts if p))
            yields = chain.yields if keeps_yield(method) else "opaque"
            return frozenset({Chain(external, yields)})
    elif runs_chain(method):
        result = _YIELDS[chain.yields] if method in ("invoke", "ainvoke") else "opaque"
        return apply_known(frame, Known(result, chain.external), f".{method}()", args)
    return unknown_call(frame, f".{method}()", args)


_YIELDS: Final[Mapping[Yields, Result]] = {
    "message": "message",
    "text": "scalar",
    "opaque": "opaque",
}


def _is_live_runnable(atom: Any) -> bool:
    return isinstance(atom, Live) and is_runnable(atom.obj)


def injected_method(frame: Frame, atom: Injected, method: str, arguments: Arguments) -> Value:
    """Return what a method of `config`, `runtime` or `store` gives."""
    where = frame.where(arguments.node)
    if atom.name == "store":
        frame.escape(arguments.all, "passed to the store", where)
        reads = method.lstrip("a") in ("get", "search", "list_namespaces", "batch_get")
        frame.recorder.contact("read" if reads else "write", f"store.{method}()", where)
        return opaque(frozenset({WORLD}))
    if atom.name == "runtime" and method == "stream_writer":
        return write_stream(frame, arguments)
    if atom.name in ("config", "settings") and method == "get" and arguments.positional:
        keys = arguments.positional[0]
        names = constants_of(keys)
        known = frozenset(map(str, names)) if names is not None else None
        return join(injected_part(frame, atom, known, arguments.node), *arguments.positional[1:])
    return unknown_call(frame, f"{atom.name}.{method}()", arguments)


def live_method(frame: Frame, receiver: Any, method: str, arguments: Arguments) -> Value:
    """Return what a method of a live object gives."""
    where = frame.where(arguments.node)
    if is_client(receiver):
        return http_method(frame, CLIENT, method, arguments)
    if method in ("invoke", "ainvoke") and is_runnable(receiver) and arguments.positional:
        value, *rest = arguments.positional
        frame.escape(without_callbacks(join(*rest, arguments.unpacked)), "passed on", where)
        return run_runnable(frame, receiver, value, arguments.node)
    chain = as_chain(Live(receiver))
    if chain is not None and (builds_chain(method) or method in ("invoke", "ainvoke")):
        return chain_method(frame, chain, method, arguments)
    if (known := describe_method(receiver, method)) is not None:
        return apply_known(frame, known, f".{method}()", arguments)
    if isinstance(receiver, type):
        external = external_of_class(receiver)
        if external is not None and not issubclass(receiver, BaseLanguageModel):
            frame.escape(arguments.all, f".{method}()", frame.where(arguments.node))
            return frozenset({Chain(external, yields_of(receiver))})
    if type(receiver) in (dict, list, set) and method in READING_METHODS:
        frame.recorder.external.add("read")
        frame.escape(arguments.all, f".{method}()", frame.where(arguments.node))
        return opaque(frozenset({WORLD}))
    target = attribute_of(frame, Live(receiver), method, arguments.node)
    parts = [
        call_live_object(frame, atom.obj, arguments)
        if isinstance(atom, Live)
        else unknown_call(frame, f".{method}()", arguments)
        for atom in target
    ]
    return join(*parts)
