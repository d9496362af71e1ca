"""The shell: coroutines in virtual time, threads on events; nothing here really sleeps."""

import asyncio
import contextvars
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from scripted_model import ScriptedModel
from shell_views import in_flight, run_elsewhere

from langgraph_rsm import (
    ConfigError,
    Engine,
    EngineError,
    QueueFullError,
    Scheduler,
    SchedulerConfig,
    get_scheduler,
)
from langgraph_rsm.core.call import Call
from langgraph_rsm.telemetry import CallDispatched, CallFinished, CallSubmitted, Outcome


def register(scheduler, capacity=1, name="e"):
    return scheduler.register(Engine(ScriptedModel(), capacity=capacity, name=name)).engine_id


def call(engine="e", program="p"):
    return Call(program_id=program, engines=(engine,))


async def hold(scheduler, seconds, program="p"):
    async with scheduler.aslot(call(program=program)) as lease:
        await asyncio.sleep(seconds)
        return lease


@pytest.mark.looptime
async def test_capacity_bounds_concurrency_and_no_time_is_lost(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler, capacity=2)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await asyncio.gather(*(hold(scheduler, 1) for _ in range(6)))
    assert loop.time() - begin == pytest.approx(3, abs=1e-6)
    assert in_flight(scheduler) == 0


@pytest.mark.looptime
async def test_lease_names_the_engine_and_leaving_reports_done(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)
    lease = await hold(scheduler, 2)
    assert lease.engine.engine_id == "e"
    (record,) = finished()
    assert (record.outcome, record.engine_id) == (Outcome.DONE, "e")
    assert record.service_s == pytest.approx(2, abs=1e-6)


@pytest.mark.looptime
async def test_plas_lets_a_new_program_overtake_a_served_one(make_scheduler, finished):
    scheduler = make_scheduler("plas")
    register(scheduler)
    await hold(scheduler, 3, "old")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(scheduler, 1, "holder"))
        await asyncio.sleep(0.1)
        tasks.create_task(hold(scheduler, 1, "old"))
        await asyncio.sleep(0.1)
        tasks.create_task(hold(scheduler, 1, "new"))
    assert [record.call.program_id for record in finished()] == ["old", "holder", "new", "old"]


@pytest.mark.looptime
async def test_cancelled_waiter_leaves_the_queue(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)
    first = asyncio.create_task(hold(scheduler, 5))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold(scheduler, 5))
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.wait([second])
    assert scheduler.snapshot().waiting == {}
    await first
    assert [record.outcome for record in finished()] == [Outcome.CANCELLED, Outcome.DONE]
    assert finished()[0].engine_id is None
    assert finished()[0].wait_s == pytest.approx(1, abs=1e-6)


@pytest.mark.looptime
async def test_cancellation_in_the_same_step_as_dispatch_loses_no_slot(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler)
    first = asyncio.create_task(hold(scheduler, 1))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold(scheduler, 1))
    third = asyncio.create_task(hold(scheduler, 1))
    await asyncio.sleep(0)
    # Resolved before its task runs again, then cancelled: both happen in one loop iteration.
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.wait([first, second, third])
    assert second.cancelled()
    assert third.result().call.program_id == "p"
    assert in_flight(scheduler) == 0


@pytest.mark.looptime
@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.5])
async def test_timeout_at_any_moment_returns_the_slot(make_scheduler, after_s):
    scheduler = make_scheduler()
    register(scheduler)
    first = asyncio.create_task(hold(scheduler, 1))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hold(scheduler, 10), after_s)
    await first
    await hold(scheduler, 1)
    assert in_flight(scheduler) == 0


@pytest.mark.looptime
async def test_error_in_the_block_is_reported_and_passes(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)
    with pytest.raises(ZeroDivisionError):
        async with scheduler.aslot(call()):
            raise ZeroDivisionError
    assert (finished()[0].outcome, finished()[0].error_type) == (
        Outcome.FAILED,
        "ZeroDivisionError",
    )


async def test_ending_twice_counts_once(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)
    async with scheduler.aslot(call()) as lease:
        lease.end()
        lease.end(ValueError())
    assert [record.outcome for record in finished()] == [Outcome.DONE]


