"""Scheduler: a thin shell that lets threads and coroutines of one process share the core.

One lock guards the core and is held for microseconds; never across I/O, a wait, or a hook. There is
no background thread: every decision is made by the event that makes it possible, on the thread
where that happens. A timer is set only while an engine must be left alone, see `Alarm`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from langgraph_rsm.core.events import (
    UNBOUNDED,
    Cancelled,
    EngineChanged,
    Failed,
    Finished,
    ProgramEnded,
    Started,
    Submitted,
    Tick,
)
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.core.machine.state import take_snapshot
from langgraph_rsm.errors import ConfigError, EngineError
from langgraph_rsm.identity.forks import renew_in_children
from langgraph_rsm.identity.programs import watch_program_ends
from langgraph_rsm.runtime.alarm import Alarm
from langgraph_rsm.runtime.clients import forget_connections, server_of
from langgraph_rsm.runtime.grants import Grants
from langgraph_rsm.runtime.history_file import inherit_policy, load_policy, save_policy
from langgraph_rsm.runtime.lease import Lease, Slot
from langgraph_rsm.runtime.steps import (
    choose_config,
    end_event,
    observation,
    require_hooks,
)
from langgraph_rsm.runtime.watch import Watch
from langgraph_rsm.telemetry.recorder import Ending, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.events import EngineLimits, Event, Instruction
    from langgraph_rsm.core.policies import Policy
    from langgraph_rsm.core.snapshots import SchedulerSnapshot
    from langgraph_rsm.runtime.engine import Engine
    from langgraph_rsm.runtime.lease import AsyncWaiter, SyncWaiter
    from langgraph_rsm.runtime.servers import Reading, ServerFacts
    from langgraph_rsm.telemetry.records import Hook


class Scheduler:
    """Share engines among the model calls of many programs, from any threads and event loops.

    Args:
        policy: Name of a built-in policy, or an object with the methods of `Policy`; None takes
            `config.policy`.
        config: All other settings; None means the defaults.
        clock: Monotonic clock in seconds.
        hooks: Observers, see `langgraph_rsm.telemetry`.
        rng: Source of the random part of pauses before retries; None makes one.

    Raises:
        ConfigError: The policy name is unknown, or an argument is of the wrong kind.
    """

    def __init__(
        self,
        policy: str | Policy | None = None,
        config: SchedulerConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
        hooks: Sequence[Hook] = (),
        rng: random.Random | None = None,
    ) -> None:
        self.config = choose_config(policy, config)
        """Settings in force."""
        self._policy: Policy = (
            load_policy(self.config) if policy is None or isinstance(policy, str) else policy
        )
        self._hooks = require_hooks(hooks)
        self.clock = clock
        """Monotonic clock in seconds."""
        self.rng = rng or random.Random()
        """Source of randomness."""
        self.name: str | None = None
        """Name in this process, if `get_scheduler` made it; set once."""
        self._find: Callable[[str], Scheduler] | None = None
        """What finds it by its name, in other processes too; set with the name."""
        self._engines: dict[str, Engine] = {}
        self._servers: dict[str, str] = {}
        self._watch = Watch(self._calls_out, self._told)
        self._begin_idle(self.config)
        watch_program_ends(self)
        renew_in_children(self)

    def _begin_idle(self, config: SchedulerConfig) -> None:
        """Make what belongs to the calls of this process: none yet."""
        # Reentrant only so that it knows its owner: see `_mid_step`.
        self._lock = threading.RLock()
        self._core = SchedulerCore(config, policy=self._policy)
        self._grants = Grants()
        self._orphans: deque[str] = deque()
        self._over: deque[str] = deque()
        self._recorder = Recorder(self._core, self._hooks)
        self._alarm = Alarm(self._tick)

    def renew_after_fork(self) -> None:
        """Begin anew in a forked child: no calls, no waiters, all slots free, chances of its own.

        What is known of engines (that they rest, how many calls they take) and of past programs
        stays.
        """
        parent = self._core.engines
        for engine in self._engines.values():
            forget_connections(engine.model)
        self.rng.seed(f"{self.rng.random()} {os.getpid()}")
        seed = self.rng.getrandbits(31)
        inherit_policy(self._policy)
        self._begin_idle(self.config.model_copy(update={"seed": seed}))
        for engine_id, load in parent.items():
            self._change(engine_id, load.capacity, limits=self._engines[engine_id].limits)
            self._core.engines[engine_id].inherit(load)

    def register(self, engine: Engine) -> Engine:
        """Add an engine, or find the one that is already registered under its identity.

        The first registration that names a capacity, or limits, fixes them.

        Returns:
            The engine that calls should name, by its `engine_id`.

        Raises:
            EngineError: Both registrations name a capacity, or limits, and they differ.
        """
        with self._lock:
            known = self._engines.get(engine.engine_id)
            if known is not None and (engine := known.agreed_with(engine)) is known:
                return known
            self._engines[engine.engine_id] = engine
            if self.config.ask_engines and (root := server_of(engine.model)) is not None:
                self._servers[engine.engine_id] = root
            self._change(engine.engine_id, self._capacity_of(engine), limits=engine.limits)
        self._settle()
        return engine

    def knows(self, engine_id: str, *, capacity: int | None = None) -> bool:
        """Return whether an engine is registered, and nothing else is said of its capacity."""
        known = self._engines.get(engine_id)
        return known is not None and capacity in (None, known.capacity)

    def slot(self, call: Call, *, timeout_s: float | None = None, place: int | None = None) -> Slot:
        """Return a context manager that blocks the thread until the call has a slot.

        `with scheduler.slot(call) as lease:` gives the `Lease`, whose `engine` serves the call.
        A caller that cannot afford to wait (it already holds a lease, or its thread runs an event
        loop) gets a slot at once, beyond the capacity if need be: waiting could never end. It waits
        only for the clock, while the engine rests or its rate is used up.

        Args:
            call: The call.
            timeout_s: Longest wait in seconds; None waits for ever.
            place: `Lease.place` of a failed attempt at the same answer, to wait where it stood;
                None for a new call.

        Raises:
            QueueFullError: On entering, when `max_queue` calls wait.
            EngineRestingError: On entering, or while it waits, when all its engines asked to be
                left alone for longer than it may wait.
            QueueTimeoutError: On entering, when no slot came in time.
            EngineError: On entering, when the call names an engine that is not registered.
        """
        return Slot(self, call, timeout_s=timeout_s, place=place)

    def aslot(
        self, call: Call, *, timeout_s: float | None = None, place: int | None = None
    ) -> Slot:
        """Return an async context manager like `slot` that suspends the task instead."""
        return Slot(self, call, timeout_s=timeout_s, place=place)

    def end_program(self, program_id: str) -> None:
        """Tell that the program makes no more calls; its entry goes with its last active call."""
        if self._mid_step():
            self._over.append(program_id)
            return
        with self._lock:
            if self._core.programs.get(program_id) is None:
                return
            self._handle(ProgramEnded(now=self.clock(), program_id=program_id))
        self._settle()

    def drain(self, engine: Engine) -> None:
        """Give an engine no more calls; those it has go on, those that wait for it move.

        Calls that no other engine can serve wait until it is opened with `reopen`.

        Raises:
            EngineError: The engine is not registered.
        """
        self._resize(engine, 0)

    def reopen(self, engine: Engine) -> None:
        """Undo `drain`.

        Raises:
            EngineError: The engine is not registered.
        """
        self._resize(engine, self._capacity_of(self._engines.get(engine.engine_id, engine)))

    def save_history(self, path: str | os.PathLike[str]) -> None:
        """Write what the policy has learned of past programs to a file; see `config.history`.

        Raises:
            ConfigError: The policy does not learn.
        """
        with self._lock:
            save_policy(self._policy, path)

    def snapshot(self) -> SchedulerSnapshot:
        """Return the present state; O(programs + waiting calls + engines)."""
        self._settle()
        with self._lock:
            taken = take_snapshot(self._core, self._policy.name, self.clock())
        self._settle()
        return taken

    def __deepcopy__(self, _memo: object) -> Scheduler:
        return self  # copies of a model share its scheduler, that is what it is for

    def __reduce__(self) -> tuple[Callable[..., Scheduler], tuple[str]]:
        if self.name is None or self._find is None:
            msg = (
                "cannot pickle a scheduler without a name: another process finds its own by name "
                "only; make this one with get_scheduler('name', config=...)"
            )
            raise ConfigError(msg)
        return self._find, (self.name,)

    def __repr__(self) -> str:
        engines = ", ".join(self._engines)
        return f"<Scheduler policy={self._policy.name} engines=[{engines}]>"

    def _change(self, engine_id: str, capacity: int, *, limits: EngineLimits | None = None) -> None:
        now = self.clock()
        self._handle(EngineChanged(now=now, engine_id=engine_id, capacity=capacity, limits=limits))

    def _capacity_of(self, engine: Engine) -> int:
        return engine.capacity or self.config.default_capacity or UNBOUNDED

    def _resize(self, engine: Engine, capacity: int) -> None:
        engine_id = engine.engine_id
        with self._lock:
            if engine_id not in self._engines:
                known = ", ".join(sorted(self._engines)) or "none"
                msg = f"engine {engine_id!r} is not registered; known are {known}"
                raise EngineError(msg)
            self._change(engine_id, capacity)
        self._settle()

    # What leases ask for

    def _submit(
        self,
        call: Call,
        waiter: SyncWaiter | AsyncWaiter,
        *,
        may_wait: bool,
        place: int | None,
        timeout_s: float | None,
    ) -> None:
        with self._lock:
            self._grants.expect(call.call_id, waiter)
            now = self.clock()
            self._handle(
                Submitted(now=now, call=call, may_wait=may_wait, place=place, timeout_s=timeout_s)
            )
        self._settle()

    def _begin(self, call: Call, engine_id: str) -> Lease:
        with self._lock:
            started_s = self.clock()
            self._handle(Started(now=started_s, call_id=call.call_id))
            record = self._core.record(call.call_id)
            assert record is not None, "it has just begun"
            place = record.ticket.seq
        if (root := self._servers.get(engine_id)) is not None:
            self._watch.call_began(root)
        return Lease(
            scheduler=self,
            call=call,
            engine=self._engines[engine_id],
            engine_id=engine_id,
            started_s=started_s,
            place=place,
            level=record.ticket.level,
        )

    def server_at(self, engine_id: str) -> str | None:
        """Return the root of the server that an engine is at, if it may be asked; else None."""
        return self._servers.get(engine_id)

    def _calls_out(self, root: str) -> int:
        # Without the lock: off by one for a moment does not matter.
        loads = self._core.engines
        at_it = [loads[one] for one, at in tuple(self._servers.items()) if at == root]
        return sum(len(load.in_flight) for load in at_it)

    def _told(self, root: str, facts: ServerFacts, reading: Reading) -> None:
        with self._lock:
            for engine_id in [one for one, at in self._servers.items() if at == root]:
                self._handle(observation(self.clock(), engine_id, facts, reading))
        self._settle()

    def _first_token(self, lease: Lease) -> None:
        with self._lock:
            now = self.clock()
            lease.ttft_s = now - lease.started_s
            self._recorder.first_token(lease.call, lease.engine_id, now, lease.ttft_s)
        self._settle()

    def _end(self, call_id: str, kind: type[Finished | Failed | Cancelled], how: Ending) -> None:
        """End a call unless it has ended already; also a call that still waits."""
        if self._mid_step():
            self._orphans.append(call_id)
            return
        with self._lock:
            self._grants.forget(call_id)
            if not self._core.is_live(call_id):
                return
            self._handle(end_event(kind, call_id, how, self.clock()), how)
        self._settle()

    def _orphan(self, call_id: str) -> None:
        """Cancel a call whose caller vanished; safe in a finalizer, whatever this thread is at."""
        self._orphans.append(call_id)
        # When the lock is taken, maybe by this very thread, its holder settles after letting go.
        if not self._mid_step() and self._lock.acquire(blocking=False):
            try:
                self._bury_orphans()
            finally:
                self._lock.release()
            self._wake_granted()

    # Steps

    def _handle(self, event: Event, ending: Ending | None = None) -> tuple[Instruction, ...]:
        """Feed one event to the core; the lock must be held since before it was stamped."""
        instructions = self._core.handle(event)
        for instruction in instructions:
            self._grants.note(instruction)
        self._recorder.observe(event, instructions, ending)
        self._alarm.set(self._core.wakeup_s, event.now)
        if self.config.validate_steps:
            self._core.validate()
        return instructions

    def _tick(self) -> None:
        with self._lock:
            self._handle(Tick(now=self.clock()))
        self._settle()

    def _settle(self) -> None:
        """Do what steps leave for after the lock: wake callers, bury orphans, call hooks."""
        self._wake_granted()
        while self._orphans or self._over:
            with self._lock:
                self._bury_orphans()
            self._wake_granted()
        self._recorder.deliver()

    def _mid_step(self) -> bool:
        """Tell whether this thread is in the middle of a step: then this is a finalizer.

        The garbage collector closes abandoned streams wherever it happens to run, and closing ends
        a call. What it wants is noted, and done when the step is over.
        """
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def _wake_granted(self) -> None:
        self._orphans.extend(self._grants.wake())

    def _bury_orphans(self) -> None:
        while self._orphans:
            call_id = self._orphans.popleft()
            if self._core.is_live(call_id):
                self._handle(Cancelled(now=self.clock(), call_id=call_id), Ending())
        while self._over:
            program_id = self._over.popleft()
            self._handle(ProgramEnded(now=self.clock(), program_id=program_id))
