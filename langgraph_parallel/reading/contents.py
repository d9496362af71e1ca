"""From a graph to the keys that hold what its own nodes put there, and to the graph that knows it.

Annotations such as `list` or `dict` leave open what is in a key. It is what a run begins with, or
what a node writes: of the first a run makes sure (`lowering.given`), the second is inferred.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from langgraph_parallel.effects import ALL, Effects, Keys, union
from langgraph_parallel.inference.code.plain import odd_part
from langgraph_parallel.inference.infer import gives_data, keeps_parts
from langgraph_parallel.inference.machine.contents import classes_in, with_contents
from langgraph_parallel.inference.machine.recorder import Shape
from langgraph_parallel.inference.machine.values import Value
from langgraph_parallel.reading.model import Graph, Node
from langgraph_parallel.reading.nodes import Route


def open_keys(graph: Graph, declared: Mapping[str, Effects]) -> frozenset[str]:
    """Return the keys whose annotations leave open what they hold, and that only nodes write."""
    if any(_converts(node) for node in graph.nodes.values()):
        return frozenset()
    known: Keys = frozenset()
    for node in graph.nodes.values():
        given = declared.get(node.name) or node.declared
        if isinstance(given, Effects):
            known = union(known, given.writes)  # of values that are not declared
    if known is ALL:
        return frozenset()
    unclear = {key for key, reducer in graph.reducers.items() if not gives_data(reducer)}
    keys = frozenset().union(*(_open_keys_of(node) for node in graph.nodes.values()))
    return keys & (graph.plain | graph.folding) - known - unclear


def _open_keys_of(node: Node) -> frozenset[str]:
    """Return the keys that the state of a node leaves open, and gives no odd default."""
    return node.shape.open - {
        name
        for name, (default, made) in _defaults_of(node.schema).items()
        if (made not in _FACTORIES if made is not None else odd_part(default) is not None)
    }


def _defaults_of(schema: Any) -> dict[str, tuple[Any, Any]]:
    """Return the default of each field of a state class, and what makes one."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {
            name: (field.default, field.default_factory)
            for name, field in schema.model_fields.items()
            if not field.is_required()
        }
    if not dataclasses.is_dataclass(schema):
        return {}
    found: dict[str, tuple[Any, Any]] = {}
    for field in dataclasses.fields(schema):
        if field.default_factory is not dataclasses.MISSING:
            found[field.name] = None, field.default_factory
        elif field.default is not dataclasses.MISSING:
            found[field.name] = field.default, None
    return found


_FACTORIES: Final = (list, dict, set, str, int, float, tuple)


def computed_keys(graph: Graph) -> frozenset[str]:
    """Return the keys whose reducer computes values of its own."""
    return frozenset(key for key, reducer in graph.reducers.items() if not keeps_parts(reducer))


def _converts(node: Node) -> bool:
    """Tell whether making the state for a node may turn its values into others."""
    schema = node.schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        rules = schema.__pydantic_decorators__
        return bool(rules.validators or rules.field_validators or node.shape.own_code) or any(
            field.metadata for field in schema.model_fields.values()
        )
    return dataclasses.is_dataclass(schema) and bool(node.shape.own_code)


def sent_to(effects: Mapping[str, Effects], routes: Mapping[str, tuple[Route, ...]]) -> Keys:
    """Return the nodes that may be handed something else than the state, by a `Send`."""
    total: Keys = frozenset()
    for found in effects.values():
        if "send" in found.control:
            total = union(total, found.goto)
    for ways in routes.values():
        for route in ways:
            if not route.is_single or "send" in route.effects.control:
                total = union(total, route.targets)
    return total


def with_known_contents(
    graph: Graph, contents: Mapping[str, Value], sent: Keys = frozenset()
) -> Graph:
    """Return a graph whose nodes and routers know what keys hold, but for nodes of `sent`."""
    if not contents:
        return graph

    def known(shape: Shape) -> Shape:
        return replace(shape, hints=with_contents(shape.hints, contents))

    return replace(
        graph,
        nodes={
            name: node if sent is ALL or name in sent else replace(node, shape=known(node.shape))
            for name, node in graph.nodes.items()
        },
        routers={
            source: tuple(replace(router, shape=known(router.shape)) for router in ways)
            for source, ways in graph.routers.items()
        },
    )


def keys_relied_on(
    contents: Mapping[str, Value],
    effects: Mapping[str, Effects],
    routes: Mapping[str, tuple[Route, ...]],
) -> dict[str, frozenset[type]]:
    """Return the keys in which a run must begin with plain data, since somebody looks at them.

    With each stand the classes whose instances nodes put there.
    """
    read: Keys = frozenset()
    for found in effects.values():
        read = union(read, union(found.reads, found.keeps))
    for ways in routes.values():
        for route in ways:
            read = union(read, route.effects.reads)
    return {key: classes_in(value) for key, value in contents.items() if read is ALL or key in read}
