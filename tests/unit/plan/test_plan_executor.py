"""Tasks start when the ones they wait for have ended, within all limits, and nothing is left over.

Async tests run in virtual time: `asyncio.sleep` takes none.
"""

import asyncio
import contextvars
import logging
import threading

import pytest
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt, RetryPolicy

from langgraph_parallel import (
    ParallelConfig,
    ParallelExecutor,
    ParallelPlanner,
    PlanError,
    PlanExecutionError,
    Task,
)
from langgraph_parallel.errors import TaskTimeoutError
from langgraph_parallel.plan.results import PlanTimeoutError

DIAMOND = (("a", 1, []), ("b", 5, ["a"]), ("c", 2, ["a"]), ("d", 1, ["c"]), ("e", 1, ["b", "d"]))


def steps(*rows):
    return [Task(id=i, duration_s=s, depends_on=d) for i, s, d in rows]


class Worker:
    """Sleeps as long as a task takes and remembers what happened when."""

    def __init__(self, fail=(), log=None):
        self.fail, self.active, self.peak, self.log, self.calls = set(fail), 0, 0, [], []

    async def __call__(self, task):
        self.calls.append(task.id)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await asyncio.sleep(task.duration_s or 0)
        finally:
            self.active -= 1
        if task.id in self.fail:
            raise ValueError(f"no {task.id}")
        return task.id.upper()


def config(**options):
    return ParallelConfig(strategies=("explicit",), **options)


async def run(plan, worker, **options):
    return await ParallelExecutor(config(**options)).aexecute(plan, worker)


def spans(results):
    return {r.task_id: (r.started_s, r.ended_s) for r in results}


# -- order and limits ------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_dataflow_reaches_the_critical_path():
    results = await run(steps(*DIAMOND), Worker())
    assert results.elapsed_s == pytest.approx(7)
    assert spans(results)["d"] == pytest.approx((3, 4))
    assert [r.task_id for r in results] == ["a", "b", "c", "d", "e"]
    assert results.values == {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}
    assert results.ok
    assert results["b"].attempts == 1


@pytest.mark.looptime
async def test_barrier_runs_batch_after_batch():
    results = await run(steps(*DIAMOND), Worker(), barrier=True)
    assert spans(results)["d"] == pytest.approx((6, 7))
    assert results.elapsed_s == pytest.approx(8)


@pytest.mark.looptime
@pytest.mark.parametrize(("limit", "elapsed"), [(1, 10), (2, 7), (None, 7)])
async def test_max_concurrency_and_longest_way_first(limit, elapsed):
    worker = Worker()
    results = await run(steps(*DIAMOND), worker, max_concurrency=limit)
    assert results.elapsed_s == pytest.approx(elapsed)
    assert worker.peak == min(limit or 2, 2)
    if limit == 1:
        assert worker.calls == ["a", "b", "c", "d", "e"]


@pytest.mark.looptime
async def test_resources_are_exclusive_or_counted():
    plan = [
        Task(id=i, duration_s=1, depends_on=[], resources=[["api"], ["file"]][i % 2])
        for i in range(8)
    ]
    assert (await run(plan, Worker())).elapsed_s == pytest.approx(4)
    results = await run(plan, Worker(), resources={"api": 2})
    assert spans(results)["6"] == pytest.approx((1, 2))
    assert results.elapsed_s == pytest.approx(4)


@pytest.mark.looptime
async def test_tasks_with_several_resources_do_not_block_each_other_for_ever():
    plan = [
        Task(id="ab", duration_s=1, depends_on=[], resources=["a", "b"]),
        Task(id="bc", duration_s=1, depends_on=[], resources=["b", "c"]),
        Task(id="ca", duration_s=1, depends_on=[], resources=["c", "a"]),
        Task(id="c", duration_s=1, depends_on=[], resources=["c"]),
    ]
    results = await run(plan, Worker())
    assert results.ok
    assert spans(results)["c"] == pytest.approx((0, 1))
    assert results.elapsed_s == pytest.approx(3)


# -- inputs ----------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_inputs_are_filled_in_and_results_seen_when_the_task_starts():
    seen = {}

    async def work(task, results):
        seen[task.id] = (task.description, dict(results))
        return {"n": len(seen)}

    plan = [
        {"id": "a", "depends_on": []},
        {"id": "b", "depends_on": ["a"], "description": "got {{a.n}}"},
        {"id": "c", "depends_on": ["b"]},
        {"id": "x", "depends_on": []},
    ]
    await run(plan, work)
    assert seen["b"] == ("got 1", {"a": {"n": 1}})
    assert list(seen["c"][1]) == ["a", "b"]
    assert seen["x"] == ("", {})


