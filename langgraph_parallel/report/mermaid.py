"""From a graph's edges to Mermaid text, without network or browser."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final

from langgraph_parallel.reading.model import END, START, Graph

_ENTITIES: Final = str.maketrans(
    {c: f"#{ord(c)};" for c in '#"<>&`'} | dict.fromkeys(map(chr, range(32)), " ")
)
"""Mermaid's own escapes for what would end a label, start HTML or start Markdown in it."""


def draw_mermaid(graph: Graph, expanded: Container[str] = frozenset()) -> str:
    """Return the topology of a graph as a Mermaid flow chart.

    Plain edges are solid, conditional ones dotted; several solid edges into one node that come from
    one waiting edge are drawn thick: the node waits for all of them. A plain edge beside a thick
    one is left out: it says no more.

    Args:
        graph: The graph.
        expanded: Nodes whose sub-graph is drawn inside of them, by name.
    """
    return "\n".join(["flowchart TD", *_lines(graph, expanded, "n", "  ")])


def _lines(graph: Graph, expanded: Container[str], start: str, indent: str) -> Iterator[str]:
    ids = {name: f"{start}{i}" for i, name in enumerate((START, *graph.nodes, END))}
    for name, id_ in ids.items():
        inner = graph.nodes[name].inner if name in expanded else None
        if inner is not None:
            yield f'{indent}subgraph {id_}["{name.translate(_ENTITIES)}"]'
            yield from _lines(inner, inner.nodes, f"{id_}_", f"{indent}  ")
            yield f"{indent}end"
        else:
            yield f"{indent}{id_}{_box(name)}"
    joined = {(source, target) for sources, target in graph.joins for source in sources}
    plain = sorted(graph.edges - joined, key=_by(ids))
    yield from (f"{indent}{ids[u]} --> {ids[v]}" for u, v in plain)
    for sources, target in sorted(graph.joins):
        yield from (f"{indent}{ids[source]} ==> {ids[target]}" for source in sources)
    for source, routers in graph.routers.items():
        for router in routers:
            ends = graph.nodes if router.ends is None else sorted(router.ends)
            yield from (f"{indent}{ids[source]} -.-> {ids[end]}" for end in ends)


def escape_label(text: str) -> str:
    """Return text that stands between quotes in Mermaid as nothing but text."""
    return text.translate(_ENTITIES)


def _box(name: str) -> str:
    label = escape_label(name)
    return f'(["{label}"])' if name in (START, END) else f'["{label}"]'


def _by(ids: dict[str, str]) -> Any:
    order = {name: i for i, name in enumerate(ids)}
    return lambda edge: (order[edge[0]], order[edge[1]])
