"""Lineage: which earlier calls of a run a new call may have needed, from LangGraph's tasks alone.

A checkpoint namespace is a path of tasks, `tools:<id>|model:<id>`. Two calls part at the first task
in which their paths differ. What ran before that task began may have fed it; what was still running
in a sibling task cannot have. So an ended call precedes a new one exactly if it ended before the
task began in which they part; parents are the preceding calls that precede no other one. Inside one
task the order of the calls is taken for dependence, which errs on the side of a longer chain.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from dataclasses import dataclass

_MAX_CALLS = 64
"""Ended calls that are remembered; a join of more branches has its latest ones as parents."""
_MAX_TASKS = 4096
"""Tasks whose beginning is remembered; of an older one everything counts as earlier."""

_moments = itertools.count()
"""Numbers the beginnings of tasks and the ends of calls in the order in which they happen."""


@dataclass(frozen=True, slots=True)
class _Ended:
    moment: int
    path: tuple[str, ...]
    call_id: str


class Lineage:
    """Tasks and ended calls of one root run. Thread-safe: each step is one atomic operation."""

    __slots__ = ("_began", "_ended")

    def __init__(self) -> None:
        self._began: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._ended: deque[_Ended] = deque(maxlen=_MAX_CALLS)

    def task_began(self, namespace: str) -> None:
        """Take note of a task; only the first of its runs counts."""
        path = _path(namespace)
        if path in self._began:
            return
        self._began[path] = next(_moments)
        if len(self._began) > _MAX_TASKS:
            self._began.popitem(last=False)

    def call_ended(self, call_id: str, namespace: str) -> None:
        """Take note of an answered call."""
        self._ended.append(_Ended(next(_moments), _path(namespace), call_id))

    def parents(self, namespace: str) -> tuple[str, ...]:
        """Return the ids of the calls that a new call may have needed, latest first.

        O(calls remembered x parents).
        """
        path = _path(namespace)
        chosen: list[_Ended] = []
        for ended in reversed(tuple(self._ended)):
            if not self._precedes(ended, path):
                continue
            if not any(self._precedes(ended, child.path) for child in chosen):
                chosen.append(ended)
        return tuple(ended.call_id for ended in chosen)

    def _precedes(self, ended: _Ended, path: tuple[str, ...]) -> bool:
        for depth, (theirs, ours) in enumerate(zip(ended.path, path, strict=False)):
            if theirs != ours:
                began = self._began.get(path[: depth + 1])
                return began is None or ended.moment < began
        return True  # one task: one after the other


def _path(namespace: str) -> tuple[str, ...]:
    return tuple(namespace.split("|")) if namespace else ()