@pytest.mark.looptime
async def test_results_show_nothing_that_the_task_did_not_wait_for():
    async def work(task, results):
        with pytest.raises(KeyError):
            results["a"]
        assert len(results) == 0
        return repr(results)

    results = await run([{"id": "a", "depends_on": []}, {"id": "b", "depends_on": []}], work)
    assert results["b"].value == "EarlierResults([])"


@pytest.mark.looptime
async def test_a_missing_field_fails_the_task_that_wants_it():
    plan = [{"id": "a", "depends_on": []}, {"id": "b", "depends_on": ["a"], "task": "{{a.x}}"}]
    results = await run(plan, Worker(), on_error="continue")
    assert isinstance(results["b"].error, PlanError)
    assert results["a"].status == "done"


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_fail_fast_cancels_what_runs_and_raises_with_the_results():
    worker = Worker(fail="c")
    with pytest.raises(PlanExecutionError, match="Task 'c' failed: ValueError: no c") as caught:
        await run(steps(*DIAMOND), worker)
    assert worker.active == 0
    assert isinstance(caught.value.__cause__, ValueError)
    statuses = {r.task_id: r.status for r in caught.value.results}
    assert statuses == {
        "a": "done",
        "b": "cancelled",
        "c": "failed",
        "d": "cancelled",
        "e": "cancelled",
    }
    assert worker.calls == ["a", "b", "c"]


@pytest.mark.looptime
async def test_skip_dependents_finishes_the_rest():
    results = await run(steps(*DIAMOND), Worker(fail="c"), on_error="skip_dependents")
    statuses = [r.status for r in results]
    assert statuses == ["done", "done", "failed", "skipped", "skipped"]
    assert results["d"].reason == "task 'c' was failed"
    assert [r.task_id for r in results.failed] == ["c"]
    assert not results.ok
    assert str(results).startswith("2 of 5 tasks done")


@pytest.mark.looptime
async def test_continue_runs_all_but_those_that_refer_to_a_missing_result():
    plan = steps(*DIAMOND)
    plan[3] = plan[3].model_copy(update={"description": "{{c}}"})
    worker = Worker(fail="c")
    results = await run(plan, worker, on_error="continue")
    assert [r.status for r in results] == ["done", "done", "failed", "skipped", "done"]
    assert results["d"].reason == "it refers to task 'c', which was failed"


@pytest.mark.looptime
async def test_a_task_that_cancels_itself_has_failed():
    async def work(task):
        raise asyncio.CancelledError

    results = await run([{"id": "a", "depends_on": []}], work, on_error="skip_dependents")
    assert results["a"].status == "failed"


@pytest.mark.looptime
async def test_retries_follow_the_policy():
    attempts = []

    async def work(task):
        attempts.append(asyncio.get_running_loop().time())
        if len(attempts) < 3:
            raise ConnectionError
        return "ok"

    events = []
    policy = RetryPolicy(initial_interval=2, backoff_factor=3, jitter=False)
    executor = ParallelExecutor(config(retry_policy=policy), on_event=events.append)
    results = await executor.aexecute(["x"], work)
    assert (results["1"].value, results["1"].attempts) == ("ok", 3)
    assert results.elapsed_s == pytest.approx(2 + 6)
    assert [e.kind for e in events] == ["started", "retrying", "retrying", "done"]
    assert isinstance(events[1].error, ConnectionError)
    attempts.clear()
    with pytest.raises(PlanExecutionError):
        await run(["x"], work, retry_policy=(policy._replace(retry_on=KeyError),))
    assert len(attempts) == 1


# -- time-outs and cancellation --------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_task_has_its_own_time_out_or_that_of_the_config():
    plan = [
        Task(id="a", duration_s=5, depends_on=[], timeout_s=10),
        Task(id="b", duration_s=5, depends_on=[]),
    ]
    results = await run(plan, Worker(), task_timeout_s=2, on_error="skip_dependents")
    assert results["a"].status == "done"
    assert isinstance(results["b"].error, TaskTimeoutError)
    assert spans(results)["b"] == pytest.approx((0, 2))


@pytest.mark.looptime
async def test_a_time_out_of_the_task_itself_is_no_time_out_of_ours():
    async def work(task):
        raise TimeoutError("the server")

    results = await run(["x"], work, task_timeout_s=2, on_error="skip_dependents")
    assert type(results["1"].error) is TimeoutError


