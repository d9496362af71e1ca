"""Simulator: programs in, what became of them out, in virtual time and always the same way.

The scheduler's core decides, exactly as it does in the product; what its shell does there, the
simulator does here: it turns `Dispatch` into a request, ends of requests into `Finished`, and time
into `Tick`. A call in slices (`quantum_tokens`) is a sequence of requests, each continuing the
last on its cached prefix, with a `Progress` after each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from langgraph_rsm.core.call import Call, TokenUsage
from langgraph_rsm.core.events import (
    Dispatch,
    EngineChanged,
    EngineLimits,
    Finished,
    Preempt,
    Preempted,
    ProgramEnded,
    Progress,
    Reject,
    Started,
    Submitted,
    Tick,
)
from langgraph_rsm.simulation.engine import Job
from langgraph_rsm.simulation.fast_engine import FastEngine
from langgraph_rsm.simulation.outcome import CallOutcome, Outcome, ProgramOutcome
from langgraph_rsm.simulation.runs import Agenda, LiveCall, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from langgraph_rsm.core.events import Event
    from langgraph_rsm.core.machine import SchedulerCore
    from langgraph_rsm.emulation.profiles import EngineProfile
    from langgraph_rsm.simulation.engine import Done, SimulatedEngine
    from langgraph_rsm.simulation.programs import CallSpec, ProgramSpec


class Simulator:
    """One simulation; use it once.

    Args:
        core: The scheduler; it must know no engine yet.
        profiles: The engines, at least one.
        quantum_tokens: Length of the slices of an answer; None gives each call one request.
        make_engine: The model of an engine.
        on_program: Called with each outcome, in the order of completion.
        on_call: Called with each answered call, in the order of the answers.
        oracle: Whether calls carry the true remaining engine time of their program.
        bound_memory: Whether the scheduler is told the size of the engines' memory, so that it can
            keep what is in use within it.
        capacity: Calls in flight that the scheduler is told an engine takes; None tells it the
            truth, its seats.
    """

    def __init__(
        self,
        core: SchedulerCore,
        profiles: Iterable[EngineProfile],
        *,
        quantum_tokens: int | None = None,
        make_engine: Callable[[EngineProfile], SimulatedEngine] = FastEngine,
        on_program: Callable[[ProgramOutcome], None] | None = None,
        on_call: Callable[[CallOutcome], None] | None = None,
        oracle: bool = False,
        bound_memory: bool = True,
        capacity: int | None = None,
    ) -> None:
        self.core = core
        self._profiles = {f"engine-{k}": profile for k, profile in enumerate(profiles)}
        self._engines = {name: make_engine(profile) for name, profile in self._profiles.items()}
        self._names = tuple(self._engines)
        self._due_s = dict.fromkeys(self._names, float("inf"))
        self._touched: dict[str, None] = {}
        self._quantum_tokens = quantum_tokens
        self._on_program = on_program
        self._on_call = on_call
        self._oracle = oracle
        self._bound_memory = bound_memory
        self._capacity = capacity
        self._agenda = Agenda()
        self._live: dict[str, LiveCall] = {}
        self._runs: dict[str, Run] = {}
        self._outcomes: list[ProgramOutcome] = []
        self._arrivals: Iterator[ProgramSpec] = iter(())
        self._events = 0
        self._wakeup_s = float("inf")
        profile = next(iter(self._profiles.values()))
        self._prefill_s = profile.cost.per_prefill_token_s / profile.speed
        self._decode_s = _full_batch_decode_s(profile)

    def run(self, programs: Iterable[ProgramSpec]) -> Outcome:
        """Simulate until the last program has its last answer.

        Args:
            programs: In the order of arrival; read as time goes on, so a generator needs no memory.

        Raises:
            RuntimeError: The core left calls waiting although nothing else can happen any more.
        """
        for name, profile in self._profiles.items():
            limits = EngineLimits(kv_tokens=profile.kv_tokens if self._bound_memory else None)
            capacity = profile.max_num_seqs if self._capacity is None else self._capacity
            self._handle(EngineChanged(now=0.0, engine_id=name, capacity=capacity, limits=limits))
        self._arrivals = iter(programs)
        self._next_arrival()
        first_s = self._agenda.heap[0][0] if self._agenda.heap else 0.0
        now = first_s
        heap = self._agenda.heap
        while heap:
            now, _, what, subject = heapq.heappop(heap)
            what(now, subject)
            self._settle(now)
            if not self._live and not self._runs and not heap:
                break
        if self._runs:
            msg = f"{len(self._runs)} programs can never end: {len(self._live)} calls still wait"
            raise RuntimeError(msg)
        finished_s = max((program.finished_s for program in self._outcomes), default=first_s)
        return Outcome(
            programs=tuple(self._outcomes),
            engines=tuple(engine.totals for engine in self._engines.values()),
            makespan_s=finished_s - first_s,
            events=self._events,
        )

    # What happens

    def _next_arrival(self) -> None:
        program = next(self._arrivals, None)
        if program is not None:
            self._agenda.add(program.arrived_s, self._on_arrival, program)

    def _on_arrival(self, now: float, program: ProgramSpec) -> None:
        self._next_arrival()
        remaining_s = sum([self._cost_s(call) for call in program.calls]) if self._oracle else 0.0
        run = self._runs[program.program_id] = Run.begin(program, remaining_s)
        for index, call in enumerate(program.calls):
            if not call.parents:
                self._ready(run, index, now)

    def _cost_s(self, call: CallSpec) -> float:
        """Return the engine time of a call whose context is in the cache, roughly."""
        return self._prefill_s * call.segments[-1][1] + self._decode_s * call.output_tokens

    def _ready(self, run: Run, index: int, now: float) -> None:
        """Submit a call that has all its answers, after its delay."""
        delay_s = run.spec.calls[index].delay_s
        if delay_s > 0:
            self._agenda.add(now + delay_s, self._submit, (run, index))
        else:
            self._submit(now, (run, index))

    def _submit(self, now: float, subject: tuple[Run, int]) -> None:
        run, index = subject
        program, spec = run.spec, run.spec.calls[index]
        call_id = f"{program.program_id}/{index}"
        self._live[call_id] = LiveCall(run, index, now, now)
        call = Call(
            program_id=program.program_id,
            engines=self._names,
            call_id=call_id,
            thread_id=spec.thread_id,
            call_site=spec.call_site,
            graph=program.graph,
            tenant=program.tenant,
            weight=program.weight,
            parents=tuple([f"{program.program_id}/{parent}" for parent in spec.parents]),
            remaining_path_s=spec.remaining_path_s,
            prompt_tokens=spec.prompt_tokens,
            prefix_id=spec.segments[0][0] if spec.shared_tokens else "",
            prefix_tokens=spec.shared_tokens,
            preemptible=self._quantum_tokens is not None,
            oracle_remaining_s=run.remaining_s if self._oracle else None,
        )
        self._handle(Submitted(now=now, call=call))

    def _on_engine(self, now: float, name: str) -> None:
        engine = self._engines[name]
        if engine.due_s != now:  # the stretch was cut short or ended
            return
        self._touched[name] = None
        for done in engine.advance(now):
            self._on_done(now, done)

    def _on_done(self, now: float, done: Done) -> None:
        live = self._live[done.key]
        spec = live.run.spec.calls[live.index]
        if live.ttft_s < 0:
            live.ttft_s = done.first_token_s - live.started_s
            live.cached_tokens = done.cached_tokens
        live.generated += self._slice_tokens(live, spec)
        tokens = TokenUsage(
            input_tokens=spec.prompt_tokens,
            output_tokens=live.generated,
            cached_tokens=live.cached_tokens,
        )
        if live.generated < spec.output_tokens:
            self._end_slice(now, done.key, tokens)
            return
        del self._live[done.key]
        self._handle(Finished(now=now, call_id=done.key, tokens=tokens, ttft_s=live.ttft_s))
        if self._on_call is not None:
            call = CallOutcome(
                live.run.spec, live.index, live.engine_id, live.arrived_s, live.started_s, now
            )
            self._on_call(call)
        self._answered(now, live.run, live.index)

    def _end_slice(self, now: float, call_id: str, tokens: TokenUsage) -> None:
        instructions = self._handle(Progress(now=now, call_id=call_id, tokens=tokens))
        if any(isinstance(each, Preempt) and each.call_id == call_id for each in instructions):
            self._live[call_id].queued_s = now
            self._handle(Preempted(now=now, call_id=call_id, tokens=tokens))
        else:
            self._request(now, call_id)

    def _answered(self, now: float, run: Run, index: int) -> None:
        """Let the calls go on that needed this answer."""
        ready = run.answered(index)
        if self._oracle:
            run.remaining_s -= self._cost_s(run.spec.calls[index])
        if not run.left:
            self._complete(now, run, index)
        for child in ready:
            self._ready(run, child, now)

    def _complete(self, now: float, run: Run, last: int) -> None:
        program = run.spec
        del self._runs[program.program_id]
        self._handle(ProgramEnded(now=now, program_id=program.program_id))
        outcome = ProgramOutcome(
            program_id=program.program_id,
            graph=program.graph,
            tenant=program.tenant,
            arrived_s=program.arrived_s,
            finished_s=now,
            calls=len(program.calls),
            output_tokens=program.output_tokens,
            tools_s=run.tools_s[last],
            waited_s=run.waited_s,
        )
        self._outcomes.append(outcome)
        if self._on_program is not None:
            self._on_program(outcome)

    # What the shell does

    def _handle(self, event: Event) -> tuple[Any, ...]:
        """Feed one event to the core and do what it says."""
        self._events += 1
        instructions = self.core.handle(event)
        for instruction in instructions:
            if isinstance(instruction, Dispatch):
                self._dispatch(event.now, instruction)
            elif isinstance(instruction, Reject):
                msg = f"call {instruction.call_id} was rejected: {instruction.reason}"
                raise RuntimeError(msg)
        return instructions

    def _dispatch(self, now: float, dispatch: Dispatch) -> None:
        live = self._live[dispatch.call_id]
        live.engine_id = dispatch.engine_id
        live.run.waited_s += now - live.queued_s
        if live.started_s < 0:
            live.started_s = now
        self._handle(Started(now=now, call_id=dispatch.call_id))
        self._request(now, dispatch.call_id)

    def _request(self, now: float, call_id: str) -> None:
        """Send the next slice of a call, or all of it, to its engine."""
        live = self._live[call_id]
        spec = live.run.spec.calls[live.index]
        segments = spec.segments
        if live.generated:
            name, tokens = segments[-1]
            segments = (*segments[:-1], (name, tokens + live.generated))
        job = Job(
            key=call_id,
            segments=segments,
            prompt_tokens=spec.prompt_tokens + live.generated,
            output_tokens=self._slice_tokens(live, spec),
        )
        self._engines[live.engine_id].submit(job, now)
        self._touched[live.engine_id] = None

    def _slice_tokens(self, live: LiveCall, spec: CallSpec) -> int:
        left = spec.output_tokens - live.generated
        return left if self._quantum_tokens is None else min(left, self._quantum_tokens)

    def _settle(self, now: float) -> None:
        """Let engines begin what they have been given, and note when to look at them again."""
        for name in self._touched:
            engine = self._engines[name]
            engine.begin(now)
            due_s = engine.due_s
            if due_s < float("inf") and due_s != self._due_s[name]:
                self._agenda.add(due_s, self._on_engine, name)
            self._due_s[name] = due_s
        self._touched.clear()
        wakeup_s = self.core.wakeup_s
        if wakeup_s is not None and self._live and wakeup_s < self._wakeup_s:
            self._wakeup_s = max(wakeup_s, now)
            self._agenda.add(self._wakeup_s, self._on_tick, None)

    def _on_tick(self, now: float, subject: None) -> None:  # noqa: ARG002
        self._wakeup_s = float("inf")
        self._handle(Tick(now=now))


def _full_batch_decode_s(profile: EngineProfile) -> float:
    """Return the share of one token in an iteration of a full batch with half the memory in use."""
    cost, seats = profile.cost, profile.max_num_seqs
    iteration_s = cost.base_s + cost.per_decode_s * seats
    iteration_s += cost.per_kv_token_s * profile.kv_tokens / 2
    return iteration_s / seats / profile.speed
