"""From a report to its top blockers: the single changes that would make the graph faster.

Each is tried alone, by building the schedule again, so a saving is what that one change brings; it
is an upper bound where keys had to be guessed (`...` in the declaration). Two neighbors that both
keep their place hide each other, which is why changes of several nodes are tried as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from langgraph_parallel.effects import Effects
from langgraph_parallel.ordering.dependence import Step, build_schedule
from langgraph_parallel.reading.model import Refusal, shown_name
from langgraph_parallel.report.costs import Durations, gain
from langgraph_parallel.report.critical_path import Chain, Timeline
from langgraph_parallel.report.declarations import decorator_line, keyword_line, narrow
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.obstacles import NODES_NAMED, BlockerKind, Obstacle, each_of
from langgraph_parallel.report.region import RegionReport
from langgraph_parallel.report.trials import Trial, find_joint_trials, find_trials

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
    """The node that stands in the way, the pair, or every node concerned; empty where it is the
    whole graph."""
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
        if not self.nodes:
            return "the graph"
        more = len(self.nodes) - NODES_NAMED
        names = ", ".join(map(shown_name, self.nodes[:NODES_NAMED]))
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
        At most `limit` records; empty when nothing is held back. Obstacles whose saving is not
        known come first where they keep a whole graph as it is, else last.

    Complexity: at most `_MOST_TRIALS` schedules, which end with the one that passes
    `_MOST_ACCESSES` in all, and as many again where obstacles hide each other.
    """
    now = report.predicted if report.measured is None else report.recorded
    judge = _Judge(report, now)
    found = list(_routing_blockers(report))
    trials = sorted(find_trials(report, now), key=lambda trial: -trial.bound)
    joint = sorted(find_joint_trials(report, now), key=lambda trial: -trial.bound)
    found += judge.blockers([*joint, *trials][:_MOST_TRIALS])
    if not found and len(trials) > 1:
        found += judge.blockers(_fewest(judge, trials[:_MOST_TRIALS]))
    found = _without_repetition(found)
    if not found:
        found = [_as_blocker(refusal, now.unit) for refusal in report.refusals if refusal.remedy]
    found.sort(key=_rank)
    return tuple(found[:limit])


def advice(report: GraphReport, limit: int = 5) -> list[Blocker]:
    """Return the blockers that a form of the report spells out beside its refusals."""
    return [b for b in find_blockers(report, limit) if b.kind != "refusal"]


def _rank(blocker: Blocker) -> tuple[bool, float]:
    if blocker.saves is None:
        return blocker.kind != "routing", float("-inf")
    return False, -blocker.saves


class _Judge:
    """Works out what changes save, within a bound on the work."""

    def __init__(self, report: GraphReport, now: Durations) -> None:
        self._report, self._now = report, now
        self._before = report.timeline.before(now.by_node)
        self._span = report.timeline.after(now.by_node)
        self._left = _MOST_ACCESSES

    def blockers(self, trials: Iterable[Trial]) -> Iterator[Blocker]:
        """Yield what helps of some changes."""
        for trial in trials:
            if self._left < 0:
                return
            saves = self.saves(trial)
            # A saving far below the run's own duration is rounding.
            if saves > 1e-9 * self._span:
                yield self._blocker(trial.obstacle, saves)

    def saves(self, trial: Trial) -> float:
        """Return what a change saves."""
        report = self._report
        if all(part.has_barriers for part in report.regions):
            self._left -= sum(_size(part) for part, _ in trial.changes)
            timeline = _changed(report.timeline, trial)
        elif report.what_if is None:
            return 0.0
        else:
            self._left -= sum(map(_size, report.regions))
            timeline = _again(report, trial).timeline
        return self._span - timeline.after(self._now.by_node)

    def _blocker(self, obstacle: Obstacle, saves: float) -> Blocker:
        left = self._span - saves
        return Blocker(
            kind=obstacle.kind,
            nodes=obstacle.nodes,
            cause=obstacle.cause,
            declaration=obstacle.declaration,
            remedy=obstacle.remedy,
            saves=saves,
            unit=self._now.unit,
            speedup=self._before / left if left > 0.0 else None,
        )


def _again(report: GraphReport, trial: Trial) -> GraphReport:
    """Return the report on the same graph, where nodes start early, once a change was made."""
    assert report.what_if is not None
    if trial.obstacle.kind == "unknown-calls" and not trial.obstacle.declared:
        return report.what_if(None, trusting=True)
    return report.what_if({**report.effects, **trial.obstacle.declared}, freed=trial.freed)


def _changed(timeline: Timeline, trial: Trial) -> Timeline:
    """Return how a graph runs in supersteps once a change was made."""
    for part, changed in trial.changes:
        steps = [changed.get(i, step) for i, step in enumerate(part.steps)]
        levels = build_schedule(steps, _limits(part)).levels
        timeline = timeline.with_chain(part.host, Chain.of(part, levels))
    return timeline


def _fewest(judge: _Judge, trials: Sequence[Trial]) -> Iterator[Trial]:
    """Yield the change of as few obstacles as save what changing all of them would save."""
    kept = list(trials)
    most = judge.saves(_together(kept))
    if most <= 0.0:
        return
    for trial in trials[::-1]:
        fewer = [other for other in kept if other is not trial]
        if fewer and judge.saves(_together(fewer)) >= most:
            kept = fewer
    yield _together(kept)


def _together(trials: Sequence[Trial]) -> Trial:
    """Return several changes as one."""
    if len(trials) == 1:
        return trials[0]
    steps: dict[int, tuple[RegionReport, dict[int, Step]]] = {}
    for trial in trials:
        for part, changed in trial.changes:
            steps.setdefault(id(part), (part, {}))[1].update(changed)
    return Trial(
        obstacle=each_of([trial.obstacle for trial in trials]),
        changes=tuple(steps.values()),
        freed=frozenset().union(*(trial.freed for trial in trials)),
        bound=max(trial.bound for trial in trials),
    )


def _as_blocker(refusal: Refusal, unit: str) -> Blocker:
    return Blocker(
        kind="refusal",
        nodes=refusal.nodes,
        cause=refusal.reason.rstrip("."),
        declaration="",
        remedy=refusal.remedy,
        saves=None,
        unit=unit,
        speedup=None,
    )


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
    before, after = again.timeline.before(now.by_node), again.timeline.after(now.by_node)
    already = report.timeline.before(now.by_node) - report.timeline.after(now.by_node)
    return before - after - already, before / after if after else 1.0
