"""Survival curves: how much more service a program of a kind needs, learned while it runs.

Service so far is cut into bins that grow by half an octave. In each bin the *hazard*, the chance
that a program which gets there ends there, is estimated from the programs that ended in it among
those that reached it (Kaplan and Meier, 1958). A running program has reached its bin and not ended:
it counts, else the long programs of a kind, which end last, would be missing from what is known of
it. Hazards are drawn toward those of a parent curve, and at the root toward a Pareto tail, under
which the more a program has had the more it still needs: with nothing learned, the order by index
is the order by attained service.

The Gittins index of a program is the least expected service per completion that any stopping rule
can get out of it; serving the least index first minimizes the mean delay (Gittins, 1979).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 48
"""Bins, the last one open: its lower edge lies at 6 days."""
_FIRST_S = 0.05
"""Upper edge of the first bin: less than the service of the shortest answer."""
EDGES_S = (0.0, *(_FIRST_S * 2.0 ** (k / 2) for k in range(BINS)))
"""Bin b reaches from `EDGES_S[b]` to `EDGES_S[b + 1]`."""
UPPER_S = (*EDGES_S[1:BINS], math.inf)
"""Service, by bin, with which a program leaves it; nobody leaves the last one."""
_PRIOR_EXPONENT = 0.7
"""Of the Pareto tail; below 1, so that nothing is known of the mean either."""
_PRIOR_SCALE_S = 1.0
"""Where the tail begins to bend: the order of magnitude of one call."""
_PRIOR_PROGRAMS = 2.0
"""Programs whose evidence the parent's hazard counts for, in each bin."""
_MEMORY_PROGRAMS = 1000.0
"""Ended programs after which an older one counts 1/e."""


def _prior_hazard(b: int) -> float:
    low, high = (1 + edge_s / _PRIOR_SCALE_S for edge_s in EDGES_S[b : b + 2])
    return 1 - float((low / high) ** _PRIOR_EXPONENT)


_PRIOR_HAZARDS = tuple(_prior_hazard(b) for b in range(BINS))


def bin_of(service_s: float) -> int:
    """Return the bin of an amount of service."""
    return bisect_right(EDGES_S, service_s, 1, BINS) - 1


_MAX_WEIGHT = 1e12
"""Of the programs of one bin; far beyond what a file can be about."""


class SurvivalCurve:
    """What is known of the total service of programs of one kind.

    Args:
        parent: Curve of a wider kind; None for the Pareto tail.
    """

    __slots__ = (
        "_changes",
        "_completions",
        "_hazards",
        "_indices",
        "_parent",
        "_scale",
        "_weight",
        "censored",
        "ended",
        "running",
    )

    def __init__(self, parent: SurvivalCurve | None = None) -> None:
        self._parent = parent
        self.ended = [0.0] * BINS
        """Weight of the programs that ended, by bin; in units of `_scale`."""
        self.censored = [0.0] * BINS
        """Weight of those that were given up, and may have needed more; in units of `_scale`."""
        self.running = [0] * BINS
        """Live programs, by the bin they are in."""
        self._scale = 1.0
        self._weight = 0
        self._completions = 0
        self._changes = 0
        self._hazards: list[float] = []
        self._indices: list[float | None] | None = None

    @property
    def completions(self) -> int:
        """Programs that ended so far; the faded ones count in full."""
        return self._completions

    def enter(self) -> None:
        """Count a program that begins."""
        self.running[0] += 1
        self._weight += 1
        self._changes += 1

    def move(self, old_bin: int, new_bin: int) -> None:
        """Count that a running program has got to another bin."""
        self.running[old_bin] -= 1
        self.running[new_bin] += 1
        self._changes += 1

    def leave(self, at_bin: int, *, ended: bool) -> None:
        """Count a program that stops in a bin: because it is done, or for another reason."""
        self.running[at_bin] -= 1
        if ended:
            # New evidence weighs more instead of all old evidence less: O(1) instead of O(bins).
            self._scale *= 1 + 1 / _MEMORY_PROGRAMS
            self._completions += 1
        (self.ended if ended else self.censored)[at_bin] += self._scale
        self._changes += 1
        if self._scale > 1e9:
            self._rescale()

    def index_s(self, at_bin: int) -> float:
        """Return the Gittins index of a program in a bin, in seconds per completion; low is good.

        It is computed anew when about one in ten programs has made a difference since.
        """
        if self._indices is None or self._changes > 8 + self._weight // 10:
            self._hazards = self.hazards()
            self._indices = [None] * BINS
            self._changes = 0
        index_s = self._indices[at_bin]
        if index_s is None:
            index_s = self._indices[at_bin] = gittins_index(at_bin, self._hazards)
        return index_s

    def hazards(self) -> list[float]:
        """Return, for each bin, the chance that a program which reaches it ends in it."""
        parent = _PRIOR_HAZARDS if self._parent is None else self._parent.hazards()
        hazards = list(parent)
        at_risk = 0.0
        for b in range(BINS - 1, -1, -1):
            ended = self.ended[b] / self._scale
            unfinished = self.censored[b] / self._scale + self.running[b]
            # Who is in the bin without having ended there has passed half of it on average.
            exposed = at_risk + ended + unfinished / 2
            at_risk += ended + unfinished
            hazards[b] = (ended + _PRIOR_PROGRAMS * parent[b]) / (exposed + _PRIOR_PROGRAMS)
        return hazards

    def weights(self) -> tuple[list[float], list[float]]:
        """Return the weights of ended and of unfinished programs, for saving."""
        ended = [weight / self._scale for weight in self.ended]
        running = zip(self.censored, self.running, strict=True)
        return ended, [weight / self._scale + count for weight, count in running]

    def restore(self, ended: Sequence[float], censored: Sequence[float]) -> None:
        """Add weights that were saved; bins that are missing count as empty.

        Raises:
            ValueError: A weight is negative or beyond all measure.
        """
        if not all(0 <= weight <= _MAX_WEIGHT for weight in (*ended, *censored)):
            msg = f"weights must be between 0 and {_MAX_WEIGHT:g}"
            raise ValueError(msg)
        for b, weight in enumerate(ended[:BINS]):
            self.ended[b] += weight * self._scale
        for b, weight in enumerate(censored[:BINS]):
            self.censored[b] += weight * self._scale
        self._weight += round(sum(ended) + sum(censored))
        self._completions += round(sum(ended))
        self._indices = None

    def _rescale(self) -> None:
        self.ended = [weight / self._scale for weight in self.ended]
        self.censored = [weight / self._scale for weight in self.censored]
        self._scale = 1.0


def gittins_index(start: int, hazards: Sequence[float]) -> float:
    """Return the Gittins index, in seconds, of a program in the middle of a bin.

    It tries all stopping points at the end of a bin; O(bins).
    """
    best_s = math.inf
    alive, spent_s, done = 1.0, 0.0, 0.0
    for b in range(start, BINS):
        width_s = EDGES_S[b + 1] - EDGES_S[b]
        hazard = hazards[b]
        if b == start:  # from the middle: half the bin is left
            width_s, hazard = width_s / 2, 1 - math.sqrt(1 - hazard)
        ends = alive * hazard
        spent_s += width_s * (alive - ends / 2)
        done += ends
        alive -= ends
        best_s = min(best_s, spent_s / max(done, 1e-12))
    return best_s
