"""Working set: which programs' contexts an engine's cache is to hold at the same time.

An engine with more live contexts than memory evicts each just before it is needed again, and
computes every prompt anew (thrashing). So a program whose context is not resident is admitted only
while all resident ones fit together. When none can be, programs that are *acting* (in a tool, no
call under way) are paused: they lose their place, and are admitted anew when they come back. The
idea of pausing at tool boundaries is ThunderAgent's (arXiv 2602.13692).
"""

from __future__ import annotations

from collections import OrderedDict

from langgraph_rsm.core.lazy_heap import LazyHeap

_FILL_RATIO = 0.9
"""Part of the memory to plan with; the rest is for answers that grow longer than expected."""
_GRACE_S = 2.0
"""Time for which an acting program keeps its place even when memory is short: most tools of agents
return within a second (86 % in the traces of vLLM's router proposal, RFC 285)."""
_MARGIN_LEVELS = 1
"""Levels by which a newcomer must be better than a waiting program to take its place: what makes
way computes its context anew later, which a small difference of rank is not worth."""


class WorkingSet:
    """Resident programs of one engine; all operations O(log n) amortized per program paused.

    Args:
        capacity_tokens: Tokens of context that the engine's cache holds; None means any number.
    """

    __slots__ = ("_acting", "_limit", "_resident", "_used", "_waiting")

    def __init__(self, capacity_tokens: int | None = None) -> None:
        self._limit = float("inf") if capacity_tokens is None else _FILL_RATIO * capacity_tokens
        self._resident: dict[str, int] = {}
        self._acting: OrderedDict[str, float] = OrderedDict()
        self._waiting = LazyHeap()
        self._used = 0

    @property
    def bounded(self) -> bool:
        """Whether memory is limited at all."""
        return self._limit != float("inf")

    @property
    def used_tokens(self) -> int:
        """Tokens of all resident contexts together."""
        return self._used

    def ready_s(self, tokens: int, level: float, now: float, *, idle: bool) -> float:
        """Return when a program that is not resident may come in; `now` if at once.

        Args:
            tokens: Length of its context.
            level: Its rank; waiting programs of a much higher level make way for it.
            now: Time in seconds.
            idle: Whether the engine has nothing to do; then all others make way, as there must be
                progress.

        Returns:
            The time; infinity if only an event can help.
        """
        missing = self._used + tokens - self._limit
        if missing <= 0 or idle or not self._resident:
            return now
        for program_id, since_s in self._acting.items():
            if now < since_s + _GRACE_S:
                return now if self._can_displace(missing, level) else since_s + _GRACE_S
            missing -= self._resident[program_id]
            if missing <= 0:
                return now
        return now if self._can_displace(missing, level) else float("inf")

    def make_room(
        self, program_id: str, tokens: int, level: float, now: float, *, idle: bool
    ) -> list[str]:
        """Pause programs for one that gets a slot, and return those of them that wait.

        For a resident one, whose context only grows, any other that has no slot makes way; those
        that have just begun to act last, as most of them are back at once.
        """
        tokens = max(0, tokens - self._resident.get(program_id, 0))
        if idle or program_id in self._resident:
            level, idle = float("-inf"), True
            self._acting.pop(program_id, None)
            self._waiting.discard(program_id)
        paused: list[str] = []
        while self._used + tokens > self._limit:
            victim = self._acting_victim(now)
            if victim is None and (victim := self._waiting_victim(level)) is not None:
                paused.append(victim)
            if victim is None and idle:
                victim = next(iter(self._acting), None)
            if victim is None:
                break
            self.leave(victim)
        return paused

    def hold(self, program_id: str, tokens: int) -> None:
        """Make a program resident and active, with a context of at least this length."""
        old = self._resident.get(program_id, 0)
        if tokens > old or not old:
            self._resident[program_id] = max(tokens, 1)
            self._used += max(tokens, 1) - old
        self._acting.pop(program_id, None)
        self._waiting.discard(program_id)

    def rest(self, program_id: str, now: float) -> None:
        """Take note that a program has no call under way."""
        if program_id in self._resident:
            self._acting[program_id] = now
            self._waiting.discard(program_id)

    def wait(self, program_id: str, rank: tuple[float, float], index: int) -> None:
        """Take note that a program has calls that wait, and none that has a slot.

        Args:
            program_id: The program; nothing happens if it is not resident.
            rank: Level and tie of the policy.
            index: Order of arrival; of equals the latest makes way first.
        """
        if program_id in self._resident:
            self._acting.pop(program_id, None)
            self._waiting.set((-rank[0], -rank[1], -index, program_id))

    def leave(self, program_id: str) -> None:
        """Make room: the program is over, paused, or moved away."""
        self._used -= self._resident.pop(program_id, 0)
        self._acting.pop(program_id, None)
        self._waiting.discard(program_id)

    def clear(self) -> None:
        """Forget all programs: the engine has lost its cache."""
        self._resident.clear()
        self._acting.clear()
        self._waiting = LazyHeap()
        self._used = 0

    def _can_displace(self, missing: float, level: float) -> bool:
        """Return whether the worst waiting program makes way and is large enough."""
        victim = self._waiting_victim(level)
        return victim is not None and self._resident[victim] >= missing

    def _acting_victim(self, now: float) -> str | None:
        for program_id, since_s in self._acting.items():
            return program_id if now >= since_s + _GRACE_S else None
        return None

    def _waiting_victim(self, level: float) -> str | None:
        worst = self._waiting.first()
        return None if worst is None or -worst[0] <= level + _MARGIN_LEVELS else worst[-1]

    def __contains__(self, program_id: str) -> bool:
        return program_id in self._resident

    def __len__(self) -> int:
        return len(self._resident)
