"""The core that decides what starts: events in, positions out."""

from langgraph_parallel import ParallelConfig, ParallelPlanner, Task
from langgraph_parallel.plan.dispatch import Dispatcher


def load(rows, **options):
    tasks = [Task(id=i, depends_on=d, resources=r) for i, d, r in rows]
    plan = ParallelPlanner(ParallelConfig(strategies=("explicit",))).optimize(tasks)
    dispatcher = Dispatcher(**options)
    dispatcher.load(plan)
    return dispatcher


def test_nothing_starts_twice_and_followers_wait():
    d = load([("a", [], []), ("b", ["a"], [])])
    assert d.start_ready() == [0]
    assert d.start_ready() == []
    d.finish(0, "done")
    assert d.start_ready() == [1]
    d.finish(1, "done")
    assert (d.unsettled, list(d.settled)) == (0, [0, 1])


def test_a_paused_task_gives_back_its_slot_and_holds_up_those_that_wait_for_it():
    d = load([("a", [], ["r"]), ("b", ["a"], []), ("c", [], ["r"])], capacity=1)
    assert d.start_ready() == [0]
    d.pause(0)
    assert d.start_ready() == [2]
    d.finish(2, "done")
    assert d.start_ready() == []
    assert d.unsettled == 2


def test_a_failure_settles_everything_under_fail_fast():
    d = load([("a", [], []), ("b", ["a"], []), ("c", [], [])], on_error="fail_fast")
    assert d.start_ready() == [0, 2]
    d.finish(0, "failed")
    assert [d.status(i) for i in range(3)] == ["failed", "cancelled", None]
    assert d.reason(1) == "task 'a' failed"
    assert d.add(Task(id="late"), []) == 3
    assert d.status(3) == "cancelled"


def test_long_chains_of_skipped_tasks_need_no_stack():
    rows = [(str(i), [str(i - 1)] if i else [], []) for i in range(5000)]
    for barrier in (False, True):
        d = load(rows, on_error="skip_dependents", barrier=barrier)
        assert d.start_ready() == [0]
        d.finish(0, "failed")
        assert d.unsettled == 0
        assert d.status(4999) == "skipped"


def test_batches_open_one_after_the_other():
    d = load([("a", [], []), ("b", [], []), ("c", ["a"], []), ("d", ["c"], [])], barrier=True)
    assert d.start_ready() == [0, 1]
    d.finish(0, "done")
    assert d.start_ready() == []
    d.finish(1, "done")
    assert d.start_ready() == [2]
    d.finish(2, "done")
    assert d.start_ready() == [3]


def test_the_longest_way_goes_first():
    d = load([("a", [], []), ("b", [], []), ("c", ["b"], [])], capacity=1)
    assert d.start_ready() == [1]


def test_a_freed_resource_goes_to_the_next_that_can_use_it():
    rows = [("a", [], ["r"]), ("b", [], ["r", "s"]), ("c", [], ["s"]), ("d", [], ["r"])]
    d = load(rows)
    assert d.start_ready() == [0, 2]
    d.finish(0, "done")
    assert d.start_ready() == [3]
    d.finish(2, "done")
    assert d.start_ready() == []
    d.finish(3, "done")
    assert d.start_ready() == [1]
