"""From a request to the outcomes of its runs, each made by an interpreter that has run nothing."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from langgraph_parallel.equivalence.forms import Run, runs_of
from langgraph_parallel.equivalence.interpreter import ALONE, FACTS, FAILURE, REQUEST, RUN, Request
from langgraph_parallel.equivalence.outcome import Facts, Outcome

_OUTPUT: Final = "output"
_PATHS: Final = "paths"
_START: Final = f"""\
import json, pathlib, sys
folder = pathlib.Path(sys.argv.pop())
sys.path[:] = json.loads((folder / {_PATHS!r}).read_text())
from langgraph_parallel.equivalence.interpreter import main
main(folder)
"""
_POLL_S: Final = 0.02
"""Short against the start of an interpreter, about a second."""


class NoFreshRunsError(Exception):
    """Raised when runs cannot be made, or compared, outside of this process; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRuns:
    """The outcomes of all runs of a request."""

    facts: Facts
    outcomes: dict[Run, Outcome]
    output: str
    """What was printed."""


def make_fresh_runs(request: Request) -> FreshRuns:
    """Make the runs of a request.

    Raises:
        NoFreshRunsError: If something in it, or in what a run shows, cannot be pickled, or the
            graph cannot be imported.
    """
    with TemporaryDirectory(prefix="langgraph_parallel-") as name:
        folder = Path(name)
        _interpret(request, folder)
        _raise_failure(folder)
        if not (folder / FACTS).exists():
            msg = f"importing {request.path} did not end well within {request.timeout_s:g} s"
            raise NoFreshRunsError(msg)
        facts: Facts = pickle.loads((folder / FACTS).read_bytes())
        outcomes = {}
        for place, run in enumerate(runs_of(request.case, facts)):
            path = folder / RUN.format(place)
            if (folder / ALONE).exists():
                _interpret(replace(request, only=place, facts=facts), folder)
                _raise_failure(folder)
            outcomes[run] = _read(path, request.timeout_s)
        output = (folder / _OUTPUT).read_text(errors="replace").strip()
    return FreshRuns(facts=facts, outcomes=outcomes, output=output)


def _raise_failure(folder: Path) -> None:
    if (folder / FAILURE).exists():
        raise NoFreshRunsError((folder / FAILURE).read_text())


def _read(path: Path, limit_s: float) -> Outcome:
    if not path.exists():
        return Outcome(lost=f"its interpreter ended without a result, or after {limit_s:g} s")
    try:
        found = pickle.loads(path.read_bytes())
    except Exception as error:
        msg = f"what a run shows cannot be unpickled: {error}"
        raise NoFreshRunsError(msg) from error
    if isinstance(found, str):
        raise NoFreshRunsError(found)
    assert isinstance(found, Outcome)
    return found


def _interpret(request: Request, folder: Path) -> None:
    """Start an interpreter like this one on a request and wait for its end."""
    (folder / REQUEST).write_bytes(_pickled(request))
    (folder / _PATHS).write_text(json.dumps([str(path) for path in sys.path]))
    # The order of a set of strings should not be what makes two runs differ.
    env = {"PYTHONHASHSEED": "0", **os.environ}
    with (folder / _OUTPUT).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
        try:
            _wait(process, request, folder)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], request: Request, folder: Path) -> None:
    """Wait until a process ends, or shows nothing new for longer than one step may take."""
    seen, since = -1, time.monotonic()
    while process.poll() is None:
        now, shown = time.monotonic(), len(list(folder.iterdir()))
        if shown != seen:
            seen, since = shown, now
        # A copy that takes too long is stopped by its parent; this is for the parent.
        if now > since + request.timeout_s + 1:
            return
        time.sleep(_POLL_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:  # with its copies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _pickled(request: Request) -> bytes:
    """Return a request as a pickle, or say which part of it has none."""
    parts: dict[str, Any] = {
        "the inputs": request.case.inputs,
        "the options of parallelize": request.case.options,
        "the answers to interrupts": request.case.resume,
    }
    for name, part in parts.items():
        try:
            pickle.dumps(part)
        except Exception as error:
            msg = f"{name} cannot be pickled: {error}"
            raise NoFreshRunsError(msg) from error
    return pickle.dumps(request)
