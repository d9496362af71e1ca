"""A rewritten function as it runs: its groups, and what all calls of it share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Final

from langgraph_parallel.lowering.bodies.seen import Seen
from langgraph_parallel.report.bodies import BodyRuntime

DEFAULT_CALLS: Final = 32
"""Calls of one run of a function that are made at a time where nobody limits them; more than most
providers answer at once, and few enough for threads."""
MOST_MISSES: Final = 2
"""Forecasts of a call that may be wrong in a process before it is forecast no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCode:
    """A group as it runs."""

    run: FunctionType
    """Runs its slice, see `rewrite.Rewritten`."""
    sites: tuple[int, ...]
    home: int
    """The first group of the loop whose turns start it; its own number in a row."""
    is_loop: bool
    is_async: bool
    needs: frozenset[str]
    steps: Mapping[str, int]
    """Of a loop, by how much each turn raises a counter."""
    keys: Mapping[str, frozenset[str]]
    """For variables of which only items of known keys are looked at, these keys."""
    repeats: bool
    """Whether its slice has loops of its own, so that no call is certainly its last."""


@dataclass(slots=True, kw_only=True)
class Body:
    """A rewritten function, as far as all calls of it share it."""

    groups: tuple[GroupCode, ...] = ()
    inner: Mapping[FunctionType, FunctionType] = field(default_factory=dict)
    """Functions that it calls, with their rewritten forms."""
    most: int = DEFAULT_CALLS
    live: bool = False
    seen: Seen = field(default_factory=Seen)
    """What the analysis has seen outside of the function, and took for granted."""
    runtime: BodyRuntime = field(default_factory=BodyRuntime)
    misses: dict[int, int] = field(default_factory=dict)
    """By group, how often a forecast of it was wrong."""

    def is_off(self, number: int) -> bool:
        """Tell whether a group is not started any more."""
        return self.misses.get(number, 0) >= MOST_MISSES
