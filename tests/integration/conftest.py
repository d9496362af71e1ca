"""What the examples print, run once and all at the same time, for they mostly wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
OFFLINE = ("01_parallelize", "02_plans", "03_scheduler", "04_deerflow")


def start(name):
    env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    env["PYTHONPATH"] = str(EXAMPLES.parent)
    return subprocess.Popen(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def printed_by():
    """Return a function from the name of an example to its output.

    Tests that use it stand beside each other, so that one worker of xdist runs them.
    """
    started = {name: start(name) for name in OFFLINE}
    outputs = {}

    def read(name):
        if name not in outputs:
            process = started[name]
            out, errors = process.communicate(timeout=170)
            assert process.returncode == 0, errors
            outputs[name] = out
        return outputs[name]

    yield read
    for process in started.values():
        process.kill()
        process.communicate()
