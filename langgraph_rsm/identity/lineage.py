"""Lineage: which earlier calls of a run a new call may have needed, with no user code.

The work of a run is a tree of *strands*; the steps of one strand follow one another. The run itself
is a strand, and so is each LangGraph task, below the strand that started its graph. An asyncio task
or a thread that works on behalf of a strand is a *fork* of it: a part of `gather`, `batch` or
`RunnableParallel`, or work that was handed to an executor with its context.

```text
    run ─┬─ plan ──────────── c1          c5's parents: c3, c4 (c1 precedes both)
         ├─ work ─┬─ fork ─── c2, c3      c3's parent: c2 (c4 is made beside it)
         │        └─ fork ─── c4
         └─ join ──────────── c5
```

Two calls part at the first strands in which their chains differ. The ended call precedes the new
one if it ended before the new one's strand began there, unless its own strand is an asyncio task
that still goes on. Tasks of one superstep begin together; so do forks of one *wave*, which lasts
until no fork of the strand has a call open. Parents are the preceding calls that precede no other.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import OrderedDict, deque
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph_rsm.identity.forks import renew_in_children

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CALLS = 64
"""Ended calls that are remembered; a join of more branches has its latest ones as parents."""
_MAX_TASKS = 4096
"""Tasks that are remembered; a call in an older one counts for the nearest task around it."""

_MAX_DEPTH = 64
"""Strands within strands; a fork below that counts as one of the strand above."""

_moments = itertools.count(1)
"""Numbers the beginnings of strands and calls, and the ends of calls, as they happen."""

Superstep = tuple[Any, int]
"""Run of a graph, and the number of a superstep in it."""


class Strand:
    """Steps of a run that follow one another; made and changed by `Lineage` only."""

    __slots__ = (
        "began",
        "began_together",
        "depth",
        "namespace",
        "open_forks",
        "own_worker",
        "parent",
        "wave_began",
        "worker",
    )

    def __init__(self, parent: Strand | None, namespace: str) -> None:
        self.parent = parent
        """The strand that it is part of; None for the run itself."""
        self.namespace = namespace
        """Checkpoint namespace of the task that it is or is part of; empty outside of a graph."""
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.began = next(_moments)
        self.worker = _current_worker()
        """The asyncio task, or the number of the thread, that does the work."""
        self.own_worker = parent is None or self.worker != parent.worker
        """Whether the worker does nothing for the strand around it meanwhile."""
        self.began_together: tuple[Superstep, int] | None = None
        """Latest superstep of a graph below it, and when the tasks of that began."""
        self.wave_began: int | None = None
        """When the present forks of it began; None if the next one begins a new wave."""
        self.open_forks = 0
        """Calls that are open in its forks and below them."""

    @property
    def goes_on(self) -> bool:
        """Whether it is known not to be over; of a thread nobody knows."""
        if not self.own_worker or isinstance(self.worker, int):
            return False
        task = self.worker()
        return task is not None and not task.done()


@dataclass(frozen=True, slots=True)
class _Ended:
    call_id: str
    strand: Strand
    began: int
    ended: int


_strand: ContextVar[Strand | None] = ContextVar("langgraph_rsm_strand", default=None)
"""The strand that this context works for, or is a copy of a context that does."""


class Lineage:
    """Strands and ended calls of one root run; thread-safe."""

    __slots__ = ("__weakref__", "_ended", "_lock", "_tasks", "_trunk")

    def __init__(self) -> None:
        self._trunk = Strand(None, "")
        self._tasks: OrderedDict[str, Strand] = OrderedDict()
        self._ended: deque[_Ended] = deque(maxlen=_MAX_CALLS)
        # Reentrant: a finalizer may end a call in the middle of any step.
        self._lock = threading.RLock()
        renew_in_children(self)

    def renew_after_fork(self) -> None:
        """Use a lock that nobody holds."""
        self._lock = threading.RLock()

    def step(self, namespace: str, superstep: Superstep | None = None) -> None:
        """Take note that something begins in this context, perhaps a task.

        Args:
            namespace: Checkpoint namespace of the task that it is or is part of.
            superstep: The superstep whose tasks begin together, if it is a task of one.
        """
        if not namespace or namespace in self._tasks:
            self.strand(namespace)
            return
        parent = self._around(namespace.rpartition("|")[0])
        with self._lock:
            task = self._tasks[namespace] = Strand(parent, namespace)
            if superstep is not None:
                latest = parent.began_together
                if latest is None or latest[0] != superstep:
                    latest = parent.began_together = (superstep, task.began)
                task.began = latest[1]
            if len(self._tasks) > _MAX_TASKS:
                self._tasks.popitem(last=False)
        _strand.set(task)

    def strand(self, namespace: str) -> Strand:
        """Return the strand that this context works for, a new fork if this is its first step."""
        found = self._around(namespace)
        if found.worker == _current_worker():
            return found
        if found.depth >= _MAX_DEPTH and found.parent is not None:
            found = found.parent  # work that hands itself on from task to task, without end
        with self._lock:
            fork = Strand(found, found.namespace)
            if found.wave_began is None:
                found.wave_began = fork.began
            fork.began = found.wave_began
        _strand.set(fork)
        return fork

    def call_began(self, strand: Strand) -> int:
        """Take note of a call; `call_left` must follow. Returns the moment."""
        with self._lock:
            for forked in _forked_above(strand):
                forked.open_forks += 1
        return next(_moments)

    def call_left(self, strand: Strand, began: int, call_id: str | None) -> None:
        """Take note that a call is over, and remember the one that was answered.

        Args:
            strand: Where it was made.
            began: When it began.
            call_id: The call; None if there is no answer.
        """
        if call_id is not None:
            self._ended.append(_Ended(call_id, strand, began, next(_moments)))
        with self._lock:
            for forked in _forked_above(strand):
                forked.open_forks -= 1
                if not forked.open_forks:
                    forked.wave_began = None

    def parents(self, strand: Strand) -> tuple[str, ...]:
        """Return the ids of the calls that a new call may have needed, latest first.

        O(calls remembered x parents); where steps follow one another, O(1).
        """
        chosen: list[_Ended] = []
        settled = 0
        for ended in reversed(tuple(self._ended)):
            if ended.ended < settled:
                break
            theirs, ours = _parts(ended.strand, strand)
            if not _precedes(ended, theirs, ours):
                continue
            if any(_precedes_call(ended, child) for child in chosen):
                continue
            chosen.append(ended)
            # Of what had ended by then, this call follows all that could precede the new one.
            settled = max(settled, ended.began if theirs is None else theirs.began)
        return tuple(ended.call_id for ended in chosen)

    def _around(self, namespace: str) -> Strand:
        """Return the innermost known strand of a task, or of the nearest known one around it."""
        while namespace and namespace not in self._tasks:
            namespace = namespace.rpartition("|")[0]
        found = _strand.get()
        while found is not None and found.namespace != namespace:
            found = found.parent
        if found is not None and _trunk_of(found) is self._trunk:
            return found
        return self._tasks.get(namespace, self._trunk)


def _precedes_call(ended: _Ended, child: _Ended) -> bool:
    return ended.ended < child.began and _precedes(ended, *_parts(ended.strand, child.strand))


def _precedes(ended: _Ended, theirs: Strand | None, ours: Strand | None) -> bool:
    if ours is not None and ended.ended > ours.began:
        return False
    return theirs is None or not theirs.goes_on


def _parts(theirs: Strand, ours: Strand) -> tuple[Strand | None, Strand | None]:
    """Return the first strands in which two chains differ; None for one that goes no further."""
    their_part: Strand | None = None
    our_part: Strand | None = None
    while theirs is not ours:
        deeper = theirs.depth - ours.depth
        if deeper >= 0:
            assert theirs.parent is not None, "all strands of a run meet"
            their_part, theirs = theirs, theirs.parent
        if deeper <= 0:
            assert ours.parent is not None, "all strands of a run meet"
            our_part, ours = ours, ours.parent
    return their_part, our_part


def _forked_above(strand: Strand) -> Iterator[Strand]:
    """Yield the strands of which a strand, or one that it is a part of, is a fork."""
    while (parent := strand.parent) is not None:
        if parent.namespace == strand.namespace:
            yield parent
        strand = parent


def _trunk_of(strand: Strand) -> Strand:
    while strand.parent is not None:
        strand = strand.parent
    return strand


def _current_worker() -> weakref.ref[asyncio.Task[Any]] | int:
    loop = asyncio._get_running_loop()  # as `get_running_loop`, without an exception
    task = None if loop is None else asyncio.current_task(loop)
    return threading.get_ident() if task is None else weakref.ref(task)
