"""Measure `mode="exact"`: how near a run comes to its critical path, and what early starts cost.

Run `python -m benchmarks.exact`. Nodes sleep; each figure is the median of `--rounds` runs after
one to warm up, with the lowest and the highest, all variants in one process, in turn. What nodes
without work cost is CPU time of the process, as the machine may do something else meanwhile.

    diamond       A .1 -> B .1, C .6;  B -> D .4;  C, D -> E .1 s      critical path 0.80 s
    wide          50 independent nodes of 50 ms                        one node: 0.05 s
    chain         50 nodes without work, each needs the one before
    free chain    50 nodes without work, none needs another

"by hand" is LangGraph's own fan-out: edges as its documentation advises. The graph that is given to
`parallelize` is the sequential one. `customer_support` calls a `ChatOpenAI` model of the embedded
engine; its router reads what two independent nodes write.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import operator
import os
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from benchmarks.graphs import customer_support
from benchmarks.public_graphs import client
from langgraph_parallel import Effects, ParallelConfig, parallelize
from langgraph_parallel.lowering.exact.likeness import same
from langgraph_parallel.lowering.exact.values import copied
from langgraph_rsm.emulation import serve

WIDTH = 50
NODE_S = 0.05
CRITICAL_S = 0.8
DIAMOND = {
    "A": (0.1, ("x",)),
    "B": (0.1, ("A",)),
    "C": (0.6, ("A",)),
    "D": (0.4, ("B",)),
    "E": (0.1, ("C", "D")),
}
"""Seconds and inputs of each node."""


def make_state(keys: list[str]) -> Any:
    fields: dict[str, Any] = dict.fromkeys(["x", *keys], str)
    fields["log"] = Annotated[list[str], operator.add]
    return TypedDict("State", fields, total=False)  # type: ignore[operator]


def make_node(name: str, seconds: float, needs: tuple[str, ...], *, is_async: bool) -> Any:
    def result(state: Any) -> Any:
        return {name: name + "".join(state[key][:1] for key in needs), "log": [name]}

    async def run_async(state: Any) -> Any:
        if seconds:
            await asyncio.sleep(seconds)
        return result(state)

    def run_sync(state: Any) -> Any:
        if seconds:
            time.sleep(seconds)
        return result(state)

    return run_async if is_async else run_sync


Nodes = Mapping[str, tuple[float, tuple[str, ...]]]


def build(nodes: Nodes, *, is_async: bool, by_hand: bool = False) -> StateGraph[Any, Any, Any, Any]:
    """Return a graph of nodes in sequence, or with the edges that they need."""
    builder = StateGraph(make_state(list(nodes)))
    before = START
    readers: set[str] = set()
    for name, (seconds, needs) in nodes.items():
        builder.add_node(name, make_node(name, seconds, needs, is_async=is_async))
        sources = [key for key in needs if key in nodes]
        readers.update(sources)
        if not by_hand:
            builder.add_edge(before, name)
        elif len(sources) > 1:
            builder.add_edge(sources, name)
        else:
            builder.add_edge(sources[0] if sources else START, name)
        before = name
    return builder


def effects_of(nodes: Nodes) -> dict[str, Effects]:
    """Return what the nodes of a graph do; their functions are made in a loop."""
    return {
        name: Effects(
            reads=frozenset(needs), writes=frozenset({name, "log"}), folds=frozenset({"log"})
        )
        for name, (_, needs) in nodes.items()
    }


def variants(nodes: Nodes, *, is_async: bool) -> dict[str, CompiledStateGraph[Any, Any, Any, Any]]:
    """Return the graphs to compare."""
    plain = build(nodes, is_async=is_async)
    effects = effects_of(nodes)
    return {
        "sequential": plain.compile(),
        "by hand": build(nodes, is_async=is_async, by_hand=True).compile(),
        "fanout": parallelize(plain, effects=effects).compile(),
        "exact": parallelize(plain.compile(), mode="exact", effects=effects),
    }


def timed(graph: Any, config: Any, clock: Callable[[], float], *, is_async: bool) -> float:
    start_s = clock()
    if is_async:
        asyncio.run(graph.ainvoke({"x": "x"}, config))
    else:
        graph.invoke({"x": "x"}, config)
    return clock() - start_s


def measure(
    graphs: Mapping[str, Any],
    rounds: int,
    *,
    is_async: bool,
    config: Any = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run every graph in turn; return the seconds of each round but the first."""
    config = {"recursion_limit": 500, **(config or {})}
    seconds: dict[str, list[float]] = {name: [] for name in graphs}
    for number in range(rounds + 1):
        for name, graph in graphs.items():
            took_s = timed(graph, config, clock, is_async=is_async)
            if number:
                seconds[name].append(took_s)
    return seconds


def spread(values: list[float], unit: float = 1.0, digits: int = 3) -> str:
    low, high = min(values) * unit, max(values) * unit
    return f"{statistics.median(values) * unit:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def print_times(title: str, nodes: Nodes, reference_s: float, rounds: int) -> None:
    """Print how near each variant comes to the time that it could take."""
    for is_async in (True, False):
        graphs = variants(nodes, is_async=is_async)
        # LangGraph runs sync nodes on min(32, cpus + 4) threads unless told how many it may use.
        config = {"max_concurrency": 2 * WIDTH} if not is_async else None
        expected = None
        for name, seconds in measure(graphs, rounds, is_async=is_async, config=config).items():
            answer = asyncio.run(graphs[name].ainvoke({"x": "x"}, {"recursion_limit": 500}))
            expected = answer if expected is None else expected
            same_answer = "yes" if answer == expected else "other order of `log`"
            ratio = statistics.median(seconds) / reference_s
            kind = "async" if is_async else "sync"
            print(
                f"| {title} | {kind} | {name} | {spread(seconds)} | {ratio:.2f}x | {same_answer} |"
            )


