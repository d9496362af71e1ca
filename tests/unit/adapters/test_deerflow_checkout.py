"""The script for a DeerFlow checkout runs on what has DeerFlow's modules and names."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BUILDER = """
from examples.research_flow import build_graph
from langchain_core.runnables import RunnableLambda

def _build_base_graph():
    quiet = RunnableLambda(lambda given: given)
    agents = {name: quiet for name in ("researcher", "analyst", "coder")}
    return build_graph(plan={}, agents=agents, write=quiet)
"""


def test_a_plan_runs_through_the_graph_of_a_checkout(tmp_path):
    for name, text in (
        ("graph/builder.py", BUILDER),
        ("prompts/planner_model.py", "from examples.research_flow import Plan, Step, StepType"),
    ):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "tests/deerflow_checkout.py", str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Research the price of") == 4
    assert done.stdout.endswith("same report and observations: yes\n")
