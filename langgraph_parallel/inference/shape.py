"""From a state schema to its keys and to what each annotation promises about the value."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from langgraph.graph.message import add_messages
from pydantic import BaseModel
from typing_extensions import get_type_hints

from langgraph_parallel.inference.code.datamodel import user_defined
from langgraph_parallel.inference.machine.annotations import (
    LISTS,
    SCALARS,
    leaves_open,
    strip,
    value_of_annotation,
)
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.machine.values import Data, Value


def describe_schema(
    schema: Any,
    keys: Iterable[str] | None = None,
    reducer_of: Callable[[str], Any] = lambda _key: None,
    plain: frozenset[str] | None = None,
) -> Shape:
    """Return the shape of the state that a node with input schema `schema` receives.

    Args:
        schema: A TypedDict, dataclass or pydantic model.
        keys: The keys as the graph knows them; None takes them from the annotations.
        reducer_of: The reducer of a key's channel, or None.
        plain: Keys whose channel keeps the last value; None when that is not known.
    """
    hints = _hints(schema)
    names = frozenset(hints if keys is None else keys)
    return Shape(
        keys=names,
        hints={
            name: _promise(hints[name], name, reducer_of(name)) for name in names if name in hints
        },
        attributes=_has_attributes(schema),
        plain=plain,
        open=frozenset(name for name in names if leaves_open(hints.get(name))),
        own_code=frozenset(user_defined(schema)) if _has_attributes(schema) else frozenset(),
    )


def read_by_coercion(schema: Any, keys: frozenset[str]) -> frozenset[str]:
    """Return the keys that LangGraph itself reads when it builds the node's input.

    A pydantic or dataclass state is constructed before the node runs: that fails when a required
    field has no value yet, validators may look at any field, and constrained or nested fields may
    refuse a value. A field of a built-in type counts as read only where the node reads it: a value
    of the wrong type is then reported by the first node that comes after both.
    """
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        rules = schema.__pydantic_decorators__
        runs_code = (
            bool(rules.model_validators or rules.root_validators)
            or schema.model_post_init is not BaseModel.model_post_init
            or schema.__init__ is not BaseModel.__init__
        )
        if runs_code:
            return keys
        checked = {f for d in rules.field_validators.values() for f in d.info.fields}
        checked |= {f for d in rules.validators.values() for f in d.info.fields}
        if "*" in checked:
            return keys
        strict = {
            name
            for name, field in schema.model_fields.items()
            if field.is_required() or field.metadata or not _accepts_its_kind(field.annotation)
        }
        return keys & (strict | checked)
    if dataclasses.is_dataclass(schema):
        if hasattr(schema, "__post_init__"):
            return keys
        missing = dataclasses.MISSING
        required = {
            f.name
            for f in dataclasses.fields(schema)
            if f.default is missing and f.default_factory is missing
        }
        return keys & required
    return frozenset()


def _accepts_its_kind(annotation: Any) -> bool:
    """Tell whether a pydantic field has no rule beyond a built-in type."""
    annotation = strip(annotation)
    if annotation in (*SCALARS, *LISTS, dict, Mapping, None, type(None), Any, object, Ellipsis):
        return True
    known = (*LISTS, dict, Mapping, Union, types.UnionType)
    arguments = get_args(annotation)
    return get_origin(annotation) in known and all(map(_accepts_its_kind, arguments))


def _hints(schema: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(schema, include_extras=True)
    except Exception:
        return {}


def _has_attributes(schema: Any) -> bool:
    is_model = isinstance(schema, type) and issubclass(schema, BaseModel)
    return is_model or dataclasses.is_dataclass(schema)


def _promise(annotation: Any, key: str, reducer: Any) -> Value:
    """Return the abstract value of a state key, from its annotation."""
    if reducer is add_messages:
        return frozenset({Data(frozenset({key}), plain=True)})
    return value_of_annotation(annotation, frozenset({key}))
