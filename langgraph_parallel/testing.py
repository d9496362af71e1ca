"""Check in your own tests that `parallelize` does not change what your graph answers.

Both graphs are run on the same inputs, the parallel one also with one node at a time and with nodes
held up so that they end in other orders, and everything that a run shows is compared.
"""

from __future__ import annotations

import copy
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias
from uuid import uuid4

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from langgraph_parallel.errors import EquivalenceError
from langgraph_parallel.parallelize import parallelize
from langgraph_parallel.reading.runs import failed_node, stream_run, writes_of
from langgraph_parallel.report.report import ParallelReport

EffectsLog: TypeAlias = MutableSequence[Any] | Callable[[], Sequence[Any]]
"""A list that nodes append to, or a function that returns what was done since it was last asked."""

_LONGEST_DELAY_S: Final = 0.003
"""Long against the time between two starts in one superstep (0.2 to 0.4 ms), short for a suite."""


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """Everything that one run showed."""

    state: Any = None
    """The answer: the last state that the run gave out."""
    updates: dict[str, list[Any]] = field(default_factory=dict)
    """The updates of each channel, in the order in which they were folded into it."""
    interrupts: list[Any] = field(default_factory=list)
    """The values that were asked about, one list for each pause."""
    error: tuple[type, str] | None = None
    failed: str = ""
    """The node that raised `error`; empty when there is none or it is not known."""
    effects: list[Any] = field(default_factory=list)
    """What was done outside of the state, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """How one run is made."""

    resume: Sequence[Any] | None
    log: EffectsLog | None
    config: Mapping[str, Any] = field(default_factory=dict)


def assert_equivalent(
    graph: StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any],
    inputs: Iterable[Any],
    *,
    mode: Literal["fanout", "exact"] = "fanout",
    schedules: int = 2,
    effects_log: EffectsLog | None = None,
    resume: Sequence[Any] | None = None,
    **options: Any,
) -> int:
    """Run a graph and its parallel form on the same inputs and compare what comes out.

    Compared are the final state, the updates of every channel in the order in which they were
    folded, the interrupts, the error of a run that fails, and what `effects_log` saw. Values are
    compared with `==`, messages without their generated ids. Where nodes run together and several
    of them would fail, any of their errors will do, as LangGraph raises the first to come.

    Args:
        graph: A graph whose nodes can be run repeatedly. Each run gets a copy of its input. A
            checkpointer is not used: a run that is resumed gets one in memory.
        inputs: Inputs as given to `invoke`.
        mode: The mode of `parallelize`.
        schedules: How many runs with delays each input gets (>= 0).
        effects_log: What nodes do outside of the state: a list that they append to, which is
            emptied before each run, or a function that returns what was done since it was last
            called. Its order counts.
        resume: Answers to interrupts, in order; a run that pauses is resumed with them. None, the
            default, means that runs are not saved, and so cannot pause.
        **options: Further arguments of `parallelize`.

    Returns:
        How many runs of the parallel form were compared.

    Raises:
        EquivalenceError: If anything differs; the message shows both.
    """
    rewritten = parallelize(graph, mode=mode, **options)  # type: ignore[type-var]
    before, after = (g.compile() if isinstance(g, StateGraph) else g for g in (graph, rewritten))
    report: ParallelReport = after.parallel_report  # type: ignore[attr-defined]
    trial = _Trial(resume=resume, log=effects_log)
    compared = 0
    for given in inputs:
        expected = _run(before, given, trial, report)
        for config in _schedules(report, schedules):
            found = _run(after, given, replace(trial, config=config), report)
            compared += 1
            if difference := _difference(expected, found, report):
                msg = (
                    f"On input {given!r} {difference}; the original graph gave\n  {expected}\n"
                    f"and the parallel one\n  {found}\n\n{report}"
                )
                raise EquivalenceError(msg)
    return compared


def _schedules(report: ParallelReport, count: int) -> Iterator[dict[str, Any]]:
    yield {}
    if report.is_parallel:
        yield {"max_concurrency": 1}
        together = frozenset(_nodes_together(report))
        for seed in range(count):
            yield {"callbacks": [_Delays(seed, together)]}


def _nodes_together(report: ParallelReport) -> Iterator[str]:
    """Yield the nodes that share a superstep, by the name that they have in their own graph."""
    for part in report.regions:
        for level in part.levels:
            for name in level if len(level) > 1 else ():
                yield name.removeprefix(f"{part.host}/") if part.host else name


class _Delays(BaseCallbackHandler):
    """Holds up some nodes before they start, on the thread that runs them."""

    def __init__(self, seed: int, nodes: frozenset[str]) -> None:
        self._rng = random.Random(seed)
        self._nodes = nodes

    def on_chain_start(self, *_args: Any, metadata: Any = None, **options: Any) -> None:
        node = (metadata or {}).get("langgraph_node")
        if node in self._nodes and options.get("name") == node:
            time.sleep(self._rng.uniform(0, _LONGEST_DELAY_S))


def _difference(expected: _Outcome, found: _Outcome, report: ParallelReport) -> str:
    """Return what differs, in a few words, or an empty string."""
    if expected.effects != found.effects:
        return "other effects were logged, or in another order"
    if expected.interrupts != found.interrupts:
        return "other interrupts were raised"
    if expected.error is not None and found.error is not None:
        together = any({expected.failed, found.failed} <= level for level in _levels(report))
        return "" if expected.error == found.error or together else "another error was raised"
    if (expected.error, expected.state) != (found.error, found.state):
        return "the final states differ"
    keys = expected.updates.keys() | found.updates.keys()
    return next(
        (
            f"the updates of {key!r} differ"
            for key in sorted(keys)
            if expected.updates.get(key) != found.updates.get(key)
        ),
        "",
    )


def _levels(report: ParallelReport) -> Iterator[set[str]]:
    return (set(level) for part in report.regions for level in part.levels)


# -- one run -------------------------------------------------------------------------------------


def _run(
    graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, trial: _Trial, report: ParallelReport
) -> _Outcome:
    saver = None if trial.resume is None else InMemorySaver()
    graph = graph.copy({"checkpointer": saver})
    config = {**trial.config, "configurable": {"thread_id": str(uuid4())}}
    if trial.log is not None:
        _ask(trial.log)
    outcome = _Outcome()
    answers = iter(trial.resume or ())
    following: Any = _copy(given)
    try:
        while following is not None:
            chunks = stream_run(graph, following, config)
            pause = _take(chunks, outcome, report)
            if pause:
                outcome.interrupts.append(pause)
            # A marker, as an answer may be None.
            answer = next(answers, outcome) if pause else outcome
            following = None if answer is outcome else Command(resume=answer)
    except Exception as error:
        outcome = _Outcome(interrupts=outcome.interrupts, error=(type(error), str(error)))
        outcome.failed = failed_node(error)
    if trial.log is not None:
        outcome.effects = [_comparable(entry) for entry in _ask(trial.log)]
    return outcome


def _take(chunks: Sequence[Any], outcome: _Outcome, report: ParallelReport) -> list[Any]:
    """Add what a run gave out to its outcome, and return the values of its interrupts."""
    pause: list[Any] = []
    events = [payload for mode, payload in chunks if mode == "debug"]
    for mode, payload in chunks:
        if mode == "values" and "__interrupt__" in payload:
            pause += [_comparable(asked.value) for asked in payload["__interrupt__"]]
        elif mode == "values":
            outcome.state = _comparable(payload)
    for _, step in itertools.groupby(events, key=lambda event: event["step"]):
        for name, key, value in writes_of(list(step)):
            found = report.effects.get(name)
            # A key that is only given back may be cut from an update.
            if found is None or key not in found.keeps:
                outcome.updates.setdefault(key, []).append((name, _comparable(value)))
    return pause


def _ask(log: EffectsLog) -> list[Any]:
    """Return what was logged since the last call, and forget it."""
    if callable(log):
        return list(log())
    entries = list(log)
    log.clear()
    return entries


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # what cannot be copied is used as it is
        return value


def _comparable(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return type(value), value.model_dump(exclude={"id"})
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(part) for part in value]
    return value
