"""The driver under a virtual clock: exact times, no waiting."""

import asyncio
import contextlib

import pytest

from langgraph_rsm.emulation import CostModel, EngineProfile, EngineRequest
from langgraph_rsm.emulation.driver import EngineDriver
from langgraph_rsm.emulation.errors import OverloadedError
from langgraph_rsm.emulation.metrics import Histogram, render_metrics

pytestmark = pytest.mark.looptime

PROFILE = EngineProfile(
    name="test",
    cost=CostModel(
        base_s=1.0,
        per_prefill_token_s=0.0,
        per_decode_s=0.0,
        per_kv_token_s=0.0,
        per_attention_pair_s=0.0,
    ),
    max_num_seqs=2,
    max_num_batched_tokens=64,
    kv_tokens=400,
)


@contextlib.asynccontextmanager
async def running(**options):
    driver = EngineDriver(PROFILE, **options)
    task = asyncio.create_task(driver.run())
    try:
        yield driver
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def submit(driver, tokens, *, every_token=False):
    request = EngineRequest(request_id=driver.next_id(), prompt_tokens=4, max_tokens=tokens)
    return driver.submit(request, every_token=every_token)


def now_s():
    return asyncio.get_running_loop().time()


async def test_request_takes_the_time_of_its_iterations():
    async with running() as driver:
        start_s = now_s()
        finished = await submit(driver, 5).wait()
        assert now_s() - start_s == pytest.approx(5.0, abs=1e-6)
        assert finished.generated_tokens == 5


async def test_streaming_ticket_wakes_at_every_token():
    async with running() as driver:
        start_s, ticket, seen = now_s(), submit(driver, 3, every_token=True), []
        while not await ticket.wait():
            seen.append((ticket.emitted, round(now_s() - start_s, 6)))
        assert seen == [(1, 1.0), (2, 2.0)]


async def test_tokens_that_nobody_fetched_come_together():
    async with running() as driver:
        ticket = submit(driver, 9, every_token=True)
        await asyncio.sleep(4.5)
        assert await ticket.wait() is None
        assert ticket.emitted == 4


async def test_third_request_waits_for_a_seat():
    async with running() as driver:
        start_s = now_s()
        tickets = [submit(driver, 2) for _ in range(3)]
        await tickets[2].wait()
        assert now_s() - start_s == pytest.approx(4.0, abs=1e-6)


async def test_abort_frees_the_seat_at_once():
    async with running() as driver:
        ticket = submit(driver, 50)
        await asyncio.sleep(1.5)
        driver.abort(ticket)
        driver.abort(ticket)
        assert driver.model.running == 0


async def test_engine_sleeps_while_idle_and_wakes_for_work():
    async with running() as driver:
        await submit(driver, 1).wait()
        await asyncio.sleep(100)
        start_s = now_s()
        await submit(driver, 1).wait()
        assert now_s() - start_s == pytest.approx(1.0, abs=1e-6)
        assert driver.model.stats().counters.iterations == 2


async def test_full_queue_is_refused():
    async with running(max_queue=1) as driver:
        tickets = [submit(driver, 2)]
        await asyncio.sleep(0.5)
        tickets.append(submit(driver, 2))
        with pytest.raises(OverloadedError, match="--max-queue"):
            submit(driver, 2)
        assert all([await ticket.wait() for ticket in tickets])


async def test_stopped_engine_fails_open_and_new_requests():
    async with running() as driver:
        ticket = submit(driver, 50)
        await asyncio.sleep(0.5)
    with pytest.raises(OverloadedError, match="is stopping"):
        await ticket.wait()
    with pytest.raises(OverloadedError, match="is stopping"):
        submit(driver, 1)


async def test_crash_of_the_model_reaches_the_waiting_request(monkeypatch):
    driver = EngineDriver(PROFILE)
    monkeypatch.setattr(driver.model, "end_iteration", lambda: 1 / 0)
    task = asyncio.create_task(driver.run())
    with pytest.raises(OverloadedError, match="ZeroDivisionError"):
        await submit(driver, 1).wait()
    with pytest.raises(ZeroDivisionError):
        await task


@pytest.mark.looptime(False)
async def test_engine_that_falls_behind_is_anchored_anew():
    clock = iter(range(0, 10_000_000, 10))
    driver = EngineDriver(PROFILE, clock=lambda: float(next(clock)))
    task = asyncio.create_task(driver.run())
    await submit(driver, 3).wait()
    assert driver.lag_s > 0
    task.cancel()


async def test_metrics_render_load_totals_and_durations():
    async with running() as driver:
        await submit(driver, 2).wait()
        text = render_metrics(
            driver.model.stats(), driver.latencies, profile=PROFILE, model='a"b', lag_s=0.5
        )
    labels = 'engine="0",model_name="a\\"b"'
    for line in (
        f"vllm:num_requests_running{{{labels}}} 0",
        f"vllm:generation_tokens_total{{{labels}}} 2",
        f'vllm:request_success_total{{{labels},finished_reason="length"}} 1',
        f"vllm:time_to_first_token_seconds_sum{{{labels}}} 1.000000",
        f'vllm:e2e_request_latency_seconds_bucket{{{labels},le="2.0"}} 1',
        f'vllm:e2e_request_latency_seconds_bucket{{{labels},le="1.5"}} 0',
        f"emulation:lag_seconds_total{{{labels}}} 0.5",
    ):
        assert line in text.splitlines()


def test_histogram_is_cumulative():
    histogram = Histogram((1.0, 2.0))
    for duration_s in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(duration_s)
    counts = [line.split()[-1] for line in histogram.render("h", 'a="b"')][1:]
    assert counts == ["2", "3", "4", "4", "12.000000"]
