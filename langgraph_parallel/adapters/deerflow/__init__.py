"""From DeerFlow's one-step-at-a-time research team to one that runs independent steps together.

from src.graph.builder import _build_base_graph        # DeerFlow 1.x, unchanged
from langgraph_parallel.adapters import deerflow

graph = deerflow.parallelize(_build_base_graph()).compile(checkpointer=saver)

DeerFlow's own researcher, analyst and coder nodes do the work. What is *not* the same as before is
what a step is told: DeerFlow shows every step the findings of all steps before it, here it sees the
findings of those it depends on (`sees="dependencies"`) or of all that have finished when it starts
(`sees="finished"`). Whoever wants the very same prompts keeps DeerFlow as it is: they order all
steps. Steps of the coder run one at a time, as its Python interpreter is one a process
(`one_at_a_time=`). `ask_planner=True` lets DeerFlow's planner say itself which steps need which; a
model can be asked instead: `analyzers={"llm": LLMDependencies(model)}`. Messages, observations,
citations and results are committed in the order of the plan.

DeerFlow is not imported; its graph, `Plan` and `Step` are known by their shape.
"""

from __future__ import annotations

from langgraph_parallel.adapters.deerflow.rewrite import parallelize
from langgraph_parallel.adapters.deerflow.steps import Sees, to_plan, to_tasks

__all__ = ("Sees", "parallelize", "to_plan", "to_tasks")
