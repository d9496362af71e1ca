"""Observation of a scheduler: frozen records go to hooks; small back ends make files of them."""

from __future__ import annotations

from langgraph_rsm.core.call import TokenUsage
from langgraph_rsm.telemetry.records import (
    CallDispatched,
    CallFinished,
    CallSubmitted,
    FirstToken,
    Hook,
    Outcome,
    ProgramFinished,
    Record,
)
from langgraph_rsm.telemetry.timeline import Span, Timeline

__all__ = (
    "CallDispatched",
    "CallFinished",
    "CallSubmitted",
    "FirstToken",
    "Hook",
    "Outcome",
    "ProgramFinished",
    "Record",
    "Span",
    "Timeline",
    "TokenUsage",
)
