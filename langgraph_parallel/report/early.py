"""What early starts did in the runs of one graph, counted while it is used."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_MISSES: Final = 3
"""Results in a row that a node may have thrown away before it is no longer started early."""
_MOST_REASONS: Final = 20
"""Different ones that are kept of a node: they may name what differs from run to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyCounts:
    """Early runs of one node, or of a whole graph."""

    early: int = 0
    """Runs started early."""
    hit: int = 0
    """Results that were committed."""
    miss: int = 0
    """Runs that had read something else than the real run would, or had failed."""
    abandoned: int = 0
    """Runs given up: their turn did not come, or they did what only the real run may do."""
    wasted_s: float = 0.0
    """Seconds of the runs that came to nothing."""
    saved_s: float = 0.0
    """Seconds of the committed runs that passed before their own superstep."""

    def __str__(self) -> str:
        return (
            f"{self.early} started early: {self.hit} used, {self.miss} missed, "
            f"{self.abandoned} abandoned; {self.saved_s:.3f} s saved, {self.wasted_s:.3f} s wasted"
        )


@dataclass(slots=True)
class _NodeCounts:
    early: int = 0
    hit: int = 0
    miss: int = 0
    abandoned: int = 0
    wasted_s: float = 0.0
    saved_s: float = 0.0
    misses_in_a_row: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class EarlyRuntime:
    """Counts the early runs of a graph, over all its runs; safe to use from several threads."""

    inside: Mapping[str, EarlyRuntime] = field(default_factory=dict)
    """Counts of its sub-graphs, whose nodes are called `host/node`."""
    _nodes: dict[str, _NodeCounts] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let graphs be copied: a copy goes on from these counts, with a lock of its own."""
        with self._lock:
            return EarlyRuntime, (self.inside, dict(self._nodes))

    def is_off(self, name: str) -> bool:
        """Tell whether a node has missed too often to be started early."""
        found = self._nodes.get(name)
        return found is not None and found.misses_in_a_row >= _MOST_MISSES

    def started(self, name: str) -> None:
        """Count a run that starts early."""
        with self._lock:
            self._nodes.setdefault(name, _NodeCounts()).early += 1

    def used(self, name: str, seconds: float) -> None:
        """Count a committed result, which was worked on for so long before its superstep."""
        with self._lock:
            counts = self._nodes[name]
            counts.hit += 1
            counts.saved_s += seconds
            counts.misses_in_a_row = 0

    def missed(self, name: str, seconds: float) -> None:
        """Count a result that could not be used."""
        with self._lock:
            counts = self._nodes[name]
            counts.miss += 1
            counts.wasted_s += seconds
            counts.misses_in_a_row += 1

    def gave_up(self, name: str, seconds: float, why: str = "") -> None:
        """Count a run that was given up.

        Args:
            name: The node.
            seconds: How long the run has taken.
            why: What only the real run may do, where the run gave itself up; else empty.
        """
        with self._lock:
            counts = self._nodes[name]
            counts.abandoned += 1
            counts.wasted_s += seconds
            counts.misses_in_a_row += bool(why)
            if why and (why in counts.reasons or len(counts.reasons) < _MOST_REASONS):
                counts.reasons[why] = counts.reasons.get(why, 0) + 1

    @property
    def off(self) -> frozenset[str]:
        """Nodes that have missed too often and are no longer started early."""
        own = frozenset(name for name in list(self._nodes) if self.is_off(name))
        return own.union(
            f"{host}/{name}" for host, part in self.inside.items() for name in part.off
        )

    @property
    def reasons(self) -> dict[str, dict[str, int]]:
        """Why early runs of a node have given themselves up, and how often."""
        with self._lock:
            found = {name: dict(c.reasons) for name, c in self._nodes.items() if c.reasons}
        for host, part in self.inside.items():
            found |= {f"{host}/{name}": reasons for name, reasons in part.reasons.items()}
        return found

    @property
    def by_node(self) -> dict[str, EarlyCounts]:
        """Counts of each node that was started early."""
        with self._lock:
            found = {name: _frozen(counts) for name, counts in self._nodes.items()}
        for host, part in self.inside.items():
            found |= {f"{host}/{name}": counts for name, counts in part.by_node.items()}
        return found

    @property
    def total(self) -> EarlyCounts:
        """Counts of all nodes together."""
        nodes = self.by_node.values()
        return EarlyCounts(
            early=sum(n.early for n in nodes),
            hit=sum(n.hit for n in nodes),
            miss=sum(n.miss for n in nodes),
            abandoned=sum(n.abandoned for n in nodes),
            wasted_s=sum(n.wasted_s for n in nodes),
            saved_s=sum(n.saved_s for n in nodes),
        )

    def __str__(self) -> str:
        return str(self.total)


def _frozen(counts: _NodeCounts) -> EarlyCounts:
    return EarlyCounts(
        early=counts.early,
        hit=counts.hit,
        miss=counts.miss,
        abandoned=counts.abandoned,
        wasted_s=counts.wasted_s,
        saved_s=counts.saved_s,
    )
