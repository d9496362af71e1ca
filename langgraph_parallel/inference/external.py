"""What is known of calls that leave the node's own code: the table of libraries, and live objects.

A call that is not in here is `unknown`: it may do anything. The table answers for a *live object*,
so an alias or a re-export cannot hide a function, and a user's function that happens to be called
`print` is not mistaken for the built-in.
"""

from __future__ import annotations

import dataclasses
import logging
import types
from typing import Any, Final

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseOutputParser, StrOutputParser
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
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import VectorStore
from pydantic import BaseModel

from langgraph_parallel.effects import External
from langgraph_parallel.inference.source import is_library
from langgraph_parallel.inference.tables import (
    BUILTINS,
    CHAIN_BUILDERS,
    CHAIN_CALLS,
    DATA,
    DATED,
    FUNCTIONS,
    OPERATOR_MUTATORS,
    PROMPT_CALLS,
    PURE_CLASSES,
    PURE_MODULES,
    SCALAR,
    STORE_READS,
    Known,
)
from langgraph_parallel.inference.values import Yields


def describe_call(obj: Any) -> Known | None:
    """Return what calling the live object `obj` does, or None when that is not known."""
    name = qualified_name(obj)
    if name.startswith("builtins.") and name.removeprefix("builtins.") in BUILTINS:
        return BUILTINS[name.removeprefix("builtins.")]
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    module, _, function = name.rpartition(".")
    if module in PURE_MODULES and not isinstance(obj, type):
        is_mutator = module == "_operator" and (
            function in OPERATOR_MUTATORS or (function.startswith("i") and function != "is_")
        )
        return None if is_mutator else Known("opaque")
    if isinstance(obj, type) and is_data_class(obj):
        return DATA if issubclass(obj, (BaseMessage, *DATED)) else Known("opaque")
    if isinstance(getattr(obj, "__self__", None), logging.Logger):
        return SCALAR
    return None


def is_data_class(cls: type) -> bool:
    """Tell whether making an instance of `cls` runs no code that could have an effect."""
    if issubclass(cls, BaseMessage) and cls.__module__.startswith("langchain_core."):
        return True
    if issubclass(cls, BaseException):
        own_code = {"__init__", "__new__"} & vars(cls).keys()
        return cls.__module__ == "builtins" or (
            not own_code and all(is_data_class(base) for base in cls.__bases__)
        )
    if f"{cls.__module__}.{cls.__qualname__}" in PURE_CLASSES:
        return True
    return _is_simple_dataclass(cls) or _is_simple_model(cls)


def _is_simple_dataclass(cls: type) -> bool:
    made = getattr(vars(cls).get("__init__"), "__code__", None)
    return (
        dataclasses.is_dataclass(cls)
        and made is not None
        and made.co_filename == "<string>"
        and not hasattr(cls, "__post_init__")
        and cls.__new__ is object.__new__
        and all(_is_pure_factory(f.default_factory) for f in dataclasses.fields(cls))
    )


def _is_simple_model(cls: type) -> bool:
    if not issubclass(cls, BaseModel):
        return False
    rules = cls.__pydantic_decorators__
    return (
        cls.__init__ is BaseModel.__init__
        and cls.__new__ is object.__new__
        and cls.model_post_init is BaseModel.model_post_init
        and not any(getattr(rules, f.name) for f in dataclasses.fields(rules))
        and all(_is_pure_factory(f.default_factory) for f in cls.model_fields.values())
    )


def _is_pure_factory(factory: Any) -> bool:
    return factory in (None, dataclasses.MISSING, list, dict, set, str, int)


def describe_method(receiver: Any, method: str) -> Known | None:
    """Return what `receiver.method(...)` does for a live LangChain object, or None if unknown."""
    if isinstance(receiver, BaseRetriever):
        known = method in CHAIN_CALLS or method.endswith("get_relevant_documents")
        return Known("opaque", frozenset({"read"})) if known else None
    if isinstance(receiver, VectorStore):
        reads = method.lstrip("a") in STORE_READS or method.startswith("similarity_search")
        return Known("opaque", frozenset({"read"})) if reads else None
    if isinstance(receiver, Embeddings):
        return Known("fresh", frozenset({"model"})) if "embed_" in method else None
    if method in CHAIN_CALLS:
        external = external_of(receiver)
        return None if external is None else Known("opaque", external)
    if method in PROMPT_CALLS and isinstance(receiver, (BasePromptTemplate, BaseOutputParser)):
        return Known("opaque") if external_of(receiver) == frozenset() else None
    return None


def builds_chain(method: str) -> bool:
    """Tell whether a runnable's method returns a runnable of the same contact with the world."""
    return method in CHAIN_BUILDERS


def keeps_yield(method: str) -> bool:
    """Tell whether the runnable that a method returns gives what the first one gave."""
    return method in ("bind", "bind_tools", "with_config", "with_retry")


def runs_chain(method: str) -> bool:
    """Tell whether a method runs a runnable."""
    return method in CHAIN_CALLS or method in PROMPT_CALLS