@pytest.mark.looptime
async def test_full_queue_raises_a_retryable_error(make_scheduler, finished):
    scheduler = make_scheduler(max_queue=1)
    register(scheduler)
    tasks = [asyncio.create_task(hold(scheduler, 1)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match="1 calls wait, max_queue is 1") as caught:
        await hold(scheduler, 1)
    assert not isinstance(caught.value, (RuntimeError, ValueError, OSError))
    from langgraph.types import default_retry_on

    assert default_retry_on(caught.value)
    await asyncio.gather(*tasks)
    assert finished()[0].outcome is Outcome.REJECTED


async def test_unknown_engine_is_refused_and_leaves_nothing_behind(make_scheduler):
    scheduler = make_scheduler()
    with pytest.raises(EngineError, match="does not know"):
        async with scheduler.aslot(call("nowhere")):
            pass
    assert scheduler.snapshot().programs == ()
    assert scheduler._grants._waiters == {}


def test_threads_share_the_slots(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler, capacity=3)
    peak, now, lock = 0, 0, threading.Lock()

    def work(number):
        nonlocal peak, now
        with scheduler.slot(call(program=f"p{number % 5}")):
            with lock:
                now += 1
                peak = max(peak, now)
            with lock:
                now -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(300)))
    assert peak <= 3
    assert in_flight(scheduler) == 0


def test_threads_and_several_event_loops_share_one_slot(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)
    inside = 0

    def enter():
        nonlocal inside
        inside += 1
        assert inside == 1, "two holders of one slot"
        inside -= 1

    async def on_a_loop(number):
        async with scheduler.aslot(call(program=f"loop{number}")):
            enter()
            await asyncio.sleep(0)

    async def many(number):
        await asyncio.gather(*(on_a_loop(number) for _ in range(20)))

    def thread(number):
        for _ in range(20):
            with scheduler.slot(call(program=f"thread{number}")):
                enter()

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(asyncio.run, many(number)) for number in range(4)]
        jobs += [pool.submit(thread, number) for number in range(4)]
        for job in jobs:
            job.result()
    assert len(finished()) == 160
    assert in_flight(scheduler) == 0


class Interrupting:
    """A gate whose wait is interrupted by Ctrl-C."""

    def acquire(self):
        raise KeyboardInterrupt


def test_keyboard_interrupt_while_blocked_leaves_the_queue(make_scheduler, monkeypatch, finished):
    scheduler = make_scheduler()
    register(scheduler)
    import langgraph_rsm.runtime.lease as lease_module

    with scheduler.slot(call()):
        monkeypatch.setattr(lease_module, "_holds_a_lease", lambda: False)
        monkeypatch.setattr(lease_module.SyncWaiter, "wait", lambda *_: Interrupting().acquire())
        with pytest.raises(KeyboardInterrupt), scheduler.slot(call()):
            pytest.fail("entered without a slot")
    assert [record.outcome for record in finished()] == [Outcome.CANCELLED, Outcome.DONE]
    assert in_flight(scheduler) == 0


def test_closed_loop_gives_its_slot_to_the_next(make_scheduler):
    """A loop that was closed with a waiter on it can never take the slot."""
    scheduler = make_scheduler()
    register(scheduler)
    loop = asyncio.new_event_loop()
    coroutine = hold(scheduler, 0)
    done = threading.Event()

    def wait_in_line():
        with scheduler.slot(call(program="next")):
            done.set()

    with scheduler.slot(call()):
        # A context of its own: this one holds a lease, whose children never wait.
        task = loop.create_task(coroutine, context=contextvars.Context())
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        thread = threading.Thread(target=wait_in_line)
        thread.start()
    thread.join(10)
    assert done.is_set()
    assert in_flight(scheduler) == 0
    task._log_destroy_pending = False
    del task
    coroutine.close()


def test_lease_of_a_vanished_holder_is_cancelled(make_scheduler, finished):
    scheduler = make_scheduler()
    register(scheduler)

    async def abandon():
        lease = await scheduler.aslot(call()).__aenter__()
        assert lease.open

    run_elsewhere(abandon())
    gc.collect()
    assert in_flight(scheduler) == 0
    assert [record.outcome for record in finished()] == [Outcome.CANCELLED]


async def test_lease_that_vanishes_under_the_lock_is_cancelled_afterwards(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler)
    lease = await scheduler.aslot(call()).__aenter__()
    with scheduler._lock:
        del lease  # a finalizer may run anywhere, also on the thread that holds the lock
        gc.collect()
    assert in_flight(scheduler) == 0


def test_holder_of_a_lease_never_waits_for_another(make_scheduler):
    """One slot, and a caller that makes a second call inside its first: no deadlock."""
    scheduler = make_scheduler()
    register(scheduler)
    with scheduler.slot(call()), scheduler.slot(call()):
        assert in_flight(scheduler) == 2
    assert in_flight(scheduler) == 0


@pytest.mark.looptime
async def test_blocking_call_on_a_loops_thread_never_waits(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler)
    other = asyncio.create_task(hold(scheduler, 1))
    await asyncio.sleep(0)
    with scheduler.slot(call()):
        assert in_flight(scheduler) == 2
    await other


