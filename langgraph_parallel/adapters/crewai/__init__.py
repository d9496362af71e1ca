"""From a sequential CrewAI crew to one whose independent tasks run together.

from langgraph_parallel.adapters import crewai

crew = crewai.parallelize(crew)                 # or, for every crew, also inside Flows:
with crewai.parallel_crews():
    flow.kickoff()
print(crewai.explain(crew))                     # which task waits for which, why, what frees it

The answers stay those of the sequential crew: a task gets the same context, and callbacks,
guardrails, output files and the log see tasks end in their order. A task whose `context` is not
given gets the outputs of *all* tasks before it, so it waits for them; give tasks a `context` (`[]`
for none), or say `contexts="relaxed"` and let the analyzers find out what it needs. What is not
held back are events: those of tasks that run together mix, each with the id of its task.

CrewAI 1.15 or newer; it is imported when it is used.
"""

from __future__ import annotations

from langgraph_parallel.adapters.crewai.install import explain, parallel_crews, parallelize
from langgraph_parallel.adapters.crewai.order import Contexts, to_tasks

__all__ = ("Contexts", "explain", "parallel_crews", "parallelize", "to_tasks")
