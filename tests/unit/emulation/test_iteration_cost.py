import pytest

from langgraph_rsm.emulation import EngineProfile, ProfileError, SchedulingPolicy, load_profile
from langgraph_rsm.emulation.profiles import PROFILES


def test_prefill_pays_for_its_tokens_and_half_its_square(engine):
    e = engine()
    e.submit("a", prompt=10)
    assert e.begin().duration_s == pytest.approx(1 + 10 * 0.1 + 50 * 0.0001)


def test_decode_pays_for_sequences_and_resident_context(engine):
    e = engine()
    e.submit("a", prompt=10, out=3)
    e.submit("b", prompt=20, out=3)
    e.step()
    first, _ = e.step()
    second, _ = e.step()
    assert first.duration_s == pytest.approx(1 + 2 * 0.01 + 30 * 0.001)
    assert second.duration_s == pytest.approx(1 + 2 * 0.01 + 32 * 0.001)


def test_mixed_batch_adds_prefill_and_decode(engine):
    e = engine()
    e.submit("a", prompt=10, out=3)
    e.step()
    e.submit("b", prompt=20, out=3)
    expected = 1 + 20 * 0.1 + 0.01 + 10 * 0.001 + 200 * 0.0001
    assert e.begin().duration_s == pytest.approx(expected)


@pytest.mark.parametrize("budget", [4, 7, 16, 50])
def test_attention_cost_of_a_prompt_does_not_depend_on_chunk_size(engine, budget):
    e = engine(max_num_batched_tokens=budget)
    e.submit("a", prompt=50, out=1)
    e.run()
    assert sum(i.attention_pairs for i in e.iterations) == pytest.approx(50 * 50 / 2)
    assert len(e.iterations) == -(-50 // budget)


def test_cached_prefix_costs_only_attention_of_the_new_tokens(engine):
    e = engine()
    e.submit("a", prompt=16, out=1, content=[("x", 16)])
    e.run()
    e.submit("b", prompt=20, out=1, content=[("x", 16), ("y", 4)])
    iteration = e.begin()
    assert iteration.prefill_tokens == 4
    assert iteration.attention_pairs == 4 * 16 + 4 * 4 / 2


def test_speed_divides_every_duration(engine):
    slow, fast = engine(), engine(speed=8)
    for e in (slow, fast):
        e.submit("a")
        e.run()
    ratios = {
        s.duration_s / f.duration_s for s, f in zip(slow.iterations, fast.iterations, strict=True)
    }
    assert ratios == {8}


@pytest.mark.parametrize("name", PROFILES)
def test_built_in_profiles_are_consistent(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.max_request_tokens == profile.max_model_len


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(ProfileError, match="gpu-8b, small-cpu, tiny-cpu"):
        load_profile("h100")


def test_overrides_replace_fields_and_none_keeps_them():
    profile = load_profile("gpu-8b", max_num_seqs=2, speed=None, scheduling_policy="priority")
    assert (profile.max_num_seqs, profile.speed) == (2, 1.0)
    assert profile.scheduling_policy is SchedulingPolicy.PRIORITY


@pytest.mark.parametrize(
    "overrides",
    [
        {"max_num_seqs": 0},
        {"max_num_batched_tokens": 63},
        {"kv_tokens": 15},
        {"speed": 0},
        {"block_size": 0},
        {"max_model_len": 1},
        {"scheduling_policy": "lifo"},
    ],
)
def test_contradictory_profile_is_refused(overrides):
    with pytest.raises(ProfileError, match=next(iter(overrides)).replace("_", "[_ ]")):
        load_profile("gpu-8b", **overrides)


def test_measured_prefill_rate_of_the_small_model_is_reproduced():
    profile: EngineProfile = load_profile("small-cpu")
    tokens = 1085
    duration_s = profile.cost.duration_s(
        prefill_tokens=tokens,
        decode_sequences=0,
        kv_tokens_read=0,
        attention_pairs=tokens * tokens / 2,
    )
    assert duration_s == pytest.approx(0.934, rel=0.06)  # measured: 934 ms cold