@pytest.mark.looptime
async def test_the_whole_plan_has_a_time_out():
    worker = Worker()
    with pytest.raises(PlanTimeoutError, match=r"limit of 4.5 s") as caught:
        await run(steps(*DIAMOND), worker, timeout_s=4.5)
    assert worker.active == 0
    assert caught.value.results.values == {"a": "A", "c": "C", "d": "D"}


@pytest.mark.looptime
async def test_cancellation_leaves_nothing_running():
    worker = Worker()
    task = asyncio.ensure_future(run(steps(*DIAMOND), worker))
    await asyncio.sleep(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.active == 0
    assert worker.calls == ["a", "b", "c"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.looptime
async def test_cancellation_waits_for_tasks_that_clean_up():
    ended = []

    async def work(task):
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(3)
            ended.append(task.id)

    task = asyncio.ensure_future(run(["x"], work))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["1"]


async def test_cancellation_waits_for_threads():
    started, release, ended = threading.Event(), threading.Event(), []

    def work(task):
        started.set()
        release.wait(10)
        ended.append(task.id)

    task = asyncio.ensure_future(run(["x", "y"], work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["1"]


@pytest.mark.looptime
async def test_interrupts_are_raised_together_when_the_others_have_ended():
    async def work(task):
        await asyncio.sleep(task.duration_s)
        if task.id in "bc":
            raise GraphInterrupt((Interrupt(value=task.id, id=task.id),))
        calls.append(task.id)

    calls = []
    plan = steps(("a", 1, []), ("b", 1, []), ("c", 2, []), ("d", 9, ["a"]), ("e", 1, ["b"]))
    with pytest.raises(GraphInterrupt) as caught:
        await run(plan, work)
    assert [i.value for i in caught.value.args[0]] == ["b", "c"]
    assert calls == ["a", "d"]


# -- functions, threads, loops ---------------------------------------------------------------------

NAME = contextvars.ContextVar("NAME", default="nobody")


def test_functions_that_are_not_async_run_in_threads_at_the_same_time_with_the_context():
    meet = threading.Barrier(3, timeout=10)
    NAME.set("caller")

    def work(task):
        meet.wait()
        return (NAME.get(), threading.current_thread() is not threading.main_thread())

    plan = [{"id": i, "depends_on": []} for i in range(3)]
    results = ParallelExecutor(config()).execute(plan, work)
    assert set(results.values.values()) == {("caller", True)}


def test_a_function_that_returns_a_coroutine_is_awaited():
    worker = Worker()
    results = ParallelExecutor(config()).execute(["x"], lambda task: worker(task))
    assert results.values == {"1": "1"}


def test_stop_iteration_in_a_thread_is_an_error_and_no_hang():
    results = ParallelExecutor(config(on_error="continue")).execute(["x"], lambda t: next(iter([])))
    assert "raised StopIteration for task '1'" in str(results["1"].error)


def test_three_lines_are_enough():
    executor = ParallelExecutor(run_task=lambda task: task.description.upper(), config=config())
    plan = ["a", "b"]
    parallel_plan = ParallelPlanner(config()).optimize(plan)
    assert executor.execute(parallel_plan).values == {"1": "A", "2": "B"}


async def test_execute_works_inside_a_running_loop():
    NAME.set("notebook")
    results = ParallelExecutor(config()).execute(["x"], lambda task: NAME.get())
    assert results.values == {"1": "notebook"}
    with pytest.raises(PlanExecutionError):
        ParallelExecutor(config()).execute(["x"], lambda task: 1 / 0)


@pytest.mark.parametrize("run_task", [None, 5])
def test_run_task_must_be_a_function(run_task):
    with pytest.raises(PlanError, match="`run_task` must be a function"):
        ParallelExecutor(config()).execute(["x"], run_task)


def test_a_thread_cannot_have_a_time_out():
    with pytest.raises(PlanError, match="Task 'a' has a `timeout_s`, but `run_task` is not async"):
        ParallelExecutor(config()).execute([{"id": "a", "timeout_s": 1}], lambda task: 1)
    with pytest.raises(PlanError, match="`task_timeout_s` is set"):
        ParallelExecutor(config(task_timeout_s=1)).execute(["a"], lambda task: 1)


def test_a_second_parameter_with_a_default_is_the_users_own():
    def work(task, style="plain"):
        return style

    assert ParallelExecutor(config()).execute(["x"], work).values == {"1": "plain"}


# -- events ----------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_events_tell_the_run():
    events = []
    executor = ParallelExecutor(config(on_error="skip_dependents"), on_event=events.append)
    await executor.aexecute(steps(("a", 1, []), ("b", 1, ["a"])), Worker(fail="a"))
    told = [(e.kind, e.task_id, e.at_s, e.settled, e.total) for e in events]
    assert told == [
        ("started", "a", 0, 0, 2),
        ("failed", "a", pytest.approx(1), 2, 2),
        ("skipped", "b", pytest.approx(1), 2, 2),
    ]


@pytest.mark.looptime
async def test_a_failing_hook_is_logged_and_changes_nothing(caplog):
    def hook(event):
        raise RuntimeError("hook")

    with caplog.at_level(logging.ERROR, logger="langgraph_parallel"):
        results = await ParallelExecutor(config(), on_event=hook).aexecute(["x"], Worker())
    assert results.ok
    assert "hook of a plan failed" in caplog.text


def test_progress_bar_shows_how_many_are_settled(capsys):
    seen = []
    executor = ParallelExecutor(config(), progress=True, on_event=lambda e: seen.append(e.kind))
    executor.execute(["x", "y"], lambda task: 1)
    assert "2/2" in capsys.readouterr().out
    assert seen == ["started", "done"] * 2


# -- plans that grow -------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_tasks_start_while_the_planner_still_writes():
    async def planner():
        yield {"id": "a", "depends_on": [], "duration_s": 5}
        await asyncio.sleep(2)
        yield {"id": "b", "depends_on": [], "duration_s": 1}
        await asyncio.sleep(4)
        yield Task(id="c", description="{{a}}{{b}}", depends_on=[], duration_s=1)
        yield {"description": "the end", "duration_s": 1}

    results = await run(planner(), Worker())
    assert spans(results) == {
        "a": pytest.approx((0, 5)),
        "b": pytest.approx((2, 3)),
        "c": pytest.approx((6, 7)),
        "4": pytest.approx((7, 8)),
    }


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"id": "a"}, "the id 'a', which is taken"),
        ({"id": "b", "depends_on": ["c"]}, "depends on 'c', which has not come yet"),
        ({"id": "b", "depends_on": ["b"]}, "depends on 'b', which has not come yet"),
        ({"tool": "x", "args": {"q": "{{c}}"}}, "refers to '{{c}}'"),
        (5, "Step 2 of the plan is 5"),
    ],
)
async def test_a_wrong_step_stops_the_plan(step, message):
    async def planner():
        yield {"id": "a", "depends_on": [], "duration_s": 5}
        yield step

    worker = Worker()
    with pytest.raises(PlanError, match=message):
        await run(planner(), worker)
    assert worker.active == 0


