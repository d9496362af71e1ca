"""From the state classes of a region's nodes to what making their states asks of earlier nodes.

Before a node runs, LangGraph makes its pydantic or dataclass state of all values. Where that fails,
an earlier node has written what will not do, and in program order nothing later has run. So

* a required field is read where it may have no value yet;
* a field that may refuse its value is checked when a node that shares the superstep has written it
  (`Check`), or by a node that certainly comes after both; where neither is possible it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph_parallel.effects import Effects, Evidence, bounded, union
from langgraph_parallel.inference.calls.construct import makes_quietly
from langgraph_parallel.inference.code.state_classes import (
    core_fields_of,
    is_model,
    required_fields,
)
from langgraph_parallel.inference.infer import making_effects, reducer_effects
from langgraph_parallel.reading.model import Graph, Node, Region


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """What an update must stand before a node that shares its superstep would have been started."""

    schema: Any
    """The pydantic class of that node's state."""
    reducers: Mapping[str, Callable[..., Any]]
    """How the keys of it fold that are no plain ones."""


def with_validation(
    graph: Graph, region: Region, effects: Mapping[str, Effects]
) -> dict[str, Effects]:
    """Return the effects of a region's nodes with what making their states reads."""
    reader = _Reader(graph, region, effects)
    return {name: reader.effects_of(index) for index, name in enumerate(region.nodes)}


@dataclass(slots=True)
class _Reader:
    graph: Graph
    region: Region
    effects: Mapping[str, Effects]
    quiet: dict[Any, bool] = field(default_factory=dict)

    def effects_of(self, index: int) -> Effects:
        name = self.region.nodes[index]
        found, node = self.effects[name], self.graph.nodes[name]
        read = self._required(node, index) | self._refused(node, index)
        if union(found.reads, read) == found.reads:
            return found
        what = f"is handed a {node.schema.__name__}, which may refuse {_listed(read)}"
        return replace(
            found,
            reads=union(found.reads, read),
            evidence=(*found.evidence, Evidence(what=what)),
        )

    def _required(self, node: Node, index: int) -> frozenset[str]:
        """Return the required fields that may have no value before some earlier node has run."""
        nodes = self.graph.nodes
        known = required_fields(nodes[self.region.nodes[0]].schema)
        asked = (required_fields(node.schema) & node.shape.keys) - known
        earlier = {name: self.effects[name] for name in self.region.nodes[:index]}
        return first_filled(self.graph, earlier, asked)

    def _refused(self, node: Node, index: int) -> frozenset[str]:
        """Return the fields whose new value nobody else would refuse in the node's place."""
        if not index or not is_model(node.schema) or self._is_validated_after(node.schema):
            return frozenset()
        keys = node.shape.keys
        return frozenset(
            key
            for earlier in self.region.nodes[:index]
            for key in bounded(self.effects[earlier].writes, keys)
            if not self._can_check(self.graph.nodes[earlier], node.schema, key)
        )

    def _is_validated_after(self, schema: Any) -> bool:
        after = self.graph.nodes.get(self.region.exit or "")
        return after is not None and after.schema is schema

    def _can_check(self, writer: Node, schema: Any, key: str) -> bool:
        if not can_amend(writer):
            return False
        if schema not in self.quiet:
            self.quiet[schema] = makes_silently(schema)
        return self.quiet[schema] and _can_fold(self.graph, schema, key)


def first_filled(
    graph: Graph, effects: Mapping[str, Effects], asked: frozenset[str]
) -> frozenset[str]:
    """Return those of some keys that may get their first value from one of some nodes.

    A node whose own state requires the key has found a value there.
    """
    return frozenset(
        key
        for name, found in (effects.items() if asked else ())
        for key in bounded(found.writes, asked)
        if key not in required_fields(graph.nodes[name].schema)
    )


def required_of(graph: Graph, effects: Mapping[str, Effects], name: str) -> frozenset[str]:
    """Return the keys without which there is no state for a node, and that may be empty still."""
    node = graph.nodes[name]
    return first_filled(graph, effects, required_fields(node.schema) & node.shape.keys)


def _listed(keys: frozenset[str]) -> str:
    return ", ".join(map(repr, sorted(keys)))


def can_amend(node: Node) -> bool:
    """Tell whether a failure that is added to a node's result shows like one of the node after it.

    A retry policy would take it for the node's own, and so would an error handler.
    """
    return node.can_project and not (node.is_retried or node.is_handled or node.cache_policy)


def makes_silently(schema: Any) -> bool:
    """Tell whether nobody notices how often an instance of a state class is made."""
    if makes_quietly(schema):
        return True
    found = making_effects(schema)
    touched = found.looks_at | found.changes
    left = found.control - {"raise"}
    return found.certain and not (touched or found.external or found.mutates or left)


def _can_fold(graph: Graph, schema: Any, key: str) -> bool:
    """Tell whether it can be told what a channel holds after one more update."""
    if key in graph.plain:
        return True
    reducer = graph.reducers.get(key)
    if key not in graph.folding or reducer is None:
        return False
    rule = core_fields_of(schema).get(key)
    limited = rule is None or any("length" in str(name) for name in _names_in(rule))
    return not limited and reducer_effects(reducer) == Effects()


def _names_in(rule: Any) -> Iterator[Any]:
    if isinstance(rule, dict):
        yield from rule
        for part in rule.values():
            yield from _names_in(part)


def checks_of(
    graph: Graph, names: Sequence[str], levels: Sequence[int], effects: Mapping[str, Effects]
) -> dict[str, tuple[Check, ...]]:
    """Return what the update of each node of a region has to stand before later ones had started.

    Args:
        graph: The graph.
        names: The nodes in program order.
        levels: Their supersteps.
        effects: Their effects.
    """
    checks = {}
    for index, name in enumerate(names):
        if not can_amend(graph.nodes[name]):
            continue
        beside = {
            graph.nodes[other].schema: None
            for other, level in zip(names[index + 1 :], levels[index + 1 :], strict=True)
            if level <= levels[index]
            and is_model(graph.nodes[other].schema)
            and bounded(effects[name].writes, graph.nodes[other].shape.keys)
        }
        if beside:
            checks[name] = tuple(
                Check(schema=schema, reducers=graph.reducers)
                for schema in beside
                if makes_silently(schema)
            )
    return checks
