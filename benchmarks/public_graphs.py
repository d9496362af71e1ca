"""Measure five public graphs as their authors wrote them: one node after another, and parallelized.

Run `python -m benchmarks.public_graphs`. Model calls go through `ChatOpenAI` to the embedded
engine, a fresh one for every run, so that no run finds the prefixes of another one in the cache.
The order of the variants changes from round to round.

"as written" is `parallelize(graph)`; "told" also passes what only the author can know (`CASES`),
and "exact" is the same with `mode="exact"`.
"predicted" counts each node with a model call as 1; "from durations" passes the durations of the
nodes in the sequential runs instead. "speed-up" is a ratio of medians, with the lowest and the
highest ratio of one round. "by hand" is what a careful reader could reach: the durations of the
nodes in the sequential runs, summed over the supersteps of `Case.safe`, each as long as its slowest
node.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import StateGraph

from benchmarks.graphs import (
    customer_support,
    investment_council,
    research_report,
    text_analysis,
    travel_plan,
)
from langgraph_parallel import ParallelConfig, ParallelReport, explain, parallelize
from langgraph_rsm.emulation import serve

TRUSTED = ParallelConfig(unknown_calls="independent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One public graph."""

    name: str
    build: Callable[[BaseChatModel], StateGraph[Any, Any, Any, Any]]
    given: Mapping[str, Any]
    told: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `parallelize` that state what the author knows; empty when there are none."""
    safe: tuple[tuple[str, ...], ...]
    """Nodes that a careful reader of the code would let run side by side, found by hand."""
    note: str = ""
    """What the reader relies on."""


CASES = (
    Case(
        name="text_analysis",
        build=text_analysis.build,
        given=text_analysis.GIVEN,
        safe=(("classification_node", "entity_extraction", "summarization"),),
    ),
    Case(
        name="customer_support",
        build=customer_support.build,
        given=customer_support.GIVEN,
        safe=(("categorize", "analyze_sentiment"),),
        note="The router reads what both write, so it has to move behind both.",
    ),
    Case(
        name="investment_council",
        build=investment_council.build,
        given=investment_council.GIVEN,
        told={"effects": investment_council.DECLARED},
        safe=(("macro_analyst", "fundamental_analyst", "technical_analyst", "risk_manager"),),
        note="Nobody sees the first two reports: the third one always overwrites them.",
    ),
    Case(
        name="research_report",
        build=research_report.build,
        given=research_report.GIVEN,
        told={"config": TRUSTED},
        safe=(("writer", "visualizer"),),
        note="Every way from the researcher to the end leads through the visualizer, and the loop "
        "before it neither writes what it reads nor reads what it writes.",
    ),
    Case(
        name="travel_plan",
        build=travel_plan.build,
        given=travel_plan.GIVEN,
        told={"config": TRUSTED},
        safe=(
            ("validate_input", "research_destination"),
            ("suggest_accommodations", "recommend_activities"),
        ),
        note="`**state` returns the other keys as they were.",
    ),
)


def client(url: str, model: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=url, model=model, api_key="none", temperature=0, max_retries=0)


OFFLINE = client("http://127.0.0.1:9/v1", "none")
"""A client for graphs that are only looked at."""


class CallCounter(BaseCallbackHandler):
    """Counts model calls."""

    def __init__(self) -> None:
        self.calls = 0

    def on_chat_model_start(self, *_args: Any, **_kwargs: Any) -> None:
        """Count one call."""
        self.calls += 1


@dataclass(slots=True)
class Run:
    """One run of one graph."""

    wall_s: float
    cpu_s: float
    calls: int
    answer: Any
    node_s: dict[str, float]
    """For a sequential run, the time that each node took, over all its visits."""


def run_once(case: Case, options: Mapping[str, Any] | None, speed: float) -> Run:
    """Run a graph on a fresh engine; `options` of None leaves it sequential."""
    with serve("gpu-8b", speed=speed) as server:
        builder = case.build(client(server.base_url, server.model))
        graph = (builder if options is None else parallelize(builder, **options)).compile()
        counter = CallCounter()
        node_s: dict[str, float] = {}
        answer: Any = None
        start_s = before_s = time.perf_counter()
        cpu_s = time.process_time()
        for kind, chunk in graph.stream(
            dict(case.given), {"callbacks": [counter]}, stream_mode=["updates", "values"]
        ):
            now_s = time.perf_counter()
            if kind == "values":
                answer = chunk
            else:
                name = next(iter(chunk))
                node_s[name] = node_s.get(name, 0.0) + now_s - before_s
                before_s = now_s
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    return Run(wall_s, cpu_s, counter.calls, comparable(answer), node_s)


def reachable(case: Case, run: Run) -> float:
    """Return the speed-up of the supersteps found by hand, from a sequential run."""
    saved_s = 0.0
    for level in case.safe:
        durations = [run.node_s.get(name, 0.0) for name in level]
        saved_s += sum(durations) - max(durations)
    return run.wall_s / (run.wall_s - saved_s)


def comparable(value: Any) -> Any:
    """Return a value without the ids that LangChain makes up."""
    if isinstance(value, BaseMessage):
        return type(value).__name__, value.text
    if isinstance(value, dict):
        return {key: comparable(part) for key, part in value.items()}
    return [comparable(part) for part in value] if isinstance(value, list) else value


def predict(case: Case, options: Mapping[str, Any], base: list[Run]) -> float:
    """Return the predicted speed-up, given how long each node took in the sequential runs."""
    names = base[0].node_s
    durations = {name: statistics.median(run.node_s[name] for run in base) for name in names}
    config = options.get("config", ParallelConfig()).model_copy(update={"durations": durations})
    return explain(case.build(OFFLINE), **{**options, "config": config}).speedup


def supersteps(report: ParallelReport) -> str:
    """Return the supersteps of the report's regions."""
    runs = [" / ".join(", ".join(level) for level in part.levels) for part in report.regions]
    return "; ".join(runs) or "no straight run"


