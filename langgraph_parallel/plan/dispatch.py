"""Which tasks of a plan to start now: told what ended, it answers what may begin.

No clock, no threads, no event loop; the executor, `PlanNode` and the benchmark drive the same core.
A task is *settled* once nothing can happen to it any more. Every operation costs O(log n) for each
task or edge that it touches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TypeAlias

from langgraph_parallel.config import OnError
from langgraph_parallel.plan.graph import TaskGraph, duration_of
from langgraph_parallel.plan.task import Task, TaskStatus

_Queue: TypeAlias = deque[tuple[int, TaskStatus, str]]
"""Tasks that are about to be settled: position, how, and why."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One task and where it is."""

    task: Task
    needs: tuple[int, ...]
    """Positions of the tasks whose results it refers to."""
    waits_for: int
    """Predecessors that are not settled, and 1 more while its batch has not begun."""
    rank: float
    """Seconds from its start to the end of the plan on the longest way; longer ones go first."""
    level: int = 0
    followers: list[int] = field(default_factory=list)
    status: TaskStatus | None = None
    """None while it is not settled."""
    reason: str = ""


class Dispatcher:
    """Decides which tasks of a plan start, within its limits.

    Args:
        on_error: What a failure means for other tasks.
        capacity: Tasks that may run at a time; None means no limit.
        resources: Tasks that may use a named resource at a time; 1 for those not named here.
        barrier: Start the tasks of a batch only when all earlier batches are settled.
    """

    def __init__(
        self,
        *,
        on_error: OnError = "fail_fast",
        capacity: int | None = None,
        resources: Mapping[str, int] | None = None,
        barrier: bool = False,
    ) -> None:
        self._on_error = on_error
        self._capacity = capacity
        self._limits = dict(resources or {})
        self._barrier = barrier
        self._entries: list[_Entry] = []
        self._ready: list[tuple[float, int]] = []
        self._used: dict[str, int] = {}
        self._parked: dict[str, list[tuple[float, int]]] = {}
        self._batches: list[list[int]] = []
        self._unsettled_in: list[int] = []
        self._batch = -1
        self._is_stopped = False
        self.running: set[int] = set()
        """Positions of the tasks that were started and have not ended."""
        self.unsettled = 0
        """Number of tasks to which something can still happen."""
        self.settled: deque[int] = deque()
        """Positions of settled tasks in the order in which it happened; the caller takes them."""

    def load(self, plan: TaskGraph) -> None:
        """Add all tasks of a plan."""
        ranks = _ranks(plan)
        levels: list[int] = []
        for j, (task, earlier) in enumerate(zip(plan.tasks, plan.predecessors, strict=True)):
            levels.append(1 + max((levels[i] for i in earlier), default=-1))
            references = plan.references.get(task.id, ())
            needs = tuple(plan.index[reference.task_id] for reference in references)
            self.add(task, earlier, needs, rank=ranks[j], level=levels[j])
        self._settle(deque())

    def add(
        self,
        task: Task,
        earlier: Iterable[int],
        needs: Sequence[int] = (),
        *,
        rank: float = 0.0,
        level: int = 0,
    ) -> int:
        """Add one task after those already there and return its position.

        Args:
            task: The task.
            earlier: Positions of the tasks that it waits for.
            needs: Positions of those among them, or before them, whose results it refers to.
            rank: Seconds from its start to the end of the plan; among ready tasks the one with the
                highest goes first, then the one that comes first.
            level: Its batch; means something only with `barrier`.
        """
        position = len(self._entries)
        gate = 1 if self._barrier else 0
        entry = _Entry(task=task, needs=tuple(needs), waits_for=gate, rank=rank, level=level)
        self._entries.append(entry)
        self.unsettled += 1
        if self._barrier:
            while len(self._batches) <= level:
                self._batches.append([])
                self._unsettled_in.append(0)
            self._batches[level].append(position)
            self._unsettled_in[level] += 1
        broken = ""
        for i in earlier:
            before = self._entries[i]
            if before.status is None:
                before.followers.append(position)
                entry.waits_for += 1
            elif before.status != "done" and self._on_error != "continue":
                broken = broken or f"task {before.task.id!r} was {before.status}"
        queue: _Queue = deque()
        if self._is_stopped:
            queue.append((position, "cancelled", "the plan was stopped"))
        elif broken:
            queue.append((position, "skipped", broken))
        elif entry.waits_for == 0:
            self._release(position, queue)
        if queue:
            self._settle(queue)
        return position

    def start_ready(self) -> list[int]:
        """Return the positions of the tasks that start now; they count as running."""
        started: list[int] = []
        while self._ready and (self._capacity is None or len(self.running) < self._capacity):
            item = heappop(self._ready)
            entry = self._entries[item[1]]
            if entry.status is not None:
                continue
            resources = entry.task.resources
            full = next((name for name in resources if self._is_full(name)), None)
            if full is not None:
                heappush(self._parked.setdefault(full, []), item)
            else:
                for name in resources:
                    self._used[name] = self._used.get(name, 0) + 1
                self.running.add(item[1])
                started.append(item[1])
            for name in resources:
                self._unpark(name)
        return started

    def finish(self, position: int, status: TaskStatus, reason: str = "") -> None:
        """Note how a running task ended, and what that means for the tasks that wait for it."""
        self.pause(position)
        is_fatal = status == "failed" and self._on_error == "fail_fast" and not self._is_stopped
        self._is_stopped = self._is_stopped or is_fatal
        queue: _Queue = deque([(position, status, reason)])
        self._settle(queue)
        if is_fatal:
            self._cancel_idle(f"task {self._entries[position].task.id!r} failed")

    def pause(self, position: int) -> None:
        """Note that a running task waits for an answer from outside: it is not settled."""
        self.running.discard(position)
        for name in self._entries[position].task.resources:
            self._used[name] -= 1
            self._unpark(name)

    def stop(self, reason: str) -> None:
        """Start nothing any more: every task that is not running is cancelled."""
        if not self._is_stopped:
            self._is_stopped = True
            self._cancel_idle(reason)

    def _cancel_idle(self, reason: str) -> None:
        idle: _Queue = deque()
        for i, entry in enumerate(self._entries):
            if entry.status is None and i not in self.running:
                idle.append((i, "cancelled", reason))
        self._settle(idle)

    def status(self, position: int) -> TaskStatus | None:
        """Return how a task ended; None while it has not."""
        return self._entries[position].status

    def reason(self, position: int) -> str:
        """Return why a task was skipped or cancelled; empty otherwise."""
        return self._entries[position].reason

    def _settle(self, queue: _Queue) -> None:
        """Settle tasks, and those that can no longer run because of them."""
        while queue or self._open_batch(queue):
            if not queue:
                continue
            position, status, reason = queue.popleft()
            entry = self._entries[position]
            if entry.status is not None:
                continue
            entry.status, entry.reason = status, reason
            self.settled.append(position)
            self.unsettled -= 1
            if self._barrier:
                self._unsettled_in[entry.level] -= 1
            self._inform(entry, queue)

    def _inform(self, entry: _Entry, queue: _Queue) -> None:
        """Tell the tasks that wait for a settled one."""
        is_broken = entry.status != "done" and self._on_error != "continue"
        for follower in entry.followers:
            after = self._entries[follower]
            after.waits_for -= 1
            if after.status is not None or self._is_stopped:
                continue
            if is_broken:
                queue.append((follower, "skipped", f"task {entry.task.id!r} was {entry.status}"))
            elif after.waits_for == 0:
                self._release(follower, queue)

    def _release(self, position: int, queue: _Queue) -> None:
        """Make a task ready, or skip it when a result that it refers to is missing."""
        entry = self._entries[position]
        missing = next((i for i in entry.needs if self._entries[i].status != "done"), None)
        if missing is None:
            heappush(self._ready, (-entry.rank, position))
            return
        before = self._entries[missing]
        reason = f"it refers to task {before.task.id!r}, which was {before.status}"
        queue.append((position, "skipped", reason))

    def _open_batch(self, queue: _Queue) -> bool:
        """Open the gates of the next batch if the one before is settled; tell whether it was."""
        if self._is_stopped or self._batch + 1 >= len(self._batches):
            return False
        if self._batch >= 0 and self._unsettled_in[self._batch]:
            return False
        self._batch += 1
        for position in self._batches[self._batch]:
            entry = self._entries[position]
            entry.waits_for -= 1
            if entry.status is None and entry.waits_for == 0:
                self._release(position, queue)
        return True

    def _is_full(self, name: str) -> bool:
        return self._used.get(name, 0) >= self._limits.get(name, 1)

    def _unpark(self, name: str) -> None:
        """Let the next task that waits for a resource try again, if there is room."""
        parked = self._parked.get(name)
        if parked and not self._is_full(name):
            heappush(self._ready, heappop(parked))


def _ranks(plan: TaskGraph) -> list[float]:
    """Return for each task the seconds from its start to the end of the plan."""
    ranks = [duration_of(task) for task in plan.tasks]
    for j in range(len(plan.tasks) - 1, -1, -1):
        for i in plan.predecessors[j]:
            ranks[i] = max(ranks[i], duration_of(plan.tasks[i]) + ranks[j])
    return ranks
