"""CrewAI: schedule the models of a crew, in place, without their noticing.

One kickoff of a crew is one program; each task is a branch of it.
"""

from __future__ import annotations

from langgraph_rsm.crewai.calls import schedule_embedder, schedule_llm
from langgraph_rsm.crewai.crew import schedule_crew

__all__ = ("schedule_crew", "schedule_embedder", "schedule_llm")
