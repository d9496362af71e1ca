"""Replay: recorded calls out of a timeline into a file, and as programs into a simulation.

A trace is a file of JSON lines, one ended call each, in any order:

    {"program": "run-1", "call": "call-7", "submitted_s": 12.5, "finished_s": 14.0,
     "prompt_tokens": 900, "output_tokens": 120,
     "graph": "", "call_site": "agent", "thread": "", "tenant": "default", "parents": ["call-5"]}

The second line of fields is optional. Where `parents` is missing it is inferred from the times. A
call needed what had ended when it was submitted: the latest call of its own thread; the latest ones
of threads that were over; and, if it began its thread, those of threads that had not gone on. What
passed between the last parent and the submission was the program's own
time (tools, people) and is kept as a delay. Prompts of one thread are taken for a conversation that
grows; one that shrinks begins a new conversation. No text is recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from langgraph_rsm.simulation.errors import TraceError
from langgraph_rsm.simulation.programs import CallSpec, ProgramSpec
from langgraph_rsm.telemetry.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from langgraph_rsm.telemetry.timeline import Span, Timeline


class RecordedCall(BaseModel):
    """One line of a trace."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    program: str
    call: str
    submitted_s: float
    finished_s: float
    prompt_tokens: int = Field(ge=1)
    output_tokens: int = Field(ge=1)
    graph: str = ""
    call_site: str = ""
    thread: str = ""
    tenant: str = "default"
    parents: tuple[str, ...] | None = None
    """None: to be inferred from the times."""


@dataclass(slots=True)
class _Conversation:
    """The prompts of one thread so far."""

    number: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Program:
    """A recorded program while it is rebuilt."""

    calls: list[RecordedCall] = field(default_factory=list)


def write_replay(timeline: Timeline, path: str | PathLike[str]) -> int:
    """Write the answered calls of a timeline as a trace.

    Calls that failed, and those whose provider did not count tokens (streams need
    `stream_usage=True`), are left out.

    Returns:
        The number of calls written.
    """
    lines = [json.dumps(_line(span)) for span in timeline.spans if _is_complete(span)]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _is_complete(span: Span) -> bool:
    counted = span.tokens is not None and min(span.tokens.input_tokens, span.tokens.output_tokens)
    return span.outcome is Outcome.DONE and bool(counted)


def _line(span: Span) -> dict[str, Any]:
    assert span.tokens is not None, "looked at before"
    return {
        "program": span.program_id,
        "call": span.call_id,
        "submitted_s": span.submitted_s,
        "finished_s": span.finished_s,
        "prompt_tokens": span.tokens.input_tokens,
        "output_tokens": span.tokens.output_tokens,
        "graph": span.graph,
        "call_site": span.call_site,
        "thread": span.thread_id,
        "tenant": span.tenant,
    }


def read_replay(path: str | PathLike[str]) -> list[ProgramSpec]:
    """Read a trace as programs, in the order of arrival; the first arrives at 0 s.

    Raises:
        TraceError: A line is not a call, or the file has none.
        OSError: The file cannot be read.
    """
    programs: dict[str, _Program] = {}
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                call = _parse(line, f"{path}:{number}")
                programs.setdefault(call.program, _Program()).calls.append(call)
    if not programs:
        msg = f"{path}: no calls; write a trace with langgraph_rsm.simulation.write_replay"
        raise TraceError(msg)
    for program in programs.values():
        program.calls.sort(key=lambda call: (call.submitted_s, call.finished_s))
    origin_s = min(program.calls[0].submitted_s for program in programs.values())
    specs = [_rebuild(program.calls, origin_s) for program in programs.values()]
    return sorted(specs, key=lambda spec: spec.arrived_s)


def _parse(line: str, where: str) -> RecordedCall:
    try:
        return RecordedCall.model_validate_json(line)
    except ValidationError as exc:
        first = exc.errors()[0]
        field_name = ".".join(map(str, first["loc"])) or "line"
        msg = f"{where}: not a recorded call: {field_name}: {first['msg']}"
        raise TraceError(msg) from exc


def _rebuild(calls: Sequence[RecordedCall], origin_s: float) -> ProgramSpec:
    index_of = {call.call: index for index, call in enumerate(calls)}
    if len(index_of) < len(calls):
        msg = f"program {calls[0].program!r} has two calls of the same name; names must be unique"
        raise TraceError(msg)
    arrived_s = calls[0].submitted_s
    conversations: dict[str, _Conversation] = {}
    specs = []
    for index, call in enumerate(calls):
        parents = _parents(calls, index, index_of)
        ready_s = max((calls[parent].finished_s for parent in parents), default=arrived_s)
        specs.append(
            CallSpec(
                segments=((_context(call, conversations), call.prompt_tokens),),
                output_tokens=call.output_tokens,
                parents=parents,
                delay_s=max(0.0, call.submitted_s - ready_s),
                call_site=call.call_site,
                thread_id=call.thread,
            )
        )
    first = calls[0]
    return ProgramSpec(first.program, first.graph, arrived_s - origin_s, tuple(specs), first.tenant)


def _parents(
    calls: Sequence[RecordedCall], index: int, index_of: dict[str, int]
) -> tuple[int, ...]:
    """Return the earlier calls that a call needed, as told or by the rule of the module."""
    call = calls[index]
    if call.parents is not None:
        known = (index_of[name] for name in call.parents if name in index_of)
        return tuple(sorted({parent for parent in known if parent < index}))
    return tuple(sorted(_inferred(calls, index)))


def _inferred(calls: Sequence[RecordedCall], index: int) -> Iterator[int]:
    call = calls[index]
    last: dict[str, int] = {}
    following: dict[int, RecordedCall] = {}
    newest: dict[str, int] = {}
    for k, each in enumerate(calls):
        if each.thread in newest:
            following[newest[each.thread]] = each
        newest[each.thread] = k
        if k < index and each.finished_s <= call.submitted_s:
            last[each.thread] = k
    begins = call.thread not in last
    for thread, k in last.items():
        successor = following.get(k)
        not_yet = successor is None or (begins and successor.submitted_s > call.submitted_s)
        if thread == call.thread or not_yet:
            yield k


def _context(call: RecordedCall, conversations: dict[str, _Conversation]) -> str:
    conversation = conversations.setdefault(call.thread, _Conversation())
    if call.prompt_tokens < conversation.tokens:
        conversation.number += 1
    conversation.tokens = call.prompt_tokens
    return f"{call.program}/{call.thread}/{conversation.number}"
