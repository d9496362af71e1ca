"""Perfetto: writes a timeline as Chrome trace JSON, to be opened in ui.perfetto.dev.

Engines are processes and their slots threads, so a row shows what one slot served. Programs are a
second group of rows, which shows for each program when its calls waited and ran. Queue depths are
counters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from langgraph_rsm.telemetry.timeline import DepthSample, Span, Timeline

_QUEUE_PID = 1
_PROGRAMS_PID = 2
_FIRST_ENGINE_PID = 10

_Event = dict[str, Any]


def write_trace(timeline: Timeline, path: str | PathLike[str]) -> Path:
    """Write a timeline to a trace file.

    Args:
        timeline: What to write; may go on recording.
        path: File to write, usually `*.json`; an existing one is replaced.

    Returns:
        The path.
    """
    target = Path(path)
    target.write_text(json.dumps(build_trace(timeline)), encoding="utf-8")
    return target


def build_trace(timeline: Timeline) -> _Event:
    """Return the trace as an object for `json.dump`; times in microseconds from the first event."""
    spans, depths = timeline.spans, timeline.depths
    moments = [span.submitted_s for span in spans] + [sample.at_s for sample in depths]
    origin_s = min(moments, default=0.0)
    events = [*_engine_rows(spans), *_program_rows(spans), *_queue_counters(depths)]
    for event in events:
        if "ts" in event:
            event["ts"] = round((event["ts"] - origin_s) * 1e6, 3)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _engine_rows(spans: tuple[Span, ...]) -> Iterator[_Event]:
    pids: dict[str, int] = {}
    for span in spans:
        if span.engine_id is None or span.lane is None or span.dispatched_s is None:
            continue
        pid = pids.get(span.engine_id)
        if pid is None:
            pid = pids[span.engine_id] = _FIRST_ENGINE_PID + len(pids)
            yield _process_name(pid, f"engine {span.engine_id}")
        row = {"pid": pid, "tid": span.lane}
        yield _block(span, span.program_id, span.dispatched_s, span.finished_s) | row
        if span.first_token_s is not None:
            yield {"name": "first token", "ph": "i", "s": "t", "ts": span.first_token_s} | row


def _program_rows(spans: tuple[Span, ...]) -> Iterator[_Event]:
    """Asynchronous slices, since the calls of one program may overlap in time."""
    yield _process_name(_PROGRAMS_PID, "programs")
    for span in spans:
        row = {"cat": span.program_id, "id": span.call_id, "pid": _PROGRAMS_PID, "tid": 0}
        started_s = span.finished_s if span.dispatched_s is None else span.dispatched_s
        name = span.call_site or span.program_id
        pieces = (("waiting", span.submitted_s, started_s), (name, started_s, span.finished_s))
        for piece, begin_s, end_s in pieces:
            yield {"name": piece, "ph": "b", "ts": begin_s, "args": _details(span)} | row
            yield {"name": piece, "ph": "e", "ts": end_s} | row


def _queue_counters(depths: tuple[DepthSample, ...]) -> Iterator[_Event]:
    yield _process_name(_QUEUE_PID, "queue")
    for sample in depths:
        yield {
            "name": f"waiting, level {sample.level}",
            "ph": "C",
            "ts": sample.at_s,
            "pid": _QUEUE_PID,
            "args": {"calls": sample.waiting},
        }


def _block(span: Span, name: str, begin_s: float, end_s: float) -> _Event:
    return {
        "name": name,
        "cat": span.outcome.value,
        "ph": "X",
        "ts": begin_s,
        "dur": round((end_s - begin_s) * 1e6, 3),
        "args": _details(span),
    }


def _details(span: Span) -> _Event:
    dispatched_s = span.finished_s if span.dispatched_s is None else span.dispatched_s
    details: _Event = {
        "call": span.call_id,
        "program": span.program_id,
        "thread": span.thread_id,
        "call_site": span.call_site,
        "tenant": span.tenant,
        "level": span.level,
        "outcome": span.outcome.value,
        "wait_s": dispatched_s - span.submitted_s,
    }
    if span.tokens is not None:
        details["input_tokens"] = span.tokens.input_tokens
        details["output_tokens"] = span.tokens.output_tokens
    return details


def _process_name(pid: int, name: str) -> _Event:
    return {"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}}
