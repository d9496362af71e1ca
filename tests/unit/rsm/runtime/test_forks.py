"""What a forked child finds: an idle scheduler that knows what its parent knew."""

import json
import multiprocessing
import os
import random
import threading
import time
from types import SimpleNamespace

import pytest
from langchain_openai import ChatOpenAI
from scripted_model import ScriptedModel

from langgraph_rsm import Scheduler, SchedulerConfig, program, schedule
from langgraph_rsm.emulation import serve

if not hasattr(os, "fork"):
    pytest.skip("forks are a thing of POSIX", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(function, timeout_s=20):
    """Return what a function returns in a forked child; fails if it hangs."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=lambda: queue.put(function()), daemon=True)
    process.start()
    try:
        return queue.get(timeout=timeout_s)
    finally:
        process.kill()
        process.join()


@pytest.fixture
def busy():
    """A model whose only slot is held by a thread, with another thread waiting for it."""
    scheduler, go, at_it = Scheduler("auto"), threading.Event(), threading.Event()

    def hold():
        at_it.set()
        go.wait(30)

    plain = ScriptedModel(on_call=hold)
    model = schedule(plain, scheduler=scheduler, capacity=1)
    threads = [threading.Thread(target=model.invoke, args=("x",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    at_it.wait(10)
    while not scheduler.snapshot().waiting:
        os.sched_yield()
    yield SimpleNamespace(model=model, scheduler=scheduler, go=go)
    go.set()
    for thread in threads:
        thread.join(30)


def test_a_child_has_all_slots(busy):
    def child():
        busy.go.set()  # its own copy
        with program("child"):
            answer = busy.model.invoke("child").text
        left = busy.scheduler.snapshot()
        return answer, [engine.in_flight for engine in left.engines], dict(left.waiting)

    assert in_child(child) == ("one two three", [0], {})
    assert sum(busy.scheduler.snapshot().waiting.values()) == 1


def test_a_child_that_is_forked_in_the_middle_of_a_stream_waits_for_slots_itself():
    scheduler = Scheduler("fcfs")
    model = schedule(ScriptedModel(), scheduler=scheduler, capacity=1)
    stream = model.stream("x")
    next(stream)

    def child():
        model.invoke("y")
        stream.close()
        return [engine.in_flight for engine in scheduler.snapshot().engines]

    assert in_child(child) == [0]
    assert len(list(stream)) > 0


class Limited(Exception):
    status_code = 429
    response = SimpleNamespace(headers={"retry-after": "0.5"})


def test_a_child_waits_out_the_rest_that_its_parent_was_told():
    plain = ScriptedModel(error=Limited())
    model = schedule(plain, scheduler=Scheduler("fcfs", SchedulerConfig(max_retries=0)))
    with pytest.raises(Limited):
        model.invoke("x")

    def child():
        began = time.monotonic()
        with pytest.raises(Limited):
            model.invoke("y")
        return time.monotonic() - began

    assert in_child(child) > 0.1


def test_each_process_has_chances_of_its_own():
    scheduler = Scheduler(rng=random.Random(1))
    first, second = (in_child(scheduler.rng.random) for _ in range(2))
    assert len({first, second, scheduler.rng.random()}) == 3


def learn(scheduler, name, calls):
    model = schedule(ScriptedModel(), scheduler=scheduler)
    for _ in range(calls):
        with program():
            model.invoke(name)


def programs_in(path):
    document = json.loads(path.read_text())
    return round(sum(sum(weights) for weights in document["all"]), 3)


def test_processes_that_save_one_file_lose_nothing(tmp_path):
    path = tmp_path / "history.json"
    learn(first := Scheduler("auto"), "x", 3)
    first.save_history(path)

    def child():
        learn(first, "y", 4)
        first.save_history(path)
        first.save_history(path)
        return True

    assert in_child(child)
    learn(first, "x", 2)
    first.save_history(path)
    assert programs_in(path) == pytest.approx(9, abs=0.1)
    again = Scheduler("auto", SchedulerConfig(history=path))
    learn(again, "z", 1)
    again.save_history(path)
    assert programs_in(path) == pytest.approx(10, abs=0.1)


def test_threads_that_save_one_file_do_not_disturb_one_another(tmp_path):
    path, errors = tmp_path / "history.json", []

    def save():
        scheduler = Scheduler("auto")
        try:
            for _ in range(30):
                scheduler.save_history(path)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(each.name for each in tmp_path.iterdir()) == [".history.json.lock", path.name]


def test_a_child_does_not_speak_on_its_parents_connections():
    with serve("tiny-cpu", speed=50) as server:
        plain = ChatOpenAI(base_url=server.base_url, api_key="x", model="tiny-cpu", max_tokens=3)
        model = schedule(plain, scheduler=Scheduler("fcfs"))
        model.invoke("x")

        def child():
            return len(plain.root_client._client._transport._pool._connections)

        assert child() == 1
        assert in_child(child) == 0
