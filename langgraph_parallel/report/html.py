r"""From a report to a piece of HTML that needs nothing else: no script, no font, no network.

Every text that comes from the graph is escaped. The drawing is inline SVG in the colors of the page
around it:

    before   after
     [a]    [a] [b]
      |       \ /
     [b]      [c]
      |
     [c]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from langgraph_parallel.report.blockers import advice
from langgraph_parallel.report.bodies import BodyReport, CallReport, how
from langgraph_parallel.report.costs import gain
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.text import MOST_PAIRS, headline

_MOST_NODES_DRAWN: Final = 60
"""Nodes of a region up to which it is drawn; a larger drawing cannot be read."""

_BOX_W, _BOX_H, _GAP_X, _GAP_Y = 150, 26, 16, 26
"""Size of a node and the space between two, in SVG units."""

_LABEL_LENGTH: Final = 20
"""Letters of a node's name that fit its box; the full name is its tooltip."""

_STYLE: Final = (
    "<style>.lg-parallel{font-family:system-ui,sans-serif;line-height:1.4}"
    ".lg-parallel table{border-collapse:collapse;margin:.5em 0}"
    ".lg-parallel td,.lg-parallel th{text-align:left;vertical-align:top;padding:.15em .8em .15em 0}"
    ".lg-parallel figure{display:inline-block;vertical-align:top;margin:0 2.5em .5em 0}"
    ".lg-parallel svg{max-width:100%;height:auto}"
    ".lg-parallel code{white-space:pre-wrap}</style>"
)


def as_html(report: GraphReport) -> str:
    """Return a report as an HTML fragment, as notebooks show it."""
    parts = [_STYLE, f"<p><strong>{escape(headline(report))}</strong></p>"]
    for part in report.regions:
        parts += [_drawings(part), _pairs(part)] if part.pair_count else []
    parts += [_bodies(report), _blockers(report), _refusals(report)]
    parts += [_details("Mermaid", f"<pre>{escape(report.after)}</pre>")]
    return f'<div class="lg-parallel">{"".join(parts)}</div>'


def as_page(reports: Iterable[tuple[str, GraphReport]]) -> str:
    """Return named reports as one HTML document."""
    body = "".join(
        f"<h2>{escape(name)}</h2>{as_html(report)}" if name else as_html(report)
        for name, report in reports
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>langgraph_parallel</title></head><body>{body}</body></html>\n"
    )


# -- the drawing ---------------------------------------------------------------------------------


def _drawings(part: RegionReport) -> str:
    nodes = part.region.nodes
    rounds = "supersteps" if part.has_barriers else "rounds of starts"
    if len(nodes) > _MOST_NODES_DRAWN:
        return (
            f"<p>A run of {len(nodes)} nodes, now in {part.schedule.depth} {rounds}: "
            "too large to draw here.</p>"
        )
    chain = [(i,) for i in range(len(nodes) - 1)]
    before = _figure("before", nodes, range(len(nodes)), [(), *chain])
    after = _figure("after", nodes, part.schedule.levels, part.schedule.predecessors)
    return before + after


def _figure(
    title: str,
    nodes: Sequence[str],
    levels: Sequence[int],
    predecessors: Sequence[Sequence[int]],
) -> str:
    places = _places(levels)
    width = max(x for x, _ in places) + _BOX_W + 1
    height = max(y for _, y in places) + _BOX_H + 1
    lines = [_line(places[p], places[i]) for i, before in enumerate(predecessors) for p in before]
    boxes = [_box(name, x, y) for name, (x, y) in zip(nodes, places, strict=True)]
    svg = (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{title}">{"".join(lines + boxes)}</svg>'
    )
    return f"<figure><figcaption>{title}</figcaption>{svg}</figure>"


def _places(levels: Sequence[int]) -> list[tuple[int, int]]:
    """Return the upper left corner of each node: a row for each superstep."""
    taken: dict[int, int] = {}
    places = []
    for level in levels:
        column = taken.get(level, 0)
        taken[level] = column + 1
        places.append((1 + column * (_BOX_W + _GAP_X), 1 + level * (_BOX_H + _GAP_Y)))
    return places


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = start, end
    half = _BOX_W // 2
    return (
        f'<line x1="{x1 + half}" y1="{y1 + _BOX_H}" x2="{x2 + half}" y2="{y2}" '
        'stroke="currentColor" stroke-opacity=".5"/>'
    )


def _box(name: str, x: int, y: int) -> str:
    label = name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1] + "…"
    return (
        f'<g><title>{escape(name)}</title><rect x="{x}" y="{y}" width="{_BOX_W}" '
        f'height="{_BOX_H}" rx="5" fill="none" stroke="currentColor"/><text x="{x + _BOX_W // 2}" '
        f'y="{y + _BOX_H // 2 + 4}" text-anchor="middle" font-size="12" fill="currentColor">'
        f"{escape(label)}</text></g>"
    )


# -- the tables ----------------------------------------------------------------------------------


def _pairs(part: RegionReport) -> str:
    shown: list[tuple[str, str]] = []
    for pair in part.pairs():
        if len(shown) == MOST_PAIRS:
            shown.append((f"... and {part.pair_count - MOST_PAIRS} more", ""))
            break
        shown.append((f"{pair.earlier} → {pair.later}", pair.reason))
    return _details("Why each pair is ordered or not", _table(shown))


def _bodies(report: GraphReport) -> str:
    """Return the functions whose calls run together, with their lines marked."""
    return "".join(
        _details(f"Inside of {name}: {body.name} ({body.where})", _body(body))
        for name, bodies in report.bodies.items()
        for body in bodies
    )


def _body(body: BodyReport) -> str:
    calls: dict[int, list[CallReport]] = {}
    for call in body.calls:
        calls.setdefault(call.line, []).append(call)
    rows = []
    for number, text in enumerate(body.source.splitlines(), body.first_line):
        notes = "<br>".join(f"{escape(c.text)}: {escape(how(c))}" for c in calls.get(number, ()))
        groups = {c.chain for c in calls.get(number, ()) if c.starts != "in place"}
        color = f' style="background:{_COLORS[min(groups) % len(_COLORS)]}"' if groups else ""
        rows.append(
            f"<tr{color}><td>{number}</td><td><code>{escape(text)}</code></td><td>{notes}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


_COLORS: Final = ("#3b82f633", "#22c55e33", "#f59e0b33", "#a855f733", "#ef444433")
"""One for each group of calls that come one after another; readable on light and dark."""


def _blockers(report: GraphReport) -> str:
    found = advice(report)
    if not found:
        return ""
    rows = []
    for b in found:
        code = f"<br><code>{escape(b.declaration)}</code>" if b.declaration else ""
        rows.append(
            f"<tr><td><strong>{escape(b.subject)}</strong></td>"
            f"<td>{escape(b.cause)}<br>{escape(b.remedy)}{code}</td>"
            f"<td>{escape(gain(b.saves, b.speedup, b.unit))}</td></tr>"
        )
    return f"<p>What would help:</p><table>{''.join(rows)}</table>"


def _refusals(report: GraphReport) -> str:
    if not report.refusals:
        return ""
    items = "".join(f"<li>{escape(str(refusal))}</li>" for refusal in report.refusals)
    return f"<p>Left as it is:</p><ul>{items}</ul>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"
