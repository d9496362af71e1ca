"""What is known of runnables, by their class: the contact that running one makes, what it gives.

What is not in here is `unknown`: it may do anything.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeGuard

from langchain_core.language_models import BaseChatModel, BaseLanguageModel, BaseLLM
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputParser,
    ListOutputParser,
    PydanticOutputParser,
    StrOutputParser,
)
from langchain_core.output_parsers.openai_tools import JsonOutputToolsParser, PydanticToolsParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.passthrough import RunnableAssign, RunnablePick
from langchain_core.tools import BaseTool, StructuredTool

from langgraph_parallel.effects import External
from langgraph_parallel.inference.calls.handlers import call_hook, run_handlers
from langgraph_parallel.inference.calls.plugged_code import run_plugged
from langgraph_parallel.inference.calls.tables import (
    CHAIN_BUILDERS,
    CHAIN_CALLS,
    PROMPT_CALLS,
    RUNS_ONCE,
)
from langgraph_parallel.inference.code.datamodel import (
    is_a,
    is_users,
    mro_of,
    names_of,
    user_defined,
)
from langgraph_parallel.inference.code.services import (
    CHANGING_RETRIEVERS,
    is_from_library,
    is_reading_tool,
)
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_quiet
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    SCALAR,
    WORLD,
    Data,
    Live,
    Object,
    Value,
    data,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import Typed, class_of
from langgraph_parallel.locations import world


def is_runnable(obj: Any) -> bool:
    """Tell whether `obj` is a LangChain runnable."""
    return is_a(obj, Runnable)


def contact_of(frame: Frame, obj: Any, node: ast.AST) -> frozenset[External] | None:
    """Return the contact that running a live runnable makes, or None when it is not known.

    Code of the user's that running it runs, in its class or in handlers that hang on it, is
    followed, and the object is looked at.
    """
    frame.recorder.look(place_of(frame, obj), frame.where(node))
    run_handlers(frame, obj, node)
    if is_a(obj, BaseLanguageModel):
        return contact_of_model(frame, Live(obj), node)
    if is_a(obj, (BasePromptTemplate, BaseOutputParser)):
        return _contact_of_format(frame, obj, node)
    if is_a(obj, (BaseRetriever, BaseTool)):
        return _contact_of_asking(frame, obj, node)
    if is_a(obj, RunnablePick) or type(obj) is RunnablePassthrough:
        return frozenset() if getattr(obj, "func", None) is None else None
    parts = _parts(obj)
    if parts is None:
        return None
    total: frozenset[External] = frozenset()
    for part in parts:
        contact = contact_of(frame, part, node)
        if contact is None:
            return None
        total |= contact
    return total


def _contact_of_asking(
    frame: Frame, obj: BaseRetriever | BaseTool, node: ast.AST
) -> frozenset[External] | None:
    """Run a retriever or a tool, with whatever of the user's hangs on it."""
    hinted = contact_of_tool(obj) if isinstance(obj, BaseTool) else None
    if hinted is not None:
        return hinted
    if own_code_of(obj) or _overrides(obj):
        return None
    cls = type(obj)
    if is_a(obj, BaseTool):
        known = is_reading_tool(cls) and is_from_library(cls)
    else:
        known = is_from_library(cls) and cls.__name__ not in CHANGING_RETRIEVERS
    if cls.__name__.startswith("Wikipedia"):
        frame.recorder.look(world("wikipedia"), frame.where(node))
    return frozenset({"read"}) if known and run_plugged(frame, obj, node) else None


def contact_of_model(frame: Frame, atom: Typed, node: ast.AST) -> frozenset[External]:
    """Run a model: one that answers from a script moves on in it, the user's code is followed."""
    cls = class_of(atom)
    if answers_from_a_script(cls) and isinstance(atom, Live):
        _go_on_in_script(frame, atom.obj, frame.where(node))
    for name in sorted(user_defined(cls) - _NOT_RUN):
        if not hasattr(BaseChatModel, name) and not hasattr(BaseLLM, name):
            continue  # only other methods of the user's call it, which are followed
        function = _function(cls, name)
        if is_a(function, property):
            load_attr(frame, atom, name, node)
        elif is_users(function):
            call_hook(frame, atom, function, node)
    return frozenset({"model"})


def is_own_model(cls: type) -> bool:
    """Tell whether a class is one of chat models that the user has written, and no fake's."""
    return issubclass(cls, BaseChatModel) and not answers_from_a_script(cls)


def _go_on_in_script(frame: Frame, model: Any, where: str) -> None:
    parts = list(vars(model).values())
    iterators = [part for part in parts if hasattr(type(part), "__next__")]
    scripts = [part for part in parts if isinstance(part, list)]
    for part in scripts:
        frame.recorder.look(place_of(frame, part), where)
    if not iterators and all(len(part) < _SCRIPT for part in scripts):
        return  # it gives the same answer each time
    for part in (model, *iterators, *scripts):
        place = replace(place_of(frame, part), kind="script")
        frame.recorder.change(place, where, SCALAR)


