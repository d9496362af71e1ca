"""Cases of the scheduling benchmark: one simulation each, and what is kept of it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.core.policies import create_policy
from langgraph_rsm.emulation import load_profile
from langgraph_rsm.runtime.history_file import load_policy, save_history
from langgraph_rsm.simulation import (
    CallOutcome,
    Outcome,
    ProgramOutcome,
    Simulator,
    generate_programs,
    summarize,
)

INFINITE = float("inf")
ENGINE = "gpu-8b"
CURVE_BUCKETS = 10
HISTORY_RATES = {"mixed": 0.6, "mixed_short": 0.8}
"""Programs per second just below capacity, at which a history is learned."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One simulation; equal cases have equal outcomes."""

    study: str
    """Part of the report that it belongs to."""
    label: str
    """Its line in a table."""
    workload: str
    rate: float
    seed: int
    programs: int
    policy: str = "fcfs"
    seats: int | None = None
    """Requests that an engine runs at once; None for what its profile says."""
    kv_tokens: int | None = None
    """Its memory; None for what its profile says."""
    caching: bool = True
    """Whether the engine has a prefix cache."""
    working_set: bool = False
    """Whether the scheduler knows how much memory the engine has."""
    trained: bool = False
    """Whether the policy begins with what another seed taught it."""
    engines: int = 1
    capacity: int | None = None
    """Calls in flight that the scheduler believes an engine takes; None for its true seats."""
    balancer: str = "cost"
    shared_tokens: int = 0
    quantum_tokens: int | None = None
    tenants: tuple[tuple[str, float], ...] = ()
    hide_paths: bool = False
    """Whether calls do not say what the compiler knows of the paths before them."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Further settings of the scheduler."""


def run_case(case: Case) -> dict[str, Any]:
    """Simulate a case; returns what it was and what came of it."""
    overrides = {"max_wait_s": INFINITE, "beta": INFINITE} | dict(case.settings)
    config = SchedulerConfig(
        policy=case.policy,
        balancer=case.balancer,
        history=history_of(case.workload) if case.trained else None,
        **overrides,
    )
    meter = TenantMeter(case)
    simulator = Simulator(
        SchedulerCore(
            config,
            policy=load_policy(config),
            preemption_levels=2 if case.quantum_tokens else 0,
        ),
        [profile(case)] * case.engines,
        quantum_tokens=case.quantum_tokens,
        on_program=meter.on_program,
        on_call=meter.on_call,
        oracle=case.policy == "srpt_oracle",
        bound_memory=case.working_set,
        capacity=case.capacity,
    )
    outcome = simulator.run(programs_of(case))
    row = dataclasses.asdict(case) | summarize(outcome).as_dict()
    return row | {"curve": learning_curve(outcome), "tenant_service_s": meter.service_s}


def profile(case: Case | None = None) -> Any:
    changes = (
        {}
        if case is None
        else {
            "prefix_caching": case.caching,
            "max_num_seqs": case.seats,
            "kv_tokens": case.kv_tokens,
        }
    )
    return load_profile(ENGINE, max_model_len=1 << 20, **changes)


def programs_of(case: Case) -> Iterator[Any]:
    for program in generate_programs(
        case.workload,
        programs=case.programs,
        rate=case.rate,
        seed=case.seed,
        shared_tokens=case.shared_tokens,
        tenants=dict(case.tenants) or None,
    ):
        if case.hide_paths:
            calls = (dataclasses.replace(call, remaining_path_s=None) for call in program.calls)
            yield dataclasses.replace(program, calls=tuple(calls))
        else:
            yield program


class TenantMeter:
    """Counts engine seconds by tenant while every tenant has programs that have not finished."""

    def __init__(self, case: Case) -> None:
        names = [name for name, _ in case.tenants]
        # Programs are dealt in turn; the last tenth may not keep all slots busy any more.
        self._left = dict.fromkeys(names, int(0.9 * case.programs / max(1, len(names))))
        self._open = bool(names)
        self.service_s = dict.fromkeys(names, 0.0)

    def on_call(self, call: CallOutcome) -> None:
        """Count an answered call."""
        if self._open:
            self.service_s[call.program.tenant] += call.finished_s - call.started_s

    def on_program(self, program: ProgramOutcome) -> None:
        """Count a finished program."""
        if self._open:
            self._left[program.tenant] -= 1
            self._open = self._left[program.tenant] > 0


def learning_curve(outcome: Outcome) -> list[float]:
    """Return the mean s/token of the programs by tenth of the order of arrival."""
    ordered = sorted(outcome.programs, key=lambda program: program.arrived_s)
    size = max(1, len(ordered) // CURVE_BUCKETS)
    buckets = [ordered[k : k + size] for k in range(0, size * CURVE_BUCKETS, size)]
    return [fmean(each.s_per_token for each in bucket) for bucket in buckets if bucket]


@lru_cache(maxsize=8)
def history_of(workload: str, *, programs: int = 1000, seed: int = 999) -> Path:
    """Return a history learned in a run of `auto` just below capacity, with a seed of its own."""
    path = Path(tempfile.gettempdir()) / f"scheduling-history-{workload}-{os.getpid()}.json"
    config = SchedulerConfig(policy="auto", max_wait_s=INFINITE, beta=INFINITE)
    policy = create_policy(config)
    stream = generate_programs(workload, programs=programs, rate=HISTORY_RATES[workload], seed=seed)
    Simulator(SchedulerCore(config, policy=policy), [profile()], bound_memory=False).run(stream)
    save_history(policy.history, path)  # type: ignore[attr-defined]
    return path