def missed(case: Case, report: ParallelReport) -> Iterator[tuple[str, str, str]]:
    """Yield the pairs that are safe side by side and are not, with the reason in the report."""
    pairs = {(pair.earlier, pair.later): pair for pair in report.pairs()}
    for level in case.safe:
        for earlier, later in combinations(level, 2):
            pair = pairs.get((earlier, later))
            if pair is None:
                refusals = [str(r) for r in report.refusals if not r.nodes or later in r.nodes]
                yield earlier, later, "not in one straight run; " + " ".join(refusals)
            elif not pair.together:
                yield earlier, later, pair.reason


def rows(case: Case, rounds: int, speed: float) -> Iterator[str]:
    """Run all variants of a case and yield their table rows."""
    variants: dict[str, Mapping[str, Any] | None] = {"sequential": None, "as written": {}}
    if case.told:
        variants["told"] = case.told
    variants["exact"] = {**(case.told or {}), "mode": "exact"}
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for number in range(rounds):
        names = list(variants)
        for name in names if number % 2 == 0 else reversed(names):
            runs[name].append(run_once(case, variants[name], speed))
    base = runs.pop("sequential")
    base_s = statistics.median(run.wall_s for run in base)
    by_hand = statistics.median(reachable(case, run) for run in base)
    for name, found in runs.items():
        report = explain(case.build(OFFLINE), **variants[name] or {})
        wall_s = statistics.median(run.wall_s for run in found)
        ratios = [a.wall_s / b.wall_s for a, b in zip(base, found, strict=True)]
        cpu_s = statistics.median(run.cpu_s for run in found)
        timed = predict(case, variants[name] or {}, base)
        same = all(run.answer == base[0].answer for run in (*base, *found))
        yield (
            f"| {case.name} | {name} | {base[0].calls} | {report.speedup:.2f}x | {timed:.2f}x "
            f"| {base_s:.2f} | {wall_s:.2f} "
            f"| {base_s / wall_s:.2f}x ({min(ratios):.2f}-{max(ratios):.2f}) "
            f"| {by_hand:.2f}x | {cpu_s:.2f} | {'yes' if same else 'NO'} |"
        )


def print_details(case: Case) -> None:
    """Print the supersteps of a case, and which safe pairs stay ordered and why."""
    print(f"\n## {case.name}\n")
    if case.note:
        print(f"{case.note}\n")
    for name, options in (("as written", {}), ("told", case.told)):
        if name == "told" and not options:
            continue
        report = explain(case.build(OFFLINE), **options)
        print(f"- {name}: {supersteps(report)}")
        for earlier, later, reason in missed(case, report):
            print(f"  - missed: {earlier} beside {later}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the table shows medians")
    parser.add_argument("--speed", type=float, default=1.0, help="of the embedded engine")
    parser.add_argument("--only", nargs="*", default=[case.name for case in CASES])
    options = parser.parse_args()
    cases = [case for case in CASES if case.name in options.only]
    if not cases:
        sys.exit(f"--only names none of {', '.join(case.name for case in CASES)}")
    print(
        f"python {platform.python_version()}, {os.cpu_count()} cores, profile gpu-8b "
        f"(emulated), speed {options.speed:g}, median of {options.rounds}\n"
    )
    run_once(CASES[0], None, 50.0)  # imports and first connections
    print(
        "| graph | variant | model calls | predicted | from durations | sequential s | parallel s "
        "| speed-up | by hand | cpu s | same answer |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|", flush=True)
    for case in cases:
        for row in rows(case, options.rounds, options.speed):
            print(row, flush=True)
    for case in cases:
        print_details(case)


if __name__ == "__main__":
    main()
