"""The two forms of a graph, and the ways in which the parallel one is run."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel.equivalence.outcome import Facts, Outcome, Trial, facts_of, run_once
from langgraph_parallel.parallelize import parallelize

Graph: TypeAlias = StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any]
Compiled: TypeAlias = CompiledStateGraph[Any, Any, Any, Any]

_LONGEST_DELAY_S: Final = 0.003
"""Long against the time between two starts in one superstep (0.2 to 0.4 ms), short for a suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is asked of both forms."""

    inputs: Sequence[Any]
    mode: Literal["fanout", "exact"]
    options: Mapping[str, Any]
    """Further arguments of `parallelize`."""
    schedules: int
    """How many runs with delays each input gets (>= 0)."""
    resume: Sequence[Any] | None
    """Answers to interrupts; None means that runs are not saved, and so cannot pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One way to run the parallel form."""

    max_concurrency: int | None = None
    """Nodes at a time; None means LangGraph's own choice."""
    seed: int | None = None
    """Seed of the delays that nodes which share a superstep get; None means no delays."""

    def config(self, facts: Facts) -> dict[str, Any]:
        """Return the configuration of a run that is made like this."""
        if self.max_concurrency is not None:
            return {"max_concurrency": self.max_concurrency}
        return {} if self.seed is None else {"callbacks": [_Delays(self.seed, facts.together)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one form."""

    given: int
    """Which of the inputs."""
    schedule: Schedule | None
    """How the parallel form is run; None means the original form."""


def runs_of(case: Case, facts: Facts) -> Iterator[Run]:
    """Yield the runs of a case: for each input the original form, then the parallel one."""
    for given in range(len(case.inputs)):
        yield Run(given=given, schedule=None)
        for schedule in schedules_of(case, facts):
            yield Run(given=given, schedule=schedule)


def schedules_of(case: Case, facts: Facts) -> Iterator[Schedule]:
    """Yield the ways in which the parallel form is run, the plain one first."""
    yield Schedule()
    if facts.is_parallel:
        if not facts.starts_tasks:  # a node that waits for a task would hold the only place
            yield Schedule(max_concurrency=1)
        for seed in range(case.schedules):
            yield Schedule(seed=seed)


def original(graph: Graph) -> Compiled:
    """Return the original form of a graph, ready to run."""
    return graph.compile() if isinstance(graph, StateGraph) else graph


def rewritten(graph: Graph, case: Case) -> tuple[Compiled, Facts]:
    """Return the parallel form of a graph, ready to run, and the facts of its report."""
    made = parallelize(graph, mode=case.mode, **case.options)
    after = original(made)
    report = after.parallel_report  # type: ignore[attr-defined]
    return after, facts_of(report)


def make_run(graph: Compiled, run: Run, case: Case, trial: Trial, facts: Facts) -> Outcome:
    """Make one run with a form of the graph, and return what it showed."""
    config = {} if run.schedule is None else run.schedule.config(facts)
    return run_once(graph, case.inputs[run.given], replace(trial, config=config), facts)


class _Delays(BaseCallbackHandler):
    """Holds up some nodes before they start, on the thread that runs them."""

    def __init__(self, seed: int, nodes: frozenset[str]) -> None:
        self._rng = random.Random(seed)
        self._nodes = nodes

    def on_chain_start(self, *_args: Any, metadata: Any = None, **options: Any) -> None:
        node = (metadata or {}).get("langgraph_node")
        if node in self._nodes and options.get("name") == node:
            time.sleep(self._rng.uniform(0, _LONGEST_DELAY_S))
