"""Timeline, trace and chart: what happened on which slot, and no prompt anywhere."""

import asyncio
import json
import sys

import pytest
from scripted_model import ScriptedModel

from langgraph_rsm import ConfigError, Engine, ScheduledChatModel, program
from langgraph_rsm.core.call import Call
from langgraph_rsm.telemetry import Outcome, Timeline
from langgraph_rsm.telemetry.gantt import draw_gantt
from langgraph_rsm.telemetry.perfetto import build_trace, write_trace

SECRET = "prompt-that-must-not-leak"


async def play(make_scheduler, timeline, *, cancel=False):
    """Three programs on two slots: one streams, one waits for a second."""
    scheduler = make_scheduler(hooks=[timeline])
    inner = ScriptedModel(delay_s=1)
    model = ScheduledChatModel(engines=[Engine(inner, capacity=2, name="gpu")], scheduler=scheduler)

    async def stream():
        with program(id="streams"):
            return [chunk async for chunk in model.astream(SECRET)]

    async def ask(name):
        with program(id=name, tenant="acme"):
            return await model.ainvoke(SECRET)

    tasks = [asyncio.create_task(one) for one in (stream(), ask("first"), ask("second"))]
    await asyncio.sleep(0.5)
    if cancel:
        tasks[2].cancel()
    await asyncio.wait(tasks)


@pytest.mark.looptime
async def test_spans_say_when_and_where(make_scheduler, timeline):
    await play(make_scheduler, timeline)
    first, second, streams = timeline.spans
    assert [s.program_id for s in timeline.spans] == ["first", "second", "streams"]
    assert (first.engine_id, first.lane, streams.lane, second.lane) == ("gpu", 1, 0, 1)
    begin = first.submitted_s
    assert second.dispatched_s - begin == pytest.approx(1, abs=1e-6)
    assert second.finished_s - begin == pytest.approx(2, abs=1e-6)
    assert streams.first_token_s - begin == pytest.approx(1, abs=1e-6)
    assert (second.tenant, second.outcome) == ("acme", Outcome.DONE)
    assert streams.tokens.output_tokens == 3
    assert max(sample.waiting for sample in timeline.depths) == 1
    assert timeline.depths[-1].waiting == 0


@pytest.mark.looptime
async def test_call_cancelled_in_the_queue_has_no_lane(make_scheduler, timeline):
    await play(make_scheduler, timeline, cancel=True)
    (span,) = [span for span in timeline.spans if span.outcome is Outcome.CANCELLED]
    assert (span.lane, span.engine_id, span.dispatched_s) == (None, None, None)
    assert timeline.depths[-1].waiting == 0
    assert all(event["ts"] >= 0 for event in build_trace(timeline)["traceEvents"] if "ts" in event)


@pytest.mark.looptime
async def test_timeline_is_bounded(make_scheduler):
    timeline = Timeline(maxlen=2)
    await play(make_scheduler, timeline)
    assert len(timeline.spans) == 2
    assert len(timeline.depths) == 2


@pytest.mark.looptime
async def test_hook_added_late_ignores_what_it_did_not_see_begin(make_scheduler, records, timeline):
    scheduler = make_scheduler()
    scheduler.register(Engine(ScriptedModel(), capacity=1, name="e"))
    async with scheduler.aslot(Call(program_id="p", engines=("e",))) as lease:
        lease.first_token()
    for record in records[1:]:
        timeline(record)
    assert timeline.spans == ()


@pytest.mark.looptime
async def test_trace_has_engines_programs_and_queue(make_scheduler, timeline, tmp_path):
    await play(make_scheduler, timeline)
    path = write_trace(timeline, tmp_path / "trace.json")
    text = path.read_text()
    trace = json.loads(text)
    events = trace["traceEvents"]
    names = {e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {"engine gpu", "programs", "queue"}
    blocks = [e for e in events if e["ph"] == "X"]
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in blocks] == [
        ("first", 1, 0, 1e6),
        ("second", 1, 1e6, 1e6),
        ("streams", 0, 0, 4e6),
    ]
    assert blocks[1]["args"]["wait_s"] == pytest.approx(1)
    assert len([e for e in events if e["ph"] == "b"]) == len([e for e in events if e["ph"] == "e"])
    assert [e["args"]["calls"] for e in events if e["ph"] == "C"] == [1, 0, 1, 0, 1, 0]
    assert SECRET not in text


def test_empty_timeline_gives_an_empty_trace(timeline):
    assert all(event["ph"] == "M" for event in build_trace(timeline)["traceEvents"])


@pytest.mark.looptime
async def test_records_never_carry_prompts(make_scheduler, timeline, records):
    await play(make_scheduler, timeline)
    assert SECRET not in repr(records)
    assert SECRET not in repr(timeline.spans)


@pytest.mark.looptime
async def test_gantt_chart_is_drawn(make_scheduler, timeline, tmp_path):
    await play(make_scheduler, timeline)
    path = draw_gantt(timeline, tmp_path / "gantt.png", title="three programs")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_gantt_chart_of_nothing_is_explained(timeline, tmp_path):
    with pytest.raises(ConfigError, match="nothing to draw"):
        draw_gantt(timeline, tmp_path / "gantt.png")


@pytest.mark.looptime
async def test_missing_matplotlib_names_the_extra(make_scheduler, timeline, tmp_path, monkeypatch):
    await play(make_scheduler, timeline)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"pip install 'langgraph-accel\[viz\]'"):
        draw_gantt(timeline, tmp_path / "gantt.png")
