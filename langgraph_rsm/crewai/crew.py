"""From a crew to all models that its run may call, wherever they hang, each of them scheduled.

Models are found by looking through the objects of CrewAI that the crew reaches, so that a new place
for a model is no hole: agents that only a task names, managers, planners, guardrails, memory,
tools. Where CrewAI would make a model from a name when it is needed, it is made now.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph_rsm.crewai.calls import schedule_embedder, schedule_llm
from langgraph_rsm.errors import ConfigError

if TYPE_CHECKING:
    from langgraph_rsm.runtime.scheduler import Scheduler

C = TypeVar("C")
_log = logging.getLogger(__name__)


def schedule_crew(
    crew: C, *, scheduler: Scheduler | str | None = None, capacity: int | None = None
) -> C:
    """Schedule every model that a crew reaches, in place; models done before are skipped.

    Args:
        crew: A `crewai.Crew`.
        scheduler: Shared with all models whose calls compete, or its name (see `get_scheduler`);
            None takes the process-global one.
        capacity: Most calls in flight at each endpoint; None as for `Engine`.

    Returns:
        The same crew.

    Raises:
        ConfigError: It is not a crew.
    """
    if getattr(crew, "agents", None) is None or getattr(crew, "tasks", None) is None:
        msg = f"schedule_crew({type(crew).__name__}) needs a crewai.Crew"
        raise ConfigError(msg)
    from crewai.llms.base_llm import BaseLLM
    from crewai.memory.unified_memory import Memory

    _name_planner(crew)
    for found in list(_reached(crew)):
        if isinstance(found, BaseLLM):
            schedule_llm(found, scheduler=scheduler, capacity=capacity)
            continue
        if isinstance(found, Memory):
            _schedule_memory(found, scheduler=scheduler, capacity=capacity)
            continue
        for model in _made(found):
            schedule_llm(model, scheduler=scheduler, capacity=capacity)
    return crew


def _reached(crew: Any) -> Iterator[Any]:
    """Yield the objects of CrewAI that a crew reaches, itself among them."""
    queue, seen = [crew], set()
    while queue:
        value = queue.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            queue += value.values()
        elif isinstance(value, (list, tuple, set, frozenset)):
            queue += value
        elif not isinstance(value, type) and any(
            base.__module__.partition(".")[0] == "crewai" for base in type(value).__mro__
        ):
            yield value
            queue += [*vars(value).values()] if hasattr(value, "__dict__") else []
            queue += (getattr(value, "__pydantic_private__", None) or {}).values()


def _made(holder: Any) -> Iterator[Any]:
    """Make the models that an object has by name, put them in their place and yield them."""
    from crewai.llms.base_llm import BaseLLM
    from crewai.utilities.llm_utils import create_llm

    for name in getattr(type(holder), "model_fields", {}):
        if not name.endswith("llm") or isinstance(holder, BaseLLM):
            continue
        if isinstance(getattr(holder, name, None), str):
            try:
                model = create_llm(getattr(holder, name))
            except Exception as error:  # the kickoff will say so, as without us
                _log.warning("%s of a crew is not scheduled: %s", name, type(error).__name__)
                continue
            setattr(holder, name, model)
            yield model


def _name_planner(crew: Any) -> None:
    """Put the model that CrewAI takes for planning where the user names none."""
    if getattr(crew, "planning", False) and crew.planning_llm is None:
        from crewai.utilities.planning_handler import CrewPlanner

        crew.planning_llm = CrewPlanner(tasks=[]).planning_agent_llm


def _schedule_memory(
    memory: Any, *, scheduler: Scheduler | str | None, capacity: int | None
) -> None:
    """Schedule what a memory makes when it is first used: its model and its embedder."""
    try:
        schedule_llm(memory._llm, scheduler=scheduler, capacity=capacity)
        embedder = schedule_embedder(memory._embedder, scheduler=scheduler, capacity=capacity)
        memory._embedder_instance = embedder
    except RuntimeError as error:  # the first use will say so, as without us
        _log.warning("A memory of a crew is not scheduled: %s", error)
