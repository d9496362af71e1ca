"""Turn sequential LangGraph graphs and plans into parallel ones without changing their answers.

from langgraph_parallel import ParallelExecutor, ParallelPlanner, parallelize

fast = parallelize(graph)          # a StateGraph or a compiled one
print(fast.parallel_report)        # what was done, and why not more

plan = ParallelPlanner().optimize(["find the price", "find the weather", "write a summary"])
results = ParallelExecutor(run_task=carry_out).execute(plan)
"""

from __future__ import annotations

from langgraph_parallel.adapters.readers import READERS
from langgraph_parallel.concurrent import concurrent_calls
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import ALL, Effects, Evidence, effects
from langgraph_parallel.errors import (
    AnalysisError,
    EquivalenceError,
    ParallelError,
    PlanError,
    RewriteError,
)
from langgraph_parallel.inference.llm import LLMAnalyzer
from langgraph_parallel.lowering.plan_node import PlanNode
from langgraph_parallel.parallelize import explain, parallelize
from langgraph_parallel.plan.executor import ParallelExecutor
from langgraph_parallel.plan.llm import LLMDependencies
from langgraph_parallel.plan.plan import ParallelPlan
from langgraph_parallel.plan.planner import ParallelPlanner
from langgraph_parallel.plan.reading import add_readers
from langgraph_parallel.plan.results import PlanExecutionError, PlanResults
from langgraph_parallel.plan.task import Task, TaskResult
from langgraph_parallel.reading.nodes import infer_effects
from langgraph_parallel.reading.trace import Recording, record
from langgraph_parallel.report.report import ParallelReport

__all__ = (
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

add_readers(READERS)
