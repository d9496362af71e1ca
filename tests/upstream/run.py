"""Run LangGraph's own test suite with every compiled `StateGraph` sent through `parallelize`.

    python tests/upstream/run.py [--langgraph 1.2.22] [--mode exact] [-k EXPR] [FILE ...]

The sdist of the installed LangGraph is fetched with pip and its tests run twice, plain and with
`parallelize_plugin`. Printed are the tests that pass plain and fail in parallel (regressions; each
is run again in parallel, and called flaky when it does not fail a second time), and what became of
the graphs. `expected.json` lists the tests that see a documented difference, with the error that
they then give. Exit status 1 when there are other regressions, or tests that fail plain and so
compare nothing.

It is a command of its own and no part of the default test run. Besides this distribution it needs
what the suite imports:

    pip install langgraph==1.2.22 anyio httpx langgraph-checkpoint-postgres \
        langgraph-checkpoint-sqlite psycopg-pool 'psycopg[binary]' pycryptodome pytest-mock \
        pytest-timeout redis syrupy

Tests that need Postgres or Redis are left out with the suite's own switch, NO_DOCKER.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
SKIPPED_FILES = {"test_delta_channel_benchmark.py", "test_prune_postgres.py"}
"""Measurements, and tests of a service that is not there."""
PLUGINS = ("anyio", "pytest_mock", "syrupy", "timeout")
"""Pytest plugins of the suite; others that are installed stay out of it."""
FILE_TIMEOUT = 900
"""Seconds that one file may take."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one test."""

    outcome: str
    """`passed`, `failed` or `skipped`."""
    message: str = ""


@dataclass(slots=True)
class Suite:
    """The unpacked tests, and how to run them."""

    root: Path
    options: argparse.Namespace
    records: list[dict[str, Any]] = field(default_factory=list)
    """One for each graph that was compiled in parallel mode."""

    def run(self, target: str, *, parallel: bool, only: Sequence[str] = ()) -> dict[str, Result]:
        """Run one file, or the tests named in `only`, in a process of its own."""
        with tempfile.TemporaryDirectory() as scratch:
            xml, log = Path(scratch, "results.xml"), Path(scratch, "graphs.jsonl")
            plugins = [*PLUGINS, "no:cacheprovider", *(["parallelize_plugin"] if parallel else [])]
            command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={xml}"]
            command += [part for name in plugins for part in ("-p", name)]
            # The suite's own addopts ask for full traces and durations.
            command += ["-o", "addopts=", "--strict-markers"]
            command += ["--timeout", str(self.options.timeout)]
            command += ["-k", self.options.k] if self.options.k and not only else []
            command += list(only) or [f"tests/{target}"]
            ended = self._call(command, log)
            if ended and not xml.exists():
                return {f"tests/{target}": Result("failed", ended)}
            if parallel and not only and log.exists():
                self.records += map(json.loads, log.read_text("utf-8").splitlines())
            return read_results(xml)

    def _call(self, command: Sequence[str], log: Path) -> str:
        """Run a command; return the last line that it printed, or why it ended early."""
        paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "NO_DOCKER": "true",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            "LANGGRAPH_PARALLEL_UPSTREAM_LOG": str(log),
            "LANGGRAPH_PARALLEL_UPSTREAM_MODE": self.options.mode,
            "LANGGRAPH_PARALLEL_UPSTREAM_INSIDE": "1" if self.options.inside else "",
            "LANGGRAPH_PARALLEL_UPSTREAM_UNKNOWN_CALLS": self.options.unknown_calls,
        }
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=FILE_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the file took more than {FILE_TIMEOUT} s"
        lines = (done.stdout + done.stderr).strip().splitlines()
        errors = [line for line in lines if "rror: " in line]
        return next(reversed(errors or lines), "no output")


def read_results(xml: Path) -> dict[str, Result]:
    """Return the outcome of every test in a JUnit file, by pytest's node id."""
    results: dict[str, Result] = {}
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        module = case.get("classname", "").split(".")
        file = next((i for i, part in enumerate(module) if part.startswith("test_")), 0)
        name = "/".join(module[: file + 1]) + ".py"
        name = "::".join([name, *module[file + 1 :], case.get("name", "")])
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            lines = (bad.get("message") or bad.text or "").strip().splitlines() or [""]
            results[name] = Result("failed", lines[0])
        elif name not in results:
            results[name] = Result("skipped" if case.find("skipped") is not None else "passed")
    return results


