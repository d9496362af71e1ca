"""Any plan on any executor: order respected, limits kept, results as one after the other."""

import asyncio

import looptime
import pytest
from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import (
    ParallelConfig,
    ParallelExecutor,
    ParallelPlanner,
    PlanExecutionError,
    PlanNode,
    Task,
)
from langgraph_parallel.plan.dependencies import Decision
from langgraph_parallel.plan.plan import build_plan

RESOURCES = ("api", "disk")


@st.composite
def plans(draw, most=9):
    """Tasks with declared dependencies, references, durations and resources."""
    size = draw(st.integers(0, most))
    tasks = []
    for i in range(size):
        depends_on = draw(st.none() | st.lists(st.integers(0, i - 1), unique=True)) if i else None
        refers = draw(st.lists(st.integers(0, i - 1), max_size=2)) if i else []
        tasks.append(
            Task(
                id=i,
                depends_on=depends_on if draw(st.integers(0, 3)) else depends_on or [],
                description=" ".join(f"{{{{{r}}}}}" for r in refers),
                duration_s=draw(st.sampled_from([0, 1, 1, 2, 5])),
                resources=draw(st.sets(st.sampled_from(RESOURCES), max_size=2)),
            )
        )
    return tasks


configs = st.builds(
    ParallelConfig,
    strategies=st.just(("explicit",)),
    barrier=st.booleans(),
    max_concurrency=st.none() | st.integers(1, 4),
    on_error=st.sampled_from(["fail_fast", "skip_dependents", "continue"]),
    resources=st.sampled_from([{}, {"api": 2}]),
)
failures = st.sets(st.integers(0, 8), max_size=2).map(lambda s: {str(i) for i in s})


class Machine:
    """Carries out tasks in virtual time and checks every limit while it does."""

    def __init__(self, plan, config, fail=frozenset()):
        self.plan, self.config, self.fail = plan, config, fail
        self.active, self.ended, self.used = set(), set(), dict.fromkeys(RESOURCES, 0)

    async def __call__(self, task, results):
        position = self.plan.index[task.id]
        settled = self.ended | self.fail
        for i in self.plan.predecessors[position]:
            assert self.plan.tasks[i].id in settled
        self.active.add(task.id)
        for name in task.resources:
            self.used[name] += 1
            assert self.used[name] <= self.config.resources.get(name, 1)
        assert len(self.active) <= (self.config.max_concurrency or 100)
        try:
            await asyncio.sleep(task.duration_s)
        finally:
            self.active.discard(task.id)
            for name in task.resources:
                self.used[name] -= 1
        if task.id in self.fail:
            raise ValueError(task.id)
        self.ended.add(task.id)
        return result_of(task, results)


def result_of(task, results):
    return f"{task.id}<{task.description}|{','.join(results)}>"


def in_virtual_time(coroutine):
    """Run a coroutine on a loop of its own, whose clock jumps when nothing is left to do."""
    with asyncio.Runner(loop_factory=new_virtual_loop) as runner:
        return runner.run(coroutine)


def new_virtual_loop():
    """Return a loop that waits for its threads at the end however far its clock has to jump."""
    loop = looptime.new_event_loop()
    shut_down = loop.shutdown_default_executor
    loop.shutdown_default_executor = lambda timeout=None: shut_down()
    return loop


def sequential(plan):
    """Return the results of carrying out the tasks one after the other."""
    values = {}
    for position, task in enumerate(plan.tasks):
        text = task.description
        for reference in plan.references[task.id]:
            text = text.replace(reference.text, values[reference.task_id], 1)
        seen = [t.id for i, t in enumerate(plan.tasks) if plan.ancestors[position] >> i & 1]
        values[task.id] = result_of(task.model_copy(update={"description": text}), seen)
    return values


def planned(tasks, config):
    return ParallelPlanner(config).optimize(tasks)


@settings(max_examples=cases(50), deadline=None)
@given(plans(), configs)
def test_results_are_those_of_one_after_the_other(tasks, config):
    plan = planned(tasks, config)
    machine = Machine(plan, config)
    results = in_virtual_time(ParallelExecutor(config).aexecute(plan, machine))
    assert results.values == sequential(plan)
    assert list(results.values) == [task.id for task in plan.tasks]


@settings(max_examples=cases(50), deadline=None)
@given(plans(), st.booleans())
def test_without_limits_the_makespan_is_the_critical_path(tasks, barrier):
    free = [task.model_copy(update={"resources": frozenset()}) for task in tasks]
    config = ParallelConfig(strategies=("explicit",), barrier=barrier)
    plan = planned(free, config)
    results = in_virtual_time(ParallelExecutor(config).aexecute(plan, Machine(plan, config)))
    by_batch = sum(max(task.duration_s for task in batch) for batch in plan.batches)
    assert results.elapsed_s == pytest.approx(by_batch if barrier else plan.span_s, abs=1e-6)


@settings(max_examples=cases(50), deadline=None)
@given(plans(), st.integers(1, 4))
def test_list_scheduling_keeps_grahams_bound(tasks, limit):
    free = [task.model_copy(update={"resources": frozenset()}) for task in tasks]
    config = ParallelConfig(strategies=("explicit",), max_concurrency=limit)
    plan = planned(free, config)
    results = in_virtual_time(ParallelExecutor(config).aexecute(plan, Machine(plan, config)))
    bound = plan.work_s / limit + (1 - 1 / limit) * plan.span_s
    assert results.elapsed_s <= bound + 1e-6