@pytest.mark.looptime
async def test_a_planner_that_fails_or_is_late_is_stopped():
    async def failing():
        yield {"id": "a", "duration_s": 5}
        raise ConnectionError("planner")

    async def endless():
        yield {"id": "a", "duration_s": 1}
        await asyncio.Event().wait()

    worker = Worker()
    with pytest.raises(ConnectionError):
        await run(failing(), worker)
    with pytest.raises(PlanTimeoutError):
        await run(endless(), worker, timeout_s=3)
    assert worker.active == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(PlanError, match="barrier"):
        await run(endless(), worker, barrier=True)


@pytest.mark.looptime
async def test_a_failed_task_skips_those_that_come_later():
    async def planner():
        yield {"id": "a", "duration_s": 1}
        await asyncio.sleep(2)
        yield {"id": "b", "depends_on": ["a"]}
        yield {"id": "c", "depends_on": []}

    results = await run(planner(), Worker(fail="a"), on_error="skip_dependents")
    assert [r.status for r in results] == ["failed", "skipped", "done"]


@pytest.mark.looptime
async def test_replanning_adds_tasks_that_see_the_results():
    seen = []

    async def replan(results):
        seen.append(results.values)
        return ["try {{2}} again", "and then"] if len(seen) == 1 else None

    executor = ParallelExecutor(config(on_error="skip_dependents"), replan=replan)
    results = await executor.aexecute([{"id": "1"}, {"id": "2", "depends_on": []}], Worker("1"))
    assert [r.task_id for r in results] == ["1", "2", "3", "4"]
    assert [r.status for r in results] == ["failed", "done", "done", "done"]
    assert seen == [{"2": "2"}, {"2": "2", "3": "3", "4": "4"}]


@pytest.mark.looptime
async def test_replanning_is_bounded():
    executor = ParallelExecutor(config(max_replans=2), replan=lambda results: ["more"])
    results = await executor.aexecute(["x"], Worker())
    assert len(results) == 3
