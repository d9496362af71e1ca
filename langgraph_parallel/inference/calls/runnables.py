"""Running a LangChain runnable: sequences, parallels, prompts, lambdas, models, whole graphs."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_core.output_parsers import BaseOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    RunnableBinding,
    RunnableGenerator,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)
from langchain_core.runnables.passthrough import RunnableAssign, RunnablePick
from langchain_core.tools import BaseTool

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.calls.external import (
    contact_of,
    gives_of,
    is_runnable,
    own_code_of,
    run_unknown,
    runs_more_than_its_body,
)
from langgraph_parallel.inference.calls.handlers import run_handlers
from langgraph_parallel.inference.code.callables import functions_of, unwrap_callable
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.gentle import library_name_of_class
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.door.filling import merge_into
from langgraph_parallel.inference.door.state_keys import from_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Cell,
    Chain,
    Data,
    Injected,
    Live,
    Object,
    Opaque,
    State,
    Value,
    const,
    data,
    join,
    opaque,
    roots_of,
    tame,
)

RULES_BY_NAME: Final[dict[str, Callable[..., Value]]] = {}
"""The rule for running an instance of exactly one class, by where it stands in its library."""
_NOTHING_INJECTED: Final[Mapping[str, Value]] = {}


def run_runnable(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Return what `obj.invoke(value)` may give, recording its effects."""
    frame.recorder.spend()
    if is_a(obj, framework().graphs):
        return _run_graph(frame, obj, value, node)
    cls: type = type(obj)
    own_rule = RULES_BY_NAME.get(library_name_of_class(cls))
    if own_rule is not None:
        return own_rule(frame, obj, value, node)
    for kind, rule in _RULES.items():
        if is_a(obj, kind):
            run_handlers(frame, obj, node)
            return rule(frame, obj, value, node)
    functions = functions_of(obj)
    if functions:
        run_handlers(frame, obj, node)
        return join(*(run_function(frame, f, value, node) for f in functions))
    if is_a(obj, RunnableGenerator):
        return _run_library_functions(frame, obj, (obj._transform,), value, node)
    return _run_listed(frame, obj, value, node)


