"""Running a LangChain runnable: sequences, parallels, prompts, lambdas, models, whole graphs."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any, Final

from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    RunnableBinding,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)
from langchain_core.runnables.passthrough import RunnableAssign, RunnablePick
from langchain_core.tools import BaseTool

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.access import consume, read_keys
from langgraph_parallel.inference.callables import functions_of, unwrap_callable
from langgraph_parallel.inference.containers import merge_into, put_keys
from langgraph_parallel.inference.external import (
    external_of,
    own_code_of,
    runs_more_than_its_body,
    yields_of,
)
from langgraph_parallel.inference.frame import Frame
from langgraph_parallel.inference.framework import framework
from langgraph_parallel.inference.functions import call_live
from langgraph_parallel.inference.values import (
    SCALAR,
    WORLD,
    Cell,
    Data,
    Injected,
    Live,
    State,
    Value,
    const,
    join,
    opaque,
    roots_of,
)


def run_runnable(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Return what `obj.invoke(value)` may give, recording its effects."""
    frame.recorder.spend()
    if isinstance(obj, framework().graphs):
        return _run_graph(frame, obj, value, node)
    for kind, rule in _RULES.items():
        if isinstance(obj, kind):
            return rule(frame, obj, value, node)
    functions = functions_of(obj)
    if functions:
        return join(*(_run_function(frame, f, value, node) for f in functions))
    return _run_listed(frame, obj, value, node)


def _run_listed(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run what has no code to follow, by what is known of its class."""
    external = external_of(obj)
    if external is None:
        return _run_unknown(frame, obj, value, node)
    used = consume(frame, value, node)
    for contact in sorted(external):
        frame.recorder.contact(contact, f"runs a {type(obj).__name__}", frame.where(node))
    yields = yields_of(obj)
    if yields == "text":
        return SCALAR
    return data_message(roots_of(used)) if yields == "message" else opaque(roots_of(used))


def data_message(roots: Any) -> Value:
    """Return a chat message."""
    return frozenset({Data(roots, plain=True)})


def _run_sequence(frame: Frame, obj: RunnableSequence[Any, Any], value: Value, node: Any) -> Value:
    for step in obj.steps:
        value = run_runnable(frame, step, value, node)
    return value


def _run_parallel(frame: Frame, obj: RunnableParallel[Any], value: Value, _node: Any) -> Value:
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    for key, step in obj.steps__.items():
        put_keys(frame, cell, const(key), run_runnable(frame, step, value, _node))
    return frozenset({cell})


def _run_assign(frame: Frame, obj: RunnableAssign, value: Value, node: Any) -> Value:
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    merge_into(frame, cell, value, node)
    merge_into(frame, cell, run_runnable(frame, obj.mapper, value, node), node)
    return frozenset({cell})


def _run_pick(frame: Frame, obj: RunnablePick, value: Value, node: Any) -> Value:
    keys = [obj.keys] if isinstance(obj.keys, str) else list(obj.keys)
    found = {key: _pick(frame, value, key, node) for key in keys}
    if isinstance(obj.keys, str):
        return found[obj.keys]
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    for key, part in found.items():
        put_keys(frame, cell, const(key), part)
    return frozenset({cell})


def _pick(frame: Frame, value: Value, key: str, node: Any) -> Value:
    if State() in value:
        return read_keys(frame, const(key), node)
    return frame.part_of(consume(frame, value, node))


def _run_passthrough(frame: Frame, obj: Any, value: Value, node: Any) -> Value:
    same = type(obj) is RunnablePassthrough and obj.func is None and obj.afunc is None
    return value if same else _run_unknown(frame, obj, value, node)


def _run_binding(frame: Frame, obj: RunnableBinding[Any, Any], value: Value, node: Any) -> Value:
    if obj.config_factories:
        return _run_unknown(frame, obj, value, node)
    return run_runnable(frame, obj.bound, value, node)


def _run_prompt(frame: Frame, obj: BasePromptTemplate[Any], value: Value, node: Any) -> Value:
    if external_of(obj) is None:
        return _run_unknown(frame, obj, value, node)
    if State() in value:
        for key in (*obj.input_variables, *obj.optional_variables):
            read_keys(frame, const(key), node)
        value = value - {State()}
    return opaque(roots_of(consume(frame, value, node)))


def _run_function(frame: Frame, function: Any, value: Value, node: ast.AST) -> Value:
    target = unwrap_callable(function)
    if target is not None:
        code, bound, keywords = target
        given = (*(frame.live(part) for part in bound), value)
        named = {name: frame.live(part) for name, part in keywords.items()}
        names = code.__code__.co_varnames[: code.__code__.co_argcount]
        if "config" in names[len(given) :]:
            named["config"] = frozenset({Injected("config")})
        found = call_live(frame, code, given, named, frozenset())
        if found is not None:
            return found
    return _run_unknown(frame, function, value, node)


def _run_graph(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run a sub-graph: it reads its input keys, and its nodes' contacts become the node's."""
    inner, where = framework().summarize(obj), frame.where(node)
    if State() in value and inner.reads is not ALL:
        for key in sorted(inner.reads):
            read_keys(frame, const(key), node)
        value = value - {State()}
    frame.escape(value, "passed to a sub-graph", where)
    for contact in sorted(inner.external):
        frame.recorder.contact(contact, f"a sub-graph makes a {contact} call", where)
    for control in sorted(inner.control - {"step"}):
        frame.recorder.leave(control, f"a sub-graph may {control}", where, inner.goto)
    frame.recorder.resources |= inner.resources
    if inner.mutates:
        frame.recorder.mutates = ALL
        frame.recorder.note("changes a state value in place: a node of a sub-graph", where)
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    cell.open = inner.writes is ALL
    cell.roots = ALL
    for key in inner.writes if inner.writes is not ALL else ():
        cell.keys.add(key)
        cell.folds[key] = False
    return frozenset({cell})


def _run_own(frame: Frame, obj: BaseRetriever | BaseTool, value: Value, node: ast.AST) -> Value:
    """Run a retriever or tool: by its annotations, else by the user's code in it."""
    external, bodies = external_of(obj), own_code_of(obj)
    if external is not None or not bodies or runs_more_than_its_body(obj):
        return _run_listed(frame, obj, value, node)
    what = f"runs the {type(obj).__name__} {getattr(obj, 'name', '')}".rstrip()
    if isinstance(obj, BaseRetriever):
        frame.recorder.contact("read", what, frame.where(node))
    anything = opaque(roots_of(consume(frame, value, node)))
    for body in bodies:
        given = (frozenset({Live(body.__self__)}),) if isinstance(body, types.MethodType) else ()
        code: Any = body.__func__ if isinstance(body, types.MethodType) else body
        if call_live(frame, code, given, {}, anything) is None:
            return _run_unknown(frame, obj, value, node)
    return opaque(union(roots_of(value), frame.recorder.leaked))


def _run_unknown(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    what = f"a {getattr(obj, '__name__', type(obj).__name__)} that is not known"
    frame.escape(value, f"passed to {what}", frame.where(node))
    frame.recorder.contact("unknown", f"runs {what}", frame.where(node))
    return opaque(union(roots_of(value), frozenset({WORLD})))


_RULES: Final[dict[Any, Callable[..., Value]]] = {
    RunnableSequence: _run_sequence,
    RunnableParallel: _run_parallel,
    RunnableAssign: _run_assign,
    RunnablePick: _run_pick,
    RunnablePassthrough: _run_passthrough,
    RunnableBinding: _run_binding,
    BasePromptTemplate: _run_prompt,
    BaseRetriever: _run_own,
    BaseTool: _run_own,
}
