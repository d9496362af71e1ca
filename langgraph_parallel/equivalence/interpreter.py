"""In a fresh interpreter: import a graph, and make each run as if nothing had run before.

    import ── copy of the process ── facts of the report
          ├── copy of the process ── one run of one form
          └── ...

A process can be copied (`fork`) while it has one thread and has opened nothing that copies would
share. Where it cannot, this interpreter makes one run, and the caller starts one for each.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from langgraph_parallel.equivalence.forms import (
    Case,
    Graph,
    Run,
    make_run,
    original,
    rewritten,
    runs_of,
)
from langgraph_parallel.equivalence.origin import changed_global, load, load_graph
from langgraph_parallel.equivalence.outcome import Facts, Outcome, Trial

REQUEST: Final = "request"
FACTS: Final = "facts"
RUN: Final = "run-{}"
FAILURE: Final = "failure"
ALONE: Final = "alone"
"""Files of the folder in which both sides leave their messages; the last two hold a reason."""

_POLL_S: Final = 0.002
"""Short against a run, which takes at least some milliseconds."""

_inside: list[str] = []
"""The path of the graph that this process was started for, if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a fresh interpreter is asked to do."""

    path: str
    case: Case
    log: str
    """Path of the log of effects; empty when there is none."""
    shapes: Mapping[str, Mapping[str, str]]
    """The kinds of the globals which the modules must have when imported."""
    timeout_s: float
    only: int | None = None
    """The one run to make, by its place in the row of all; None means all that are possible."""
    facts: Facts | None = None
    """The facts of the report, for `only`; None where they are still to be found."""


def started_for() -> str:
    """Return the path of the graph that this process was started for, or an empty string."""
    return "".join(_inside)


def main(folder: Path) -> None:
    """Do what the request in a folder asks for, and leave the answers there."""
    try:
        request: Request = pickle.loads((folder / REQUEST).read_bytes())
        _inside.append(request.path)
        _serve(request, folder)
    except BaseException as error:  # an import may also exit
        traceback.print_exc()
        _leave(folder / FAILURE, f"{type(error).__name__}: {error}".encode())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the user's modules started must not keep the process.
    os._exit(0)


def _serve(request: Request, folder: Path) -> None:
    opened = _open_files()
    graph = load_graph(request.path)
    log = load(request.log) if request.log else None
    if changed := changed_global(request.shapes):
        _leave(folder / FAILURE, changed.encode())
        return
    trial = Trial(resume=request.case.resume, log=log)
    if request.only is not None:
        assert request.facts is not None
        run = list(runs_of(request.case, request.facts))[request.only]
        _leave(folder / RUN.format(request.only), _outcome(graph, run, request, trial))
        return
    if why := _why_no_copies(opened):
        _leave(folder / ALONE, why.encode())
        _leave(folder / FACTS, pickle.dumps(rewritten(graph, request.case)[1]))
        return
    _run_copies(graph, request, trial, folder)


def _run_copies(graph: Graph, request: Request, trial: Trial, folder: Path) -> None:
    path, limit_s = folder / FACTS, request.timeout_s
    lost = _in_a_copy(lambda: pickle.dumps(rewritten(graph, request.case)[1]), path, limit_s)
    if lost:
        _leave(folder / FAILURE, f"the graph could not be rewritten: {lost}".encode())
        return
    facts: Facts = pickle.loads(path.read_bytes())
    for place, run in enumerate(runs_of(request.case, facts)):
        path = folder / RUN.format(place)
        lost = _in_a_copy(lambda: _outcome(graph, run, request, trial, facts), path, limit_s)  # noqa: B023
        if lost:
            _leave(path, pickle.dumps(Outcome(lost=lost)))


def _outcome(
    graph: Graph, run: Run, request: Request, trial: Trial, facts: Facts | None = None
) -> bytes:
    """Make a run and return its outcome, or why it cannot leave this process, as a pickle."""
    facts = facts or request.facts
    assert facts is not None
    form = original(graph) if run.schedule is None else rewritten(graph, request.case)[0]
    outcome = make_run(form, run, request.case, trial, facts)
    try:
        data = pickle.dumps(outcome)
        same = pickle.loads(data) == outcome
    except Exception as error:
        return pickle.dumps(f"what a run shows cannot be pickled: {error}")
    # Something that is equal only to itself would differ from its counterpart in any other run.
    return data if same else pickle.dumps("what a run shows is not equal to a pickled copy of it")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def _why_no_copies(opened: int) -> str:
    """Return why this process must not be copied, or an empty string.

    Args:
        opened: How many files were open before the graph was imported.
    """
    # Elsewhere system libraries break in a copy (macOS), or there is no `fork`.
    if sys.platform != "linux":
        return "this system cannot copy a process"
    if len(os.listdir("/proc/self/task")) > 1:
        return "importing the graph starts threads"
    return "importing the graph leaves files open" if _open_files() > opened else ""


def _in_a_copy(work: Callable[[], bytes], path: Path, limit_s: float) -> str:
    """Write what `work` returns to a file, in a copy of this process; return why it did not."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _end_as_copy(work, path)
    end = time.monotonic() + limit_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"it was stopped after {limit_s:g} s"
        time.sleep(_POLL_S)
    if path.exists():
        return ""
    return f"its process ended with status {os.waitstatus_to_exitcode(status)}"


def _end_as_copy(work: Callable[[], bytes], path: Path) -> Any:
    try:
        _leave(path, work())
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if path.exists() else 1)


def _leave(path: Path, data: bytes) -> None:
    """Write a file that is whole as soon as it is there."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)
