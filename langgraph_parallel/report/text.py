"""From a report to plain text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from langgraph_parallel.report.blockers import advice
from langgraph_parallel.report.bodies import body_lines
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import RegionReport

MOST_PAIRS: Final = 60
"""Pairs that the text spells out; a region of n nodes has n(n-1)/2 of them."""

MOST_EFFECTS: Final = 200
"""Nodes of a region whose effects the text spells out."""

MOST_NAMED: Final = 3
"""Nodes that a line about several spells out."""

_MOST_NODES_TRIED: Final = 200
"""Nodes up to which the text looks for blockers, which takes some 20 schedules."""

_BLOCKERS_SHOWN: Final = 3
"""Blockers in the text: the top ones; `report.blockers()` gives more."""


def text_lines(report: GraphReport) -> Iterator[str]:
    """Yield the lines of the text form."""
    yield headline(report)
    for part in report.regions:
        yield from _region_lines(part) if part.pair_count else ()
    yield from _inside_lines(report)
    yield from _blocker_lines(report)
    if report.refusals:
        yield "Left as it is:"
        yield from (f"  - {refusal}" for refusal in report.refusals)


def headline(report: GraphReport) -> str:
    """Return what was gained, in one line."""
    if not report.is_parallel:
        return _inside(report) or _nothing(report)
    text = (
        f"Parallel: {report.work:.4g} -> {report.span:.4g} {report.unit}, "
        f"predicted speed-up {report.speedup:.2f}x{_terms(report)}"
    )
    if report.measured_speedup is None:
        return text
    seconds = report.recorded.by_node
    work_s, span_s = report.timeline.before(seconds), report.timeline.after(seconds)
    return f"{text}; measured {work_s:.3g} -> {span_s:.3g} s, {report.measured_speedup:.2f}x"


def _inside(report: GraphReport) -> str:
    """Return the headline where nodes keep their order and calls inside of them run together."""
    names = [n for n, bodies in report.bodies.items() if any(b.is_parallel for b in bodies)]
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    shown = ", ".join(names[:MOST_NAMED]) + more
    return f"The nodes keep their order; calls run together inside of {shown}."


def _nothing(report: GraphReport) -> str:
    """Return the headline where nothing was gained, which names what runs side by side already."""
    beside = max(
        (row.nodes for course in report.timeline.courses for row in course.rows),
        key=len,
        default=(),
    )
    if len(beside) < 2:
        return "Nothing was made parallel."
    more = f" and {len(beside) - MOST_NAMED} more" if len(beside) > MOST_NAMED else ""
    names = ", ".join(beside[:MOST_NAMED]) + more
    return f"Nothing more was made parallel: {names} run side by side already."


def _terms(report: GraphReport) -> str:
    """Return of which run the prediction is, where a graph has several."""
    courses = report.timeline.courses
    if not courses:
        return ""
    if courses[0].is_seen:
        return " in the recorded run" if len(courses) == 1 else f" in {len(courses)} recorded runs"
    loops, choices = courses[0].loops, courses[0].choices
    terms = ["on its longest way"] * bool(choices)
    terms += [f"with its loop at {', '.join(loops[:MOST_NAMED])} passed once"] * bool(loops)
    return f" ({', '.join(terms)}; record() counts what runs do)" if terms else ""


def _region_lines(part: RegionReport) -> Iterator[str]:
    nodes = part.region.nodes
    yield f"Run {_rows(part)}"
    # Where results are committed in order the supersteps stay, and only the starts move.
    place = "superstep" if part.has_barriers else "earliest start, round"
    for number, level in enumerate(part.levels, start=1):
        names = (f"{n} (before it is chosen)" if n in part.guesses else n for n in level)
        yield f"  {place} {number}: {', '.join(names)}"
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


def _rows(part: RegionReport) -> str:
    """Return a run as it was, with braces around nodes that run side by side already."""
    rows = part.rows or tuple((name,) for name in part.region.nodes)
    shown = [row[0] if len(row) == 1 else f"{{{', '.join(row)}}}" for row in rows]
    if part.guesses:
        return f"{' -> '.join(shown[:-1])} -?-> {', '.join(rows[-1])}"
    return " -> ".join(shown)


def _inside_lines(report: GraphReport) -> Iterator[str]:
    if report.bodies:
        yield "Inside of nodes:"
    for name, bodies in report.bodies.items():
        for body in bodies:
            yield from body_lines(name, body)


def _blocker_lines(report: GraphReport) -> Iterator[str]:
    if sum(len(part.steps) for part in report.regions) > _MOST_NODES_TRIED:
        yield "What would help: see report.blockers()"
        return
    found = advice(report, _BLOCKERS_SHOWN)
    if found:
        yield "What would help:"
    for blocker in found:
        first, *rest = str(blocker).splitlines()
        yield f"  - {first}"
        yield from (f"    {line}" for line in rest)
