"""The command `explain`: what `parallelize` would do with a graph of an application.

    python -m langgraph_parallel explain app.py:graph
    python -m langgraph_parallel explain . --graph agent --json

The target is imported, its nodes are not run, and no model is called: no API key is needed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import ParallelError
from langgraph_parallel.parallelize import explain
from langgraph_parallel.reading.targets import TargetError, load_graphs
from langgraph_parallel.report.html import as_page
from langgraph_parallel.report.report import ParallelReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `explain`, and the function that runs it as `run`."""
    parser.add_argument(
        "target",
        help="app.py:graph, package.module:graph, a langgraph.json or the directory that holds "
        "one; the name may be a StateGraph, a compiled graph or a function that returns one",
    )
    parser.add_argument(
        "--mode",
        choices=("fanout", "exact"),
        default="fanout",
        help="the mode of parallelize (default: %(default)s)",
    )
    parser.add_argument("--graph", metavar="NAME", help="only this graph, where there are several")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help='print {"graphs": {name: report}} as JSON'
    )
    form.add_argument("--mermaid", action="store_true", help="print the new edges as Mermaid text")
    form.add_argument("--html", metavar="FILE", type=Path, help="write a page to FILE")
    parser.add_argument(
        "--durations",
        metavar="FILE",
        type=Path,
        help='seconds that nodes take, as JSON: {"node": 1.5}',
    )
    parser.add_argument(
        "--unknown-calls",
        choices=("ordered", "independent"),
        default="ordered",
        help="what calls that are not known do (default: %(default)s)",
    )
    parser.add_argument(
        "--inside",
        action="store_true",
        help="tell of calls inside of nodes that could run together",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain the target's graphs and return the exit status: 0, or 1 for a broken target."""
    try:
        config = ParallelConfig(
            unknown_calls=options.unknown_calls, durations=_read_durations(options.durations)
        )
        graphs = load_graphs(options.target, options.graph)
        reports = {
            name: explain(graph, mode=options.mode, config=config, inside=options.inside)
            for name, graph in graphs.items()
        }
        _write(reports, options)
    except (TargetError, ParallelError) as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _write(reports: Mapping[str, ParallelReport], options: argparse.Namespace) -> None:
    if options.json:
        graphs = {name: report.to_dict() for name, report in reports.items()}
        print(json.dumps({"graphs": graphs}, indent=2))  # noqa: T201
    elif options.html is not None:
        _write_page(options.html, reports)
    else:
        for number, (name, report) in enumerate(reports.items()):
            if len(reports) > 1:
                comment = "%%" if options.mermaid else "#"
                print(f"{chr(10) * bool(number)}{comment} {name}")  # noqa: T201
            if options.mermaid:
                print(report.mermaid())  # noqa: T201
            else:
                report.show()


def _write_page(path: Path, reports: Mapping[str, ParallelReport]) -> None:
    try:
        path.write_text(as_page(reports.items()), encoding="utf-8")
    except OSError as exc:
        msg = f"cannot write {path}: {exc.strerror or exc}"
        raise TargetError(msg) from exc
    print(f"wrote {path}")  # noqa: T201


def _read_durations(path: Path | None) -> dict[str, float]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror or exc}"
        raise TargetError(msg) from exc
    except ValueError as exc:
        msg = f"{path} is not JSON: {exc}"
        raise TargetError(msg) from exc
    if not isinstance(found, dict) or not all(map(_is_duration, found.values())):
        msg = f'{path} must hold seconds (>= 0) by node name, such as {{"node": 1.5}}'
        raise TargetError(msg)
    return found


def _is_duration(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0  # type: ignore[arg-type,operator]
