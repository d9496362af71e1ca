"""From calling a class to the instance: a client, a chain, data or an object of the user's."""

from __future__ import annotations

import dataclasses
import sys
import types

from langchain_core.language_models import BaseLanguageModel
from pydantic import BaseModel

from langgraph_parallel.inference.calls.agents import make_agent_part
from langgraph_parallel.inference.calls.chains import make_chain
from langgraph_parallel.inference.calls.clients import make_client
from langgraph_parallel.inference.calls.construct import make
from langgraph_parallel.inference.calls.data_families import make_data
from langgraph_parallel.inference.calls.external import contact_of_class, gives_of
from langgraph_parallel.inference.calls.handlers import run_given_handlers
from langgraph_parallel.inference.calls.plugged_code import run_given
from langgraph_parallel.inference.calls.screen import make_shown
from langgraph_parallel.inference.calls.services import make_service
from langgraph_parallel.inference.calls.tool_nodes import make_tool_node
from langgraph_parallel.inference.code.datamodel import user_defined
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.machine.annotations import DATA_CLASSES
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import holding
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    Chain,
    Value,
    roots_of,
)


def call_class(frame: Frame, cls: type, given: Arguments) -> Value:
    """Return what calling a class gives."""
    client = make_client(frame, cls, given)
    if client is None:
        client = make_agent_part(frame, cls, given) or make_chain(frame, cls, given)
    if client is not None:
        return client
    for maker in (make_data, make_service, make_shown, make_tool_node):
        found = maker(frame, cls, given)
        if found is not None:
            return found
    external = contact_of_class(cls)
    if external is not None:
        run_given_handlers(frame, given.all, given.node)
        if not issubclass(cls, BaseLanguageModel) and not run_given(frame, given):
            return unknown(frame, f"calls {given.callee}", given.all, given.node)
        frame.escape(given.all, "passed on", frame.where(given.node))
        return frozenset({Chain(external, gives_of(cls))})
    plain = _plain_instance(frame, cls, given)
    if plain is not None:
        return plain
    known = is_users_or_simple(cls) or cls is types.SimpleNamespace
    made = make(frame, cls, given) if known else None
    if made is not None:
        return made
    return unknown(frame, f"calls {given.callee}", given.all, given.node, cls)


def is_users_or_simple(cls: type) -> bool:
    """Tell whether a class is the user's, or made of fields or of a built-in exception."""
    if issubclass(cls, (BaseException, BaseModel)) or dataclasses.is_dataclass(cls):
        return True
    return not is_library(_file_of(cls)) or bool(user_defined(cls))


def _file_of(cls: type) -> str:
    module = sys.modules.get(cls.__module__)
    return getattr(module, "__file__", None) or "<frozen"


def _plain_instance(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return an instance of a library's class that holds data and does nothing else."""
    if user_defined(cls):
        return None
    if issubclass(cls, DATA_CLASSES) and cls.__module__.startswith("langchain_core."):
        used = frame.use(given.all, given.node)
        frame.escape(used, f"kept in a {cls.__name__}", frame.where(given.node))
        return holding(used, roots_of(used))
    return None
