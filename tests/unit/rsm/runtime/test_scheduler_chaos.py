"""Chaos: random waits, errors, cancellations and engine changes; every slot comes back."""

import asyncio
import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import Engine
from langgraph_rsm.core.call import Call
from langgraph_rsm.telemetry import Outcome


def engines(scheduler, *sizes):
    return tuple(
        scheduler.register(Engine(ScriptedModel(), capacity=size, name=f"e{n}")).engine_id
        for n, size in enumerate(sizes)
    )


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("policy", ["fcfs", "plas"])
async def test_random_users_in_virtual_time(make_scheduler, finished, seed, policy):
    rng = random.Random(seed)
    scheduler = make_scheduler(policy, max_wait_s=5, max_queue=30)
    ids = engines(scheduler, 1, 2, 3)

    async def user(number):
        await asyncio.sleep(rng.uniform(0, 10))
        eligible = tuple(sorted(rng.sample(ids, rng.randint(1, 3))))
        call = Call(program_id=f"p{number % 7}", engines=eligible)
        async with scheduler.aslot(call):
            await asyncio.sleep(rng.uniform(0, 2))
            if rng.random() < 0.2:
                raise ZeroDivisionError

    tasks = [asyncio.create_task(user(number)) for number in range(120)]
    loop = asyncio.get_running_loop()
    for task in rng.sample(tasks, 40):
        loop.call_later(rng.uniform(0, 15), task.cancel)
    await asyncio.wait(tasks)
    assert in_flight(scheduler) == 0
    assert scheduler.snapshot().waiting == {}
    assert scheduler._grants._waiters == {}
    ids_seen = [record.call.call_id for record in finished()]
    assert len(ids_seen) == len(set(ids_seen))
    outcomes = {record.outcome for record in finished()}
    assert {Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED} <= outcomes


def on_a_loop(scheduler, ids, rng):
    async def user(number):
        async with scheduler.aslot(Call(program_id=f"p{number % 5}", engines=ids)):
            await asyncio.sleep(0)
            if rng.random() < 0.3:
                raise ZeroDivisionError

    async def crowd():
        tasks = [asyncio.create_task(user(number)) for number in range(60)]
        for _ in range(20):
            await asyncio.sleep(0)
            rng.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(crowd())


def on_a_thread(scheduler, ids, rng):
    for number in range(60):
        call = Call(program_id=f"p{number % 5}", engines=ids)
        with contextlib.suppress(ZeroDivisionError), scheduler.slot(call):
            if rng.random() < 0.3:
                raise ZeroDivisionError


def test_threads_and_loops_with_errors_and_cancellations(make_scheduler, finished):
    scheduler = make_scheduler("plas")
    ids = engines(scheduler, 2, 1)
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit((on_a_loop, on_a_thread)[seed % 2], scheduler, ids, random.Random(seed))
            for seed in range(6)
        ]
        for job in jobs:
            job.result(timeout=30)
    assert in_flight(scheduler) == 0
    assert scheduler.snapshot().waiting == {}
    ids_seen = [record.call.call_id for record in finished()]
    assert len(ids_seen) == len(set(ids_seen))
