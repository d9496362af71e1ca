"""What goes on early in one run of a graph: starts nodes as others end, and hands results over.

LangGraph's own supersteps call `arrive` and `ended`; ends of early runs call in from their threads
or tasks. Each moves the same state on, under one lock: which row the run has reached, which nodes
have ended, which wait for how many, which run early.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables.config import RunnableConfig
from langgraph.types import Command, Send

from langgraph_parallel._compat.tasks import pulled_step, read_values
from langgraph_parallel._compat.tracing import call_in_context
from langgraph_parallel.lowering.exact.foresight import Foresight
from langgraph_parallel.lowering.exact.plan import PlannedRegion
from langgraph_parallel.lowering.exact.program import EarlyProgram, Launcher
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.sandbox import NodeSetting, early_config, stamp
from langgraph_parallel.lowering.exact.threads import LEFT_BEHIND, MOST_LEFT
from langgraph_parallel.lowering.exact.view import KeyToken

CURRENT: Final[ContextVar[Session | None]] = ContextVar("langgraph_parallel_session", default=None)


class Session:
    """The early runs of one run of a graph.

    Args:
        program: The graph.
        launcher: Runs nodes in the background.
        stops: Nodes before which, and nodes after which, the run pauses.
    """

    def __init__(
        self,
        program: EarlyProgram,
        launcher: Launcher,
        stops: tuple[frozenset[str], frozenset[str]],
    ) -> None:
        self.program = program
        self.launcher = launcher
        self._stops = stops
        self._lock = threading.RLock()
        self._foresight = Foresight(program.graph)
        self._region: PlannedRegion | None = None
        self._entry_step = 0
        self._row = 0
        self._last_row = 0
        """Rows from here on are not started: the run pauses or turns off before them."""
        self._is_alone = False
        """Whether no other branch of the graph runs beside the region."""
        self._guesses = 0
        """Nodes that were started for the next choice of a router."""
        self._missing: dict[str, int] = {}
        self._ended: set[str] = set()
        self._started: set[str] = set()
        self._ready: list[tuple[int, str]] = []
        self._runs: dict[str, EarlyRun] = {}
        self._active: set[EarlyRun] = set()
        self._awaited: set[EarlyRun] = set()
        """Active runs whose turn has come: they stand in for a node of LangGraph's."""
        self._left: set[EarlyRun] = set()
        """Runs that were cancelled and whose threads go on: they take a place all the same."""
        self._base: tuple[RunnableConfig, NodeSetting, Context] | None = None
        self._closed = False
        self._is_understood: bool | None = None
        """Whether the state is what the analysis took it for; None before anybody has looked."""

    # From LangGraph's supersteps

    def knows(self, runnable: Any) -> bool:
        """Tell whether this is the session of a node's own graph."""
        entry = self.program.nodes.get(runnable.exact_name)
        return entry is not None and entry.runnable is runnable

    def setting(self, name: str) -> NodeSetting:
        """Return the setting of a node."""
        return self.program.nodes[name].setting

    def may_fit(self, run: EarlyRun, real: Any) -> bool:
        """Tell whether an early run is worth waiting for: so far it has read what is real."""
        if not run.agrees_with(real):
            return False
        run.arrived_after_s = run.seconds
        with self._lock:
            if run in self._active:
                self._awaited.add(run)
                self._start_ready()
        return True

    def fits(self, run: EarlyRun, real: Any) -> bool:
        """Tell whether an early result is what the real run would return, and count it."""
        if run.has_result and run.agrees_with(real) and run.settle(real):
            self.program.runtime.used(run.name, run.arrived_after_s)
            return True
        self._reject(run)
        return False

    def _reject(self, run: EarlyRun) -> None:
        if run.given_up or run.started_s is None:
            self.program.runtime.gave_up(run.name, run.seconds, run.own_reason)
        else:
            self.program.runtime.missed(run.name, run.seconds)
        run.give_up("the node runs in its own time")
        self.launcher.drop(run)
        self.missed(run.name)

    def arrive(self, name: str, config: RunnableConfig) -> EarlyRun | None:
        """Note that a node's turn has come; return its early run, if there is one."""
        step = pulled_step(config)
        if step is None:
            return None
        with self._lock:
            if self._closed:
                return None
            self._drop(run for run in self._runs.values() if run.step < step)
            run = self._runs.get(name)
            if run is not None and run.step == step:
                del self._runs[name]
            else:
                run = None
            self._advance(name, step, config)
            self._start_ready()
        return run

    def ended(self, name: str, config: RunnableConfig, result: Any) -> None:
        """Note what a node has returned in its own superstep."""
        step = pulled_step(config)
        if step is None:
            return
        with self._lock:
            if not self._closed:
                self._take_in(name, step, result)
                self._start_ready()

    def missed(self, name: str) -> None:
        """Note that a node's early result was wrong, and so perhaps what was built on it."""
        with self._lock:
            if self._region is not None and name in self._ended:
                followers = self._followers(name)
                self._drop(self._runs[other] for other in followers & set(self._runs))
                self._started -= followers
                self._enter(self._region, self._row, self._ended - followers - {name})

    def close(self) -> list[EarlyRun]:
        """Give every early run up; return those that have not ended."""
        with self._lock:
            self._closed = True
            self._drop(self._runs.values())
            return list(self._active)

    # Rows

    def _advance(self, name: str, step: int, config: RunnableConfig) -> None:
        """Move to the row of a node whose turn has come."""
        region = self._region
        row = step - self._entry_step
        if region is not None and 0 <= row < len(region.rows):
            # A node of no such row is in another branch of the graph, which goes its own way.
            if region.row_of.get(name) == row > self._row:
                self._move(row, config, name)
            return
        found = self.program.plan.place.get(name)
        if found is None or not self._understands(config):
            self._region = None
            return
        row = found.row_of[name]
        self._entry_step = step - row
        self._foresight.forget()
        self._started.clear()
        self._is_alone = found.is_alone and row == 0
        self._guesses = 0
        self._drop(run for run in self._runs.values() if run.step > step)
        self._rebase(row, config, name)
        self._enter(found, row, set())

    def _understands(self, config: RunnableConfig) -> bool:
        if self._is_understood is None:
            keys = self.program.relied_on
            began = read_values(config, [k for k in self._foresight.keys if k in keys])
            self._is_understood = self.program.understands(began)
        return self._is_understood

    def _enter(self, region: PlannedRegion, row: int, ended: set[str]) -> None:
        """Work out who waits for whom, with all rows before `row` committed."""
        self._region, self._row = region, row
        self._last_row = self._stop_row(region, row)
        rows = region.row_of
        self._ended = ended | {name for name, at in rows.items() if at < row}
        self._missing = {}
        self._ready = []
        for name in region.early:
            if rows[name] > row and name not in self._started:
                self._missing[name] = len(region.after[name] - self._ended)
                if not self._missing[name]:
                    heapq.heappush(self._ready, (rows[name], name))

    def _stop_row(self, region: PlannedRegion, row: int) -> int:
        before, after = self._stops
        for index in range(row, len(region.rows)):
            names = region.rows[index]
            if index > row and ("*" in before or before.intersection(names)):
                return index
            if "*" in after or after.intersection(names):
                return index + 1
        return len(region.rows) + 1

    def _move(self, row: int, config: RunnableConfig, name: str) -> None:
        region = self._region
        assert region is not None
        for index in range(self._row, row):
            for other in region.rows[index]:
                self._end(other)
        self._row = row
        if self._missing:
            self._rebase(row, config, name)

    def _rebase(self, row: int, config: RunnableConfig, name: str) -> None:
        self._foresight.commit(row, read_values(config, self._foresight.keys))
        self._base = (config, self.program.nodes[name].setting, copy_context())

    # Ends

    def _take_in(self, name: str, step: int, result: Any) -> None:
        """Go on from what a node has returned, if it is one of the region that is open now.

        It may be another's: of a branch beside the region, or of a region that the run has left, or
        entered anew, while the node was running early.
        """
        region = self._region
        if region is None or region.row_of.get(name) != (row := step - self._entry_step):
            return
        read = self.program.nodes[name].read_updates
        if read is None:
            return
        try:
            updates = read(result)
        except Exception:
            return  # LangGraph will say so when it gets there
        written = [(k, v) for k, v in updates or () if not (isinstance(v, KeyToken) and v.key == k)]
        self._foresight.add(row, name, written)
        if _routes(result) and row < len(region.rows) - 1:
            self._last_row = min(self._last_row, row + 1)
            return
        self._end(name)

    def _end(self, name: str) -> None:
        """Let those go on that wait for a node."""
        region = self._region
        if region is None or name in self._ended:
            return
        self._ended.add(name)
        for other in region.dependents.get(name, ()):
            if other in self._missing:
                self._missing[other] -= 1
                if not self._missing[other]:
                    heapq.heappush(self._ready, (region.row_of[other], other))

    def _followers(self, name: str) -> set[str]:
        """Return all nodes that wait for a node, directly or not."""
        region = self._region
        assert region is not None
        found: set[str] = set()
        stack = [name]
        while stack:
            for other in region.dependents.get(stack.pop(), ()):
                if other not in found:
                    found.add(other)
                    stack.append(other)
        return found

    # Early runs

    def _start_ready(self) -> None:
        region = self._region
        if self._closed or region is None:
            return
        while self._ready and len(self._active) < self._room():
            row, name = heapq.heappop(self._ready)
            if not self._row < row < self._last_row or self.program.runtime.is_off(name):
                continue
            if name in region.watchful and not self._is_alone:
                continue
            if name in region.choices:
                self._guesses += 1
                if self._guesses > self.program.most_guesses:
                    continue
            self._missing.pop(name, None)
            self._start(name, row)

    def _room(self) -> int:
        assert self._base is not None
        assert self._region is not None
        if len(LEFT_BEHIND) >= MOST_LEFT:
            return 0
        most = self._base[0].get("max_concurrency")
        if not most:
            return self.program.most_runs
        # One slot stays for each node that LangGraph itself may run, unless that one only waits.
        self._left = {run for run in self._left if run.is_on_thread}
        free = most - self._region.width + len(self._awaited) - len(self._left)
        return min(self.program.most_runs, free)

    def _start(self, name: str, row: int) -> None:
        assert self._base is not None
        given, launcher, context = self._base
        entry = self.program.nodes[name]
        run = EarlyRun(
            name=name,
            step=self._entry_step + row,
            keys=entry.keys,
            lazy=entry.lazy,
            eager=entry.reads,
            outlook=_Outlook(
                self._foresight,
                self._lock,
                row,
                self._foreseen_keys(row) if entry.lazy else frozenset(),
            ),
            make_state=entry.make_state,
            parent_run_id=getattr(given.get("callbacks"), "parent_run_id", None),
            live=self.program.is_live,
        )
        config = early_config(given, launcher, entry.setting, run.step, run.held, run.refuse)
        run.config = stamp(config, entry.setting, early=True)
        run.context = context.copy()
        run.context.run(CURRENT.set, None)
        call_in_context(run.context, run.config)
        self._runs[name] = run
        self._started.add(name)
        self._active.add(run)
        self.program.runtime.started(name)
        self.launcher.start(run, entry.runnable, self._early_ended)

    def _foreseen_keys(self, row: int) -> frozenset[str]:
        """Return the keys that nodes may write from the committed row up to `row`."""
        assert self._region is not None
        names = [n for other in self._region.rows[self._row : row] for n in other]
        entries = [self.program.nodes[n] for n in names if n in self.program.nodes]
        return frozenset().union(*(entry.writes for entry in entries))

    def _early_ended(self, run: EarlyRun) -> None:
        with self._lock:
            self._active.discard(run)
            self._awaited.discard(run)
            if run.is_on_thread:
                self._left.add(run)
            if run.given_up and not run.by_itself:
                return  # by somebody who knows what is to start now
            if self._runs.get(run.name) is run and run.has_result:
                self._take_in(run.name, run.step, run.result)
            self._start_ready()

    def _drop(self, runs: Iterable[EarlyRun]) -> None:
        for run in list(runs):
            run.give_up("its turn did not come")
            self._runs.pop(run.name, None)
            self.program.runtime.gave_up(run.name, run.seconds, run.own_reason)
            self.launcher.drop(run)


@dataclass(frozen=True, slots=True)
class _Outlook:
    """The state before one row, as foreseen."""

    foresight: Foresight
    lock: Any
    row: int
    coming: frozenset[str]
    """Keys that nodes before the row may yet write."""

    def present(self, keys: list[str]) -> list[str]:
        with self.lock:
            return self.foresight.present(keys, self.row)

    def expected(self, keys: list[str]) -> list[str]:
        present = set(self.present(keys)) | self.coming
        return [key for key in keys if key in present]

    def value(self, key: str) -> Any:
        with self.lock:
            return self.foresight.value(key, self.row)


def _routes(result: Any) -> bool:
    """Tell whether a node's result names what comes next."""
    if isinstance(result, Command):
        return bool(result.goto) or result.graph is not None
    if isinstance(result, (list, tuple)):
        return any(map(_routes, result))
    return isinstance(result, Send)
