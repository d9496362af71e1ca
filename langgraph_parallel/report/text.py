"""From a report to plain text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from langgraph_parallel.report.blockers import find_blockers
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import RegionReport

MOST_PAIRS: Final = 60
"""Pairs that the text spells out; a region of n nodes has n(n-1)/2 of them."""

MOST_EFFECTS: Final = 200
"""Nodes of a region whose effects the text spells out."""

_MOST_NODES_TRIED: Final = 200
"""Nodes up to which the text looks for blockers, which takes some 20 schedules."""

_BLOCKERS_SHOWN: Final = 3
"""Blockers in the text: the top ones; `report.blockers()` gives more."""


def text_lines(report: GraphReport) -> Iterator[str]:
    """Yield the lines of the text form."""
    yield headline(report)
    for part in report.regions:
        yield from _region_lines(part)
    yield from _blocker_lines(report)
    if report.refusals:
        yield "Left as it is:"
        yield from (f"  - {refusal}" for refusal in report.refusals)


def headline(report: GraphReport) -> str:
    """Return what was gained, in one line."""
    if not report.is_parallel:
        return "Nothing was made parallel."
    text = (
        f"Parallel: {report.work:g} -> {report.span:g} {report.unit}, "
        f"predicted speed-up {report.speedup:.2f}x"
    )
    if report.measured_speedup is None:
        return text
    work_s, span_s = report.recorded.work(report.regions), report.recorded.span(report.regions)
    return f"{text}; measured {work_s:.3g} -> {span_s:.3g} s, {report.measured_speedup:.2f}x"


def _region_lines(part: RegionReport) -> Iterator[str]:
    nodes = part.region.nodes
    yield f"Run {' -> '.join(nodes)}"
    # Where results are committed in order the supersteps stay, and only the starts move.
    place = "superstep" if part.has_barriers else "earliest start, round"
    for number, level in enumerate(part.levels, start=1):
        yield f"  {place} {number}: {', '.join(level)}"
    yield "  Effects:"
    yield from (f"    {name}: {part.effects[name]}" for name in nodes[:MOST_EFFECTS])
    if len(nodes) > MOST_EFFECTS:
        yield f"    ... and {len(nodes) - MOST_EFFECTS} more (see report.effects)"
    yield "  Pairs:"
    for shown, pair in enumerate(part.pairs()):
        if shown == MOST_PAIRS:
            yield f"    ... and {part.pair_count - shown} more (see report.pairs())"
            return
        yield f"    {pair}"


def _blocker_lines(report: GraphReport) -> Iterator[str]:
    if sum(len(part.steps) for part in report.regions) > _MOST_NODES_TRIED:
        yield "What would help: see report.blockers()"
        return
    found = find_blockers(report, _BLOCKERS_SHOWN)
    if found:
        yield "What would help:"
    for blocker in found:
        first, *rest = str(blocker).splitlines()
        yield f"  - {first}"
        yield from (f"    {line}" for line in rest)
