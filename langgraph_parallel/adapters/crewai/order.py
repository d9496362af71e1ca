"""Which tasks of a crew wait for which, by what CrewAI itself lets flow from one to the other.

A task waits for the tasks in its `context`; one that acts on the world waits for all before it, as
each of those may fail; one that looks at the world waits for those that may change it. What the
user already lets run at the same time (`async_execution`) stays so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.plan.dependencies import Decision, DependencyAnalyzer, Findings
from langgraph_parallel.plan.plan import ParallelPlan, build_plan
from langgraph_parallel.plan.planner import ParallelPlanner
from langgraph_parallel.plan.task import Task

Contexts: TypeAlias = Literal["exact", "relaxed"]
"""What a task without a `context` gets: the outputs of all tasks before it, as in CrewAI, or of
those that the analyzers say it needs."""


Cause: TypeAlias = Literal[
    "context",
    "tools",
    "memory",
    "allow_delegation",
    "allow_code_execution",
    "apps",
    "mcps",
    "output",
    "refusal",
]
"""What orders tasks and can be changed by whoever makes the crew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How crews are made parallel."""

    contexts: Contexts = "exact"
    read_only_tools: Keys = frozenset()
    """Names of tools that change nothing; `ALL` for every tool."""
    config: ParallelConfig = field(default_factory=ParallelConfig)
    analyzers: Mapping[str, DependencyAnalyzer] = field(default_factory=dict)
    without: frozenset[Cause] = frozenset()
    """Causes of order that are left out of account, to see what it would gain to remove them."""


def to_tasks(crew: Any) -> list[Task]:
    """Return a crew's tasks with the ids `1`, `2` and so on, and the dependencies that it implies.

    `metadata` has the `name` of a task and the `agent`'s role.
    """
    order = CrewOrder(crew, Settings())
    return [
        task.model_copy(update={"depends_on": tuple(str(i + 1) for i in sorted(reasons))})
        for task, reasons in zip(_describe(crew), order.reasons, strict=True)
    ]


def _describe(crew: Any) -> list[Task]:
    return [
        Task(
            id=str(number),
            description=task.description,
            expected_output=task.expected_output,
            metadata={"name": task.name, "agent": task.agent.role if task.agent else None},
        )
        for number, task in enumerate(crew.tasks, start=1)
    ]


def plan_crew(crew: Any, settings: Settings) -> ParallelPlan:
    """Return the dependencies between a crew's tasks; a chain with a note where all are ordered."""
    tasks = _describe(crew)
    reason = find_refusal(crew)
    if reason and "refusal" not in settings.without:
        return build_plan(tasks, {}, notes=(f"in order: {reason}",))
    config = settings.config
    rest = config.strategies if settings.contexts == "relaxed" else ()
    strategies = ("explicit", "crew", *(name for name in rest if name != "explicit"))
    planner = ParallelPlanner(
        config.model_copy(update={"strategies": strategies, "reference_styles": ()}),
        analyzers={**settings.analyzers, "crew": CrewOrder(crew, settings)},
    )
    return planner.optimize(tasks)


def find_refusal(crew: Any) -> str:
    """Return why a crew's tasks keep their order altogether; empty when they need not."""
    from crewai import Process
    from crewai.hooks.dispatch import InterceptionPoint, get_hooks, get_scoped_hooks

    if crew.process != Process.sequential:
        return "in a hierarchical crew the manager decides from what it has seen so far"
    if crew._train:
        return "in training a person answers to each task in turn"
    if crew.checkpoint or crew.checkpoint_kickoff_event_id is not None:
        return "CrewAI's checkpoints know of one running task"
    if any(getattr(agent.llm, "stream", False) for agent in crew.agents):
        return "answers are streamed, and chunks of two tasks would mix"
    live = [p for p in InterceptionPoint if p.name.startswith(("PRE_", "POST_"))]
    if hooked := [p.value for p in live if get_hooks(p) or get_scoped_hooks(p)]:
        return f"hooks are registered ({', '.join(hooked)}) and would be called in another order"
    return ""


