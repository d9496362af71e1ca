"""Measure the analysis: seconds that `parallelize` takes for graphs of 10, 100 and 1000 nodes.

Run `python -m benchmarks.analysis`; `--peer-python PATH` names an interpreter that has
`nvidia-nat-app`, whose `quick_optimize` is then timed on the same functions.

Each graph is a chain of n nodes in three groups that do not share a key, so that three chains of
n/3 nodes are to be found. The nodes are functions of a generated module and use a function of it:

    seed_0 -> n0 ----> n3 ----> n6 ...
    seed_1 ----> n1 ----> n4 ...            drawn in program order n0, n1, n2, n3, ...
    seed_2 -------> n2 ----> n5 ...

Every repetition generates a module of its own, so that nothing is cached. "cpu" is the CPU time of
this process; the machine may do something else at the same time.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from langgraph.graph import END, START, StateGraph

from langgraph_parallel import explain, parallelize

GROUPS = 3
STAGES = {
    "node_effects": "infer",
    "read_graph": "regions",
    "_order": "order",
    "clone_builder": "lower",
    "rewire": "lower",
    "draw_mermaid": "draw",
}
"""The stage that each of the package's functions counts as."""
HEADER = """\
from typing import TypedDict


def tidy(text, limit=200):
    words = []
    for word in text.split():
        if word and len(word) < limit:
            words.append(word.strip(".,"))
    return " ".join(words)


"""
PEER_SCRIPT = """\
import importlib.util, json, sys, time, warnings
warnings.simplefilter("ignore")
from nat_app.api import quick_optimize
path, count = sys.argv[1], int(sys.argv[2])
spec = importlib.util.spec_from_file_location("generated", path)
module = importlib.util.module_from_spec(spec)
sys.modules["generated"] = module
spec.loader.exec_module(module)
nodes = {f"n{i}": getattr(module, f"n{i}") for i in range(count)}
edges = [(f"n{i}", f"n{i + 1}") for i in range(count - 1)]
start, cpu = time.perf_counter(), time.process_time()
stages = quick_optimize(nodes, edges)
found = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
print(json.dumps(found | {"stages": len(stages)}))
"""


@dataclass(slots=True)
class Clock:
    """Wall and CPU seconds of one measured stretch."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    inside: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Add the time until the context ends; nested uses count once."""
        self.inside += 1
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.inside -= 1
            if not self.inside:
                self.wall_s += time.perf_counter() - wall_s
                self.cpu_s += time.process_time() - cpu_s


@dataclass(slots=True)
class Measurement:
    """One repetition on one graph."""

    explain: Clock = field(default_factory=Clock)
    parallelize: Clock = field(default_factory=Clock)
    compile: Clock = field(default_factory=Clock)
    infer: Clock = field(default_factory=Clock)
    regions: Clock = field(default_factory=Clock)
    order: Clock = field(default_factory=Clock)
    lower: Clock = field(default_factory=Clock)
    draw: Clock = field(default_factory=Clock)
    text: Clock = field(default_factory=Clock)
    depth: int = 0


def write_module(count: int, folder: Path) -> Path:
    """Write a module with `count` node functions and their state, and return its path."""
    keys = [f"seed_{g}" for g in range(GROUPS)] + [f"k{i}" for i in range(count)]
    parts = [HEADER, "class State(TypedDict, total=False):\n"]
    parts += [f"    {key}: str\n" for key in keys]
    for i in range(count):
        source = f"k{i - GROUPS}" if i >= GROUPS else f"seed_{i}"
        parts.append(
            f"\n\ndef n{i}(state):\n"
            f'    text = tidy(state["{source}"])\n'
            f"    if not text:\n"
            f'        return {{"k{i}": "nothing"}}\n'
            f'    return {{"k{i}": f"step {i}: {{text.lower()}}"}}\n'
        )
    path = folder / f"chain_{count}_{time.perf_counter_ns()}.py"
    path.write_text("".join(parts))
    return path


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def build_chain(module: ModuleType, count: int) -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(module.State)
    builder.add_sequence([(f"n{i}", getattr(module, f"n{i}")) for i in range(count)])
    builder.add_edge(START, "n0")
    builder.add_edge(f"n{count - 1}", END)
    return builder


@contextlib.contextmanager
def timed(name: str, clock: Clock) -> Iterator[None]:
    """Add to `clock` what each call of the package's function `name` takes, whoever calls it."""
    modules = [m for key, m in sys.modules.items() if key.startswith("langgraph_parallel.")]
    users = [m for m in modules if callable(vars(m).get(name))]
    if not users:
        sys.exit(f"langgraph_parallel has no function {name}() to measure; correct STAGES")
    inner: Callable[..., Any] = vars(users[0])[name]

    def measured(*args: Any, **kwargs: Any) -> Any:
        with clock.running():
            return inner(*args, **kwargs)

    with contextlib.ExitStack() as stack:
        for user in users:
            stack.enter_context(patch.object(user, name, measured))
        yield


