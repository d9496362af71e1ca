"""From a state class to what making an instance of it asks of each of its fields.

LangGraph makes a pydantic or dataclass state of the values of its channels before a node runs. Most
classes ask each field alone whether its value will do; only code of the class that is handed
several fields makes every node depend on all of them.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from langgraph_parallel.inference.code.datamodel import code_of, find, is_generated


def is_model(schema: Any) -> bool:
    """Tell whether a state class is a pydantic model."""
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def has_fields(schema: Any) -> bool:
    """Tell whether a state is an instance of a class with fields: a model or a dataclass."""
    return is_model(schema) or (isinstance(schema, type) and dataclasses.is_dataclass(schema))


def is_open(schema: Any) -> bool:
    """Tell whether an instance of a class may have other names than its class tells."""
    if any(_is_written(schema, name) for name in ("__getattr__", "__getattribute__")):
        return True
    return is_model(schema) and schema.model_config.get("extra") == "allow"


def required_fields(schema: Any) -> frozenset[str]:
    """Return the fields without which there is no instance of a state class."""
    if is_model(schema):
        return frozenset(k for k, field in schema.model_fields.items() if field.is_required())
    if not has_fields(schema):
        return frozenset()
    missing = dataclasses.MISSING
    return frozenset(
        field.name
        for field in dataclasses.fields(schema)
        if field.default is missing and field.default_factory is missing
    )


def none_by_default(schema: Any) -> frozenset[str]:
    """Return the fields of a model that are None until they are set: it does not show them then."""
    fields = schema.model_fields if is_model(schema) else {}
    return frozenset(name for name, field in fields.items() if field.default is None)


def couples_fields(schema: Any) -> bool:
    """Tell whether making an instance of a state class may look at several fields at once."""
    if not has_fields(schema):
        return False
    if any(_is_written(schema, name) for name in _MAKERS):
        return True
    if not is_model(schema):
        validates = hasattr(schema, "__pydantic_validator__")
        return validates or any(_sets_by_code(schema, f.name) for f in dataclasses.fields(schema))
    rules = schema.__pydantic_decorators__
    if rules.model_validators or rules.root_validators or rules.validators:
        return True
    for name, field in schema.model_fields.items():
        if field.validation_alias not in (None, name) or field.alias not in (None, name):
            return True  # it is made of another key
    core = core_schema_of(schema)
    return core is None or any(map(_is_handed_others, _parts_of(core)))


_MAKERS: Final = ("__init__", "__new__", "__post_init__", "model_post_init", "__setattr__")
_MADE_BY_PYDANTIC: Final = ("pydantic.", "pydantic_core.")


def _is_written(schema: Any, name: str) -> bool:
    """Tell whether somebody wrote a method of a class: not Python, `dataclass` or pydantic."""
    found = find(schema, name)
    if found is None or found[0] in (object, BaseModel):
        return False
    code = code_of(found[1])
    if code is None:
        return True
    module = getattr(found[1], "__module__", None) or ""
    return not (is_generated(code) or module.startswith(_MADE_BY_PYDANTIC))


def _sets_by_code(schema: Any, name: str) -> bool:
    """Tell whether a descriptor stands where a dataclass keeps a field."""
    found = find(schema, name)
    kind = type(found[1]) if found is not None else object
    return hasattr(kind, "__set__") and kind is not types.MemberDescriptorType


def core_schema_of(schema: Any) -> Mapping[str, Any] | None:
    """Return what pydantic has compiled a model to; None when that is not at hand."""
    try:
        core = schema.__pydantic_core_schema__
    except Exception:
        return None
    return core if isinstance(core, dict) else None


def core_fields_of(schema: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the compiled rules of each field of a model; empty when they are not at hand."""
    part: Any = core_schema_of(schema)
    while isinstance(part, dict) and part.get("type") in ("definitions", "model"):
        part = part.get("schema")
    if not isinstance(part, dict) or part.get("type") != "model-fields":
        return {}
    fields: Mapping[str, Mapping[str, Any]] = part["fields"]
    return fields


def _is_handed_others(part: Mapping[str, Any]) -> bool:
    """Tell whether a validator or factory is handed the fields before its own."""
    function = part.get("function")
    if isinstance(function, dict) and function.get("type") == "with-info":
        return True
    return part.get("default_factory_takes_data") is True


def _parts_of(core: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a compiled schema and all that it is made of, but for what serializes."""
    pending, seen = [core], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            yield part
            pending.extend(v for k, v in part.items() if k not in ("metadata", "serialization"))
        elif isinstance(part, (list, tuple)):
            pending.extend(part)


def stable_fields(schema: Any) -> frozenset[str]:
    """Return the fields that hold what they are given, or what giving it once more leaves alone.

    What an instance holds there can be given to another one, or to its channel, as often as one
    likes.
    """
    if not has_fields(schema) or couples_fields(schema):
        return frozenset()
    if any(_is_written(schema, name) for name in ("__getattribute__", "__getattr__")):
        return frozenset()
    if not is_model(schema):
        return frozenset(field.name for field in dataclasses.fields(schema) if field.init)
    fields = core_fields_of(schema)
    return frozenset(
        name
        for name, field in fields.items()
        if all(part.get("type") in _STABLE for part in _parts_of(field) if "type" in part)
    )


_STABLE: Final = frozenset(
    {
        *("any", "none", "bool", "int", "float", "str", "bytes", "decimal", "uuid", "literal"),
        *("date", "time", "datetime", "timedelta", "list", "tuple", "set", "frozenset", "dict"),
        *("enum", "nullable", "union", "default", "is-instance", "model-field"),
    }
)
"""Kinds of compiled rules that leave alone what has gone through them once."""
