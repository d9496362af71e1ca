"""Generated functions do the same, call for call and line for line, when their calls run ahead."""

import asyncio
import contextlib
import io
import random

import generated_bodies
import pytest
from case_counts import CASES, cases
from generated_bodies import Writer, function_of, outcome
from virtual_time import VirtualLoop

from langgraph_parallel.inference.parts import watch_call
from langgraph_parallel.lowering.bodies.build import build

INPUTS = (
    (["a", "b", "z", "c!"], "k"),
    (["a", "b", "c", "d"], "q"),
    ([], "m"),
    (["x", "y", "u", "v", "w"], "q"),
)


def forms_of(seed, *, is_async):
    function = function_of(Writer(seed, is_async=is_async).body())
    watch, why = watch_call(function)
    assert not why, why
    built = build(function, watch)
    return function, built.inner.get(function), built


def shown(function, words, q, seed):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ended, seen, calls = outcome(function, words, q, seed)
    return ended, seen, printed.getvalue(), calls


def check(seed, *, is_async):
    function, rewritten, built = forms_of(seed, is_async=is_async)
    if rewritten is None:
        return
    CASES["bodies"] += 1
    is_clean = True
    for pace, (words, q) in enumerate(INPUTS):
        plain = shown(function, words, q, pace)
        ahead = shown(rewritten, words, q, seed + pace)
        assert plain[:3] == ahead[:3]
        has_failed = any("!" in prompt for prompt in plain[3])
        is_clean = is_clean and not has_failed
        if not has_failed:
            assert plain[3] == ahead[3], "a call was made twice, or in vain"
    stats = built.runtimes[function]
    CASES["calls made ahead"] += stats.made
    assert not (is_clean and stats.missed)


@pytest.mark.parametrize("seed", range(cases(300)))
def test_a_function_does_the_same(seed):
    check(seed, is_async=False)


@pytest.mark.parametrize("seed", range(10_000, 10_000 + cases(200)))
def test_a_coroutine_does_the_same(seed, monkeypatch):
    def run(coroutine):
        loop = VirtualLoop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            loop.close()
            assert not left

    monkeypatch.setattr(generated_bodies.asyncio, "run", run)
    check(seed, is_async=True)


def test_most_generated_functions_have_something_to_run_ahead():
    seeds = random.Random(5).sample(range(2000), 20)
    found = [forms_of(seed, is_async=False)[1] is not None for seed in seeds]
    assert sum(found) >= 12
