"""The CrewAI example runs offline: faster, with the same outputs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.timeout(150)
def test_crewai_script_runs_offline():
    env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    env["PYTHONPATH"] = str(EXAMPLES.parent)
    done = subprocess.run(
        [sys.executable, "05_crewai.py"],
        cwd=EXAMPLES,
        env=env,
        capture_output=True,
        text=True,
        timeout=140,
    )
    assert done.returncode == 0, done.stderr
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", done.stdout)
    assert speedup is not None
    assert float(speedup[1]) > 1.0
    assert done.stdout.count("same outputs: True") == 2
    assert "failed: the weather service is down\ncalled back: ['List sights of Lisbon.']" in (
        done.stdout
    )
