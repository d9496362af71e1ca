"""Working set: which programs' contexts an engine's cache is to hold at the same time.

An engine with more live contexts than memory evicts each just before it is needed again, and
computes every prompt anew (thrashing). So a program whose context is not resident is admitted only
while all resident ones fit together. When none can be, programs that are *acting* (in a tool, no
call under way) are paused: they lose their place, and are admitted anew when they come back. The
idea of pausing at tool boundaries is ThunderAgent's (arXiv 2602.13692).
"""

from __future__ import annotations

from collections import OrderedDict

_FILL_RATIO = 0.9
"""Part of the memory to plan with; the rest is for answers that grow longer than expected."""
_GRACE_S = 2.0
"""Time for which an acting program keeps its place even when memory is short: most tools of agents
return within a second (86 % in the traces of vLLM's router proposal, RFC 285)."""


class WorkingSet:
    """Resident programs of one engine; all operations O(1) amortized.

    Args:
        capacity_tokens: Tokens of context that the engine's cache holds; None means any number.
    """

    __slots__ = ("_acting", "_limit", "_resident", "_used")

    def __init__(self, capacity_tokens: int | None = None) -> None:
        self._limit = float("inf") if capacity_tokens is None else _FILL_RATIO * capacity_tokens
        self._resident: dict[str, int] = {}
        self._acting: OrderedDict[str, float] = OrderedDict()
        self._used = 0

    @property
    def bounded(self) -> bool:
        """Whether memory is limited at all."""
        return self._limit != float("inf")

    @property
    def used_tokens(self) -> int:
        """Tokens of all resident contexts together."""
        return self._used

    def fits(self, program_id: str, tokens: int) -> bool:
        """Return whether a call of the program, with a context of this length, may be admitted.

        Always for a resident program, and for one that would be alone.
        """
        if program_id in self._resident or not self._resident:
            return True
        return self._used + tokens <= self._limit

    def make_room(self, tokens: int, now: float, *, idle: bool) -> float | None:
        """Pause acting programs until a context fits.

        Args:
            tokens: Its length.
            now: Time in seconds.
            idle: Whether the engine has nothing to do; then also programs that were only just
                heard of are paused, as there must be progress.

        Returns:
            None if it fits now, else when to try again; infinity if only a call's end can help.
        """
        while self._used + tokens > self._limit and self._resident:
            if not self._acting:
                return float("inf")
            program_id, since_s = next(iter(self._acting.items()))
            if not idle and now < since_s + _GRACE_S:
                return since_s + _GRACE_S
            self.leave(program_id)
        return None

    def hold(self, program_id: str, tokens: int) -> None:
        """Make a program resident and active, with a context of at least this length."""
        old = self._resident.get(program_id, 0)
        if tokens > old or not old:
            self._resident[program_id] = max(tokens, 1)
            self._used += max(tokens, 1) - old
        self._acting.pop(program_id, None)

    def rest(self, program_id: str, now: float) -> None:
        """Take note that a program has no call under way."""
        if program_id in self._resident:
            self._acting[program_id] = now

    def leave(self, program_id: str) -> None:
        """Make room: the program is over, paused, or moved away."""
        self._used -= self._resident.pop(program_id, 0)
        self._acting.pop(program_id, None)

    def clear(self) -> None:
        """Forget all programs: the engine has lost its cache."""
        self._resident.clear()
        self._acting.clear()
        self._used = 0

    def __contains__(self, program_id: str) -> bool:
        return program_id in self._resident

    def __len__(self) -> int:
        return len(self._resident)
