"""Gantt chart: draws a timeline as a PNG, one row per engine slot, colors by program or site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from langgraph_rsm.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    from langgraph_rsm.telemetry.timeline import Span, Timeline

_ROW_IN = 0.28
"""Height of a row in inches."""
_LEGEND_ENTRIES = 12
"""Colors named in the legend; more would cover the chart."""


def draw_gantt(
    timeline: Timeline,
    path: str | PathLike[str],
    *,
    title: str = "",
    color_by: Literal["program", "call_site", "tenant"] = "program",
) -> Path:
    """Draw a timeline: bars are calls on slots, thin gray lines the waits before them.

    Args:
        timeline: What to draw.
        path: PNG file to write; an existing one is replaced.
        title: Heading of the chart.
        color_by: What calls of one color have in common.

    Returns:
        The path.

    Raises:
        ConfigError: matplotlib is not installed, or no call has been served yet.
    """
    spans = [span for span in timeline.spans if span.lane is not None]
    if not spans:
        msg = "nothing to draw: the timeline has no served call yet; pass it as a scheduler hook"
        raise ConfigError(msg)
    figure_class, canvas_class = _load_matplotlib()
    rows = _number_rows(spans)
    figure = figure_class(figsize=(12, 1.4 + _ROW_IN * len(rows)), layout="constrained")
    canvas = canvas_class(figure)
    axes = figure.add_subplot()
    _draw_bars(axes, spans, rows, color_by)
    axes.set_yticks(list(rows.values()), [f"{engine} [{lane}]" for engine, lane in rows])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.set_title(title)
    target = Path(path)
    canvas.print_figure(target, format="png", dpi=120)
    return target


def _load_matplotlib() -> tuple[Any, Any]:
    """Return the figure and canvas classes; no global state, no display, any thread."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = "drawing needs matplotlib: pip install 'langgraph-accel[viz]'"
        raise ConfigError(msg) from error
    return Figure, FigureCanvasAgg


def _number_rows(spans: list[Span]) -> dict[tuple[str, int], int]:
    """Return the row of each slot, engines in alphabetical order and slots ascending."""
    slots = sorted({(span.engine_id or "", span.lane or 0) for span in spans})
    return {slot: row for row, slot in enumerate(slots)}


def _draw_bars(
    axes: Any, spans: list[Span], rows: dict[tuple[str, int], int], color_by: str
) -> None:
    origin_s = min(span.submitted_s for span in spans)
    colors: dict[str, str] = {}
    for span in sorted(spans, key=lambda span: span.submitted_s):
        row = rows[span.engine_id or "", span.lane or 0]
        group = span.program_id if color_by == "program" else getattr(span, color_by)
        new = group not in colors
        color = colors.setdefault(group, f"C{len(colors) % 10}")
        begin_s = span.dispatched_s if span.dispatched_s is not None else span.submitted_s
        # Above the bars of its row: other calls have the slot while this one waits.
        axes.hlines(
            row - 0.42,
            span.submitted_s - origin_s,
            begin_s - origin_s,
            color="0.6",
            linewidth=0.8,
        )
        axes.barh(
            row,
            span.finished_s - begin_s,
            left=begin_s - origin_s,
            height=0.64,
            color=color,
            edgecolor="white",
            linewidth=0.5,
            label=(group or "(unnamed)") if new and len(colors) <= _LEGEND_ENTRIES else None,
        )
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize="small",
        title=color_by.replace("_", " "),
    )
