"""From a graph's edges to Mermaid text, without network, browser or compiled graph."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

_ENTITIES: Final = str.maketrans(
    {c: f"#{ord(c)};" for c in '#"<>&`'} | dict.fromkeys(map(chr, range(32)), " ")
)
"""Mermaid's own escapes for what would end a label, start HTML or start Markdown in it."""


def draw_mermaid(
    builder: StateGraph[Any, Any, Any, Any], expanded: Container[str] = frozenset()
) -> str:
    """Return the topology of a graph as a Mermaid flow chart.

    Plain edges are solid, conditional ones dotted; several solid edges into one node that come from
    one waiting edge are drawn thick: the node waits for all of them. A plain edge beside a thick
    one is left out: it says no more.

    Args:
        builder: The graph.
        expanded: Nodes whose sub-graph is drawn inside of them, by name.
    """
    return "\n".join(["flowchart TD", *_lines(builder, expanded, "n", "  ")])


def _lines(
    builder: StateGraph[Any, Any, Any, Any], expanded: Container[str], start: str, indent: str
) -> Iterator[str]:
    ids = {name: f"{start}{i}" for i, name in enumerate((START, *builder.nodes, END))}
    for name, id_ in ids.items():
        inner = builder.nodes[name].runnable if name in expanded else None
        if isinstance(inner, CompiledStateGraph):
            yield f'{indent}subgraph {id_}["{name.translate(_ENTITIES)}"]'
            yield from _lines(inner.builder, inner.builder.nodes, f"{id_}_", f"{indent}  ")
            yield f"{indent}end"
        else:
            yield f"{indent}{id_}{_box(name)}"
    joined = {(source, target) for sources, target in builder.waiting_edges for source in sources}
    plain = sorted(builder.edges - joined, key=_by(ids))
    yield from (f"{indent}{ids[u]} --> {ids[v]}" for u, v in plain)
    for sources, target in sorted(builder.waiting_edges):
        yield from (f"{indent}{ids[source]} ==> {ids[target]}" for source in sources)
    for source, branches in builder.branches.items():
        for branch in branches.values():
            ends = builder.nodes if branch.ends is None else sorted(set(branch.ends.values()))
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
