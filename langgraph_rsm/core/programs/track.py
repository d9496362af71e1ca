"""Tracks: where a live program is in the history of its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from langgraph_rsm.core.programs.survival import SurvivalCurve


@dataclass(slots=True)
class Visit:
    """A program in a state."""

    curve: SurvivalCurve
    entered_s: float
    """Service of the program when it entered the state first."""
    bin: int = 0


@dataclass(slots=True)
class Track:
    """Where a program is in the history of its kind."""

    kind: str
    curve: SurvivalCurve
    bin: int = 0
    visits: dict[str, int] = field(default_factory=dict)
    """Calls made so far at each call site."""
    states: dict[SurvivalCurve, Visit] = field(default_factory=dict)
    """States entered so far, in order, by their curves: those are shared, new keys would not be."""
    current: Visit | None = None
    """State that the latest call put it in; None if that one is not recorded."""
