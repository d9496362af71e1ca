"""From a report to a terminal: a tree with tables where rich is installed, else plain text."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from langgraph_parallel.report.blockers import advice
from langgraph_parallel.report.costs import Durations, gain
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.text import headline, text_lines


def show(report: GraphReport, file: TextIO | None = None) -> None:
    """Write a report for people.

    Args:
        report: The report.
        file: Where to; None means `sys.stdout`. Only a terminal gets colors and boxes.
    """
    out = sys.stdout if file is None else file
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        _write_text(report, out)
        return
    console = Console(file=out)
    if console.is_terminal:
        console.print(render(report))
    else:
        _write_text(report, out)


def _write_text(report: GraphReport, out: TextIO) -> None:
    out.writelines(f"{line}\n" for line in text_lines(report))


def render(report: GraphReport) -> Any:
    """Return a report as a rich tree; the pairs are left to the text form.

    Raises:
        ModuleNotFoundError: When rich is not installed.
    """
    from rich.text import Text
    from rich.tree import Tree

    # `Text` takes its argument literally: brackets in a node's name are no markup.
    tree = Tree(Text(headline(report), style="bold"), guide_style="dim")
    for part in report.regions:
        if not part.pair_count:
            continue
        branch = tree.add(Text(f"Run of {len(part.region.nodes)} nodes"))
        branch.add(_level_table(part, report.predicted))
    if found := advice(report):
        branch = tree.add(Text("What would help"))
        for blocker in found:
            text = Text(f"{blocker.subject}: ", style="bold")
            text.append(f"{blocker.cause}; ", style="not bold")
            text.append(gain(blocker.saves, blocker.speedup, blocker.unit), style="green")
            leaf = branch.add(text)
            leaf.add(Text(blocker.remedy))
            if blocker.declaration:
                leaf.add(Text(blocker.declaration, style="cyan"))
    if report.refusals:
        branch = tree.add(Text("Left as it is"))
        for refusal in report.refusals:
            branch.add(Text(str(refusal)))
    return tree


def _level_table(part: RegionReport, predicted: Durations) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("superstep" if part.has_barriers else "earliest start", justify="right")
    table.add_column("nodes")
    table.add_column(predicted.unit, justify="right")
    for number, level in enumerate(part.levels, start=1):
        longest = max(predicted.by_node.get(name, 0.0) for name in level)
        table.add_row(str(number), Text(", ".join(level)), f"{longest:.3g}")
    return table
