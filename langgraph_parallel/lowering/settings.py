"""From what a run is given beside its input to whether it is the plain data it is taken for.

A node that reads a setting, an entry of the metadata or a field of the context is analyzed as if it
got text, numbers or built-in containers of them. An object may run any code when it is looked at: a
run that is given one there has the original order.
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel

from langgraph_parallel._compat.tasks import runtime_of
from langgraph_parallel.effects import Effects
from langgraph_parallel.inference.code.datamodel import forget_classes, user_defined
from langgraph_parallel.inference.code.plain import odd_part
from langgraph_parallel.locations import CONTEXT, SETTINGS

_SCALARS: Final = frozenset(
    {str, int, float, bool, bytes, type(None), uuid.UUID, datetime.datetime, datetime.date}
)
_OF_THE_ENGINE: Final = ("__", "langgraph_", "checkpoint_")
"""How the names of settings begin that no node is taken to read."""
_MOST_LEVELS: Final = 20
"""Deeper than any setting; a container that holds itself has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """What nodes of a graph read of what a run is given, taking it for plain data."""

    settings: bool = False
    """Whether some node reads settings or metadata."""
    context: frozenset[str] = frozenset()
    """The fields of the context that nodes read."""
    whole_context: bool = False
    """Whether some node looks at all of the context."""


def reliance_of(effects: Iterable[Effects]) -> Reliance:
    """Return what nodes with these effects rely on."""
    places = {place for found in effects for place in found.looks_at if place.kind == "world"}
    parts = {place.part for place in places if place.owner == CONTEXT.owner}
    return Reliance(
        settings=SETTINGS in places,
        context=frozenset(part[1:] for part in parts if part is not None),
        whole_context=None in parts,
    )


def odd_in_run(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    reliance: Reliance,
    config: RunnableConfig | None,
    options: Mapping[str, Any],
) -> str:
    """Return what a run is given that is no plain data where nodes rely on it; empty when none is.

    Args:
        graph: The graph that is run.
        reliance: What its nodes rely on.
        config: The configuration of the run.
        options: Its other arguments.
    """
    if reliance.settings and not _has_plain_settings(graph, config):
        return "configurable={...} with an object in it"
    if not (reliance.context or reliance.whole_context):
        return ""
    around = runtime_of(var_child_runnable_config.get() or {})
    for context in (options.get("context"), getattr(around, "context", None)):
        if not _is_plain_context(context, graph.builder.context_schema, reliance):
            return "context=... with an object in it"
    return ""


def _has_plain_settings(
    graph: CompiledStateGraph[Any, Any, Any, Any], config: RunnableConfig | None
) -> bool:
    """Tell whether every setting that a caller gives to a run is plain data."""
    given = (graph.config, var_child_runnable_config.get(), config)
    found: list[Any] = [
        (part or {}).get(name) for part in given for name in ("configurable", "metadata")
    ]
    found += [node.metadata for node in graph.nodes.values()]
    return all(
        _is_plain(value, 0)
        for part in found
        for key, value in (part or {}).items()
        if not key.startswith(_OF_THE_ENGINE)
    )


def _is_plain(value: Any, level: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if level > _MOST_LEVELS:
        return False
    if kind is dict:
        return all(_is_plain(k, level + 1) and _is_plain(v, level + 1) for k, v in value.items())
    return kind in (list, tuple, set) and all(_is_plain(part, level + 1) for part in value)


def _is_plain_context(context: Any, schema: Any, reliance: Reliance) -> bool:
    """Tell whether nodes find plain data in those parts of a context on which they rely."""
    if context is None:
        return True
    forget_classes()
    kind = type(context)
    if kind is dict and _is_made_of_fields(schema):
        return _has_no_code(schema, reliance, made=True) and all(
            odd_part(part) is None
            for name, part in {**_defaults(schema), **context}.items()
            if reliance.whole_context or name in reliance.context
        )
    if kind is dict:
        parts = context.values() if reliance.whole_context else map(context.get, reliance.context)
        return all(odd_part(part) is None for part in parts)
    if not _is_made_of_fields(kind) or not _has_no_code(kind, reliance):
        return False
    if reliance.whole_context:
        return odd_part(context) is None
    return all(odd_part(getattr(context, name, None)) is None for name in reliance.context)


def _is_made_of_fields(kind: Any) -> bool:
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)
    )


def _has_no_code(kind: type, reliance: Reliance, *, made: bool = False) -> bool:
    """Tell whether asking an instance for its fields runs no code of the user's.

    Args:
        kind: The class.
        reliance: What nodes ask for.
        made: Whether LangGraph makes the instance for the run, of which nothing is known then but
            what it is made from.
    """
    own = user_defined(kind)
    if made or reliance.whole_context:
        return not own
    quiet = {"__init__", "__post_init__"}
    return not any(name.startswith("__") for name in own - quiet) and not own & reliance.context


def _defaults(schema: Any) -> dict[str, Any]:
    """Return the defaults of fields, each that is made anew for an instance by its factory."""
    if issubclass(schema, BaseModel):
        fields = schema.__pydantic_fields__.items()
        return {name: field.default_factory or field.default for name, field in fields}
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory
        for field in dataclasses.fields(schema)
    }
