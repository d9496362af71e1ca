import pytest

from langgraph_rsm.emulation import EngineStateError, SchedulingPolicy, SegmentBlocks, TokenBlocks
from langgraph_rsm.emulation.kv_cache import KVCache


def test_memory_pressure_preempts_the_latest_and_both_complete(engine):
    e = engine(kv_tokens=40)
    e.submit("a", prompt=8, out=20)
    e.submit("b", prompt=8, out=20)
    assert e.run() == ["a", "b"]
    assert e.emitted == {"a": 20, "b": 20}
    assert (e.finished["a"].preemptions, e.finished["b"].preemptions) == (0, 1)
    assert e.model.stats().counters.preemptions == 1


def test_memory_pressure_preempts_the_worst_priority(engine):
    e = engine(kv_tokens=40, scheduling_policy=SchedulingPolicy.PRIORITY)
    e.submit("low", prompt=8, out=20, priority=5)
    e.submit("high", prompt=8, out=20, priority=1)
    assert e.run() == ["high", "low"]
    assert e.finished["low"].preemptions == 1


def test_preempted_request_recomputes_prompt_and_generated_tokens(engine):
    e = engine(kv_tokens=40, prefix_caching=False)
    e.submit("a", prompt=8, out=20)
    e.submit("b", prompt=8, out=20)
    e.run()
    at = next(i for i, iteration in enumerate(e.iterations) if iteration.preempted)
    # Both hold 5 blocks of 4 when they are full, with 13 tokens known: 8 prompt and 13 generated.
    resumed = next(i for i in e.iterations[at:] if i.admitted)
    assert resumed.admitted[0].resumed
    assert resumed.prefill_tokens == 8 + 13


def test_iteration_that_preempts_admits_nobody(engine):
    e = engine(kv_tokens=40)
    e.submit("a", prompt=8, out=20)
    e.submit("b", prompt=8, out=20)
    e.step()
    e.submit("c", prompt=1, out=1)
    while e.model.has_work:
        e.step()
    for iteration in e.iterations:
        assert not (iteration.preempted and iteration.admitted)


def test_prompt_that_does_not_fit_yet_waits_without_preempting(engine):
    e = engine(kv_tokens=40)
    e.submit("a", prompt=20, out=8)
    e.submit("b", prompt=30, out=1)
    assert e.run() == ["a", "b"]
    assert e.model.stats().counters.preemptions == 0


def test_equal_prompt_hits_all_but_the_block_of_its_last_token(engine):
    e = engine()
    for name in ("first", "second"):
        e.submit(name, prompt=16, content=[("x", 16)])
        e.run()
    assert e.finished["first"].cached_tokens == 0
    assert e.finished["second"].cached_tokens == 12
    counters = e.model.stats().counters
    assert (counters.prefix_queries, counters.prefix_hits) == (32, 12)


def test_prefix_hit_is_a_whole_number_of_blocks(engine):
    e = engine()
    e.submit("first", prompt=18, content=[("x", 18)])
    e.run()
    e.submit("second", prompt=30, content=[("x", 10), ("y", 20)])
    e.run()
    assert e.finished["second"].cached_tokens == 8


def test_resumed_generation_hits_the_tokens_that_were_generated(engine):
    e = engine()
    e.submit("slice1", prompt=9, out=8, content=[("x", 100)])
    e.run()
    e.submit("slice2", prompt=17, out=8, content=[("x", 100)])
    iteration, _ = e.step()
    assert e.model.stats().counters.cached_prompt_tokens == 16
    assert iteration.prefill_tokens == 1


def test_requests_of_one_batch_share_a_prefix(engine):
    e = engine()
    for name in "abc":
        e.submit(name, prompt=10, out=2, content=[("x", 10)])
    iteration, _ = e.step()
    assert [a.cached_tokens for a in iteration.admitted] == [0, 8, 8]
    assert iteration.prefill_tokens == 10 + 2 + 2
    assert e.model.stats().kv_usage_ratio == pytest.approx(5 / 100)


def test_private_content_is_shared_with_nobody(engine):
    e = engine()
    e.submit("a", prompt=16)
    e.run()
    e.submit("b", prompt=16)
    e.run()
    assert e.finished["b"].cached_tokens == 0


def test_without_prefix_caching_nothing_is_shared(engine):
    e = engine(prefix_caching=False)
    for name in "ab":
        e.submit(name, prompt=16, content=[("x", 16)])
        e.run()
    assert e.finished["b"].cached_tokens == 0
    assert e.model.stats().counters.prefix_queries == 0


def test_least_recently_used_prefix_is_evicted_first(engine):
    e = engine(kv_tokens=48)
    for name in ("old", "new", "old", "big"):
        prompt = 32 if name == "big" else 16
        e.submit(name, prompt=prompt, out=1, content=[(name, prompt)])
        e.run()
        e.finished.clear()
    for name, expected in (("old", 12), ("new", 0)):
        e.submit(name, prompt=16, out=1, content=[(name, 16)])
        iteration, _ = e.step()
        assert iteration.admitted[0].cached_tokens == expected


def test_tail_of_a_prefix_is_evicted_before_its_head():
    cache = KVCache(num_blocks=4, prefix_caching=True)
    keys = SegmentBlocks([("x", 16)], block_size=4)
    blocks = cache.allocate(4)
    for index, block in enumerate(blocks):
        cache.register(block, keys.key(index))
    cache.release(blocks)
    taken = cache.allocate(1)
    cache.validate(taken)
    assert cache.match(keys, limit=4) == blocks[:3]


def test_shared_block_is_free_only_after_its_last_user():
    cache = KVCache(num_blocks=2, prefix_caching=True)
    blocks = cache.allocate(1)
    cache.register(blocks[0], "x")
    cache.acquire(blocks)
    cache.release(blocks)
    assert cache.free_blocks == 1
    cache.release(blocks)
    assert cache.free_blocks == 2


def test_allocating_more_than_is_free_is_an_error():
    cache = KVCache(num_blocks=2, prefix_caching=True)
    with pytest.raises(EngineStateError, match="2 are free"):
        cache.allocate(3)


def test_validate_names_the_broken_invariant():
    cache = KVCache(num_blocks=2, prefix_caching=True)
    blocks = cache.allocate(1)
    with pytest.raises(EngineStateError, match="reference counts"):
        cache.validate([])
    cache.validate(blocks)


def test_token_keys_are_equal_for_equal_prefixes_only():
    a = TokenBlocks([*"abcdefgh"], block_size=4)
    b = TokenBlocks([*"abcdxfgh"], block_size=4)
    c = TokenBlocks([*"xbcdefgh"], block_size=4)
    assert a.key(0) == b.key(0) != c.key(0)
    assert len({a.key(1), b.key(1), c.key(1)}) == 3


def test_token_keys_with_different_salts_never_match():
    tokens = [*"abcd"]
    plain, salted = (TokenBlocks(tokens, block_size=4, salt=salt) for salt in ("", "tenant"))
    assert plain.key(0) != salted.key(0)


def test_segment_keys_follow_the_names_and_not_the_length_of_the_last_segment():
    turn1 = SegmentBlocks([("system", 6), ("talk", 10)], block_size=4)
    turn2 = SegmentBlocks([("system", 6), ("talk", 50)], block_size=4)
    other = SegmentBlocks([("system", 6), ("chat", 50)], block_size=4)
    assert [turn1.key(i) for i in range(6)] == [turn2.key(i) for i in range(6)]
    assert turn1.key(0) == other.key(0)
    assert turn1.key(1) != other.key(1)
