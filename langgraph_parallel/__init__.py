"""Turn sequential LangGraph graphs into parallel ones without changing their answers.

from langgraph_parallel import parallelize

fast = parallelize(graph)          # a StateGraph or a compiled one
print(fast.parallel_report)        # what was done, and why not more
"""

from __future__ import annotations

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import ALL, Effects, Evidence, effects
from langgraph_parallel.errors import (
    AnalysisError,
    EquivalenceError,
    ParallelError,
    RewriteError,
)
from langgraph_parallel.inference import infer_effects
from langgraph_parallel.inference.llm import LLMAnalyzer
from langgraph_parallel.inference.trace import Recording, record
from langgraph_parallel.parallelize import explain, parallelize
from langgraph_parallel.report import ParallelReport

__all__ = (
    "ALL",
    "AnalysisError",
    "Effects",
    "EquivalenceError",
    "Evidence",
    "LLMAnalyzer",
    "ParallelConfig",
    "ParallelError",
    "ParallelReport",
    "Recording",
    "RewriteError",
    "effects",
    "explain",
    "infer_effects",
    "parallelize",
    "record",
)