def external_of(obj: Any) -> frozenset[External] | None:
    """Return the contact that running a LangChain runnable makes, or None when not known."""
    if isinstance(obj, BaseLanguageModel):
        # LangChain's fake models answer from a shared script: their calls must keep their order.
        is_fake = type(obj).__module__.startswith("langchain_core.language_models.fake")
        return None if is_fake else frozenset({"model"})
    if isinstance(obj, (BasePromptTemplate, BaseOutputParser)):
        filled = (getattr(obj, "partial_variables", None) or {}).values()
        is_ours = type(obj).__module__.startswith("langchain_core.")
        return frozenset() if is_ours and not any(map(callable, filled)) else None
    if isinstance(obj, BaseRetriever):
        is_own = own_code_of(obj) or _overrides(obj)
        return None if is_own else frozenset({"read"})
    if isinstance(obj, BaseTool):
        return _external_of_tool(obj)
    if isinstance(obj, RunnablePick) or type(obj) is RunnablePassthrough:
        return frozenset() if getattr(obj, "func", None) is None else None
    parts = _parts(obj)
    if parts is None:
        return None
    total: frozenset[External] = frozenset()
    for part in parts:
        contact = external_of(part)
        if contact is None:
            return None
        total |= contact
    return total


def _external_of_tool(tool: BaseTool) -> frozenset[External] | None:
    """Return the contact of a tool with the annotations of MCP.

    One that says it only reads is a read. One that is annotated and does not say so writes, as the
    standard has it: the default of `readOnlyHint` is false.
    """
    hints = tool.metadata or {}
    nested = hints.get("annotations")
    merged = {**hints, **(nested if isinstance(nested, dict) else {})}
    if merged.get("readOnlyHint") is True:
        return frozenset({"read"})
    return frozenset({"write"}) if _HINTS & merged.keys() else None


_HINTS: Final = frozenset({"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"})
_BODIES: Final = ("_get_relevant_documents", "_aget_relevant_documents", "_run", "_arun")


def own_code_of(obj: BaseRetriever | BaseTool) -> list[types.FunctionType | types.MethodType]:
    """Return the user's functions that running a retriever or tool runs; empty when it has none."""
    bodies = [getattr(obj, name, None) for name in ("func", "coroutine", *_BODIES)]
    return [
        body
        for body in bodies
        if isinstance(body, (types.FunctionType, types.MethodType))
        and not is_library(body.__code__.co_filename)
    ]


def runs_more_than_its_body(obj: BaseRetriever | BaseTool) -> bool:
    """Tell whether a retriever or tool has callbacks, handlers or validators of the user's."""
    handlers = (getattr(obj, f"handle_{name}_error", None) for name in ("tool", "validation"))
    schema = getattr(obj, "args_schema", None)
    checked = isinstance(schema, type) and not _is_simple_model(schema)
    watched = bool(getattr(obj, "callbacks", None))
    return watched or any(map(callable, handlers)) or checked or _overrides(obj)


def _overrides(obj: BaseRetriever | BaseTool) -> bool:
    """Tell whether the user's class has an own form of a method that runs around the body."""
    base = BaseRetriever if isinstance(obj, BaseRetriever) else BaseTool
    return any(
        hasattr(base, name) and name not in _BODIES and not is_library(code.co_filename)
        for cls in type(obj).__mro__
        for name, value in vars(cls).items()
        if (code := getattr(value, "__code__", None)) is not None
    )


def external_of_class(cls: type) -> frozenset[External] | None:
    """Return the contact of a runnable that a node makes from class `cls`, or None."""
    if issubclass(cls, BaseLanguageModel):
        is_fake = cls.__module__.startswith("langchain_core.language_models.fake")
        return None if is_fake else frozenset({"model"})
    if issubclass(cls, (BasePromptTemplate, BaseOutputParser)):
        return frozenset() if cls.__module__.startswith("langchain_core.") else None
    return None


def yields_of(obj: Any) -> Yields:
    """Return what running a runnable, or an instance of a runnable class, gives."""
    cls = obj if isinstance(obj, type) else type(obj)
    if issubclass(cls, BaseChatModel):
        return "message"
    if issubclass(cls, StrOutputParser):
        return "text"
    if isinstance(obj, RunnableBinding):
        return yields_of(obj.bound)
    return yields_of(obj.steps[-1]) if isinstance(obj, RunnableSequence) else "opaque"


def qualified_name(obj: Any) -> str:
    """Return `module.name` of a function, method or class; empty when it has none."""
    name = getattr(obj, "__qualname__", None)
    owner = getattr(obj, "__self__", None)
    if not isinstance(name, str):
        return ""
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}.{name.rpartition('.')[2]}"
    module = getattr(obj, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else ""


def _parts(obj: Any) -> list[Any] | None:
    if isinstance(obj, RunnableSequence):
        return list(obj.steps)
    if isinstance(obj, RunnableBinding):
        return None if obj.config_factories else [obj.bound]
    if isinstance(obj, RunnableParallel):
        return list(obj.steps__.values())
    if isinstance(obj, RunnableAssign):
        return [obj.mapper]
    if isinstance(obj, RunnableWithFallbacks):
        return [obj.runnable, *obj.fallbacks]
    return None


def is_runnable(obj: Any) -> bool:
    """Tell whether `obj` is a LangChain runnable."""
    return isinstance(obj, Runnable)