@settings(max_examples=cases(50), deadline=None)
@given(plans(), configs, failures)
def test_failures_stop_what_the_policy_says_and_nothing_else(tasks, config, fail):
    plan = planned(tasks, config)
    machine = Machine(plan, config, fail)
    if config.on_error == "continue":
        machine.ended = {task.id for task in tasks}  # the order of ends is checked elsewhere
    present = [i for i, task in enumerate(plan.tasks) if task.id in fail]
    if config.on_error == "fail_fast" and present:
        with pytest.raises(PlanExecutionError) as caught:
            in_virtual_time(ParallelExecutor(config).aexecute(plan, machine))
        results = caught.value.results
        assert results.failed
    else:
        results = in_virtual_time(ParallelExecutor(config).aexecute(plan, machine))
    assert not machine.active
    assert not any(machine.used.values())
    for position, result in enumerate(results):
        below = any(plan.ancestors[position] >> i & 1 for i in present)
        if config.on_error == "skip_dependents" and not below:
            assert result.status == ("failed" if position in present else "done")
        if config.on_error != "continue" and below:
            assert result.status in ("skipped", "cancelled")
        if config.on_error == "continue":
            assert result.status != "cancelled"


@settings(max_examples=cases(50), deadline=None)
@given(plans(), configs, st.sampled_from([0, 0.5, 1.5, 3.5]))
def test_cancellation_leaves_nothing_running(tasks, config, when):
    plan = planned(tasks, config)
    machine = Machine(plan, config)

    async def main():
        run = asyncio.ensure_future(ParallelExecutor(config).aexecute(plan, machine))
        await asyncio.sleep(when)
        run.cancel()
        await asyncio.wait([run])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return run.cancelled()

    was_cancelled = in_virtual_time(main())
    assert was_cancelled or len(machine.ended) == len(tasks)
    assert not machine.active


@settings(max_examples=cases(50), deadline=None)
@given(plans(), configs)
def test_a_plan_that_arrives_step_by_step_gives_the_same_results(tasks, config):
    config = config.model_copy(update={"barrier": False})
    plan = planned(tasks, config)

    async def steps():
        for task in plan.tasks:
            await asyncio.sleep(0.25)
            yield task

    machine = Machine(plan, config)
    results = in_virtual_time(ParallelExecutor(config).aexecute(steps(), machine))
    assert results.values == sequential(plan)


@settings(max_examples=cases(100), deadline=None)
@given(st.data(), st.integers(0, 8))
def test_the_reduction_keeps_the_closure_and_no_edge_too_many(data, size):
    pairs = [(i, j) for j in range(size) for i in range(j)]
    said = {pair: data.draw(st.sampled_from([True, False, None])) for pair in pairs}
    complete = frozenset(data.draw(st.sets(st.integers(0, 8))))
    decisions = {
        (i, j): Decision(
            earlier=str(i), later=str(j), ordered=ordered, source="heuristic", reason=""
        )
        for (i, j), ordered in said.items()
        if ordered is not None
    }
    plan = build_plan([Task(id=i) for i in range(size)], decisions, complete)
    kept = {(i, j) for j, earlier in enumerate(plan.predecessors) for i in earlier}
    wanted = {(i, j) for (i, j), o in said.items() if o or (o is None and j not in complete)}
    assert kept <= wanted
    assert closure(kept, size) == closure(wanted, size)
    for edge in kept:
        assert closure(kept - {edge}, size) != closure(kept, size)
    found = {(i, j) for j, mask in enumerate(plan.ancestors) for i in range(size) if mask >> i & 1}
    assert found == closure(kept, size)
    assert all(plan.why(i, j).ordered == ((i, j) in found) for i, j in pairs)


def closure(edges, size):
    found = set(edges)
    for k in range(size):
        found |= {(i, j) for i in range(size) for j in range(size) if {(i, k), (k, j)} <= found}
    return found


class State(TypedDict, total=False):
    plan: list
    results: dict


@settings(max_examples=cases(25), deadline=None)
@given(plans(most=6), configs, failures, st.none() | st.integers(1, 3))
def test_a_node_that_fails_and_is_resumed_runs_every_task_once(tasks, config, fail, limit):
    config = config.model_copy(update={"on_error": "fail_fast"})
    plan = planned(tasks, config)
    done = []

    async def run_task(task, results):
        await asyncio.sleep(task.duration_s)
        if task.id in fail:
            fail.discard(task.id)
            raise ValueError(task.id)
        done.append(task.id)
        return result_of(task, results)

    async def main():
        builder = StateGraph(State)
        builder.add_node("run", PlanNode(run_task, config=config))
        builder.add_edge(START, "run")
        graph = builder.compile(checkpointer=InMemorySaver())
        settings = {"configurable": {"thread_id": "1"}, "max_concurrency": limit}
        state = {"plan": tasks}
        while True:
            try:
                return await graph.ainvoke(state, settings)
            except ValueError:
                state = None

    state = in_virtual_time(main())
    assert state["results"] == sequential(plan)
    assert sorted(done) == sorted(task.id for task in tasks)
