"""The public names are what `__all__` says, and importing them loads nothing heavy."""

import subprocess
import sys

import pytest

import langgraph_parallel
import langgraph_rsm

PARALLEL = (
    "ALL",
    "AnalysisError",
    "Effects",
    "EquivalenceError",
    "Evidence",
    "LLMAnalyzer",
    "LLMDependencies",
    "ParallelConfig",
    "ParallelError",
    "ParallelExecutor",
    "ParallelPlan",
    "ParallelPlanner",
    "ParallelReport",
    "PlanError",
    "PlanExecutionError",
    "PlanNode",
    "PlanResults",
    "Recording",
    "RewriteError",
    "Task",
    "TaskResult",
    "concurrent_calls",
    "effects",
    "explain",
    "infer_effects",
    "parallelize",
    "record",
)


def test_names_of_langgraph_parallel_are_frozen():
    assert langgraph_parallel.__all__ == PARALLEL


@pytest.mark.parametrize("package", [langgraph_parallel, langgraph_rsm])
def test_every_public_name_exists_and_is_documented(package):
    assert list(package.__all__) == sorted(package.__all__)
    for name in package.__all__:
        thing = getattr(package, name)
        assert name == "ALL" or thing.__doc__, name


@pytest.mark.parametrize("package", ["langgraph_parallel", "langgraph_rsm"])
def test_import_stays_light(package):
    heavy = ["langchain_openai", "matplotlib", "rich", "aiohttp", "networkx"]
    # Where click is installed, as with the linter of imports, httpx loads rich for a command line.
    code = f"import sys; sys.modules['click'] = None; import {package}; "
    code += f"print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
