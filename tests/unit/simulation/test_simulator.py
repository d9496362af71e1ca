"""The simulator: nothing is lost, runs repeat, the fast engine agrees with the exact one."""

from __future__ import annotations

import pytest

from langgraph_rsm.config import SchedulerConfig
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.emulation import load_profile
from langgraph_rsm.simulation import (
    CallSpec,
    FastEngine,
    ProgramSpec,
    ReferenceEngine,
    Simulator,
    generate_programs,
    summarize,
)

UNBOUNDED = {"max_wait_s": float("inf"), "beta": float("inf")}


def simulate(programs, *, policy="fcfs", engines=1, profile=None, validate=False, **options):
    config = SchedulerConfig(policy=policy, validate_steps=validate, **UNBOUNDED)
    profile = profile or load_profile("gpu-8b", max_model_len=1 << 20)
    options.setdefault("bound_memory", False)
    answered = []
    simulator = Simulator(
        SchedulerCore(config), [profile] * engines, on_call=answered.append, **options
    )
    return simulator.run(programs), answered


def programs_of(workload, *, programs=30, rate=2.0, seed=5):
    return list(generate_programs(workload, programs=programs, rate=rate, seed=seed))


@pytest.mark.parametrize("policy", ["fcfs", "plas", "auto"])
@pytest.mark.parametrize("workload", ["agents", "bfcl_short+sharegpt"])
def test_every_call_is_answered_once_and_tokens_add_up(workload, policy):
    programs = programs_of(workload)
    outcome, answered = simulate(programs, policy=policy, engines=2)

    wanted = {(p.program_id, i) for p in programs for i in range(len(p.calls))}
    got = [(call.program.program_id, call.index) for call in answered]
    assert len(got) == len(wanted)
    assert set(got) == wanted
    generated = sum(engine.generated_tokens for engine in outcome.engines)
    assert generated == sum(program.output_tokens for program in programs)
    prompts = sum(call.prompt_tokens for program in programs for call in program.calls)
    assert sum(engine.prompt_tokens for engine in outcome.engines) == prompts
    assert {program.program_id for program in outcome.programs} == {
        program.program_id for program in programs
    }


def test_calls_wait_for_their_parents_and_tools():
    programs = programs_of("deep_research", programs=12)
    _, answered = simulate(programs, policy="plas")

    ended = {(call.program.program_id, call.index): call.finished_s for call in answered}
    for call in answered:
        spec = call.program.calls[call.index]
        begun = [ended[call.program.program_id, parent] for parent in spec.parents]
        ready_s = max(begun, default=call.program.arrived_s) + spec.delay_s
        assert call.submitted_s == pytest.approx(ready_s, abs=1e-9)
        assert call.submitted_s <= call.started_s < call.finished_s


@pytest.mark.parametrize("policy", ["plas", "auto", "srpt_oracle"])
def test_the_same_seed_gives_the_same_outcome(policy):
    oracle = policy == "srpt_oracle"
    first, _ = simulate(programs_of("agents"), policy=policy, oracle=oracle)
    second, _ = simulate(programs_of("agents"), policy=policy, oracle=oracle)
    assert first == second


@pytest.mark.parametrize("workload", ["sharegpt", "bfcl", "uneven", "map_reduce"])
@pytest.mark.parametrize("caching", [True, False])
def test_fast_engine_agrees_with_the_exact_one(workload, caching):
    profile = load_profile("gpu-8b", prefix_caching=caching, max_model_len=1 << 20)
    programs = programs_of(workload, programs=8, rate=4.0)
    fast, _ = simulate(programs, profile=profile, make_engine=FastEngine)
    exact, _ = simulate(programs, profile=profile, make_engine=ReferenceEngine)

    assert fast.engines[0].iterations == exact.engines[0].iterations
    assert fast.engines[0].cached_tokens == exact.engines[0].cached_tokens
    assert fast.engines[0].generated_tokens == exact.engines[0].generated_tokens
    assert fast.makespan_s == pytest.approx(exact.makespan_s, rel=1e-9)
    completions = [
        {program.program_id: program.finished_s for program in outcome.programs}
        for outcome in (fast, exact)
    ]
    assert completions[0] == pytest.approx(completions[1], rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_fast_engine_agrees_when_memory_is_short(seed):
    """Contexts are evicted and sequences preempted; shared segments may differ by a block."""
    profile = load_profile("gpu-8b", kv_tokens=16_000, max_model_len=1 << 20)
    programs = [
        program
        for program in programs_of("react+map_reduce", programs=16, rate=20.0, seed=seed)
        if max(call.prompt_tokens + call.output_tokens for call in program.calls) < 16_000
    ]
    fast, _ = simulate(programs, profile=profile, make_engine=FastEngine)
    exact, _ = simulate(programs, profile=profile, make_engine=ReferenceEngine)

    assert exact.engines[0].cached_tokens < exact.engines[0].prompt_tokens
    assert fast.engines[0].generated_tokens == exact.engines[0].generated_tokens
    assert fast.makespan_s == pytest.approx(exact.makespan_s, rel=0.02)
    missed_hits = abs(fast.engines[0].cached_tokens - exact.engines[0].cached_tokens)
    assert missed_hits < 0.03 * exact.engines[0].prompt_tokens


def test_slices_cost_little_and_lose_nothing():
    programs = programs_of("sharegpt", programs=10, rate=0.2)
    whole, _ = simulate(programs)
    sliced, answered = simulate(programs, quantum_tokens=64)
    assert len(answered) == sum(len(program.calls) for program in programs)
    assert sliced.engines[0].generated_tokens == whole.engines[0].generated_tokens
    assert 1.0 <= summarize(sliced).mean_s / summarize(whole).mean_s < 1.1


def test_short_program_overtakes_a_long_one_with_plas_only():
    def chain(name, arrived_s, calls):
        specs = tuple(
            CallSpec(((f"{name}/{k}", 100),), 400, (k - 1,) if k else ()) for k in range(calls)
        )
        return ProgramSpec(name, "g", arrived_s, specs)

    profile = load_profile("gpu-8b", max_num_seqs=1)
    programs = [chain("long-a", 0.0, 6), chain("long-b", 0.1, 6), chain("short", 20.0, 1)]
    ended = {}
    for policy in ("fcfs", "plas"):
        outcome, _ = simulate(programs, policy=policy, profile=profile)
        ended[policy] = {program.program_id: program.completion_s for program in outcome.programs}
    assert ended["plas"]["short"] < ended["fcfs"]["short"]


def test_oversized_call_is_refused_with_the_remedy():
    program = ProgramSpec("p", "g", 0.0, (CallSpec((("p/chat", 900_000),), 10),))
    with pytest.raises(ValueError, match="raise --kv-tokens"):
        simulate([program])