@pytest.mark.looptime
async def test_two_models_of_one_endpoint_are_one_engine(make_scheduler):
    scheduler = make_scheduler(default_capacity=7)
    models = [ScriptedModel(base_url="http://gpu/v1", temperature=t) for t in (0, 1)]
    engines = [scheduler.register(Engine(model)) for model in models]
    assert engines[0] is engines[1]
    assert engines[0].engine_id == "ScriptedModel@http://gpu/v1#scripted"
    assert [engine.capacity for engine in scheduler.snapshot().engines] == [7]


def test_later_capacity_fills_in_for_a_default_but_never_conflicts(make_scheduler):
    scheduler = make_scheduler()
    model = ScriptedModel(base_url="http://gpu/v1")
    scheduler.register(Engine(model))
    scheduler.register(Engine(model, capacity=3))
    scheduler.register(Engine(model))
    assert scheduler.snapshot().engines[0].capacity == 3
    with pytest.raises(EngineError, match="has capacity 3 and is registered again with 4"):
        scheduler.register(Engine(model, capacity=4))


def test_models_in_this_process_are_engines_of_their_own():
    local = [ScriptedModel(model_name="") for _ in range(2)]
    assert Engine(local[0]).engine_id != Engine(local[1]).engine_id
    assert Engine(local[0], name="gpu").engine_id == "gpu"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("gpt-4o", r"not str; write ChatOpenAI\(model='gpt-4o'\)"),
        (None, "not NoneType"),
        (ScriptedModel().bind(stop=["x"]), "wrap the model first, then bind"),
    ],
)
def test_engine_refuses_what_is_not_a_chat_model(model, hint):
    with pytest.raises(ConfigError, match=hint):
        Engine(model)


def test_engine_needs_a_slot():
    with pytest.raises(ConfigError, match="at least 1"):
        Engine(ScriptedModel(), capacity=0)


@pytest.mark.looptime
async def test_records_come_in_the_order_of_events(make_scheduler, records):
    scheduler = make_scheduler()
    register(scheduler)
    await asyncio.gather(*(hold(scheduler, 1, f"p{n}") for n in range(3)))
    kinds = (CallSubmitted, CallDispatched, CallFinished)
    got = [(kinds.index(type(r)), r.call.program_id) for r in records if isinstance(r, kinds)]
    assert got == [
        (0, "p0"),
        (1, "p0"),
        (0, "p1"),
        (0, "p2"),
        (2, "p0"),
        (1, "p1"),
        (2, "p1"),
        (1, "p2"),
        (2, "p2"),
    ]


async def test_failing_hook_is_logged_once_and_breaks_nothing(make_scheduler, caplog, records):
    def broken(record):
        raise ZeroDivisionError

    scheduler = make_scheduler(hooks=[broken])
    register(scheduler)
    await hold(scheduler, 0)
    await hold(scheduler, 0)
    assert len(records) == 6
    assert len([r for r in caplog.records if "hook" in r.message]) == 1


async def test_hook_may_use_the_scheduler(make_scheduler):
    seen = []
    scheduler = make_scheduler(hooks=[lambda record: seen.append(scheduler.snapshot())])
    register(scheduler)
    await hold(scheduler, 0)
    assert len(seen) == 3


@pytest.mark.looptime
async def test_snapshot_shows_programs_engines_and_queues(make_scheduler):
    scheduler = make_scheduler()
    register(scheduler)
    tasks = [asyncio.create_task(hold(scheduler, 1, name)) for name in "ab"]
    await asyncio.sleep(0.5)
    snapshot = scheduler.snapshot()
    assert snapshot.waiting == {0: 1}
    assert [(e.in_flight, e.capacity) for e in snapshot.engines] == [(1, 1)]
    assert [(p.program_id, p.running, p.waiting) for p in snapshot.programs] == [
        ("a", 1, 0),
        ("b", 0, 1),
    ]
    assert snapshot.programs[1].wait_s == pytest.approx(0.5, abs=1e-6)
    await asyncio.gather(*tasks)


def test_named_schedulers_are_shared_by_the_process():
    name = "test-shared"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: get_scheduler(name), range(32)))
    assert len(found) == 1
    with pytest.raises(ConfigError, match="exists with other settings"):
        get_scheduler(name, config=SchedulerConfig(policy="fcfs"))
    other = get_scheduler("test-other", config=SchedulerConfig(policy="fcfs"))
    assert other is get_scheduler("test-other")
    assert repr(other) == "<Scheduler policy=fcfs engines=[]>"


def test_scheduler_without_hooks_builds_no_records(make_scheduler):
    scheduler = Scheduler()
    register(scheduler)
    with scheduler.slot(call()) as lease:
        lease.first_token()
        assert lease.ttft_s is not None
    assert not scheduler._recorder._outbox._records