def _run_listed(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run what has no code to follow, by what is known of its class."""
    external = contact_of(frame, obj, node) if is_runnable(obj) else None
    if external is None:
        return run_unknown(frame, obj, value, node)
    used = frame.use(value, node)
    for contact in sorted(external):
        frame.recorder.contact(contact, f"runs a {type(obj).__name__}", frame.where(node))
    return _results(gives_of(obj), used)


def _results(gives: Value, used: Value) -> Value:
    """Return what a run gives: a message or text is new, else it may hold what it is given."""
    if all(isinstance(a, (Data, Object)) for a in gives):
        return gives
    quiet = is_deep(used) or all(isinstance(a, Opaque) and a.tame for a in used)
    is_tame = all(not isinstance(a, Opaque) or a.tame for a in gives)
    return tame(roots_of(used)) if quiet and is_tame else opaque(roots_of(used))


def _run_sequence(frame: Frame, obj: RunnableSequence[Any, Any], value: Value, node: Any) -> Value:
    for step in obj.steps:
        value = run_runnable(frame, step, value, node)
    return value


def _run_parallel(frame: Frame, obj: RunnableParallel[Any], value: Value, node: Any) -> Value:
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    for key, step in obj.steps__.items():
        frame.recorder.grown |= cell.put(key, run_runnable(frame, step, value, node))
    return frozenset({cell})


def _run_assign(frame: Frame, obj: RunnableAssign, value: Value, node: Any) -> Value:
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    for atom in (*value, *run_runnable(frame, obj.mapper, value, node)):
        merge_into(frame, cell, atom, node)
    return frozenset({cell})


def _run_pick(frame: Frame, obj: RunnablePick, value: Value, node: Any) -> Value:
    keys = [obj.keys] if isinstance(obj.keys, str) else list(obj.keys)
    found = {key: pick(frame, value, key, node) for key in keys}
    if isinstance(obj.keys, str):
        return found[obj.keys]
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    for key, part in found.items():
        frame.recorder.grown |= cell.put(key, part)
    return frozenset({cell})


def pick(frame: Frame, value: Value, key: str, node: Any) -> Value:
    """Return what stands at a key of the state or of a dictionary."""
    if State() in value:
        return from_state(frame, const(key), node)
    cells = [atom for atom in value if isinstance(atom, Cell)]
    if len(cells) == len(value):
        return join(*(cell.at(key) for cell in cells)) or opaque()
    return frame.part_of(frame.use(value, node))


def _run_passthrough(frame: Frame, obj: Any, value: Value, node: Any) -> Value:
    same = type(obj) is RunnablePassthrough and obj.func is None and obj.afunc is None
    return value if same else run_unknown(frame, obj, value, node)


def _run_binding(frame: Frame, obj: RunnableBinding[Any, Any], value: Value, node: Any) -> Value:
    if obj.config_factories:
        return run_unknown(frame, obj, value, node)
    return run_runnable(frame, obj.bound, value, node)


def _run_prompt(frame: Frame, obj: BasePromptTemplate[Any], value: Value, node: Any) -> Value:
    if contact_of(frame, obj, node) is None:
        return run_unknown(frame, obj, value, node)
    if State() in value:
        for key in (*obj.input_variables, *obj.optional_variables):
            frame.use(from_state(frame, const(key), node), node)
        value = value - {State()}
    return tame(roots_of(frame.use(value, node)))


def _run_parser(frame: Frame, obj: BaseOutputParser[Any], value: Value, node: Any) -> Value:
    if contact_of(frame, obj, node) is None:
        return run_unknown(frame, obj, value, node)
    frame.use(value, node)
    return gives_of(obj)


def run_function(frame: Frame, function: Any, value: Value, node: ast.AST) -> Value:
    """Return what a function gives that a runnable calls with one value.

    LangChain runs a runnable that such a function returns.
    """
    target = unwrap_callable(function)
    if target is None:
        return run_unknown(frame, function, value, node)
    code, bound, keywords = target
    if is_library(code.__code__.co_filename):
        return _run_library_functions(frame, function, (function,), value, node)
    given = (*(frame.live(part) for part in bound), value)
    named = {name: frame.live(part) for name, part in keywords.items()}
    names = code.__code__.co_varnames[: code.__code__.co_argcount]
    if "config" in names[len(given) :]:
        named["config"] = frozenset({Injected("config")})
    found = frame.call(frame.live(code), Arguments(node, given, named))
    return _run_returned(frame, found, value, node)


def _run_returned(frame: Frame, found: Value, value: Value, node: ast.AST) -> Value:
    kept: list[Value] = []
    for atom in found:
        if isinstance(atom, Live) and is_runnable(atom.obj):
            kept.append(run_runnable(frame, atom.obj, value, node))
        elif isinstance(atom, Chain):
            for contact in sorted(atom.external):
                frame.recorder.contact(contact, f"runs a {contact} chain", frame.where(node))
            kept.append(atom.gives)
        else:
            kept.append(frozenset({atom}))
    return join(*kept)


_LIBRARIES: Final = ("langchain_core.", "langchain_openai.", "langchain_anthropic.")


def _run_library_functions(
    frame: Frame, obj: Any, functions: tuple[Any, ...], value: Value, node: ast.AST
) -> Value:
    """Run functions of a model library that read answers: a parser of structured output."""
    schemas: list[type] = []
    for function in functions:
        target = unwrap_callable(function)
        if target is None or not str(target[0].__module__).startswith(_LIBRARIES):
            return run_unknown(frame, obj, value, node)
        schemas += [part for part in target[2].values() if isinstance(part, type)]
        schemas += [part for part in target[1] if isinstance(part, type)]
        if any(callable(p) and not isinstance(p, type) for p in (*target[1], *target[2].values())):
            return run_unknown(frame, obj, value, node)
    frame.use(value, node)
    made: Value = NOTHING
    for cls in schemas:
        frame.call(frozenset({Live(cls)}), Arguments(node, unpacked=tame()))
        made = join(made, frozenset({Object(cls)}))
    return made or data()


def _run_graph(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run a sub-graph: it reads its input keys, and its nodes' contacts become the node's."""
    inner, where = framework().summarize(obj), frame.where(node)
    if State() in value and inner.reads is not ALL:
        for key in sorted(inner.reads):
            from_state(frame, const(key), node)
        value = value - {State()}
    frame.escape(value, "passed to a sub-graph", where)
    for place in inner.looks_at:
        frame.recorder.look(place, where)
    for place in inner.changes:
        frame.recorder.change(place, where, opaque())
    for contact in sorted(inner.external):
        frame.recorder.contact(contact, f"a sub-graph makes a {contact} call", where)
    for control in sorted(inner.control - {"step"}):
        frame.recorder.leave(control, f"a sub-graph may {control}", where, inner.goto)
    frame.recorder.resources |= inner.resources
    if inner.mutates:
        frame.recorder.mutates = ALL
        frame.recorder.note("changes a state value in place: a node of a sub-graph", where)
    cell = frame.recorder.cells.setdefault(id(obj), Cell())
    cell.open = cell.shared = cell.open or inner.writes is ALL
    cell.roots = ALL
    for key in inner.writes if inner.writes is not ALL else ():
        frame.recorder.grown |= cell.put(key, opaque(ALL))
        cell.folds[key] = False
    return frozenset({cell})


def run_tool(
    frame: Frame,
    obj: BaseRetriever | BaseTool,
    value: Value,
    node: ast.AST,
    injected: Mapping[str, Value] = _NOTHING_INJECTED,
) -> Value:
    """Run a retriever or tool: by its annotations, else by the user's code in it.

    Args:
        frame: Where it is run.
        obj: The retriever or tool.
        value: What it is given.
        node: The place.
        injected: Arguments that are filled in, whatever a model says.
    """
    external, bodies = contact_of(frame, obj, node), own_code_of(obj)
    if external is not None or not bodies or runs_more_than_its_body(obj):
        return _run_listed(frame, obj, value, node)
    what = f"runs the {type(obj).__name__} {getattr(obj, 'name', '')}".rstrip()
    if is_a(obj, BaseRetriever):
        frame.recorder.contact("read", what, frame.where(node))
    schema = getattr(obj, "args_schema", None)
    if is_a(schema, type):
        frame.call(frozenset({Live(schema)}), Arguments(node, unpacked=tame()))
    used = frame.use(value, node)
    quiet = is_deep(used) or all(isinstance(a, Opaque) and a.tame for a in used)
    anything = tame(roots_of(used)) if quiet else opaque(roots_of(used))
    found: Value = NOTHING
    for body in bodies:
        given = join(anything, data(roots_of(used)) if quiet else NOTHING)
        arguments = _by_name(body, given, injected, node)
        found = join(found, frame.call(frozenset({Live(body)}), arguments))
    return join(found, tame(union(roots_of(value), frame.recorder.leaked)))


def _by_name(
    body: types.FunctionType | types.MethodType,
    given: Value,
    injected: Mapping[str, Value],
    node: Any,
) -> Arguments:
    """Return the arguments of a tool's function, each of which a model may have chosen."""
    function = body.__func__ if isinstance(body, types.MethodType) else body
    code = function.__code__
    if not isinstance(function, types.FunctionType) or code.co_flags & _TAKES_MORE:
        return Arguments(node, (), injected, given)
    first = 1 if isinstance(body, types.MethodType) else 0
    names = code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]
    own = not is_library(code.co_filename)
    named = {name: given for name in names if own or name != "callbacks"}
    return Arguments(node, (), {**named, **injected})


_TAKES_MORE: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


_RULES: Final[dict[Any, Callable[..., Value]]] = {
    RunnableSequence: _run_sequence,
    RunnableParallel: _run_parallel,
    RunnableAssign: _run_assign,
    RunnablePick: _run_pick,
    RunnablePassthrough: _run_passthrough,
    RunnableBinding: _run_binding,
    BasePromptTemplate: _run_prompt,
    BaseOutputParser: _run_parser,
    BaseRetriever: run_tool,
    BaseTool: run_tool,
}
