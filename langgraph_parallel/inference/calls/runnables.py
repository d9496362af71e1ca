"""Running a LangChain runnable: sequences, parallels, prompts, lambdas, models, whole graphs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from langchain_core.language_models import BaseLanguageModel
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
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.tools import BaseTool

from langgraph_parallel.effects import union
from langgraph_parallel.inference.calls.external import (
    contact_of,
    gives_of,
    is_runnable,
    own_code_of,
    run_unknown,
    runs_more_than_its_body,
)
from langgraph_parallel.inference.calls.graphs import answered, run_graph
from langgraph_parallel.inference.calls.handlers import run_handlers
from langgraph_parallel.inference.calls.tool_arguments import arguments_of_tool
from langgraph_parallel.inference.code.callables import functions_of, unwrap_callable
from langgraph_parallel.inference.code.datamodel import is_a, is_constant, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.door.filling import collected, merge_into
from langgraph_parallel.inference.door.iteration import iterate
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
from langgraph_parallel.inference.objects.held import held_item
from langgraph_parallel.inference.objects.objects import call_method

_NOTHING_BOUND: Final[Mapping[str, Value]] = {}


def run_runnable(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Return what `obj.invoke(value)` may give, recording its effects."""
    frame.recorder.spend()
    if is_a(obj, framework().graphs):
        return run_graph(frame, obj, value, node)
    for belongs, own_rule in _LIBRARY_NODES:
        if belongs(obj):
            return own_rule(frame, obj, value, node)
    own = user_defined(type(obj)) & _RUN_METHODS
    if own and not is_a(obj, _BASES_WITH_HOOKS):
        return _run_own_methods(frame, obj, own, value, node)
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


_RUN_METHODS: Final = frozenset(
    {
        *("invoke", "ainvoke", "stream", "astream", "batch", "abatch", "transform", "atransform"),
        *("_invoke", "_ainvoke", "_transform", "_atransform", "func", "afunc"),
    }
)
"""Methods of which one or another runs when a runnable is run."""
_BASES_WITH_HOOKS: Final = (
    *(BaseLanguageModel, BasePromptTemplate, BaseOutputParser, BaseRetriever, BaseTool),
)
"""Classes whose instances have rules of their own for what the user adds to them."""


def _run_own_methods(
    frame: Frame, obj: Any, own: frozenset[str], value: Value, node: ast.AST
) -> Value:
    """Run what the user's class of a runnable does in its own way."""
    given = (value, frozenset({Injected("config")}))
    found: Value = NOTHING
    for name in sorted(own):
        function = getattr(type(obj), name)
        code = getattr(function, "__code__", None)
        count = code.co_argcount - 1 if code is not None else 1
        found = join(found, call_method(frame, Live(obj), function, given[:count], node))
    return found


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
    functions = functions_of(obj.bound)
    if obj.config_factories or not is_bound_to_see(obj.bound, obj.kwargs.values()):
        return run_unknown(frame, obj, value, node)
    if obj.kwargs and functions:
        named = {name: frame.live(part) for name, part in obj.kwargs.items()}
        return join(*(run_function(frame, f, value, node, named) for f in functions))
    return run_runnable(frame, obj.bound, value, node)


def is_bound_to_see(bound: Any, parts: Iterable[Any]) -> bool:
    """Tell whether what is bound to a runnable is shown to a model, or is plain data or known."""
    if is_a(bound, (RunnableBinding, RunnableRetry)):
        return is_bound_to_see(bound.bound, parts)
    is_shown = is_a(bound, (BaseLanguageModel, BasePromptTemplate)) or functions_of(bound)
    return bool(is_shown) or all(map(is_constant, parts))


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


def run_function(
    frame: Frame,
    function: Any,
    value: Value,
    node: ast.AST,
    bound_to_it: Mapping[str, Value] = _NOTHING_BOUND,
) -> Value:
    """Return what a function gives that a runnable calls with one value.

    LangChain runs a runnable that such a function returns.
    """
    for belongs, rule in _LIBRARY_NODES:
        if belongs(function):
            return rule(frame, function, value, node)
    target = unwrap_callable(function)
    if target is None:
        return run_unknown(frame, function, value, node)
    code, bound, keywords = target
    if is_library(code.__code__.co_filename):
        return _run_library_functions(frame, function, (function,), value, node)
    given = (*(frame.live(part) for part in bound), value)
    named = {name: frame.live(part) for name, part in keywords.items()} | dict(bound_to_it)
    names = code.__code__.co_varnames[: code.__code__.co_argcount]
    if "config" in names[len(given) :]:
        named["config"] = frozenset({Injected("config")})
    found = frame.call(frame.live(code), Arguments(node, given, named))
    return run_returned(frame, found, value, node)


