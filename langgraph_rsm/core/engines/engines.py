"""Engines of a scheduler: which there are, which can be counted on, and what they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.core.engines.health import HealthState
from langgraph_rsm.core.engines.load import EngineLoad
from langgraph_rsm.core.engines.window import AdaptiveWindow
from langgraph_rsm.core.events import UNBOUNDED, EngineChanged, Failed, Fault, Finished
from langgraph_rsm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.events import Cancelled

_KEPT_GROUPS = 1024
"""Sets of engines that calls name, kept so that they need not be looked up for each call."""


class Engines:
    """Loads of all engines, by id.

    Args:
        adaptive_window: Whether to find out how many calls an engine takes without queueing.
    """

    def __init__(self, *, adaptive_window: bool) -> None:
        self._adaptive_window = adaptive_window
        self.loads: dict[str, EngineLoad] = {}
        """In order of registration."""
        self._down: set[str] = set()
        self._groups: dict[tuple[str, ...], list[EngineLoad]] = {}
        self.any_bounded = False
        """Whether the memory of some engine is bounded."""

    def change(self, event: EngineChanged) -> EngineLoad:
        """Add an engine, or change its capacity and limits."""
        engine = self.loads.get(event.engine_id)
        if engine is None:
            engine = self.loads[event.engine_id] = EngineLoad(
                engine_id=event.engine_id, index=len(self.loads), capacity=0
            )
        wide = event.capacity >= UNBOUNDED
        if engine.window is None and (wide or self._adaptive_window):
            engine.window = AdaptiveWindow(max(1, event.capacity), wide=wide)
        elif not self._adaptive_window and 0 < event.capacity < UNBOUNDED:
            engine.window = None  # somebody knows
        engine.resize(event.capacity, event.limits, event.now)
        self.any_bounded = any(load.memory.bounded for load in self.loads.values())
        self._groups.clear()
        return engine

    def require(self, engine_ids: tuple[str, ...], call_id: str) -> None:
        """Check that a call can be served.

        Raises:
            EngineError: It names no engine or an unknown one.
        """
        if engine_ids in self._groups:
            return
        unknown = [engine_id for engine_id in engine_ids if engine_id not in self.loads]
        if unknown or not engine_ids:
            msg = (
                f"call {call_id!r} names {unknown or 'no'} engines this scheduler does not "
                f"know; known are {sorted(self.loads)}; register the engine first"
            )
            raise EngineError(msg)

    def of(self, engine_ids: tuple[str, ...]) -> list[EngineLoad]:
        """Return engines by their ids; not to be changed."""
        group = self._groups.get(engine_ids)
        if group is None:
            if len(self._groups) >= _KEPT_GROUPS:
                self._groups.clear()
            group = self._groups[engine_ids] = [self.loads[key] for key in engine_ids]
        return group

    def with_room(self, call: Call, engine_ids: tuple[str, ...], now: float) -> list[EngineLoad]:
        """Return those of some of a call's engines that may be given it now."""
        return [
            load
            for load in self.of(engine_ids)
            if len(load.in_flight) < load.capacity
            and load.has_room(now, call.account_at(load.engine_id) if load.pauses else None)
        ]

    def sound(self, call: Call, now: float) -> list[EngineLoad]:
        """Return those of a call's engines that are open, up and at work; all if none is."""
        loads = self.of(call.engines)
        up = [x for x in loads if x.capacity and not (self._down and self.is_down(x, now))]
        awake = [x for x in up if not x.pauses or x.rest_s(call.account_at(x.engine_id), now) <= 0]
        return awake or up or loads

    def due_for_a_probe(self, engine: EngineLoad, now: float) -> bool:
        """Return whether an engine that was down should be tried with a call."""
        is_due = engine.health.state(now) is HealthState.PROBING
        return is_due and not engine.in_flight and engine.has_room(now)

    def probes_due(self, call: Call, now: float) -> bool:
        """Return whether some of a call's engines should be tried, so that it must stay free."""
        if not self._down or len(call.engines) == 1:
            return False
        return any(self.due_for_a_probe(load, now) for load in self.of(call.engines))

    def rest_s(self, call: Call, now: float) -> float:
        """Return for how long all engines of a call want to be left alone; 0 if one does not."""
        rests = [
            load.asked_rest_s(call.account_at(load.engine_id), now)
            for load in self.of(call.engines)
            if load.capacity
        ]
        return min(rests, default=0.0)

    @property
    def any_down(self) -> bool:
        """Whether some engine is not known to be up."""
        return bool(self._down)

    def is_down(self, engine: EngineLoad, now: float) -> bool:
        """Return whether an engine is not known to be up."""
        return bool(self._down) and engine.health.state(now) is not HealthState.UP

    def may_serve(self, engine: EngineLoad, engine_ids: tuple[str, ...], now: float) -> bool:
        """Return whether an engine may serve a call that any of several engines can serve.

        One that is down may if there is no other: better an error now than a wait for it. One that
        is to be probed may have a single call.
        """
        state = engine.health.state(now)
        if state is HealthState.UP or (state is HealthState.PROBING and not engine.in_flight):
            return True
        return all(self.is_down(load, now) or not load.capacity for load in self.of(engine_ids))

    def learn(
        self, engine: EngineLoad, call: Call, event: Finished | Failed | Cancelled, service_s: float
    ) -> bool:
        """Draw conclusions from the end of a call.

        Args:
            engine: The engine that served it.
            call: The call.
            event: Its end.
            service_s: Time on engines from its start to its end, in seconds.

        Returns:
            Whether the engine went down by it.
        """
        now = event.now
        account = call.account_at(engine.engine_id)
        if isinstance(event, Finished):
            engine.health.succeeded()
            self._down.discard(engine.engine_id)
            if (pause := engine.pauses.get(account)) is not None:
                pause.answered(now)
            engine.learn(event, service_s)
            return False
        if not isinstance(event, Failed):
            return False
        if event.fault is Fault.RATE_LIMIT:
            engine.refused(event, account)
            return False
        silent = event.fault is Fault.SILENCE and engine.heard_s < now - service_s
        refuses = event.fault is Fault.REFUSAL
        if not (silent or refuses or event.fault is Fault.ENGINE):
            return False
        # One refusal will do: whoever has no access today has none in the next call either.
        if not engine.health.failed(now, lasting=refuses):
            return False
        self._down.add(engine.engine_id)
        return True

    def wakeup_s(self, now: float) -> float | None:
        """Return when an engine that takes no call now might; None if time alone does not help."""
        times = []
        for engine in self.loads.values():
            if engine.has_slot:
                times += [engine.ready_s(0, now), engine.memory_retry_s]
                for pause in engine.pauses.values():
                    times += [pause.until_s, pause.said_until_s]
                times.append(engine.health.down_until_s or now)
        later = [at_s for at_s in times if now < at_s < float("inf")]
        return min(later, default=None)

    def __getitem__(self, engine_id: str) -> EngineLoad:
        return self.loads[engine_id]

    def __iter__(self) -> Iterator[EngineLoad]:
        return iter(self.loads.values())
