"""Writing to the stream of custom events."""

from __future__ import annotations

from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import NONE, Value
from langgraph_parallel.inference.machine.watch import STREAMS


def write_stream(frame: Frame, given: Arguments) -> Value:
    """Write to the custom stream, whose events of one superstep have no order to keep."""
    frame.escape(given.all, "streamed", frame.where(given.node))
    frame.recorder.note("writes to the custom stream", frame.where(given.node), STREAMS)
    return NONE
