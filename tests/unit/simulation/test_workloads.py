"""Workloads: published moments, sound dependences, the same programs for a seed."""

from __future__ import annotations

import random

import pytest

from langgraph_rsm.simulation import WORKLOADS, WorkloadError, generate_programs, published

# calls per program, most calls, tokens out per call, tokens added per call, whole prompt per call
MOMENTS = {
    published.sharegpt: (6.66, 80, 276.81, 255.65, None),
    published.bfcl: (10.75, 70, 34.14, 735.06, None),
    published.bfcl_short: (10.75, 70, 34.14, None, 735.06),
    published.lats: (159.71, None, 72.64, None, 467.24),
}


@pytest.mark.parametrize("shape", MOMENTS, ids=lambda shape: shape.__name__)
def test_published_moments(shape):
    calls_mean, calls_most, output_mean, added_mean, prompt_mean = MOMENTS[shape]
    count = 150 if shape is published.lats else 3000
    programs = [shape(random.Random(seed), "p") for seed in range(count)]
    calls = [call for program in programs for call in program]

    assert len(calls) / count == pytest.approx(calls_mean, rel=0.06)
    assert calls_most is None or max(map(len, programs)) <= calls_most
    mean = sum(call.output_tokens for call in calls) / len(calls)
    assert mean == pytest.approx(output_mean, rel=0.06)
    if added_mean is not None:
        added = [
            call.prompt_tokens - (before.prompt_tokens + before.output_tokens if k else 0)
            for program in programs
            for k, (call, before) in enumerate(zip(program, (None, *program), strict=False))
        ]
        assert sum(added) / len(added) == pytest.approx(added_mean, rel=0.06)
    if prompt_mean is not None:
        mean = sum(call.prompt_tokens for call in calls) / len(calls)
        assert mean == pytest.approx(prompt_mean, rel=0.06)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_programs_are_well_formed_and_repeat(workload):
    programs = list(generate_programs(workload, programs=20, rate=1.0, seed=3))
    assert programs == list(generate_programs(workload, programs=20, rate=1.0, seed=3))
    assert [p.arrived_s for p in programs] == sorted(p.arrived_s for p in programs)
    for program in programs:
        for index, call in enumerate(program.calls):
            assert all(parent < index for parent in call.parents)
            assert call.output_tokens >= 1
            assert all(tokens >= 1 for _, tokens in call.segments)


def test_rate_changes_arrivals_only():
    slow = list(generate_programs("agents", programs=10, rate=1.0, seed=1))
    fast = list(generate_programs("agents", programs=10, rate=2.0, seed=1))
    assert [p.calls for p in slow] == [p.calls for p in fast]
    assert [p.arrived_s / 2 for p in slow] == pytest.approx([p.arrived_s for p in fast])


def test_system_prompts_and_tenants():
    programs = list(
        generate_programs(
            "react", programs=4, rate=1.0, shared_tokens=500, tenants={"a": 1.0, "b": 3.0}
        )
    )
    assert [(p.tenant, p.weight) for p in programs] == [("a", 1.0), ("b", 3.0)] * 2
    assert all(c.segments[0] == ("react/system", 500) for p in programs for c in p.calls)
    assert all(call.shared_tokens == 500 for p in programs for call in p.calls)


@pytest.mark.parametrize(
    ("workload", "numbers", "message"),
    [
        ("nonsense", {"programs": 1, "rate": 1.0}, "unknown workload 'nonsense'"),
        ("mixed", {"programs": 0, "rate": 1.0}, "at least 1 program"),
        ("mixed", {"programs": 1, "rate": 0.0}, "a rate above 0"),
    ],
)
def test_impossible_workloads_are_refused(workload, numbers, message):
    with pytest.raises(WorkloadError, match=message):
        generate_programs(workload, **numbers)
