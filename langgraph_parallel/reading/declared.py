"""From declared effects to an error, where they name something that the graph does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from langgraph_parallel.effects import ALL, DECLARED, Effects
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.reading.model import END, ROOT, START, Graph

_MOST_NAMES: Final = 20
"""Names that a message lists."""


def check_names(graph: Graph, declared: Iterable[str]) -> None:
    """Check the nodes for which effects are given.

    Raises:
        AnalysisError: If the graph has no such node.
    """
    if unknown := sorted(set(declared) - set(graph.nodes)):
        near = _near(unknown[0], graph.nodes)
        msg = f"effects= names {unknown[0]!r}, but the graph's nodes are {near}."
        raise AnalysisError(msg)


def check_keys(graph: Graph, declared: Mapping[str, Effects], found: Mapping[str, Effects]) -> None:
    """Check the state keys that effects name, where somebody has declared them.

    A misspelt key would take a dependence away without a word.

    Args:
        graph: The graph.
        declared: Effects that were given for nodes, by name.
        found: The effects of all nodes, those of `@effects` on a node's function among them.

    Raises:
        AnalysisError: If the graph has no such key.
    """
    if ROOT in graph.channels:
        return
    known = graph.channels | graph.managed
    for name, effects in found.items():
        node = graph.nodes[name]
        given = declared.get(name) or node.declared
        if given is None and not any(evidence is DECLARED for evidence in effects.evidence):
            continue
        for kind in ("reads", "writes", "mutates", "folds"):
            keys = getattr(given or effects, kind)
            if keys is ALL:
                continue
            if unknown := sorted(keys - known - node.shape.keys):
                near = _near(unknown[0], known | node.shape.keys)
                msg = (
                    f"The effects declared for node {name!r} name {unknown[0]!r} in {kind}=, but "
                    f"the keys of the state are {near}."
                )
                raise AnalysisError(msg)


def check_edges(graph: Graph) -> None:
    """Check where the edges of a graph lead and come from.

    Raises:
        AnalysisError: If one names a node that the graph does not have.
    """
    if (missing := missing_node(graph)) is not None:
        edge, name = missing
        msg = (
            f"{edge} names {name!r}, which is not a node of the graph; its nodes are "
            f"{_near(name, graph.nodes)}."
        )
        raise AnalysisError(msg)


def missing_node(graph: Graph) -> tuple[str, str] | None:
    """Return what names a node that does not exist, and that node; None for a whole graph."""
    known = {START, END, *graph.nodes}
    for edge, names in _edges(graph):
        if missing := sorted(set(names) - known):
            return edge, missing[0]
    return None


def _edges(graph: Graph) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield every edge in words, and the nodes that it names."""
    for source, target in sorted(graph.edges):
        yield f"The edge {source!r} -> {target!r}", (source, target)
    for sources, target in sorted(graph.joins):
        yield f"The edge {list(sources)!r} -> {target!r}", (*sources, target)
    for source, routers in graph.routers.items():
        for router in routers:
            yield f"The conditional edge of {source!r}", (source, *(router.ends or ()))
    for source, node in graph.nodes.items():
        yield f"The destinations of {source!r}", node.ends


def _near(name: str, known: Iterable[str]) -> str:
    """Return the names that there are, and which of them are spelled nearly so."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    listed = (", ".join(names[:_MOST_NAMES]) or "(none)") + more
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    return listed + hint