def print_overhead(rounds: int) -> None:
    """Print what a node costs that has nothing to do."""
    names = [f"n{i}" for i in range(WIDTH)]
    bound: Nodes = {n: (0.0, (names[i - 1] if i else "x",)) for i, n in enumerate(names)}
    free: Nodes = dict.fromkeys(names, (0.0, ("x",)))
    # One free node keeps the whole chain under watch; without it the graph is left as it is.
    watched: Nodes = {**bound, "last": (0.0, ("x",))}
    cases = {"chain": bound, "chain with one free node": watched, "free chain": free}
    for title, nodes in cases.items():
        for is_async in (True, False):
            graphs = variants(nodes, is_async=is_async)
            both = {name: graphs[name] for name in ("sequential", "exact")}
            seconds = measure(both, rounds, is_async=is_async, clock=time.process_time)
            pairs = zip(seconds["exact"], seconds["sequential"], strict=True)
            added = [(a - b) / len(nodes) for a, b in pairs]
            print(
                f"| {title} | {'async' if is_async else 'sync'} "
                f"| {spread(seconds['sequential'], 1e3, 1)} | {spread(seconds['exact'], 1e3, 1)} "
                f"| {spread(added, 1e3)} |"
            )


def print_memory() -> None:
    """Print the memory of early runs that have started and wait."""

    async def peak(count: int) -> int:
        started = asyncio.Event()
        release = asyncio.Event()
        waiting = 0

        def node(name: str) -> Any:
            async def run(state: Any) -> Any:
                nonlocal waiting
                waiting += len(state["x"]) > 0
                if waiting == count:
                    started.set()
                await release.wait()
                return {"log": [name]}

            return run

        names = [f"n{i}" for i in range(count)]
        builder = StateGraph(make_state([]))
        builder.add_sequence([(name, node(name)) for name in names]).add_edge(START, names[0])
        effects = {name: Effects(reads={"x"}, writes={"log"}) for name in names}
        config = ParallelConfig(max_early_runs=count)
        graph = parallelize(builder.compile(), mode="exact", effects=effects, config=config)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        run = asyncio.ensure_future(graph.ainvoke({"x": "x"}, {"recursion_limit": 2000}))
        await started.wait()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        release.set()
        await run
        return after - before

    few, many = asyncio.run(peak(50)), asyncio.run(peak(550))
    print(
        "\nMemory of one waiting early run (550 of them against 50): "
        f"{(many - few) / 500:,.0f} bytes"
    )


def print_copies(rounds: int) -> None:
    """Print what handing out a copy of a message history costs, and comparing it."""
    print("\n| history | copy ms | compare ms |\n|---|---:|---:|")
    for count in (10, 100, 1000):
        history = [AIMessage("word " * 100, id=str(i)) for i in range(count)]
        other = copied(history)
        steps: dict[str, Callable[[], Any]] = {
            "copy": lambda history=history: copied(history),
            "same": lambda history=history, other=other: same(history, other),
        }
        cells = []
        for step in steps.values():
            seconds = []
            for _ in range(rounds):
                start_s = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start_s)
            cells.append(spread(seconds, 1e3, 2))
        print(f"| {count} messages | {' | '.join(cells)} |")


def print_customer_support(rounds: int) -> None:
    """Print a graph of model calls over HTTP, with and without early starts."""
    print("\n| customer_support | s | calls early / used | same answer |\n|---|---:|---:|---|")
    expected: Any = None
    options: dict[str, Any] = {
        "sequential": None,
        "fanout": {},
        "exact": {"mode": "exact"},
        "exact, guessing": {"mode": "exact", "config": ParallelConfig(speculate="pure")},
    }
    for name, given in options.items():
        seconds = []
        early = used = 0
        for number in range(rounds + 1):
            with serve("gpu-8b") as server:  # fresh: no run finds another one's prefixes
                builder = customer_support.build(client(server.base_url, server.model))
                made = builder.compile()
                graph: Any = made if given is None else parallelize(made, **given)
                start_s = time.perf_counter()
                answer = graph.invoke(dict(customer_support.GIVEN))
                if number:
                    seconds.append(time.perf_counter() - start_s)
                expected = answer if expected is None else expected
                if "exact" in name:
                    total = graph.parallel_report.runtime.total
                    early, used = total.early, total.hit
        same_answer = "yes" if answer == expected else "NO"
        print(f"| {name} | {spread(seconds)} | {early} / {used} | {same_answer} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(
        f"python {platform.python_version()}, langgraph {version('langgraph')}, "
        f"{os.cpu_count()} cores, median of {rounds} (lowest-highest)\n"
    )
    print("| graph | run | variant | s | against the least possible | same answer |")
    print("|---|---|---|---:|---:|---|", flush=True)
    print_times("diamond", DIAMOND, CRITICAL_S, rounds)
    wide = {f"n{i:02}": (NODE_S, ("x",)) for i in range(WIDTH)}
    print_times("wide", wide, NODE_S, rounds)
    print("\n| nodes without work | run | sequential ms | exact ms | added per node ms |")
    print("|---|---|---:|---:|---:|", flush=True)
    print_overhead(4 * rounds)
    print_memory()
    print_copies(rounds)
    print_customer_support(rounds)


if __name__ == "__main__":
    main()