_SCRIPT: Final = 2
"""Answers from which on it counts which one is given when."""
_NOT_RUN: Final = frozenset(
    {
        *("__init__", "__new__", "bind", "bind_tools", "with_structured_output", "with_config"),
        *("get_num_tokens", "get_num_tokens_from_messages", "get_token_ids"),
    }
)
"""What a model of the user's may override and running it does not call."""


def answers_from_a_script(cls: type) -> bool:
    """Tell whether a model is one of LangChain's fakes, which go on in a list from call to call."""
    return any(
        base.__module__.startswith("langchain_core.language_models.fake") for base in mro_of(cls)
    )


def _function(cls: type, name: str) -> Any:
    return next(names_of(base)[name] for base in mro_of(cls) if name in names_of(base))


def _contact_of_format(frame: Frame, obj: Any, node: ast.AST) -> frozenset[External] | None:
    """Run a prompt or a parser: its variables may be functions, its class may be the user's."""
    variables = getattr(obj, "partial_variables", None) or {}
    if type(variables) is dict:
        frame.recorder.look(place_of(frame, variables), frame.where(node), by_name=True)
    for function in filter(callable, variables.values()):
        frame.call(frozenset({Live(function)}), Arguments(node))
    hooks = user_defined(type(obj)) - {"__init__"}
    for name in sorted(hooks):
        function = _function(type(obj), name)
        if is_users(function) and not isinstance(function, property):
            call_hook(frame, Live(obj), function, node)
    if not hooks and not type(obj).__module__.startswith("langchain_core."):
        return None
    for cls in _schemas(obj):
        frame.call(frozenset({Live(cls)}), Arguments(node, unpacked=tame()))
    return frozenset()


def _schemas(obj: Any) -> list[type]:
    """Return the classes of which a parser makes instances."""
    found = [getattr(obj, "pydantic_object", None), *(getattr(obj, "tools", None) or ())]
    return [cls for cls in found if isinstance(cls, type)]


def contact_of_tool(tool: BaseTool) -> frozenset[External] | None:
    """Return the contact of a tool with the annotations of MCP.

    One that says it only reads is a read. One that is annotated and does not say so writes, as the
    standard has it: the default of `readOnlyHint` is false.
    """
    hints = tool.metadata or {}
    nested = hints.get("annotations")
    merged = {**hints, **(nested if isinstance(nested, dict) else {})}
    if merged.get("readOnlyHint") is True:
        return frozenset({"read"})
    if _HINTS & merged.keys():
        return frozenset({"write"})
    return _OF_MIDDLEWARE.get(getattr(tool.func, "__module__", "")) if is_plain_tool(tool) else None


_OF_MIDDLEWARE: Final[Mapping[str, frozenset[External]]] = {
    "langchain.agents.middleware.todo": frozenset(),
    "langchain.agents.middleware.file_search": frozenset({"read"}),
}
"""Tools that middleware of LangChain brings along, by the module of their functions."""


def is_plain_tool(tool: BaseTool) -> TypeGuard[StructuredTool]:
    """Tell whether a tool is a function of a library's, run by nobody's class but LangChain's."""
    code = getattr(getattr(tool, "func", None), "__code__", None)
    is_librarys = code is not None and is_library(code.co_filename)
    return type(tool) is StructuredTool and is_librarys


_HINTS: Final = frozenset({"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"})
_OPEN_BOOKS: Final = frozenset({"langchain_core.tools.retriever"})
_BODIES: Final = ("_get_relevant_documents", "_aget_relevant_documents", "_run", "_arun")


def own_code_of(obj: BaseRetriever | BaseTool) -> list[types.FunctionType | types.MethodType]:
    """Return the functions to be followed that running a retriever or tool runs, if there are any.

    They are the user's, or those that LangChain makes around something of the user's.
    """
    bodies = [getattr(obj, name, None) for name in ("func", "coroutine", *_BODIES)]
    return [
        body
        for body in bodies
        if isinstance(body, (types.FunctionType, types.MethodType))
        and (not is_library(body.__code__.co_filename) or body.__module__ in _OPEN_BOOKS)
    ]


def runs_more_than_its_body(obj: BaseRetriever | BaseTool) -> bool:
    """Tell whether a retriever or tool has handlers of errors or validators of the user's."""
    handlers = (getattr(obj, f"handle_{name}_error", None) for name in ("tool", "validation"))
    return any(map(callable, handlers)) or _overrides(obj)


def overrides(cls: type, base: type) -> bool:
    """Tell whether the user's class has an own form of a method that runs around the body."""
    return any(
        hasattr(base, name) and name not in _BODIES and not is_library(code.co_filename)
        for one in cls.__mro__
        for name, value in vars(one).items()
        if (code := getattr(value, "__code__", None)) is not None
    )


def _overrides(obj: BaseRetriever | BaseTool) -> bool:
    return overrides(type(obj), BaseRetriever if is_a(obj, BaseRetriever) else BaseTool)


