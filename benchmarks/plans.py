"""Measure the executor of plans: makespan over the critical path, and overhead per task.

Run `python -m benchmarks.plans`.

Every way of running gets the same tasks, the same dependencies and the same limit of concurrency:

    sequential      one after the other, as the plan was written
    levels          `asyncio.gather` over one topological level after the other
    polling         each task as its dependencies end, found by looking every 10 ms, as the executor
                    of LLMCompiler does (SqueezeAILab, arXiv 2312.04511; our own few lines)
    barrier         `ParallelExecutor(barrier=True)`, with the true durations
    dataflow        `ParallelExecutor()`; it does not know how long tasks take
    informed        the same with the true durations as `Task.duration_s`, which no planner knows

Makespans are of virtual time: tasks sleep on a clock that jumps, so they have no noise and the
overhead of Python is not in them. It is measured separately, in real time, on tasks that do
nothing. Durations are log-normal with a median of 2 s, as of model calls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.metadata import version

import looptime

from langgraph_parallel import (
    ParallelConfig,
    ParallelExecutor,
    ParallelPlan,
    ParallelPlanner,
    Task,
)

RunTask = Callable[[Task], Awaitable[object]]
POLL_S = 0.01
CONFIG = ParallelConfig(strategies=("explicit",))


def random_plan(rng: random.Random, size: int, *, edges: float) -> ParallelPlan:
    """Return a plan whose tasks depend on `edges` earlier ones on average, mostly near ones."""
    tasks = []
    for i in range(size):
        count = min(i, int(rng.expovariate(1 / edges) + 0.5)) if edges else 0
        near = {str(max(0, i - 1 - int(rng.expovariate(1 / (0.2 * size))))) for _ in range(count)}
        duration_s = rng.lognormvariate(0.69, 0.8)
        tasks.append(Task(id=str(i), depends_on=tuple(sorted(near)), duration_s=duration_s))
    return ParallelPlanner(CONFIG).optimize(tasks)


# -- ways of running ---------------------------------------------------------------------------


async def sequential(plan: ParallelPlan, run_task: RunTask, _: int | None) -> None:
    for task in plan.tasks:
        await run_task(task)


def limited(run_task: RunTask, limit: int | None) -> RunTask:
    gate = asyncio.Semaphore(limit) if limit else contextlib.nullcontext()

    async def run(task: Task) -> None:
        async with gate:
            await run_task(task)

    return run


async def levels(plan: ParallelPlan, run_task: RunTask, limit: int | None) -> None:
    run = limited(run_task, limit)
    for batch in plan.batches:
        await asyncio.gather(*(run(task) for task in batch))


async def polling(plan: ParallelPlan, run_task: RunTask, limit: int | None) -> None:
    run = limited(run_task, limit)
    rest = dict(enumerate(plan.tasks))
    done: set[int] = set()
    running: set[asyncio.Future[None]] = set()

    async def note(position: int, task: Task) -> None:
        await run(task)
        done.add(position)

    while rest:
        for position in list(rest):
            if all(i in done for i in plan.predecessors[position]):
                running.add(asyncio.ensure_future(note(position, rest.pop(position))))
        await asyncio.sleep(POLL_S)
    await asyncio.gather(*running)


async def barrier(plan: ParallelPlan, run_task: RunTask, limit: int | None) -> None:
    config = CONFIG.model_copy(update={"barrier": True, "max_concurrency": limit})
    await ParallelExecutor(config).aexecute(plan, run_task)


async def informed(plan: ParallelPlan, run_task: RunTask, limit: int | None) -> None:
    config = CONFIG.model_copy(update={"max_concurrency": limit})
    await ParallelExecutor(config).aexecute(plan, run_task)


async def dataflow(plan: ParallelPlan, run_task: RunTask, limit: int | None) -> None:
    blind = tuple(task.model_copy(update={"duration_s": None}) for task in plan.tasks)
    true = {task.id: task for task in plan.tasks}

    async def run(task: Task) -> None:
        await run_task(true[task.id])

    await informed(replace(plan, tasks=blind), run, limit)


WAYS = (sequential, levels, polling, barrier, dataflow, informed)

# -- measurements ------------------------------------------------------------------------------


async def work(task: Task) -> None:
    await asyncio.sleep(task.duration_s or 0.0)


async def nothing(task: Task) -> None:
    """Take no time."""


def makespan_s(way: Callable[..., Awaitable[None]], plan: ParallelPlan, limit: int | None) -> float:
    """Return the virtual seconds that a plan takes."""

    async def measure() -> float:
        start = asyncio.get_running_loop().time()
        await way(plan, work, limit)
        return asyncio.get_running_loop().time() - start

    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=2)) as runner:
        return runner.run(measure())


def compare_makespans(plans: int) -> None:
    print(
        f"## Makespan\n\n{plans} random plans per row; mean, and 95th percentile, of the makespan"
    )
    print("over the lower bound (the critical path, or the work over the limit if that is more).\n")
    print("| tasks | limit | parallelism | " + " | ".join(way.__name__ for way in WAYS) + " |")
    print("|---:|---:|---:|" + "---:|" * len(WAYS))
    for size in (8, 30, 100):
        for limit in (None, 8, 3):
            rng = random.Random(size)
            made = [random_plan(rng, size, edges=1.5) for _ in range(plans)]
            bounds = [max(p.span_s, p.work_s / limit if limit else 0.0) for p in made]
            parallelism = statistics.mean(p.speedup for p in made)
            cells = []
            for way in WAYS:
                ratios = [
                    makespan_s(way, plan, limit) / bound
                    for plan, bound in zip(made, bounds, strict=True)
                ]
                p95 = statistics.quantiles(ratios, n=20)[-1]
                cells.append(f"{statistics.mean(ratios):.3f} ({p95:.2f})")
            row = " | ".join(cells)
            print(f"| {size} | {limit or '-'} | {parallelism:.2f} | {row} |", flush=True)


def overhead_ms(way: Callable[..., Awaitable[None]], plan: ParallelPlan) -> tuple[float, float]:
    """Return the median milliseconds per task of seven runs: of the clock, and of CPU time."""
    clock, cpu = [], []
    for _ in range(7):
        start, cpu_start = time.perf_counter(), time.process_time()
        asyncio.run(way(plan, nothing, None))
        clock.append((time.perf_counter() - start) * 1000 / len(plan.tasks))
        cpu.append((time.process_time() - cpu_start) * 1000 / len(plan.tasks))
    return statistics.median(clock), statistics.median(cpu)


def compare_overheads() -> None:
    print("\n## Overhead\n\nMilliseconds per task that does nothing: of the clock / of CPU time,")
    print("medians of 7 runs;")
    print("`plan` is the time that `ParallelPlanner.optimize` takes, once.\n")
    ways = (levels, polling, barrier, informed)
    print("| plan of | tasks | plan | levels | polling | barrier | dataflow |")
    print("|---|---:|---:|" + "---:|" * len(ways))
    shapes: dict[str, Callable[[int], list[Task]]] = {
        "a chain": lambda n: [Task(id=i, depends_on=[i - 1] if i else []) for i in range(n)],
        "independent tasks": lambda n: [Task(id=i, depends_on=[]) for i in range(n)],
        "a random tree": lambda n: [
            Task(id=i, depends_on=[i * 7919 % i] if i else []) for i in range(n)
        ],
        "one resource for all": lambda n: [
            Task(id=i, depends_on=[], resources=["api"]) for i in range(n)
        ],
    }
    for name, shape in shapes.items():
        for size in (100, 10_000):
            tasks = shape(size)
            start = time.perf_counter()
            plan = ParallelPlanner(CONFIG).optimize(tasks)
            plan_ms = (time.perf_counter() - start) * 1000 / size
            cells = []
            for way in ways:
                if (way is polling and size > 100) or (
                    "resource" in name and way in (levels, polling)
                ):
                    cells.append("-")  # minutes of waiting; no notion of resources
                else:
                    cells.append("{:.3f} / {:.3f}".format(*overhead_ms(way, plan)))
            print(f"| {name} | {size} | {plan_ms:.3f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--plans", type=int, default=100, help="random plans per row; 0 leaves that part out"
    )
    options = parser.parse_args()
    print(
        f"python {platform.python_version()}, {os.cpu_count()} cores,"
        f" langgraph {version('langgraph')}\n"
    )
    if options.plans:
        compare_makespans(options.plans)
    compare_overheads()


if __name__ == "__main__":
    main()
