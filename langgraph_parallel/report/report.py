"""What `parallelize` did and why: for people as text, HTML and Mermaid, for programs as fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TextIO

from langgraph_parallel.report.blockers import Blocker, find_blockers
from langgraph_parallel.report.export import as_dict
from langgraph_parallel.report.html import as_html
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.terminal import render, show
from langgraph_parallel.report.text import headline, text_lines


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParallelReport(GraphReport):
    """What was made parallel in a graph, and why the rest was not.

    `print(report)` gives it as text, a notebook shows it as HTML, `rich.print(report)` as a tree.
    """

    def blockers(self, limit: int = 5) -> tuple[Blocker, ...]:
        """Return the single changes that would save most, the best first.

        Each is a node or a pair, what it is held by and where, the line that unlocks it, and the
        time that this alone would save: in recorded seconds when there are any, else as predicted.

        Args:
            limit: How many to return (>= 0).

        Returns:
            At most `limit` records; empty when no single change helps.

        Complexity: some 20 schedules at most, fewer for graphs of more than 500 nodes.
        """
        return find_blockers(self, limit)

    def mermaid(self) -> str:
        """Return the graph after the rewrite as Mermaid text."""
        return self.after

    def show(self, file: TextIO | None = None) -> None:
        """Write the report to `file`, or to the output: with rich to a terminal, else as text."""
        show(self, file)

    def to_dict(self, *, max_pairs: int | None = 1000) -> dict[str, Any]:
        """Return the report as plain values.

        The keys are documented at the top of `langgraph_parallel.report.export`.

        Args:
            max_pairs: Pairs to spell out (>= 0), of the n(n-1)/2 of each region; None means all.
        """
        return as_dict(self, max_pairs=max_pairs)

    def to_json(self, *, max_pairs: int | None = 1000) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(max_pairs=max_pairs), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        nodes = sum(len(part.region.nodes) for part in self.regions)
        return f"<ParallelReport of {nodes} nodes: {headline(self)}>"

    def __str__(self) -> str:
        return "\n".join(text_lines(self))

    def __rich__(self) -> Any:
        return render(self)

    def _repr_html_(self) -> str:
        return as_html(self)