def fetch(release: str, folder: Path) -> Path:
    """Fetch the sdist of a LangGraph release; return a folder that holds only its tests."""
    fetched, root = folder / "sdist", folder / "suite"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        "langgraph",
    ]
    subprocess.run([*command, "-d", str(fetched), f"langgraph=={release}"], check=True)
    (archive,) = fetched.glob("langgraph-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(fetched, filter="data")
    source = archive.with_name(archive.name.removesuffix(".tar.gz"))
    root.mkdir()
    # Not its package, which would hide the installed one.
    shutil.move(source / "tests", root / "tests")
    shutil.move(source / "pyproject.toml", root / "pyproject.toml")
    return root


def run_all(suite: Suite, files: Iterable[str]) -> tuple[dict[str, Result], dict[str, Result]]:
    """Run every file in both ways, a few at a time."""
    plain: dict[str, Result] = {}
    parallel: dict[str, Result] = {}

    def run_file(name: str) -> None:
        before = suite.run(name, parallel=False)
        after = suite.run(name, parallel=True)
        plain.update(before)
        parallel.update(after)
        worse = sum(1 for test in regressions(before, after))
        print(f"  {name}: {len(before)} tests, {worse} worse", flush=True)

    with ThreadPoolExecutor(suite.options.jobs) as pool:
        list(pool.map(run_file, files))
    return plain, parallel


def regressions(plain: Mapping[str, Result], parallel: Mapping[str, Result]) -> list[str]:
    """Return the tests that pass plain and not in parallel."""
    missing = Result("failed", "did not run")
    return sorted(
        name
        for name, result in plain.items()
        if result.outcome == "passed" and parallel.get(name, missing).outcome != "passed"
    )


def confirm(
    suite: Suite, names: Sequence[str], parallel: dict[str, Result]
) -> tuple[list[str], list[str]]:
    """Run regressions again, file by file; return those that fail again and the flaky ones."""
    by_file: dict[str, list[str]] = {}
    for name in names:
        by_file.setdefault(name.partition("::")[0], []).append(name)
    again: dict[str, Result] = {}
    for file, tests in by_file.items():
        again |= suite.run(Path(file).name, parallel=True, only=tests)
    firm = [name for name in names if again.get(name, Result("failed")).outcome != "passed"]
    parallel |= {name: again[name] for name in firm if name in again}
    return firm, [name for name in names if name not in firm]


def print_graphs(records: Sequence[Mapping[str, Any]]) -> None:
    """Print what became of the compiled graphs."""
    rewritten = [r for r in records if r.get("parallel")]
    tests = {r["test"] for r in rewritten if r["test"]}
    refused = Counter(rule for r in records for rule in r.get("refused", ()))
    held = Counter(rule for r in records for rule in r.get("held", ()) if not r.get("parallel"))
    print(
        f"graphs: {len(records)} compiled, {len(rewritten)} made parallel in {len(tests)} tests "
        f"({sum(r['parallel'] for r in rewritten)} regions, "
        f"{sum(r['saved'] for r in rewritten)} supersteps saved), "
        f"{sum('error' in r for r in records)} errors"
    )
    print("  refusals, graphs by rule:")
    for rule, count in refused.most_common():
        print(f"    {count:6} {rule}")
    print("  graphs with a straight run that stays in order, by rule of a pair:")
    for rule, count in held.most_common():
        print(f"    {count:6} {rule}")


def is_expected(name: str, result: Result | None) -> bool:
    """Tell whether a test fails in the way that `expected.json` gives for it."""
    known = json.loads((HERE / "expected.json").read_text("utf-8"))
    message = result.message if result is not None else ""
    return any(
        name.partition("[")[0] in difference["tests"] and re.search(difference["error"], message)
        for difference in known
    )


def print_tests(
    plain: Mapping[str, Result],
    parallel: Mapping[str, Result],
    found: Mapping[str, Sequence[str]],
) -> None:
    """Print the counts of tests, and the regressions with the first line of their error."""
    both = Counter(
        (plain[name].outcome, parallel[name].outcome) for name in plain.keys() & parallel
    )
    print(f"tests: {len(plain)}")
    print(f"  {both['passed', 'passed']:6} passed in both")
    print(f"  {both['failed', 'failed']:6} failed in both")
    print(f"  {both['skipped', 'skipped']:6} skipped in both")
    print(f"  {both['failed', 'passed']:6} failed plain, passed in parallel")
    for kind, names in found.items():
        print(f"  {len(names):6} {kind}")
        for name in names:
            result = (plain if kind == "fail plain" else parallel).get(name)
            message = result.message[:300] if result is not None else "did not run"
            print(f"         {name}\n             {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="as test_pregel.py; default all")
    parser.add_argument("--langgraph", default=version("langgraph"), help="release to fetch")
    parser.add_argument("-k", metavar="EXPR", help="only tests that match, as in pytest")
    parser.add_argument("--jobs", type=int, default=2, help="files at a time (default 2)")
    parser.add_argument("--timeout", type=int, default=60, help="seconds a test may take")
    parser.add_argument("--mode", choices=["fanout", "exact"], default="fanout")
    parser.add_argument("--inside", action="store_true", help="with calls inside of nodes as well")
    parser.add_argument("--suite", type=Path, help="unpacked sdist to use instead of fetching one")
    parser.add_argument(
        "--unknown-calls", choices=["ordered", "independent"], default="ordered",
        help="the ParallelConfig of all graphs; `independent` rewrites more, and is not sound for "
        "nodes that interrupt or route in calls that are not known",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.langgraph != version("langgraph"):
        parser.error(f"the installed LangGraph is {version('langgraph')}; install the other first")
    with tempfile.TemporaryDirectory(prefix="langgraph-upstream-") as folder:
        root = options.suite or fetch(options.langgraph, Path(folder))
        suite = Suite(root, options)
        files = options.files or sorted(
            (path.name for path in (root / "tests").glob("test_*.py")),
            key=lambda name: -(root / "tests" / name).stat().st_size,
        )
        plain, parallel = run_all(suite, [name for name in files if name not in SKIPPED_FILES])
        firm, flaky = confirm(suite, regressions(plain, parallel), parallel)
    documented = [name for name in firm if is_expected(name, parallel.get(name))]
    broken = [name for name, result in plain.items() if result.outcome == "failed"]
    found = {
        "regressions": [name for name in firm if name not in documented],
        "documented differences": documented,
        "flaky (passed when run again)": flaky,
        "fail plain": broken,
    }
    print_tests(plain, parallel, found)
    print_graphs(suite.records)
    return 1 if found["regressions"] or broken or not plain else 0


if __name__ == "__main__":
    sys.exit(main())
