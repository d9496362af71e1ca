"""The adaptive window before modeled engines: it finds the seats, and costs little where there is
nothing to find."""

from __future__ import annotations

from statistics import fmean

import pytest

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.emulation import load_profile
from langgraph_rsm.simulation import Simulator, generate_programs, summarize


def simulate(workload, rate, *, seats, capacity, adaptive, policy="plas", programs=200, seed=3):
    config = SchedulerConfig(
        policy=policy, adaptive_window=adaptive, max_wait_s=float("inf"), beta=float("inf")
    )
    profile = load_profile("gpu-8b", max_model_len=1 << 20, max_num_seqs=seats)
    limits: list[int] = []
    simulator = Simulator(
        core := SchedulerCore(config),
        [profile],
        capacity=capacity,
        bound_memory=False,
        on_call=lambda _: limits.append(core.engines["engine-0"].limit),
    )
    outcome = simulator.run(generate_programs(workload, programs=programs, rate=rate, seed=seed))
    return summarize(outcome), limits


# One call too many is a quarter of four seats, and hardly anything of forty.
@pytest.mark.parametrize(
    ("seats", "load", "loss"), [(4, 0.22, 1.2), (16, 0.75, 1.05), (40, 1.5, 1.05)]
)
def test_window_finds_the_seats_and_the_order_stays_ours(seats, load, loss):
    known, _ = simulate("sharegpt", load, seats=seats, capacity=seats, adaptive=False)
    found, limits = simulate("sharegpt", load, seats=seats, capacity=256, adaptive=True)
    blind, _ = simulate("sharegpt", load, seats=seats, capacity=256, adaptive=False)
    settled = limits[len(limits) // 4 : -len(limits) // 4]
    assert seats * 0.9 <= fmean(settled) <= seats * 1.3 + 1
    assert found.mean_s <= loss * known.mean_s
    assert found.s_per_token - known.s_per_token < (blind.s_per_token - known.s_per_token) / 2


@pytest.mark.parametrize(
    ("workload", "rate"),
    [("sharegpt", 1.0), ("bfcl", 0.8), ("reasoning", 1.2), ("uneven", 0.3)],
)
def test_window_costs_little_where_seats_are_not_scarce(workload, rate):
    engine = {"seats": 256, "capacity": 64, "programs": 120}
    without, _ = simulate(workload, rate, adaptive=False, **engine)
    adaptive, _ = simulate(workload, rate, adaptive=True, **engine)
    assert adaptive.mean_s <= 1.05 * without.mean_s
    assert adaptive.makespan_s <= 1.05 * without.makespan_s
