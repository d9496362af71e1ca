"""The example of plans runs offline: faster, with the same results, and without repeating steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_plans_script_runs_offline_and_keeps_the_results():
    env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    env["PYTHONPATH"] = str(EXAMPLES.parent)
    done = subprocess.run(
        [sys.executable, "02_plans.py"],
        cwd=EXAMPLES,
        env=env,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    assert "Plan: 6 tasks -> 3 batches, predicted speed-up 2.00x" in done.stdout
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", done.stdout)
    assert speedup is not None
    assert float(speedup[1]) > 1.0
    assert done.stdout.count("same results: True") == 2
    assert "same report: True" in done.stdout
    assert "run again: nothing that was finished" in done.stdout
