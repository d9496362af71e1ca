"""Measure the scheduler core: events per second and memory, with 100 000 calls waiting.

Run `python -m benchmarks.scheduler_core`. One thread feeds a core directly: many programs have
calls waiting at 4 engines of 64 slots; then calls are ended and submitted in turn, so that the
number that waits stays the same. A call is four events: Submitted, Started, Progress (every second
call) and Finished. Memory is what `tracemalloc` sees, the calls themselves included.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import time
import tracemalloc
from collections import deque
from pathlib import Path

from langgraph_rsm.config import BalancerName, PolicyName, SchedulerConfig
from langgraph_rsm.core.call import Call
from langgraph_rsm.core.events import (
    Dispatch,
    EngineChanged,
    Finished,
    Progress,
    Started,
    Submitted,
)
from langgraph_rsm.core.machine import SchedulerCore

ENGINES = ("a", "b", "c", "d")
SLOTS = 64
SITES = ("plan", "search", "write", "review")
RESULTS = Path(__file__).parent / "results" / "scheduler_core.md"


class Feed:
    """A core, and an endless supply of calls for it."""

    def __init__(self, policy: str, balancer: str, *, programs: int, tenants: int = 1) -> None:
        config = SchedulerConfig(
            policy=PolicyName(policy),
            balancer=BalancerName(balancer),
            max_queue=1_000_000,
            max_program_calls=1_000_000,
            max_wait_s=1e6,
        )
        self.core = SchedulerCore(config)
        self.programs = programs
        self.tenants = tenants
        self.running: deque[str] = deque()
        self.now = 0.0
        self.count = self.events = 0
        for engine in ENGINES:
            self.core.handle(EngineChanged(now=0.0, engine_id=engine, capacity=SLOTS))

    def submit(self) -> None:
        """Submit one more call, of the program whose turn it is."""
        number = self.count
        self.count += 1
        program = number * 7919 % self.programs
        call = Call(
            call_id=f"c{number}",
            program_id=f"p{program}",
            engines=ENGINES,
            call_site=SITES[number % len(SITES)],
            graph=f"g{program % 5}",
            tenant=f"t{program % self.tenants}" if self.tenants > 1 else "default",
            prompt_tokens=500 + number % 1000,
            oracle_remaining_s=float(number % 97),
        )
        self._handle(Submitted(now=self.now, call=call))

    def _handle(self, event: object) -> None:
        self.events += 1
        for instruction in self.core.handle(event):  # type: ignore[arg-type]
            if isinstance(instruction, Dispatch):
                self.events += 1
                self.core.handle(Started(now=self.now, call_id=instruction.call_id))
                self.running.append(instruction.call_id)

    def turn(self) -> None:
        """End one call and submit another."""
        self.now += 0.01
        call_id = self.running.popleft()
        if self.count % 2:
            self._handle(Progress(now=self.now, call_id=call_id))
        self._handle(Finished(now=self.now, call_id=call_id))
        self.submit()


def measure_speed(
    policy: str, balancer: str, *, waiting: int, tenants: int, turns: int, repeats: int
) -> tuple[list[float], list[float]]:
    """Return events per second of CPU and of wall time, with ten waiting calls per program."""
    feed = Feed(policy, balancer, programs=max(1, waiting // 10), tenants=tenants)
    for _ in range(waiting + SLOTS * len(ENGINES)):
        feed.submit()
    for _ in range(turns // 10):
        feed.turn()
    by_cpu, by_wall = [], []
    for _ in range(repeats):
        gc.collect()
        feed.events = 0
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(turns):
            feed.turn()
        by_cpu.append(feed.events / (time.process_time() - cpu_s))
        by_wall.append(feed.events / (time.perf_counter() - wall_s))
    return by_cpu, by_wall


def measure_memory(policy: str, *, waiting: int, programs: int) -> float:
    """Return bytes per waiting call, its program's part and the call itself included."""
    feed = Feed(policy, "cost", programs=programs)
    for _ in range(SLOTS * len(ENGINES)):
        feed.submit()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(waiting):
        feed.submit()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / waiting


def spread(runs: list[float]) -> str:
    return f"{statistics.median(runs):,.0f} ({min(runs):,.0f} to {max(runs):,.0f})"


def render(options: argparse.Namespace) -> str:
    lines = [
        "# Scheduler core",
        "",
        "Command: `python -m benchmarks.scheduler_core --write`. One thread, 4 engines of 64 "
        f"slots, ten waiting calls per program, {options.turns:,} ended calls a run, median of "
        f"{options.repeats} runs in one process (smallest to largest). "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[0]:.1f} at the start.",
        "",
        "| policy | balancer | tenants | waiting | events per CPU second | events per second |",
        "|---|---|---|---|---|---|",
    ]
    cases = [(policy, "least_used", 1, options.waiting) for policy in PolicyName]
    cases += [("auto", balancer, 1, options.waiting) for balancer in BalancerName]
    cases += [("auto", "cost", 100, options.waiting), ("auto", "cost", 1, options.waiting // 100)]
    for policy, balancer, tenants, waiting in cases:
        cells = (policy, balancer, str(tenants), f"{waiting:,}")
        speeds = measure_speed(
            policy,
            balancer,
            waiting=waiting,
            tenants=tenants,
            turns=options.turns,
            repeats=options.repeats,
        )
        lines.append(f"| {' | '.join((*cells, *map(spread, speeds)))} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "| policy | waiting | live programs | bytes per waiting call |",
        "|---|---|---|---|",
    ]
    for policy in ("fcfs", "auto"):
        for programs in (options.waiting // 10, options.waiting):
            size = measure_memory(policy, waiting=options.waiting, programs=programs)
            lines.append(f"| {policy} | {options.waiting:,} | {programs:,} | {size:,.0f} |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=8_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the results file")
    options = parser.parse_args()
    text = render(options)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
