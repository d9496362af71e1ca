"""From a sequential plan to a parallel one: read, check, ask the analyzers in turn, reduce.

    plan -> tasks -> explicit -> heuristic -> llm -> ParallelPlan

The first strategy that decides on a pair is believed; what none of them decides stays in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import PlanError
from langgraph_parallel.plan.dependencies import Decision, DependencyAnalyzer, Findings
from langgraph_parallel.plan.explicit import ExplicitAnalyzer, check_dependencies, index_tasks
from langgraph_parallel.plan.plan import ParallelPlan, build_plan
from langgraph_parallel.plan.reading import read_any
from langgraph_parallel.plan.references import References, parse_references
from langgraph_parallel.plan.task import Task


class ParallelPlanner:
    """Finds out which tasks of a plan may run at the same time.

    Args:
        config: Choices, above all `strategies`; None means the default ones.
        analyzers: Strategies beside the built-in `explicit` and `heuristic`, by the name that
            `config.strategies` uses, such as `{"llm": LLMDependencies(model)}`.

    Raises:
        PlanError: If `config.strategies` names a strategy that is neither built in nor given.
    """

    def __init__(
        self,
        config: ParallelConfig | None = None,
        *,
        analyzers: Mapping[str, DependencyAnalyzer] | None = None,
    ) -> None:
        self.config = config or ParallelConfig()
        self._analyzers = dict(analyzers or {})
        known = {"explicit", "heuristic", *self._analyzers}
        for name in self.config.strategies:
            if name not in known:
                remedy = (
                    "give it a model: analyzers={'llm': LLMDependencies(model)}"
                    if name == "llm"
                    else "pass it as ParallelPlanner(analyzers={name: analyzer})"
                )
                msg = f"`strategies` names {name!r}, which is not there; {remedy}."
                raise PlanError(msg)

    def optimize(self, plan: Any) -> ParallelPlan:
        """Return a plan with the fewest dependencies that are known, or possible, to matter.

        Args:
            plan: A list of strings, dicts or `Task`s, JSON text, a DeerFlow `Plan` or a CrewAI
                `Crew`; see `read_plan`. A `ParallelPlan` is returned as it is.

        Raises:
            PlanError: If it is not a plan, or its references or declared dependencies are wrong.
        """
        if isinstance(plan, ParallelPlan):
            return plan
        listed, goal = read_any(plan)
        references = self.parse(listed)
        tasks = check_dependencies(listed, references)
        index = index_tasks(tasks)
        decided = _Decided(index)
        notes: list[str] = []
        cost_tokens = 0
        for name in ("explicit", *(n for n in self.config.strategies if n != "explicit")):
            if name != "explicit" and not decided.is_open:
                break
            findings = self._analyzer(name, references).analyze(tasks, goal=goal)
            decided.add(findings)
            notes += findings.notes
            cost_tokens += findings.cost_tokens
        return build_plan(
            tasks,
            decided.decisions,
            frozenset(decided.complete),
            goal=goal,
            notes=tuple(notes),
            cost_tokens=cost_tokens,
            references=references,
        )

    async def aoptimize(self, plan: Any) -> ParallelPlan:
        """Do the same in another thread: an analyzer may call a model."""
        return await asyncio.to_thread(self.optimize, plan)

    def parse(self, tasks: Sequence[Task]) -> dict[str, References]:
        """Return the references of each task, by id.

        Raises:
            PlanError: If two tasks have the same id, or a reference names an unknown task.
        """
        index = index_tasks(tasks)
        styles = self.config.reference_styles
        return {task.id: parse_references(task, index, styles) for task in tasks}

    def _analyzer(self, name: str, references: Mapping[str, References]) -> DependencyAnalyzer:
        if name in self._analyzers:
            return self._analyzers[name]
        if name == "explicit":
            return ExplicitAnalyzer(
                references, complete_references=self.config.references == "complete"
            )
        heuristic = import_module("langgraph_parallel.plan.heuristic")
        analyzer: DependencyAnalyzer = heuristic.HeuristicAnalyzer()
        return analyzer


class _Decided:
    """Decisions so far; the first on a pair stands."""

    def __init__(self, index: Mapping[str, int]) -> None:
        self._index = index
        self.decisions: dict[tuple[int, int], Decision] = {}
        self.complete: set[int] = set()

    @property
    def is_open(self) -> bool:
        """Whether some pair has no decision yet."""
        open_tasks = [j for j in range(len(self._index)) if j not in self.complete]
        counts = dict.fromkeys(open_tasks, 0)
        for _, j in self.decisions:
            if j in counts:
                counts[j] += 1
        return any(count < j for j, count in counts.items())

    def add(self, findings: Findings) -> None:
        """Add what an analyzer found on open pairs.

        Raises:
            PlanError: If a decision is not on a pair of the plan, the earlier one first.
        """
        closed = frozenset(self.complete)
        for decision in findings.decisions:
            i, j = self._index.get(decision.earlier, -1), self._index.get(decision.later, -1)
            if not 0 <= i < j:
                msg = (
                    f"An analyzer decided on {decision.earlier!r} before {decision.later!r}, which"
                    " is no pair of the plan in its order."
                )
                raise PlanError(msg)
            if j not in closed:
                self.decisions.setdefault((i, j), decision)
        self.complete |= {self._index[name] for name in findings.complete}