def contact_of_class(cls: type) -> frozenset[External] | None:
    """Return the contact of a runnable that a node makes from a library's class, or None."""
    if user_defined(cls) or answers_from_a_script(cls):
        return None
    if issubclass(cls, BaseLanguageModel):
        return frozenset({"model"})
    if issubclass(cls, (BasePromptTemplate, BaseOutputParser)):
        return frozenset() if cls.__module__.startswith("langchain_core.") else None
    if issubclass(cls, BaseTool):
        return frozenset({"read"}) if is_reading_tool(cls) else None
    if issubclass(cls, BaseRetriever):
        return None if cls.__name__ in CHANGING_RETRIEVERS else frozenset({"read"})
    return None


def gives_of(obj: Any) -> Value:
    """Return what running a runnable, or an instance of a runnable class, gives."""
    cls = obj if is_a(obj, type) else type(obj)
    if issubclass(cls, BaseChatModel):
        return MESSAGE
    if issubclass(cls, (StrOutputParser, BaseLLM)):
        return SCALAR
    if issubclass(cls, (PydanticOutputParser, PydanticToolsParser)) and not is_a(obj, type):
        made = join(*(frozenset({Object(schema)}) for schema in _schemas(obj)))
        listed = issubclass(cls, PydanticToolsParser) and not getattr(obj, "first_tool_only", False)
        return frozenset({Data(deep=False, parts=made)}) if listed else made or tame()
    if issubclass(cls, (JsonOutputParser, JsonOutputToolsParser, ListOutputParser)):
        return data()
    if issubclass(cls, BaseRetriever):
        # A store in memory gives the documents themselves that it holds.
        return frozenset({Data(frozenset({WORLD}), own=True, plain=True)})
    if is_a(obj, RunnableBinding):
        return gives_of(obj.bound)
    if is_a(obj, RunnableWithFallbacks):
        return join(*(gives_of(part) for part in (obj.runnable, *obj.fallbacks)))
    if is_a(obj, RunnableSequence):
        return gives_of(obj.steps[-1])
    if issubclass(cls, BasePromptTemplate):
        return tame()
    return tame() if is_library(_file_of(cls)) else opaque()


def _file_of(cls: type) -> str:
    for value in vars(cls).values():
        code = getattr(value, "__code__", None)
        if code is not None:
            return str(code.co_filename)
    return ""


def describe_method(
    frame: Frame, receiver: Any, method: str, node: ast.AST
) -> tuple[frozenset[External], Value] | None:
    """Return what `receiver.method(...)` does and gives for a live LangChain object, or None."""
    if method in CHAIN_CALLS:
        external = contact_of(frame, receiver, node)
        return None if external is None else (external, calls_give(method, gives_of(receiver)))
    if method in PROMPT_CALLS and is_a(receiver, (BasePromptTemplate, BaseOutputParser)):
        if contact_of(frame, receiver, node) != frozenset():
            return None
        return frozenset(), gives_of(receiver) if method == "parse" else formatting_gives(method)
    return None


def calls_give(method: str, one: Value) -> Value:
    """Return what a method that runs a runnable gives, where one run gives `one`."""
    if method in RUNS_ONCE or method in ("predict", "apredict"):
        return one
    if method in ("generate", "agenerate"):
        return tame()
    if method in ("astream_events", "astream_log"):
        one = tame(roots_of(one)) if is_quiet(one) else opaque(roots_of(one))
    parts = None if all(isinstance(a, Data) and a.deep for a in one) else one
    return frozenset({Data(own=True, plain=True, deep=parts is None, parts=parts)})


def formatting_gives(method: str) -> Value:
    """Return what a method of a prompt gives that only formats."""
    if method in ("format", "aformat", "get_format_instructions"):
        return SCALAR
    return fresh(plain=True) if method.endswith("format_messages") else tame()


def builds_chain(method: str) -> bool:
    """Tell whether a runnable's method returns a runnable of the same contact with the world."""
    return method in CHAIN_BUILDERS


def keeps_result(method: str) -> bool:
    """Tell whether the runnable that a method returns gives what the first one gave."""
    return method in (
        *("bind", "bind_tools", "with_config", "with_retry", "with_types", "partial"),
        "configurable_fields",
    )


def runs_chain(method: str) -> bool:
    """Tell whether a method runs a runnable."""
    return method in CHAIN_CALLS or method in PROMPT_CALLS


def _parts(obj: Any) -> list[Any] | None:
    if is_a(obj, RunnableSequence):
        return list(obj.steps)
    if is_a(obj, RunnableBinding):
        return None if obj.config_factories else [obj.bound]
    if is_a(obj, RunnableParallel):
        return list(obj.steps__.values())
    if is_a(obj, RunnableAssign):
        return [obj.mapper]
    if is_a(obj, RunnableWithFallbacks):
        return [obj.runnable, *obj.fallbacks]
    return None


def run_unknown(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run a runnable or function of which nothing is known."""
    what = f"runs a {getattr(obj, '__name__', type(obj).__name__)}"
    return unknown(frame, what, join(value, frozenset({Live(obj)})), node)
