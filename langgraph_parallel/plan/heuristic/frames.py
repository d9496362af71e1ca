"""From two steps to the sentence that they have in common and what differs in it.

Find the population of [Oslo]        frame: find the population of _
Find the population of [Bergen]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langgraph_parallel.plan.heuristic.step import StepText
from langgraph_parallel.plan.heuristic.words import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What differs in one sentence of two steps."""

    segment: int
    before: tuple[str, ...]
    """Words that both have before it."""
    earlier: tuple[Token, ...]
    """What the earlier step has there."""
    later: tuple[Token, ...]
    """What the later one has."""
    after: tuple[str, ...]
    """Words that both have after it."""


def common_frame(earlier: StepText, later: StepText) -> tuple[Slot, ...]:
    """Return a slot for each sentence that differs.

    Empty when the steps say the same, or have not the same number of sentences.
    """
    if len(earlier.segments) != len(later.segments):
        return ()
    pairs = zip(earlier.segments, later.segments, strict=True)
    slots = [_compare(k, a, b) for k, (a, b) in enumerate(pairs)]
    return tuple(slot for slot in slots if slot.earlier or slot.later)


def _compare(segment: int, a: Sequence[Token], b: Sequence[Token]) -> Slot:
    a, b = [t for t in a if t.folded], [t for t in b if t.folded]
    x, y = [t.folded for t in a], [t.folded for t in b]
    start = 0
    while start < min(len(x), len(y)) and x[start] == y[start]:
        start += 1
    end = 0
    while end < min(len(x), len(y)) - start and x[-1 - end] == y[-1 - end]:
        end += 1
    return Slot(
        segment=segment,
        before=tuple(x[:start]),
        earlier=tuple(a[start : len(a) - end]),
        later=tuple(b[start : len(b) - end]),
        after=tuple(x[len(x) - end :]),
    )