def fresh_chain(count: int, folder: Path) -> StateGraph[Any, Any, Any, Any]:
    """Return a chain of functions that nothing has looked at yet.

    What earlier ones have left in memory is kept out of the garbage collector's rounds: a program
    that makes one graph parallel does not have it.
    """
    builder = build_chain(load_module(write_module(count, folder)), count)
    gc.collect()
    gc.freeze()
    return builder


def measure(count: int, folder: Path) -> Measurement:
    """Measure one graph of `count` nodes: the whole first, then, on another module, the parts."""
    found = Measurement()
    builder = fresh_chain(count, folder)
    with found.explain.running():
        explain(builder)
    builder = fresh_chain(count, folder)
    with found.parallelize.running():
        parallelize(builder)
    with found.compile.running():
        builder.compile()
    builder = fresh_chain(count, folder)
    with contextlib.ExitStack() as stack:
        for name, stage in STAGES.items():
            stack.enter_context(timed(name, getattr(found, stage)))
        report = explain(builder)
    found.regions.wall_s -= found.infer.wall_s
    found.regions.cpu_s -= found.infer.cpu_s
    with found.text.running():
        str(report)
    found.depth = report.regions[0].schedule.depth
    return found


def median_ms(runs: list[Measurement], name: str, kind: str) -> float:
    return 1e3 * statistics.median(getattr(getattr(run, name), kind) for run in runs)


def measure_peer(python: str, count: int, folder: Path, limit_s: float) -> str:
    """Return a table row on `quick_optimize`, run by another interpreter."""
    command = [python, "-c", PEER_SCRIPT, str(write_module(count, folder)), str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return f"| {count} | not done in {limit_s:g} s | | | |"
    if done.returncode:
        return f"| {count} | failed: {done.stderr.strip().splitlines()[-1]} | | | |"
    found = json.loads(done.stdout.splitlines()[-1])
    return (
        f"| {count} | {found['wall_s']:.3f} | {found['cpu_s']:.3f} "
        f"| {1e3 * found['cpu_s'] / count:.2f} | {found['stages']} |"
    )


def print_ours(counts: list[int], repeats: int, folder: Path) -> None:
    all_runs = {count: [measure(count, folder) for _ in range(repeats)] for count in counts}
    print(
        "| nodes | supersteps | explain s | parallelize s | cpu s | cpu ms a node "
        "| compile() s | cpu s |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for count, runs in all_runs.items():
        seconds = {
            f"{name} {kind}": median_ms(runs, name, kind) / 1e3
            for name in ("explain", "parallelize", "compile")
            for kind in ("wall_s", "cpu_s")
        }
        cpu_s = seconds["parallelize cpu_s"]
        print(
            f"| {count} | {runs[0].depth} | {seconds['explain wall_s']:.3f} "
            f"| {seconds['parallelize wall_s']:.3f} | {cpu_s:.3f} | {1e3 * cpu_s / count:.2f} "
            f"| {seconds['compile wall_s']:.3f} | {seconds['compile cpu_s']:.3f} |"
        )
    parts = ("infer", "regions", "order", "lower", "draw", "text")
    print(
        "\nWhere it goes, cpu ms (clones count as lower; report text is not part of the whole):\n"
    )
    print(f"| nodes | {' | '.join(parts)} |")
    print("|---:|" + "---:|" * len(parts))
    for count, runs in all_runs.items():
        cells = " | ".join(f"{median_ms(runs, part, 'cpu_s'):.1f}" for part in parts)
        print(f"| {count} | {cells} |")


def print_peer(python: str, counts: list[int], limit_s: float, folder: Path) -> None:
    print("\n`quick_optimize` of nvidia-nat-app on the same functions, one run each:\n")
    command = [
        python,
        "-c",
        "from importlib.metadata import version as v; print(v('nvidia-nat-app'))",
    ]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        probe = None
    if probe is None or probe.returncode:
        print(f"skipped: {python!r} is no interpreter that has nvidia-nat-app")
        return
    print(f"nvidia-nat-app {probe.stdout.strip()}\n")
    print("| nodes | s | cpu s | cpu ms a node | stages |")
    print("|---:|---:|---:|---:|---:|")
    for count in counts:
        print(measure_peer(python, count, folder, limit_s), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--repeats", type=int, default=5, help="the table shows medians")
    parser.add_argument("--peer-python", default="", help="interpreter that has nvidia-nat-app")
    parser.add_argument("--peer-nodes", type=int, nargs="*", default=[10, 40, 100])
    parser.add_argument("--peer-limit", type=float, default=120.0, help="seconds for one graph")
    options = parser.parse_args()
    print(
        f"python {platform.python_version()}, {os.cpu_count()} cores, "
        f"langgraph {version('langgraph')}, median of {options.repeats}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(10, folder)  # imports and first calls
        print_ours(options.nodes, options.repeats, folder)
        if options.peer_python:
            print_peer(options.peer_python, options.peer_nodes, options.peer_limit, folder)
        else:
            print("\nnvidia-nat-app: skipped, no --peer-python was given")


if __name__ == "__main__":
    main()
