"""The main job from end to end, on a real document: `make demo` or `python -m examples.demo`.

1. A sequential LangGraph pipeline reads the Constitution of the United States through `ChatOpenAI`
   over HTTP. `parallelize` explains what is independent and runs it side by side.
2. A fleet of unlike agents shares two engines, with and without the scheduler.

Set `BASE_URL` and `MODEL` to use a server of yours instead of the embedded engines.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.engines import Endpoint, open_engines
from examples.fleet import Job, Outcome, make_jobs, run_fleet, summarize
from examples.pipeline import DOCUMENT, build_pipeline
from langgraph_parallel import parallelize
from langgraph_rsm import Engine, ScheduledChatModel, Scheduler
from langgraph_rsm.telemetry.gantt import draw_gantt
from langgraph_rsm.telemetry.perfetto import write_trace
from langgraph_rsm.telemetry.timeline import Timeline

SEATS = 8
"""Requests that each engine serves at once; the scheduler gets the same number of slots."""
SEED = 7
OUT = Path("out")
console = Console()


def main() -> None:
    """Run both parts and write the pictures."""
    begin = time.monotonic()
    with open_engines(count=2, seats=SEATS) as endpoints:
        console.print(f"Engines: {', '.join(e.base_url for e in endpoints)}\n")
        compare_pipeline(endpoints[0])
        # One event loop for all: an HTTP client keeps connections that belong to its loop.
        asyncio.run(compare_policies(endpoints))
    console.print(f"\nDone in {time.monotonic() - begin:.0f} s.")


# -- part 1: one graph ---------------------------------------------------------------------------


def compare_pipeline(endpoint: Endpoint) -> None:
    """Run the document pipeline as it is and made parallel."""
    console.rule("1. One graph: parallelize(graph)")
    llm = endpoint.chat_model()
    graph = build_pipeline(llm).compile()
    fast = parallelize(graph)
    console.print(str(fast.parallel_report), markup=False, highlight=False)
    console.print("\nAs Mermaid:\n" + fast.parallel_report.mermaid(), markup=False)

    document = DOCUMENT.read_text()
    with console.status("Warming the engine's prefix cache, the same for both runs ..."):
        llm.bind(max_tokens=1).invoke(f"{document}\n\nSummarize this document.")
    runs = {}
    for name, candidate in (("sequential", graph), ("parallelized", fast)):
        with console.status(f"Running the {name} pipeline ..."):
            runs[name] = _timed(lambda graph=candidate: graph.invoke({"document": document}))
    (slow_s, slow), (fast_s, quick) = runs["sequential"], runs["parallelized"]

    table = Table(title=f"Pipeline on {len(document.split())} words, one run each")
    for column in ("graph", "seconds", "speed-up", "same answer"):
        table.add_column(column, justify="right" if column != "graph" else "left")
    table.add_row("sequential", f"{slow_s:.2f}", "1.00x", "")
    same = "yes" if quick == slow else "no (the model is not deterministic)"
    table.add_row("parallelized", f"{fast_s:.2f}", f"{slow_s / fast_s:.2f}x", same)
    console.print(table)


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.monotonic()
    result = run()
    return time.monotonic() - start, result


# -- part 2: many programs -----------------------------------------------------------------------


async def compare_policies(endpoints: Sequence[Endpoint]) -> None:
    """Run the same fleet without a scheduler and under two policies."""
    console.rule("2. Many programs: ScheduledChatModel")
    jobs = make_jobs(SEED)
    alone_s = {}
    for kind in _KINDS:
        alone, _ = await _run(f"one {kind}", endpoints, [Job(kind, 0, 0.0)], "fcfs", 10_000)
        alone_s[kind] = alone[0].latency_s

    table = Table(title=f"{len(jobs)} programs on {len(endpoints)} engines of {SEATS} seats")
    table.add_column("scheduling")
    for column in ("mean s", "p95 s", "slowdown", *_KINDS):
        table.add_column(column, justify="right")
    for name, policy, capacity in _SETTINGS:
        outcomes, timeline = await _run(name, endpoints, jobs, policy, capacity)
        numbers = summarize(outcomes, alone_s)
        by_kind = [summarize([o for o in outcomes if o.kind == k], alone_s) for k in _KINDS]
        table.add_row(
            name,
            f"{numbers['mean']:.2f}",
            f"{numbers['p95']:.2f}",
            f"{numbers['slowdown']:.1f}x",
            *(f"{kind['mean']:.2f}" for kind in by_kind),
        )
        if capacity == SEATS:
            _write_pictures(name, timeline)
    console.print(table)
    console.print(
        "pass-through sends every call at once, as LangGraph does: the engines queue them in order "
        "of arrival.\nfcfs and plas keep the queue on this side, with as many slots as the engines "
        "have seats; plas serves programs that have been served least.\nslowdown: mean of each "
        "program's time over the time that one of its kind takes alone; the last columns are the "
        "mean seconds of each kind."
    )


_KINDS = ("chat", "react", "map-reduce")
_SETTINGS = (("pass-through", "fcfs", 10_000), ("fcfs", "fcfs", SEATS), ("plas", "plas", SEATS))


async def _run(
    name: str, endpoints: Sequence[Endpoint], jobs: Sequence[Job], policy: str, capacity: int
) -> tuple[list[Outcome], Timeline]:
    timeline = Timeline()
    scheduler = Scheduler(policy, hooks=[timeline])
    engines = [
        Engine(endpoint.chat_model(), capacity=capacity, name=f"engine {i}")
        for i, endpoint in enumerate(endpoints)
    ]
    llm = ScheduledChatModel(engines=engines, scheduler=scheduler)
    columns = (TextColumn(f"{name:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(name, total=len(jobs))
        outcomes = await run_fleet(llm, jobs, lambda: progress.advance(bar))
    return outcomes, timeline


def _write_pictures(name: str, timeline: Timeline) -> None:
    OUT.mkdir(exist_ok=True)
    picture = draw_gantt(
        timeline,
        OUT / f"timeline-{name}.png",
        title=f"Fleet under {name}: calls on the engines' seats, waits as thin lines above",
        color_by="call_site",
    )
    trace = write_trace(timeline, OUT / f"trace-{name}.json")
    console.print(f"  timeline: {picture}    trace for https://ui.perfetto.dev: {trace}")


if __name__ == "__main__":
    main()
