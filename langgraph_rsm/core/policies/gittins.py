"""Gittins: programs by the service that it is expected to take until one of them is done.

Least attained service is the best order when nothing is known of programs and they vary widely.
With distributions of past costs the Gittins index is (see `core.programs.survival`): a program of a
kind that is always long waits from its start, one that has nearly all behind it goes first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from langgraph_rsm.core.policies.base import Policy
from langgraph_rsm.core.programs.history import History

if TYPE_CHECKING:
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.queues import Place, Rank

_BASE_S = 0.05
"""Index of the lowest level, that of the shortest answers."""
_LEVELS = 64
_MARGIN = 0.25
"""Part of a level by which the index must leave it before the program does (hysteresis)."""

_NO_PATH: Place = (0, 0.0)
"""Place of the calls whose graph does not tell: one object for all that wait."""


class Gittins(Policy):
    """Serve the program with the least Gittins index first; of equals the one that came first.

    Args:
        history: Costs of past programs; None begins with none, as least attained service.
        levels_per_octave: How many levels the index goes through when it doubles.
    """

    name = "gittins"
    learns = True
    by_state: bool = False
    """Whether the call site that a program has got to counts."""

    def __init__(self, history: History | None = None, *, levels_per_octave: float = 2.0) -> None:
        self.history = history or History()
        self._scale = levels_per_octave

    def rank(self, program: Program, now: float) -> Rank:  # noqa: ARG002
        """Return the level of the index, and the order of arrival among equals."""
        index_s = self.history.index_s(program, by_state=self.by_state) / program.share
        exact = self._scale * math.log2(max(index_s, _BASE_S) / _BASE_S)
        old = program.level
        if old is None or not old - _MARGIN <= exact < old + 1 + _MARGIN:
            program.level = old = min(_LEVELS - 1, int(exact))
        return (old, program.index)

    def arrived(self, call: Call, program: Program) -> None:
        """Follow the program."""
        self.history.arrive(call, program)

    def charged(self, program: Program) -> None:
        """Follow the program."""
        self.history.charge(program)

    def completed(self, call: Call, program: Program, service_s: float) -> None:
        """Learn what a call of this call site costs."""
        self.history.end_call(call, program, service_s)

    def retired(self, program: Program) -> None:
        """Learn what the program cost."""
        self.history.retire(program)


class Auto(Gittins):
    """Gittins across programs, by the call site reached; the longest path first inside each.

    It starts from no history as least attained service, and gets better as it learns. Inside a
    program the call with the longest remaining path of the graph goes first, so that no branch
    keeps a fan-in waiting.
    """

    name = "auto"
    by_state = True

    def place(self, call: Call, program: Program, served_s: float) -> Place:  # noqa: ARG002
        """Return the remaining path, longest first, as the order in a single level."""
        return (0, -call.remaining_path_s) if call.remaining_path_s else _NO_PATH
