"""History: what programs of each graph have cost, learned online.

A *kind* is a graph fingerprint; a *state* is a kind, a call site in it, and how often that site has
been visited, in powers of two. For each kind there is a survival curve of the total service of its
programs, for each state one of the service that they needed from there on. Fingerprints and names
of call sites are all that is kept of a program; prompts never are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph_rsm.core.programs.survival import UPPER_S, SurvivalCurve, bin_of
from langgraph_rsm.core.programs.track import Track, Visit

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program

VERSION = 1
"""Of the documents that histories are written down in."""
_MAX_KINDS = 1024
_MAX_STATES = 8192
"""Bounds of memory, about 1 KiB each; what comes later counts for its wider kind only."""
_STATES_PER_PROGRAM = 32
_DOUBTED_PROGRAMS = 50
"""Programs that must have ended after a state for it to get half of the weight that it can get.
Running ones do not count: while most are still under way, a state looks longer than it is."""
_STATE_WEIGHT = 0.5
"""Most weight of a state against its kind. The kind goes by all the service a program has had, the
state by what it had since; with loops neither contains the other."""
_LEARNING_RATIO = 0.05
"""Weight of the latest call in a call site's average."""

State = tuple[str, str, int]
"""Kind, call site, power of two of the visits."""


@dataclass(slots=True)
class CallCost:
    """Service of the calls of one call site."""

    mean_s: float
    calls: int = 1


class History:
    """Service of past and running programs, by kind and by state."""

    def __init__(self) -> None:
        self._all = SurvivalCurve()
        self._kinds: dict[str, SurvivalCurve] = {}
        self._states: dict[State, SurvivalCurve] = {}
        self._calls: dict[tuple[str, str], CallCost] = {}

    def arrive(self, call: Call, program: Program) -> Track:
        """Take note of a call; the first one of a program begins its track."""
        track = program.track
        if track is None:
            # Without a fingerprint, where a program begins is the best hint of what it is.
            kind = call.graph or call.call_site
            track = program.track = Track(kind, self._curve_of(kind))
            track.curve.enter()
            if track.curve is not self._all:
                self._all.enter()
        if call.call_site:
            self._visit(track, call.call_site, program.attained_s)
        return track

    def charge(self, program: Program) -> None:
        """Take note that a program's service has grown."""
        track = program.track
        if track is None:
            return
        attained_s = program.attained_s
        if attained_s >= UPPER_S[track.bin]:
            self._move(track, bin_of(attained_s))
            for visit in track.states.values():
                _advance(visit, attained_s)
        elif track.current is not None:
            _advance(track.current, attained_s)

    def end_call(self, call: Call, program: Program, service_s: float) -> None:
        """Take note of what a call has cost."""
        kind = program.track.kind if program.track else call.graph
        cost = self._calls.get((kind, call.call_site))
        if cost is not None:
            cost.calls += 1
            # The plain mean at first, a fading one later.
            ratio = max(_LEARNING_RATIO, 1 / cost.calls)
            cost.mean_s += ratio * (service_s - cost.mean_s)
        elif len(self._calls) < _MAX_STATES:
            self._calls[kind, call.call_site] = CallCost(service_s)

    def retire(self, program: Program) -> None:
        """Take note that a program is over, or was given up without its end being told."""
        track = program.track
        if track is None:
            return
        self.charge(program)
        program.track = None
        track.curve.leave(track.bin, ended=program.ended)
        if track.curve is not self._all:
            self._all.leave(track.bin, ended=program.ended)
        for visit in track.states.values():
            _advance(visit, program.attained_s)
            visit.curve.leave(visit.bin, ended=program.ended)

    def index_s(self, program: Program, *, by_state: bool) -> float:
        """Return the Gittins index of a program, in seconds per completion; low is good.

        Args:
            program: A live program.
            by_state: Whether to look at the call site it has got to as well, the more so the more
                is known of it.
        """
        track = program.track
        if track is None:
            return self._all.index_s(bin_of(program.attained_s))
        kind_s = track.curve.index_s(track.bin)
        visit = track.current
        if not by_state or visit is None or not visit.curve.completions:
            return kind_s
        ended = visit.curve.completions
        weight = _STATE_WEIGHT * ended / (ended + _DOUBTED_PROGRAMS)
        # The geometric mean, since levels are logarithmic: both estimates err by factors.
        return float(kind_s ** (1 - weight) * visit.curve.index_s(visit.bin) ** weight)

    def call_s(self, call: Call) -> float | None:
        """Return what calls of this kind and call site have cost on average; None if unknown."""
        cost = self._calls.get((call.graph or call.call_site, call.call_site))
        return None if cost is None else cost.mean_s

    # Between processes

    def to_document(self) -> dict[str, Any]:
        """Return everything as JSON values; running programs count as far as they have got."""
        return {
            "version": VERSION,
            "all": self._all.weights(),
            "kinds": {kind: curve.weights() for kind, curve in self._kinds.items()},
            "states": [[*state, *curve.weights()] for state, curve in self._states.items()],
            "calls": [[*key, cost.mean_s, cost.calls] for key, cost in self._calls.items()],
        }

    @classmethod
    def from_document(cls, document: Any) -> History:
        """Return the history that `to_document` wrote down.

        Raises:
            ValueError: It wrote no such thing.
        """
        history = cls()
        try:
            history._restore(document)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as exc:
            msg = f"not a history of version {VERSION}"
            raise ValueError(msg) from exc
        return history

    def _restore(self, document: Any) -> None:
        if document["version"] != VERSION:
            msg = f"version {document['version']}"
            raise ValueError(msg)
        self._all.restore(*document["all"])
        for kind, weights in document["kinds"].items():
            self._curve_of(kind).restore(*weights)
        for kind, site, power, ended, censored in document["states"]:
            curve = self._states[kind, site, int(power)] = SurvivalCurve()
            curve.restore(ended, censored)
        for kind, site, mean_s, calls in document["calls"]:
            if not (0 <= mean_s < float("inf") and 1 <= calls < float("inf")):
                msg = f"{calls} calls of {mean_s} s"
                raise ValueError(msg)
            self._calls[kind, site] = CallCost(float(mean_s), int(calls))

    # Steps

    def _curve_of(self, kind: str) -> SurvivalCurve:
        curve = self._kinds.get(kind)
        if curve is None:
            if not kind or len(self._kinds) >= _MAX_KINDS:
                return self._all
            curve = self._kinds[kind] = SurvivalCurve(self._all)
        return curve

    def _visit(self, track: Track, site: str, attained_s: float) -> None:
        count = track.visits[site] = track.visits.get(site, 0) + 1
        state = (track.kind, site, count.bit_length())
        curve = self._states.get(state)
        visit = None if curve is None else track.states.get(curve)
        if visit is None and len(track.states) < _STATES_PER_PROGRAM:
            if curve is None and len(self._states) < _MAX_STATES:
                curve = self._states[state] = SurvivalCurve()
            if curve is not None:
                curve.enter()
                visit = track.states[curve] = Visit(curve, attained_s)
        track.current = visit

    def _move(self, track: Track, to_bin: int) -> None:
        track.curve.move(track.bin, to_bin)
        if track.curve is not self._all:
            self._all.move(track.bin, to_bin)
        track.bin = to_bin


def _advance(visit: Visit, attained_s: float) -> None:
    service_s = attained_s - visit.entered_s
    if service_s >= UPPER_S[visit.bin]:  # service never becomes less
        now_bin = bin_of(service_s)
        visit.curve.move(visit.bin, now_bin)
        visit.bin = now_bin
