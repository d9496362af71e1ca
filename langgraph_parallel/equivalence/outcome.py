"""From one run of a graph to everything that it showed, and from two of those to what differs."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, MutableSequence, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import uuid4

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from langgraph_parallel.inference.code.tasks import task_called
from langgraph_parallel.reading.runs import TASK_RESULT, failed_node, fold_key, is_async_only
from langgraph_parallel.report.report import ParallelReport

EffectsLog: TypeAlias = MutableSequence[Any] | Callable[[], Sequence[Any]]
"""A list that nodes append to, or a function that returns what was done since it was last asked."""


@dataclass(slots=True, kw_only=True)
class Outcome:
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
    lost: str = ""
    """Why the process of the run ended before the run did; empty when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one run is made."""

    resume: Sequence[Any] | None
    log: EffectsLog | None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a comparison needs of a report; other than the report itself, it can be pickled."""

    text: str
    is_parallel: bool
    levels: tuple[tuple[frozenset[str], ...], ...]
    """For each rewritten run, the nodes of each of its supersteps."""
    together: frozenset[str]
    """The nodes that share a superstep, by the name that they have in their own graph."""
    keeps: Mapping[str, frozenset[str]]
    """The keys that a node only gives back, which may be cut from its update."""
    starts_tasks: bool
    """Whether any node calls tasks of LangGraph's functional API."""
    turns: Mapping[str, Sequence[str]]
    """The keys that nodes of one superstep write in program order, with those nodes in that order.
    """


def facts_of(report: ParallelReport) -> Facts:
    """Return what a comparison needs of a report."""
    return Facts(
        text=str(report),
        is_parallel=report.is_parallel,
        levels=tuple(tuple(map(frozenset, part.levels)) for part in report.regions),
        together=frozenset(_nodes_together(report)),
        keeps={name: found.keeps for name, found in report.effects.items() if found.keeps},
        starts_tasks=any(map(task_called, report.effects.values())),
        turns=_turns_of(report),
    )


def _turns_of(report: ParallelReport) -> dict[str, list[str]]:
    turns: dict[str, list[str]] = {}
    for part in report.regions:
        # Runs show what the nodes of sub-graphs write only in their own streams.
        found = {} if part.host else part.turns
        for name in part.region.nodes:
            for key in found.get(name, ()):
                turns.setdefault(key, []).append(name)
    return turns


def _nodes_together(report: ParallelReport) -> Iterator[str]:
    for part in report.regions:
        for level in part.levels:
            for name in level if len(level) > 1 else ():
                yield name.removeprefix(f"{part.host}/") if part.host else name


def difference(expected: Outcome, found: Outcome, facts: Facts) -> str:
    """Return what differs, in a few words, or an empty string."""
    if found.lost:
        return f"the run did not end: {found.lost}"
    if expected.effects != found.effects:
        return "other effects were logged, or in another order"
    if expected.interrupts != found.interrupts:
        return "other interrupts were raised"
    if expected.error is not None and found.error is not None:
        same = expected.error == found.error
        return "" if same or _may_fail_first(found, expected, facts) else "another error was raised"
    if (expected.error, expected.state) != (found.error, found.state):
        return "the final states differ" + _where(expected.state, found.state)
    keys = expected.updates.keys() | found.updates.keys()
    return next(
        (
            f"the updates of {key!r} differ"
            for key in sorted(keys)
            if expected.updates.get(key) != found.updates.get(key)
        ),
        "",
    )


def _may_fail_first(found: Outcome, expected: Outcome, facts: Facts) -> bool:
    """Tell whether the node that failed is one that now runs no later than the one that had to."""
    for levels in facts.levels:
        place = {name: index for index, level in enumerate(levels) for name in level}
        first, due = _placed(found.failed, place), _placed(expected.failed, place)
        if first is not None and due is not None and first != due:
            return place[first] <= place[due]
    return False


def _placed(name: str, place: Mapping[str, int]) -> str | None:
    """Return a node, or the sub-graph around it, that has a place; None if neither has one."""
    while name and name not in place:
        name = name.rpartition("/")[0]
    return name or None


