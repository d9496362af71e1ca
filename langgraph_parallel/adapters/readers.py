"""How the planner tells a plan of another framework; the adapter itself is imported to read it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from langgraph_parallel.plan.reading import PlanReader
from langgraph_parallel.plan.task import Task


@dataclass(frozen=True, slots=True)
class CrewReader:
    """Reads the `Crew` of CrewAI."""

    def recognizes(self, plan: Any) -> bool:
        """Tell whether a plan is an instance of a class of CrewAI."""
        return any(base.__module__.partition(".")[0] == "crewai" for base in type(plan).__mro__)

    def read(self, plan: Any) -> tuple[list[Task], str]:
        """Return the tasks of a crew, which has no goal of its own."""
        adapter = import_module("langgraph_parallel.adapters.crewai")
        return list(adapter.to_tasks(plan)), ""


@dataclass(frozen=True, slots=True)
class DeerFlowReader:
    """Reads the `Plan` of DeerFlow."""

    def recognizes(self, plan: Any) -> bool:
        """Tell whether a plan looks like one of DeerFlow, which is not an installed package."""
        return hasattr(plan, "steps") and hasattr(plan, "has_enough_context")

    def read(self, plan: Any) -> tuple[list[Task], str]:
        """Return the steps of a plan as tasks, and its title."""
        adapter = import_module("langgraph_parallel.adapters.deerflow")
        return list(adapter.to_tasks(plan)), str(getattr(plan, "title", ""))


READERS: Final[tuple[PlanReader, ...]] = (CrewReader(), DeerFlowReader())
"""In the order in which they are asked."""
