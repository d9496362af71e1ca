"""The DeerFlow example runs offline: faster, complete, and without repeating finished steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_deerflow_script_runs_offline():
    env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    env["PYTHONPATH"] = str(EXAMPLES.parent)
    done = subprocess.run(
        [sys.executable, "04_deerflow.py"],
        cwd=EXAMPLES,
        env=env,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", done.stdout)
    assert speedup is not None
    assert float(speedup[1]) > 1.0
    assert done.stdout.count("[True, True, True, True]") == 2
    assert "first finding the same: True" in done.stdout
    assert "Engine B: [ERROR] researcher: the search service is down" in done.stdout
    assert "asked: Please review the plan." in done.stdout
    assert "after the restart: ['Engine B', 'Comparison']" in done.stdout
