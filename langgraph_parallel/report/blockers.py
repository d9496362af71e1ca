"""From a report to its top blockers: the single changes that would make the graph faster.

Each is tried alone, by building the schedule again, so a saving is what that one change brings; it
is an upper bound where keys had to be guessed (`...` in the declaration). Two neighbors that both
keep their place hide each other, which is why changes of several nodes are tried as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from langgraph_parallel.effects import Effects
from langgraph_parallel.ordering.dependence import Step, build_schedule
from langgraph_parallel.report.costs import Durations, gain, span_of
from langgraph_parallel.report.declarations import decorator_line, keyword_line, narrow
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.obstacles import NODES_NAMED, BlockerKind, Trial, find_trials
from langgraph_parallel.report.region import RegionReport

_MOST_TRIALS: Final = 20
"""Schedules that are built in search of blockers; the rest have a smaller bound on their saving."""

_MOST_ACCESSES: Final = 500_000
"""Size of all of those schedules together: about a microsecond for each read or write of a key, so
half a second, beside the first one, which is always built."""

_ACCESSES_PER_NODE: Final = 50
"""What placing a node costs beside its reads and writes, in the same measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """One obstacle, what removes it, and what that would save."""

    kind: BlockerKind
    nodes: tuple[str, ...]
    """The node that stands in the way, the pair, or every node with an unknown call."""
    cause: str
    """What the obstacle is, with `file:line` where there is one."""
    declaration: str
    """The line to paste; empty when no declaration could be true. `...` marks what to fill in."""
    remedy: str
    """What to do, and what has to be true for it, in a sentence."""
    saves: float | None
    """Predicted duration saved, in `unit`, at most; None when it cannot be predicted."""
    unit: str
    """Unit of `saves`: `s` or `calls`."""
    speedup: float | None
    """Predicted speed-up of the whole report with this one change; None when not known."""

    @property
    def subject(self) -> str:
        """The nodes, the first few by name."""
        more = len(self.nodes) - NODES_NAMED
        names = ", ".join(self.nodes[:NODES_NAMED])
        return f"{names} and {more} more" if more > 0 else names

    def __str__(self) -> str:
        worth = gain(self.saves, self.speedup, self.unit)
        lines = [f"{self.subject}: {self.cause}; {worth}", f"  {self.remedy}"]
        return "\n".join(lines + [f"  {self.declaration}"] * bool(self.declaration))


def find_blockers(report: GraphReport, limit: int = 5) -> tuple[Blocker, ...]:
    """Return the changes that would save most, the best first.

    Args:
        report: The report; it is not changed.
        limit: How many to return (>= 0).

    Returns:
        At most `limit` records; empty when no single change helps. Obstacles whose saving is not
        known come first: they keep a whole graph as it is.

    Complexity: at most `_MOST_TRIALS` schedules, which end with the one that passes
    `_MOST_ACCESSES` in all.
    """
    now = report.predicted if report.measured is None else report.recorded
    found = list(_routing_blockers(report))
    trials = sorted(find_trials(report, now), key=lambda trial: -trial.bound)
    left = _MOST_ACCESSES
    for trial in trials[:_MOST_TRIALS]:
        if left < 0:
            break
        blocker = _judge(report, now, trial)
        if blocker is not None:
            found.append(blocker)
        left -= sum(_size(part) for part, _ in trial.changes)
    found = _without_repetition(found)
    found.sort(key=lambda b: -(float("inf") if b.saves is None else b.saves))
    return tuple(found[:limit])


def _judge(report: GraphReport, now: Durations, trial: Trial) -> Blocker | None:
    saves = sum(_saved(part, steps, now.of(part)) for part, steps in trial.changes)
    work, span = now.work(report.regions), now.span(report.regions)
    # A saving far below the run's own duration is rounding.
    if saves <= 1e-9 * span:
        return None
    return Blocker(
        kind=trial.kind,
        nodes=trial.nodes,
        cause=trial.cause,
        declaration=trial.declaration,
        remedy=trial.remedy,
        saves=saves,
        unit=now.unit,
        speedup=work / (span - saves) if span > saves else None,
    )


def _saved(part: RegionReport, changed: dict[int, Step], costs: list[float]) -> float:
    steps = [changed.get(i, step) for i, step in enumerate(part.steps)]
    levels = build_schedule(steps, _limits(part)).levels
    return span_of(part.schedule.levels, costs) - span_of(levels, costs)


def _size(part: RegionReport) -> int:
    touched = sum(len(step.reads) + len(step.writes) for step in part.steps)
    return touched + _ACCESSES_PER_NODE * len(part.steps)


def _limits(part: RegionReport) -> dict[str, int]:
    """Return how many nodes used each resource at once: no more than what is allowed."""
    users: dict[tuple[str, int], int] = {}
    for step, level in zip(part.steps, part.schedule.levels, strict=True):
        for resource in step.resources:
            users[resource, level] = users.get((resource, level), 0) + 1
    limits: dict[str, int] = {}
    for (resource, _), count in users.items():
        limits[resource] = max(limits.get(resource, 1), count)
    return limits


def _without_repetition(found: list[Blocker]) -> list[Blocker]:
    """Drop what another one covers: the same nodes or fewer, without saving more.

    Of two that save the same, a change of one node is less to ask than a change of several.
    """
    best = max((b.saves or 0.0 for b in found if b.kind != "several"), default=0.0)
    found = [b for b in found if b.kind != "several" or (b.saves or 0.0) > best]
    hint = next((b for b in found if b.kind == "unknown-calls" and len(b.nodes) > 1), None)
    if hint is None:
        return found
    return [
        b
        for b in found
        if b is hint or b.kind != "unknown-calls" or (b.saves or 0.0) > (hint.saves or 0.0)
    ]


# -- nodes that keep the whole graph as it is ----------------------------------------------------


def _routing_blockers(report: GraphReport) -> Iterator[Blocker]:
    names = [r.nodes[0] for r in report.refusals if r.rule == "unknown-routing" and r.nodes]
    if not names:
        return
    found = {name: report.effects[name] for name in names}
    first = found[names[0]]
    why = first.evidence[-1] if first.evidence else "its code was not understood"
    many = len(names) > 1
    saves, speedup = _gain_of_routing(report, found)
    if saves is not None and saves <= 0.0:
        return
    yield Blocker(
        kind="routing",
        nodes=tuple(names),
        cause=f"{names[0] + ': ' if many else ''}{why}, so the graph may go anywhere from there",
        declaration=keyword_line(found) if many else decorator_line(first),
        remedy="Declare all that it does, and fill in what `...` stands for.",
        saves=saves,
        unit="s" if report.measured is not None else report.unit,
        speedup=speedup,
    )


def _gain_of_routing(
    report: GraphReport, found: dict[str, Effects]
) -> tuple[float | None, float | None]:
    if report.what_if is None:
        return None, None
    known = {name: narrow(effects) for name, effects in found.items()}
    again = report.what_if({**report.effects, **known})
    now = again.predicted if report.measured is None else report.recorded
    gained = now.work(again.regions) - now.span(again.regions)
    already = now.work(report.regions) - now.span(report.regions)
    return gained - already, now.speedup(again.regions)
