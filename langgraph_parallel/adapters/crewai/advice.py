"""From a crew to the smallest changes that would let more of its tasks run together.

Each change is tried on the order alone: the plan is made again as if its cause were not there. What
that gains is what the report predicts; whether the change is right, only the author of the crew
knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from langgraph_parallel.adapters.crewai.order import (
    Cause,
    Settings,
    find_refusal,
    is_implicit,
    plan_crew,
    tools_of,
)
from langgraph_parallel.effects import ALL
from langgraph_parallel.plan.plan import ParallelPlan

_LEAST_GAIN: Final = 0.01
"""Predicted speed-up below which a change is not worth a line."""
_REMEDIES: Final[Mapping[Cause, str]] = {
    "memory": "memory=False (what a task remembers may come from any task before it)",
    "allow_delegation": "allow_delegation=False in the agents (who is asked may do anything)",
    "allow_code_execution": "allow_code_execution=False in the agents",
    "apps": "no `apps` in the agents (or read_only_tools= and plain tools)",
    "mcps": "no `mcps` in the agents (or read_only_tools= and plain tools)",
    "output": "config=ParallelConfig(unknown_calls='independent') (no tool looks at the files that"
    " tasks write, or at what callbacks do)",
}
_SHAPES: Final[Mapping[str, str]] = {
    "hierarchical": "process=Process.sequential",
    "streamed": "stream=False in the models",
    "hooks": "run it without the hooks",
    "checkpoints": "run it without `checkpoint`",
}


def advise(crew: Any, settings: Settings, plan: ParallelPlan) -> tuple[str, ...]:
    """Return a line for each change that gains something, with what it gains.

    Args:
        crew: The crew; it is not changed.
        settings: How it is to be made parallel.
        plan: What `plan_crew` says of the two.
    """
    if len(plan) < 2:
        return ("hint: a crew of one task has nothing to run together",)
    remedies = {**_REMEDIES, **_remedies_of(crew, settings)}
    lines = [
        f"hint: {'; and '.join(remedies[cause] for cause in causes)}"
        f": up to {gained.speedup:.2f}x instead of {plan.speedup:.2f}x (tasks of the same length)"
        for causes, gained in _trials(crew, settings, plan, list(remedies))
    ]
    if not lines and plan.speedup < 1 + _LEAST_GAIN:
        lines = ["hint: every task needs those before it; no setting frees one"]
    return tuple(lines)


def _remedies_of(crew: Any, settings: Settings) -> dict[Cause, str]:
    """Return the changes that name parts of this crew."""
    found: dict[Cause, str] = {}
    implicit = [str(k) for k, task in enumerate(crew.tasks, 1) if k > 1 and is_implicit(task)]
    if implicit and settings.contexts == "exact":
        named = ", ".join(implicit)
        found["context"] = (
            f"context=[those that it needs] in task {named} (without, it gets all outputs before"
            " it; [] for none), or contexts='relaxed'"
        )
    known = settings.read_only_tools
    tools = {tool.name: None for task in crew.tasks for tool in tools_of(task)}
    unknown = [name for name in tools if known is not ALL and name not in known]
    if unknown:
        shown = ", ".join(map(repr, sorted({*unknown, *(() if known is ALL else known)})))
        found["tools"] = f"read_only_tools={{{shown}}}, if these only read"
    if reason := find_refusal(crew):
        remedy = next((text for word, text in _SHAPES.items() if word in reason), "")
        found["refusal"] = f"{remedy or 'another kind of run'} ({reason})"
    return found


def _trials(
    crew: Any, settings: Settings, plan: ParallelPlan, causes: list[Cause]
) -> Iterator[tuple[tuple[Cause, ...], ParallelPlan]]:
    """Yield each cause without which a plan is faster, and the fewest for the fastest plan.

    One trial for each cause, and one more for each to find the fewest.
    """

    def without(chosen: list[Cause]) -> ParallelPlan:
        return plan_crew(crew, replace(settings, without=frozenset(chosen)))

    fastest = without(causes)
    alone = plan.speedup
    for cause in causes:
        gained = without([cause])
        if gained.speedup > plan.speedup + _LEAST_GAIN:
            alone = max(alone, gained.speedup)
            yield (cause,), gained
    if fastest.speedup <= alone + _LEAST_GAIN:
        return
    needed = list(causes)
    for cause in causes:
        fewer = [other for other in needed if other != cause]
        if without(fewer).speedup >= fastest.speedup:
            needed = fewer
    yield tuple(needed), fastest
