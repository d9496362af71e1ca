"""From the layout of functions to the report on their calls."""

from __future__ import annotations

import inspect

from langgraph_parallel.lowering.bodies.build import Built
from langgraph_parallel.lowering.bodies.layout import Layout
from langgraph_parallel.report.bodies import BodyReport, BodyRuntime, CallReport


def told(built: Built) -> tuple[BodyReport, ...]:
    """Return the reports on functions, without those that reach nothing."""
    return tuple(
        _body(layout, built.runtimes.get(layout.function))
        for layout in built.layouts
        if layout.groups or layout.held
    )


def _body(layout: Layout, runtime: BodyRuntime | None) -> BodyReport:
    node = layout.source.node
    early = [
        CallReport(
            text=site.text,
            line=site.line,
            starts="turns" if group.kind == "loop" else "early",
            from_line=group.home.lineno,
            chain=group.number,
        )
        for group in layout.groups
        for site in group.sites
    ]
    held = [
        CallReport(text=one.text, line=one.line, starts="in place", reason=one.reason)
        for one in layout.held
    ]
    calls = sorted((*early, *held), key=lambda call: call.line)
    return BodyReport(
        name=layout.function.__name__,
        where=layout.source.where(node),
        source=_text(layout),
        first_line=layout.function.__code__.co_firstlineno,
        calls=tuple(calls),
        runtime=runtime,
    )


def _text(layout: Layout) -> str:
    """Return the text of a function as it stands in its file."""
    try:
        return inspect.getsource(layout.function.__code__)
    except (OSError, TypeError):
        return ""
