"""From a graph's edges to Mermaid text, without network, browser or compiled graph."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph


def draw_mermaid(builder: StateGraph[Any, Any, Any, Any]) -> str:
    """Return the topology of a graph as a Mermaid flow chart.

    Plain edges are solid, conditional ones dotted; several solid edges into one node that come from
    one waiting edge are drawn thick: the node waits for all of them.
    """
    ids = {name: f"n{i}" for i, name in enumerate((START, *builder.nodes, END))}
    lines = ["flowchart TD"]
    lines += [f"  {ids[name]}{_box(name)}" for name in ids]
    lines += [f"  {ids[u]} --> {ids[v]}" for u, v in sorted(builder.edges, key=_by(ids))]
    for sources, target in sorted(builder.waiting_edges):
        lines += [f"  {ids[source]} ==> {ids[target]}" for source in sources]
    for source, branches in builder.branches.items():
        for branch in branches.values():
            ends = builder.nodes if branch.ends is None else sorted(set(branch.ends.values()))
            lines += [f"  {ids[source]} -.-> {ids[end]}" for end in ends]
    return "\n".join(lines)


def _box(name: str) -> str:
    label = name.replace('"', "'")
    return f'(["{label}"])' if name in (START, END) else f'["{label}"]'


def _by(ids: dict[str, str]) -> Any:
    order = {name: i for i, name in enumerate(ids)}
    return lambda edge: (order[edge[0]], order[edge[1]])