def is_library_node(function: Any) -> bool:
    """Tell whether there is a rule for a function that a library has made a node of."""
    return any(belongs(function) for belongs, _ in _LIBRARY_NODES)


_Rule = TypeVar("_Rule", bound=Callable[..., Value])
_LIBRARY_NODES: Final[list[tuple[Callable[[Any], bool], Callable[..., Value]]]] = []


def library_node(belongs: Callable[[Any], bool]) -> Callable[[_Rule], _Rule]:
    """Register the rule for running functions that a library has made nodes of."""

    def register(rule: _Rule) -> _Rule:
        _LIBRARY_NODES.append((belongs, rule))
        return rule

    return register


def run_returned(frame: Frame, found: Value, value: Value, node: ast.AST) -> Value:
    """Return what a function of a chain gives: a runnable that it returns is run."""
    kept: list[Value] = []
    for atom in found:
        is_live = isinstance(atom, Live) and is_runnable(atom.obj)
        given = frozenset({atom})
        kept.append(
            run_step(frame, given, value, node) if is_live or isinstance(atom, Chain) else given
        )
    return join(*kept)


# -- chains that are built in a node ---------------------------------------------------------------


def run_chain(frame: Frame, chain: Chain, value: Value, node: ast.AST) -> Value:
    """Return what running a chain of known parts gives."""
    if chain.steps is None:
        return _run_known(frame, chain, value, node)
    if chain.way == "each":
        part = iterate(frame, value, node)
        return collected(frame, node, run_step(frame, chain.steps[0], part, node))
    if chain.way == "any":
        return join(*(run_step(frame, step, value, node) for step in chain.steps))
    if chain.way == "assign":
        cell = frame.recorder.cells.setdefault((id(node), chain.steps), Cell())
        for atom in (*value, *run_step(frame, chain.steps[0], value, node)):
            merge_into(frame, cell, atom, node)
        return frozenset({cell})
    for step in chain.steps:
        value = run_step(frame, step, value, node)
    return value


def _run_known(frame: Frame, chain: Chain, value: Value, node: ast.AST) -> Value:
    """Run something that is known by its contact and by what it gives."""
    where = frame.where(node)
    used = frame.use(frozenset(a for a in value if not isinstance(a, Injected)), node)
    frame.escape(used, "passed to a chain", where)
    for contact in sorted(chain.external):
        frame.recorder.contact(contact, f"runs a {contact} chain", where)
    if chain.answers:
        return answered(frame, (id(node), chain.answers), chain.answers, roots_of(used))
    return _results(chain.gives, used)


def run_step(frame: Frame, step: Value, value: Value, node: ast.AST) -> Value:
    """Return what a step of a chain gives, which is one of some things."""
    return join(*(_run_atom(frame, atom, value, node) for atom in step))


def _run_atom(frame: Frame, atom: Any, value: Value, node: ast.AST) -> Value:
    if isinstance(atom, Chain):
        return run_chain(frame, atom, value, node)
    if isinstance(atom, (Cell, Live)) and (isinstance(atom, Cell) or type(atom.obj) is dict):
        steps = atom.values if isinstance(atom, Cell) else _live_steps(frame, atom.obj, node)
        cell = frame.recorder.cells.setdefault((id(node), atom), Cell())
        for key, step in list(steps.items()):
            frame.recorder.grown |= cell.put(key, run_step(frame, step, value, node))
        return frozenset({cell})
    if isinstance(atom, Live) and is_runnable(atom.obj):
        return run_runnable(frame, atom.obj, value, node)
    if isinstance(atom, Live):
        return run_function(frame, atom.obj, value, node)
    found = frame.call(frozenset({atom}), Arguments(node, (value,)))
    return run_returned(frame, found, value, node)


def _live_steps(frame: Frame, obj: dict[Any, Any], node: ast.AST) -> dict[str, Value]:
    where = frame.where(node)
    return {str(key): held_item(frame, obj, frozenset({key}), where) for key in list(obj)}


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


def run_tool(
    frame: Frame,
    obj: BaseRetriever | BaseTool,
    value: Value,
    node: ast.AST,
    injected: Mapping[str, Value] = _NOTHING_BOUND,
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
        arguments = arguments_of_tool(body, given, node)
        if injected:
            arguments = replace(arguments, named={**arguments.named, **injected})
        found = join(found, frame.call(frozenset({Live(body)}), arguments))
    return join(found, tame(union(roots_of(value), frame.recorder.leaked)))


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
