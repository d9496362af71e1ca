"""The research team: commits finished steps in plan order and starts all whose needs are met.

    research_team --Send--> researcher  (step 1) --+
         |        --Send--> researcher  (step 2) --+--> research_team --Send--> analyst (step 3) ...
         |        --Send--> coder       (step 4) --+
         +--> planner, as DeerFlow's own router says, when all are done

Steps of one round run in one superstep as LangGraph tasks under the names of DeerFlow's nodes, so
streams, checkpoints and resuming know them. What a step returns waits in a channel of its own until
all steps before it have been committed.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.types import Command, Send

from langgraph_parallel.adapters.deerflow.declared import declared
from langgraph_parallel.adapters.deerflow.steps import (
    EMPTY,
    Merge,
    Sees,
    ancestors,
    fingerprint,
    step_state,
    to_tasks,
)
from langgraph_parallel.plan.planner import ParallelPlanner

PROGRESS: Final = "parallel_research"
"""The channel that holds dependencies and what has not been committed yet."""
_STEP: Final = "parallel_step"
"""Key of a private state that says which step it is for."""
_log = logging.getLogger(__name__)


def join_progress(there: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Fold what a step or the team says into the progress of a plan; a new plan starts afresh.

    So does the same plan when it is carried out again: it has another `run`.
    """
    if not there or (there["plan"], there.get("run")) != (new["plan"], new.get("run")):
        return new
    return {**there, **new, "results": {**there["results"], **new["results"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What the nodes of one rewritten graph share."""

    name: str
    """The node that hands out steps."""
    original: Runnable[Any, Any]
    """What that node ran before."""
    path: Runnable[Any, Any]
    """DeerFlow's router after it."""
    ends: Mapping[Any, str] | None
    """What the router's answers mean; None when they are names of nodes."""
    workers: frozenset[str]
    """Nodes that carry out a step and return to the team."""
    folding: frozenset[str]
    """Keys of the state whose channel folds updates."""
    planner: ParallelPlanner
    sees: Sees
    merge: Merge
    one_at_a_time: frozenset[str]
    """Workers whose steps run in the plan's order, never two of them together."""

    async def commit(self, state: dict[str, Any], config: RunnableConfig) -> list[Any] | None:
        """Write what finished steps returned to the state, in plan order; the node `name`."""
        updates = []
        progress = state.pop(PROGRESS, None) or {}
        if (own := await self.original.ainvoke(state, config)) is not None:
            updates.append(own)
        plan = state.get("current_plan")
        if not _steps_of(plan):
            return updates or None
        mark = fingerprint(plan, state.get("plan_iterations"))
        if progress.get("plan") != mark or not _belongs(progress, plan, _superstep(config)):
            progress = {"plan": mark, "run": _superstep(config), "results": {}}
        after = progress.get("after") or await self._dependencies(plan, state)
        written: dict[str, Any] = {"current_plan": copy.deepcopy(plan)}
        turn, leave = self._collect(progress, state, written)
        committed = {i: {"result": outcome["result"]} for i, outcome in turn}
        update = {
            "plan": mark,
            "run": progress.get("run"),
            "after": after,
            "results": committed,
            "leave": leave,
            "ended": None,
        }
        # One command for each step: the reducers fold them one by one, as they did before.
        updates += [Command(update=outcome["folds"]) for _, outcome in turn if outcome["folds"]]
        return [*updates, Command(update={**written, PROGRESS: update})]

    def _collect(
        self,
        progress: Mapping[str, Any],
        state: Mapping[str, Any],
        written: dict[str, Any],
    ) -> tuple[list[tuple[int, dict[str, Any]]], str | None]:
        """Put results of the steps whose turn it is into `written` and the plan that it holds.

        Returns:
            Those steps with what they returned, and where DeerFlow's node went instead of back to
            the team, if one did.
        """
        turn: list[tuple[int, dict[str, Any]]] = []
        for i, step in enumerate(written["current_plan"].steps):
            outcome = progress["results"].get(i)
            if outcome is None and not step.execution_res:
                break
            if outcome is None or "values" not in outcome:
                continue  # committed before
            step.execution_res = outcome["result"]
            written.update(outcome["values"])
            for key, value in outcome["lists"].items():
                there = list(written.get(key, state.get(key)) or [])
                add = self.merge if key == "citations" else _append
                written[key] = add(there, value)
            turn.append((i, outcome))
            if outcome["goto"] is not None:
                return turn, outcome["goto"]
        return turn, None

    async def _dependencies(self, plan: Any, state: Mapping[str, Any]) -> list[list[int]]:
        """Return the steps that each step waits for; all earlier ones when nobody can say."""
        try:
            needs = declared(plan, state.get("messages") or ())
            found = await self.planner.aoptimize(
                {"goal": str(plan.title), "tasks": to_tasks(plan, needs)}
            )
        except Exception as error:
            # Slower is better than no report.
            _log.warning("The plan stays in order: %s while it was analyzed", type(error).__name__)
            return [[i - 1] if i else [] for i in range(len(plan.steps))]
        _log.info(
            "A plan of %d steps is carried out in %d rounds (%d tokens): %s",
            len(found),
            len(found.batches),
            found.cost_tokens,
            "; ".join(found.notes) or "nothing to note",
        )
        return [list(positions) for positions in found.predecessors]

    async def route(self, state: dict[str, Any], config: RunnableConfig) -> Any:
        """Return the steps that can start, or where DeerFlow goes when there are none."""
        progress = state.pop(PROGRESS, None) or {}
        plan = state.get("current_plan")
        if plan is None or not _steps_of(plan) or "after" not in progress:
            return await self._ask(state, config)
        mark = fingerprint(plan, state.get("plan_iterations"))
        if progress["plan"] != mark or not _agrees(progress, plan):
            return await self._ask(state, config)  # somebody has put another plan in its place
        if progress["leave"]:
            return progress["leave"]
        results = {i: step.execution_res for i, step in enumerate(plan.steps) if step.execution_res}
        results |= {i: outcome["result"] for i, outcome in progress["results"].items()}
        ready = await self._ready(state, config, progress, results)
        limit = self.planner.config.max_concurrency
        if config.get("configurable", {}).get("interrupt_before_tools"):
            limit = 1  # a person is asked one question at a time
        return ready[:limit] or await self._ask(_without_empty(state, results), config)

    async def _ready(
        self,
        state: Mapping[str, Any],
        config: RunnableConfig,
        progress: Mapping[str, Any],
        results: Mapping[int, str],
    ) -> list[Send]:
        after = progress["after"]
        ready: list[Send] = []
        busy: set[str] = set()  # have an earlier step to do, and take one at a time
        for i in range(len(after)):
            if i in results:
                continue
            target = await self._ask(step_state(state, results, (), i), config)
            if target not in self.workers:
                break  # when its turn comes DeerFlow leaves the team, so nothing after it is due
            if target in busy:
                continue
            if target in self.one_at_a_time:
                busy.add(target)
            if all(j in results for j in after[i]):
                seen = ancestors(after, i) if self.sees == "dependencies" else _before(i, results)
                private = step_state(state, results, seen, i)
                mark = [progress["plan"], progress.get("run"), i]
                ready.append(Send(target, {**private, _STEP: mark}))
        return ready

    async def _ask(self, state: Mapping[str, Any], config: RunnableConfig) -> Any:
        answer = await self.path.ainvoke(dict(state), config)
        return self.ends.get(answer, answer) if self.ends else answer

    def step(self, original: Runnable[Any, Any]) -> Callable[..., Any]:
        """Return the node that carries out one step with a node of DeerFlow."""

        async def carry_out(state: dict[str, Any], config: RunnableConfig) -> Any:
            mark, run, i = state.get(_STEP) or _first_open(state)
            if i is None:
                return await original.ainvoke(state, config)
            if _STEP not in state:
                # A thread that was paused before the graph was rewritten: the next step in order.
                done = {j: state["current_plan"].steps[j].execution_res for j in range(i)}
                state = step_state(state, done, range(i), i)
            given = {key: value for key, value in state.items() if key != _STEP}
            plan = copy.deepcopy(given["current_plan"])  # a retry starts from the same
            answer = await original.ainvoke({**given, "current_plan": plan}, config)
            outcome = self._outcome(given, plan, answer)
            if not outcome["result"]:
                _log.warning("Step %d of the plan gave no result", i + 1)
            ended = _superstep(config)
            progress = {"plan": mark, "run": run, "results": {i: outcome}, "ended": ended}
            return Command(update={PROGRESS: progress}, goto=self.name)

        return carry_out

    def _outcome(self, given: Mapping[str, Any], plan: Any, answer: Any) -> dict[str, Any]:
        """Return what a step changed, sorted by how it is to be merged."""
        update, goto = dict(_updates(answer)), getattr(answer, "goto", self.name)
        plan = update.pop("current_plan", None) or plan
        outcome: dict[str, Any] = {
            "result": str(plan.steps[-1].execution_res or ""),
            "values": {},
            "lists": {},
            "folds": {key: value for key, value in update.items() if key in self.folding},
            "goto": None if goto in (self.name, (self.name,), [self.name], (), []) else goto,
        }
        for key, value in update.items():
            if key in ("observations", "citations") and key not in self.folding:
                outcome["lists"][key] = list(value)[len(given.get(key) or ()) :]
            elif key not in self.folding and value != given.get(key):
                outcome["values"][key] = value
        return outcome


def _updates(answer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys that a node's answer writes."""
    update = answer.update if isinstance(answer, Command) else answer
    if isinstance(update, Mapping):
        yield from update.items()
    elif update is not None:
        yield from update


def _append(there: list[Any], new: list[Any]) -> list[Any]:
    return [*there, *new]


def _before(index: int, results: Mapping[int, str]) -> Sequence[int]:
    return [i for i in range(index) if i in results]


def _steps_of(plan: Any) -> Any:
    return getattr(plan, "steps", None)


def _superstep(config: RunnableConfig) -> int | None:
    """Return the number of the running superstep of the thread; None outside of a graph."""
    return (config.get("metadata") or {}).get("langgraph_step")


def _belongs(progress: Mapping[str, Any], plan: Any, now: int | None) -> bool:
    """Tell whether progress is that of the plan in the state, and not of the same plan before.

    It is when its steps have ended just now. Else, after a stop, what was committed has to stand in
    the plan.
    """
    ended = progress.get("ended")
    if ended is not None and now is not None and ended == now - 1:
        return True
    return bool(_committed(progress)) and _agrees(progress, plan)


def _agrees(progress: Mapping[str, Any], plan: Any) -> bool:
    """Tell whether every result that was committed stands in the plan."""
    return all(plan.steps[i].execution_res == text for i, text in _committed(progress).items())


def _committed(progress: Mapping[str, Any]) -> dict[int, str]:
    """Return the texts that were written to the plan; empty ones are as if not written."""
    results = progress["results"].items()
    return {i: o["result"] for i, o in results if "values" not in o and o["result"]}


def _first_open(state: Mapping[str, Any]) -> tuple[str, int | None, int | None]:
    plan = state.get("current_plan")
    for i, step in enumerate(_steps_of(plan) or ()):
        if not step.execution_res:
            return fingerprint(plan, state.get("plan_iterations")), None, i
    return "", None, None


def _without_empty(state: Mapping[str, Any], results: Mapping[int, str]) -> dict[str, Any]:
    """Return the state with a text for every finished step, for a router that looks for none."""
    plan = copy.deepcopy(state["current_plan"])
    for i in results:
        plan.steps[i].execution_res = results[i] or EMPTY
    return {**state, "current_plan": plan}