class CrewOrder:
    """The analyzer that knows CrewAI's rules.

    Args:
        crew: The crew; it is not changed.
        settings: Choices.
    """

    def __init__(self, crew: Any, settings: Settings) -> None:
        self._tasks: Sequence[Any] = crew.tasks
        self._crew = crew
        self._settings = settings
        self._acts = [self._action(task) for task in crew.tasks]
        self._looks = [bool(tools_of(task)) for task in crew.tasks]
        self.reasons = [self._needs(j) for j in range(len(crew.tasks))]
        """For each task the positions of those it waits for, with the reason."""

    def analyze(self, tasks: Sequence[Task], *, goal: str = "") -> Findings:  # noqa: ARG002
        """Decide on the pairs that CrewAI's rules order; pairs of an open context stay open."""
        return Findings(
            decisions=tuple(
                Decision(
                    earlier=tasks[i].id,
                    later=tasks[j].id,
                    ordered=True,
                    source="declared",
                    reason=reason,
                )
                for j, reasons in enumerate(self.reasons)
                for i, reason in reasons.items()
            ),
            complete=frozenset(
                task.id
                for task, own in zip(tasks, self._tasks, strict=True)
                if not (is_implicit(own) and self._settings.contexts == "relaxed")
            ),
        )

    def _needs(self, j: int) -> dict[int, str]:
        task = self._tasks[j]
        needs: dict[int, str] = {}
        before = [i for i in range(j) if not self._run_together(i, j)]
        if reason := self._waits_for_all(task) or self._acts[j]:
            needs = dict.fromkeys(before, reason)
        if self._looks[j]:
            for i in before:
                if reason := self._acts[i] or self._changes(self._tasks[i]):
                    needs.setdefault(i, f"its tools may see what that one does: {reason}")
        for i in before:
            if _hands_on(self._tasks[i], task):
                needs.setdefault(i, "CrewAI hands a tool's answer on to the agent's next task")
        if isinstance(task.context, list):
            position = {id(other): i for i, other in enumerate(self._tasks[:j])}
            named = [position[id(other)] for other in task.context if id(other) in position]
            needs |= dict.fromkeys(named, "in its `context`")
        return needs

    def _waits_for_all(self, task: Any) -> str:
        from crewai.tasks.conditional_task import ConditionalTask

        if isinstance(task, ConditionalTask):
            return "its condition may look at anything before it"
        if task.human_input:
            return "a person is asked about it, and may look at anything before it"
        is_exact = self._settings.contexts == "exact" and "context" not in self._settings.without
        if is_implicit(task) and is_exact:
            return "it has no `context`, so it gets all outputs before it"
        return ""

    def _action(self, task: Any) -> str:
        """Return how a task may act on the world; empty when it cannot."""
        from crewai import Agent

        agent = task.agent
        if agent is None or not isinstance(agent, Agent):
            return "its agent is not CrewAI's own"
        without, settings = self._settings.without, self._settings
        if "memory" not in without and (self._crew._memory is not None or agent.memory):
            return "it uses memory"
        for name in ("allow_delegation", "allow_code_execution", "apps", "mcps"):
            if name not in without and getattr(agent, name, None):
                return f"its agent has `{name}`"
        known = ALL if "tools" in without else settings.read_only_tools
        if settings.config.unknown_calls == "independent":
            return ""
        unknown = [t.name for t in tools_of(task) if known is not ALL and t.name not in known]
        if unknown:
            return f"nothing says that the tool {unknown[0]!r} only reads (`read_only_tools=`)"
        return ""

    def _changes(self, task: Any) -> str:
        """Return how the end of a task may change what tools see; empty when it cannot."""
        if "output" in self._settings.without:
            return ""
        if task.output_file:
            return "it writes a file"
        is_trusted = self._settings.config.unknown_calls == "independent"
        return "it calls back" if is_visible(self._crew, task) and not is_trusted else ""

    def _run_together(self, i: int, j: int) -> bool:
        """Tell whether CrewAI itself runs the two at the same time."""
        return all(task.async_execution for task in self._tasks[i : j + 1])


def is_implicit(task: Any) -> bool:
    """Tell whether a task gets the outputs of all tasks before it."""
    from crewai.utilities.constants import NOT_SPECIFIED

    return task.context is NOT_SPECIFIED and not task.async_execution


def is_visible(crew: Any, task: Any) -> bool:
    """Tell whether the end of a task does something that others can see."""
    agent = task.agent
    return bool(
        task.callback
        or crew.task_callback
        or task.guardrail
        or task.guardrails
        or task.output_file
        or (agent and (agent.step_callback or crew.step_callback))
    )


def tools_of(task: Any) -> list[Any]:
    """Return the tools that a task may use."""
    return list(task.tools or (task.agent.tools if task.agent else None) or ())


def _hands_on(earlier: Any, later: Any) -> bool:
    is_same = earlier.agent is not None and earlier.agent is later.agent
    return is_same and any(getattr(tool, "result_as_answer", False) for tool in tools_of(earlier))
