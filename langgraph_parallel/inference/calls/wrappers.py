"""Runnables around others: from a retry, a fallback or a choice to what it may run.

llm.with_retry()                   the same again
llm.with_fallbacks([other])        one, or the next
RunnableBranch((test, a), b)       any of them; the tests are code like any other
llm.configurable_fields(...)       the same with other settings
"""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Callable, Iterable
from typing import Any

from langchain_core.runnables import Runnable, RunnableBranch, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableEach
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.retry import RunnableRetry

from langgraph_parallel.inference.calls.external import run_unknown
from langgraph_parallel.inference.calls.handlers import run_handlers
from langgraph_parallel.inference.calls.runnables import (
    library_node,
    pick,
    run_returned,
    run_runnable,
)
from langgraph_parallel.inference.code.datamodel import is_a, user_defined
from langgraph_parallel.inference.code.gentle import library_name_of_class
from langgraph_parallel.inference.code.ingredients import ingredients_of
from langgraph_parallel.inference.door.filling import collected, merge_into
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    Cell,
    Live,
    Object,
    Value,
    data,
    join,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of


def _exactly(kind: type) -> Callable[[Any], bool]:
    """Return the test for instances of one class of LangChain's, not of one below it."""

    def is_one(obj: Any) -> bool:
        made_for = getattr(type(obj), "__pydantic_generic_metadata__", None) or {}
        return type(obj) is kind or made_for.get("origin") is kind

    return is_one


def _runs_code(exceptions: Iterable[Any]) -> bool:
    """Tell whether asking for one of some classes of exceptions runs code of the user's."""
    return any(not is_a(cls, type) or bool(user_defined(type(cls))) for cls in exceptions)


@library_node(_exactly(RunnableRetry))
def _run_retry(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    kinds = obj.retry_exception_types
    if obj.config_factories or (is_a(kinds, tuple) and _runs_code(kinds)):
        return run_unknown(frame, obj, value, node)
    run_handlers(frame, obj, node)
    if not is_a(kinds, tuple):  # a function that says which failure is worth another try
        for part in ingredients_of(kinds):
            frame.call(frozenset({Live(part)}), Arguments(node, (tame(),)))
    return run_runnable(frame, obj.bound, value, node)


@library_node(_exactly(RunnableWithFallbacks))
def _run_fallbacks(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    if _runs_code(obj.exceptions_to_handle):
        return run_unknown(frame, obj, value, node)
    given = run_runnable(frame, obj.runnable, value, node)
    if obj.exception_key is not None:  # a copy of the dictionary, with the exception in it
        failed = frame.recorder.cells.setdefault((id(obj), "failed"), Cell())
        for atom in value:
            merge_into(frame, failed, atom, node)
        frame.recorder.grown |= failed.put(obj.exception_key, tame())
        value = frozenset({failed})
    return join(given, *(run_runnable(frame, part, value, node) for part in obj.fallbacks))


@library_node(_exactly(RunnableBranch))
def _run_branch(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    found = run_runnable(frame, obj.default, value, node)
    for test, part in obj.branches:
        run_runnable(frame, test, value, node)
        found = join(found, run_runnable(frame, part, value, node))
    return found


@library_node(_exactly(RunnableEach))
def _run_each(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    part = iterate(frame, value, node)
    return collected(frame, node, run_runnable(frame, obj.bound, part, node))


@library_node(_exactly(RunnableConfigurableFields))
def _run_fields(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run something whose fields the settings may set: another instance of its class."""
    if user_defined(type(obj.default)) & {"__init__", "__new__", "model_post_init"}:
        return run_unknown(frame, obj, value, node)
    frame.recorder.look(place_of(frame, obj), frame.where(node))
    return run_runnable(frame, obj.default, value, node)


@library_node(_exactly(RunnableConfigurableAlternatives))
def _run_alternatives(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    frame.recorder.look(place_of(frame, obj.alternatives), frame.where(node))
    found = run_runnable(frame, obj.default, value, node)
    for part in obj.alternatives.values():
        if is_a(part, Runnable):
            found = join(found, run_runnable(frame, part, value, node))
        else:
            found = join(found, _run_made(frame, part, value, node))
    return found


def _run_made(frame: Frame, factory: Any, value: Value, node: ast.AST) -> Value:
    """Run what a function gives that makes an alternative."""
    found = frame.call(frozenset({Live(factory)}), Arguments(node))
    return run_returned(frame, found, value, node)


@library_node(lambda obj: getattr(type(obj), "stands_for_chain", False))
def _run_wrapped_chain(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run a chain that stands in a graph which went through `parallelize`."""
    return run_runnable(frame, obj.chain, value, node)


def _is_callable(obj: Any) -> bool:
    return type(obj) in (operator.itemgetter, operator.attrgetter)


@library_node(_is_callable)
def _run_callable(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run an `itemgetter` of a chain."""
    if type(obj) is operator.itemgetter:
        keys = obj.__reduce__()[1]
        if all(is_a(key, str) for key in keys):
            found = [pick(frame, value, key, node) for key in keys]
            return found[0] if len(found) == 1 else collected(frame, node, join(*found))
    return frame.call(frozenset({Live(obj)}), Arguments(node, (value,)))


def _is_configurable_model(obj: Any) -> bool:
    """Tell whether `init_chat_model` has made a runnable that chooses its model when it is run."""
    cls: type = type(obj)
    name = library_name_of_class(cls)
    return name == "langchain.chat_models.base._ConfigurableModel"


@library_node(_is_configurable_model)
def _run_configurable_model(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    where = frame.where(node)
    frame.recorder.look(place_of(frame, obj), where)
    frame.use(value, node)
    frame.recorder.contact("model", "asks a model that the settings choose", where)
    gives: Value = MESSAGE
    for name, given, named in vars(obj)["_queued_declarative_operations"]:
        run_handlers(frame, types.SimpleNamespace(config=named.get("config")), node)
        if name == "with_structured_output":
            schema = given[0] if given else named.get("schema")
            is_class = is_a(schema, type) and not named.get("include_raw")
            gives = frozenset({Object(schema)}) if is_class else data()
        elif name not in ("bind_tools", "with_config", "with_retry", "bind"):
            return run_unknown(frame, obj, value, node)
    return gives
