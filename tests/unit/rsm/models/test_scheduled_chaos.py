"""Load and chaos: whatever breaks, every caller gets an answer or its error, every slot returns."""

import asyncio
import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import looptime
import pytest
from case_counts import cases
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from langchain_core.exceptions import ModelAPIError, ModelInvalidRequestError, ModelRateLimitError
from scripted_model import ScriptedModel
from shell_views import in_flight

from langgraph_rsm import (
    CallTimeoutError,
    Engine,
    QueueTimeoutError,
    ScheduledChatModel,
    Scheduler,
    SchedulerConfig,
)
from langgraph_rsm.core.events import EngineChanged
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.telemetry import CallFinished

CALLS = int(os.environ.get("CHAOS_CALLS", "1000"))
"""Concurrent calls; `CHAOS_CALLS=10000` takes half a minute."""
EXPECTED = (
    asyncio.CancelledError,
    CallTimeoutError,
    QueueTimeoutError,
    ModelAPIError,
    ModelInvalidRequestError,
    ModelRateLimitError,
    ConnectionResetError,
)


class Unreliable(ScriptedModel):
    """Refuses, stalls, breaks off, answers 429 and 500, and is down from time to time."""

    seed: int = 0
    down: bool = False

    def model_post_init(self, context):
        super().model_post_init(context)
        self.__dict__["rng"] = random.Random(self.seed)

    def _mishap(self):
        if self.down:
            raise ConnectionResetError("down")
        kinds = [ModelAPIError("500"), ModelRateLimitError("429"), ModelInvalidRequestError("400")]
        if self.__dict__["rng"].random() < 0.2:
            raise self.__dict__["rng"].choice(kinds)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(self.__dict__["rng"].choice((0.1, 0.5, 2.0, 60.0)))
        self._mishap()
        return await super()._agenerate(messages, stop, run_manager, **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._mishap()
        return super()._generate(messages, stop, run_manager, **kwargs)

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self._mishap()
        async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
            if self.__dict__["rng"].random() < 0.05:
                raise ConnectionResetError("cut")
            yield chunk


def fleet(scheduler, count=3, capacity=20):
    engines = [
        Engine(Unreliable(base_url=f"http://{n}", seed=n, delay_s=0.1), capacity=capacity)
        for n in range(count)
    ]
    return ScheduledChatModel(engines=engines, scheduler=scheduler)


def at_rest(scheduler):
    snapshot = scheduler.snapshot()
    scheduler._core.validate()
    return (
        in_flight(scheduler) == 0
        and snapshot.waiting == {}
        and snapshot.programs == ()
        and scheduler._grants._waiters == {}
    )


@pytest.mark.looptime
@pytest.mark.timeout(240)
async def test_thousands_of_calls_on_unreliable_engines():
    ended = []
    loop = asyncio.get_running_loop()
    rng = random.Random(7)
    scheduler = Scheduler(
        config=SchedulerConfig(
            max_retries=2, retry_base_s=1, queue_timeout_s=90, call_timeout_s=120, max_wait_s=1e9
        ),
        clock=loop.time,
        hooks=[lambda record: ended.append(record) if isinstance(record, CallFinished) else None],
    )
    model = fleet(scheduler, count=4, capacity=CALLS // 200)

    async def stream():
        return [chunk async for chunk in model.astream("hi")]

    tasks = [
        asyncio.create_task(stream() if number % 3 == 0 else model.ainvoke("hi"))
        for number in range(CALLS)
    ]
    for task in rng.sample(tasks, CALLS * 3 // 20):
        loop.call_later(rng.uniform(0, 80), task.cancel)
    for engine in model.engines:  # each is down for a while, and comes back
        route = model._route.models[engine.engine_id]
        loop.call_later(rng.uniform(5, 20), setattr, route, "down", True)
        loop.call_later(rng.uniform(25, 40), setattr, route, "down", False)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    print(len(results) - len(errors), "answers", Counter(type(error).__name__ for error in errors))
    assert {type(error) for error in errors} <= set(EXPECTED)
    assert {asyncio.CancelledError, QueueTimeoutError} <= {type(error) for error in errors}
    assert len(results) - len(errors) > CALLS // 10
    assert len({record.call.call_id for record in ended}) == len(ended) >= len(results)
    await asyncio.sleep(1)
    assert at_rest(scheduler)
    assert len(asyncio.all_tasks()) == 1


def test_loops_and_hundreds_of_threads_share_one_scheduler():
    scheduler = Scheduler(config=SchedulerConfig(max_retries=1, retry_base_s=0))
    model = ScheduledChatModel(
        engines=[
            Engine(ScriptedModel(base_url=f"http://{n}"), capacity=capacity)
            for n, capacity in enumerate((1, 2, 5))
        ],
        scheduler=scheduler,
    )
    before = threading.active_count()
    start = threading.Barrier(204)
    answers = []

    def in_thread():
        start.wait()
        answers.extend(model.invoke("hi").content for _ in range(3))
        answers.extend("".join(c.content for c in model.stream("hi")) for _ in range(2))

    def in_loop():
        async def crowd():
            start.wait()
            answers.extend(
                message.content
                for message in await asyncio.gather(*(model.ainvoke("hi") for _ in range(100)))
            )

        asyncio.run(crowd())

    with ThreadPoolExecutor(204) as pool:
        jobs = [pool.submit(in_thread) for _ in range(200)]
        jobs += [pool.submit(in_loop) for _ in range(4)]
        for job in jobs:
            job.result(timeout=50)
    assert len(answers) == 200 * 5 + 4 * 100
    assert set(answers) == {"one two three", "onetwothree"}
    assert at_rest(scheduler)
    assert threading.active_count() <= before


class Shell(RuleBasedStateMachine):
    """Random users of one scheduled model on a loop with virtual time."""

    def __init__(self):
        super().__init__()
        self.loop = looptime.patch_event_loop(asyncio.new_event_loop())
        config = SchedulerConfig(
            validate_steps=True, max_retries=1, retry_base_s=1, queue_timeout_s=7, call_timeout_s=9
        )
        self.scheduler = Scheduler(config=config, clock=self.loop.time)
        self.model = fleet(self.scheduler, count=2, capacity=2)
        self.tasks = []
        self.links = run_tree.count_links()

    def play(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(streamed=st.booleans(), count=st.integers(1, 5))
    def call(self, streamed, count):
        async def stream():
            return [chunk async for chunk in self.model.astream("hi")]

        for _ in range(count):
            coroutine = stream() if streamed else self.model.ainvoke("hi")
            self.tasks.append(self.loop.create_task(coroutine))

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.3, 1.0, 5.0]))
    def wait(self, seconds):
        self.play(seconds)

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def cancel(self, data):
        data.draw(st.sampled_from(self.tasks)).cancel()
        self.play(0)

    @rule(engine=st.integers(0, 1), down=st.booleans())
    def break_or_mend(self, engine, down):
        list(self.model._route.models.values())[engine].down = down

    @rule(engine=st.integers(0, 1), capacity=st.integers(0, 3))
    def resize(self, engine, capacity):
        engine_id = self.model.engines[engine].engine_id
        with self.scheduler._lock:
            now = self.scheduler.clock()
            change = EngineChanged(now=now, engine_id=engine_id, capacity=capacity)
            self.scheduler._handle(change)
        self.scheduler._settle()

    @invariant()
    def nobody_is_lost(self):
        snapshot = self.scheduler.snapshot()
        live = sum(snapshot.waiting.values()) + in_flight(self.scheduler)
        assert live <= sum(not task.done() for task in self.tasks) + 1

    def teardown(self):
        self.play(10)  # the longest that any call may take
        self.play(1)
        assert all(task.done() for task in self.tasks)
        for task in self.tasks:
            if not task.cancelled() and task.exception() is not None:
                assert isinstance(task.exception(), EXPECTED)
        assert at_rest(self.scheduler)
        assert run_tree.count_links() == self.links
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


TestShell = Shell.TestCase
TestShell.settings = settings(max_examples=cases(25), stateful_step_count=25, deadline=None)
