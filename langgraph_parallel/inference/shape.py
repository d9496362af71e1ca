"""From a state schema to its keys and to what each annotation promises about the value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langgraph.graph.message import add_messages
from typing_extensions import get_type_hints

from langgraph_parallel.inference.code.datamodel import user_defined
from langgraph_parallel.inference.code.state_classes import (
    couples_fields,
    has_fields,
    stable_fields,
)
from langgraph_parallel.inference.machine.annotations import leaves_open, value_of_annotation
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.machine.values import Data, Value


def describe_schema(
    schema: Any,
    keys: Iterable[str] | None = None,
    reducer_of: Callable[[str], Any] = lambda _key: None,
    plain: frozenset[str] | None = None,
    channels: frozenset[str] | None = None,
    context: Any = None,
) -> Shape:
    """Return the shape of the state that a node with input schema `schema` receives.

    Args:
        schema: A TypedDict, dataclass or pydantic model.
        keys: The keys as the graph knows them; None takes them from the annotations.
        reducer_of: The reducer of a key's channel, or None.
        plain: Keys whose channel keeps the last value; None when that is not known.
        channels: All keys of the graph; None when they are not known.
        context: The schema of the run's context; None when there is none.
    """
    hints = _hints(schema)
    names = frozenset(hints if keys is None else keys)
    others = (channels or names) - names if has_fields(schema) else frozenset()
    return Shape(
        keys=names,
        hints={
            name: _promise(hints[name], name, reducer_of(name)) for name in names if name in hints
        },
        attributes=has_fields(schema),
        plain=plain,
        open=frozenset(name for name in names if leaves_open(hints.get(name))),
        channels=channels,
        shown=frozenset(key for key in others if hasattr(schema, key)),
        cls=schema if has_fields(schema) else None,
        stable=stable_fields(schema),
        own_code=frozenset(user_defined(schema)) if has_fields(schema) else frozenset(),
        context=context,
    )


def read_by_coercion(schema: Any, keys: frozenset[str]) -> frozenset[str]:
    """Return the keys that making the state object looks at as one, whatever the node does.

    A field that is asked alone whether its value will do is no read: what an earlier node has
    written there is refused in the place of that node's neighbors, or by the next node
    (`reading.validation`).
    """
    return keys if couples_fields(schema) else frozenset()


def _hints(schema: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(schema, include_extras=True)
    except Exception:
        return {}


def _promise(annotation: Any, key: str, reducer: Any) -> Value:
    """Return the abstract value of a state key, from its annotation."""
    if reducer is add_messages:
        return frozenset({Data(frozenset({key}), plain=True)})
    return value_of_annotation(annotation, frozenset({key}))