def _where(expected: Any, found: Any) -> str:
    if not (isinstance(expected, dict) and isinstance(found, dict)):
        return ""
    keys = [key for key in {**expected, **found} if _differs(expected, found, key)]
    return f" in {', '.join(map(repr, keys))}" if keys else ""


def _differs(expected: dict[Any, Any], found: dict[Any, Any], key: Any) -> bool:
    return (key in expected, expected.get(key)) != (key in found, found.get(key))


# -- one run -------------------------------------------------------------------------------------


def run_once(
    graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, trial: Trial, facts: Facts
) -> Outcome:
    """Run a graph on a copy of an input, answer its interrupts, and return what was seen."""
    saver = None if trial.resume is None else InMemorySaver()
    graph = graph.copy({"checkpointer": saver})
    config = {**trial.config, "configurable": {"thread_id": str(uuid4())}}
    if trial.log is not None:
        _ask(trial.log)
    outcome = Outcome()
    answers = iter(trial.resume or ())
    following: Any = _copy(given)
    try:
        while following is not None:
            chunks = _stream(graph, following, config)
            pause = _take(chunks, outcome, facts)
            if pause:
                outcome.interrupts.append(pause)
            # A marker, as an answer may be None.
            answer = next(answers, outcome) if pause else outcome
            following = None if answer is outcome else Command(resume=answer)
    except Exception as error:
        outcome = Outcome(interrupts=outcome.interrupts, error=(type(error), str(error)))
        outcome.failed = failed_node(error)
    if trial.log is not None:
        outcome.effects = [_comparable(entry) for entry in _ask(trial.log)]
    return outcome


def _stream(graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, config: Any) -> list[Any]:
    modes: Any = ["values", "debug"]
    if not any(is_async_only(spec.runnable) for spec in graph.builder.nodes.values()):
        return list(graph.stream(given, config, stream_mode=modes))

    async def collect() -> list[Any]:
        return [chunk async for chunk in graph.astream(given, config, stream_mode=modes)]

    # On a thread of its own, so that a test may be a coroutine itself.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, collect()).result()


def _take(chunks: Sequence[Any], outcome: Outcome, facts: Facts) -> list[Any]:
    """Add what a run gave out to its outcome, and return the values of its interrupts."""
    pause: list[Any] = []
    events = [payload for mode, payload in chunks if mode == "debug"]
    for mode, payload in chunks:
        if mode == "values" and "__interrupt__" in payload:
            pause += [_comparable(asked.value) for asked in payload["__interrupt__"]]
        elif mode == "values":
            outcome.state = _comparable(payload)
    for _, step in itertools.groupby(events, key=lambda event: event["step"]):
        for name, key, value in _in_turn(list(_writes(list(step))), facts):
            # A key that is only given back may be cut from an update; tasks of nodes that run
            # together end in any order.
            if key not in facts.keeps.get(name, ()) and key != TASK_RESULT:
                outcome.updates.setdefault(key, []).append((name, _comparable(value)))
    return pause


def _writes(events: Sequence[Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield node, channel and value of all writes of one superstep, in the order of folding."""
    tasks = [event["payload"] for event in events if event["type"] == "task"]
    place = {
        task["id"]: (*fold_key(task["name"], task["triggers"]), index)
        for index, task in enumerate(tasks)
    }
    results = [event["payload"] for event in events if event["type"] == "task_result"]
    for result in sorted(results, key=lambda result: place.get(result["id"], ())):
        for key, value in dict(result["result"]).items():
            several = isinstance(value, dict) and "$writes" in value
            for part in value["$writes"] if several else [value]:
                yield result["name"], key, part


def _in_turn(writes: list[tuple[str, str, Any]], facts: Facts) -> Iterator[tuple[str, str, Any]]:
    """Yield the writes of one superstep with those to keys that are written in turn as they are."""
    for key, nodes in facts.turns.items():
        ours = [i for i, (name, written, _) in enumerate(writes) if written == key]
        if all(writes[i][0] in nodes for i in ours):
            in_order = sorted((writes[i] for i in ours), key=lambda write: nodes.index(write[0]))
            for i, write in zip(ours, in_order, strict=True):
                writes[i] = write
    yield from writes


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
