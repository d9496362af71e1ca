"""From the callbacks of runs to the courses of those runs, and to the calls that each node made.

A node is called by its way from the outermost graph, `host/node`, as LangGraph's own name of its
place says it. What a graph called from a function does counts for the node around it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config

from langgraph_parallel.reading.course import Course, Row

MOST_RUNS: Final = 64
"""Runs of each graph that are kept, the latest ones; an average moves little after that."""

_MOST_STEPS: Final = 10_000
"""Supersteps of one run that are kept."""

_MOST_SITES: Final = 256
"""Places of calls that are counted one by one for each node."""

_FOREIGN: Final = ("site-packages", "dist-packages")
_LIBRARIES: Final = (str(Path(threading.__file__).parent), str(Path(__file__).parents[1]))
"""Where code lies that is nobody's own: the standard library and this package."""


@dataclass(slots=True)
class _Passage:
    """One run of one graph."""

    host: str
    steps: dict[int, set[str]] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)

    def course(self) -> Course:
        rows = (
            Row(nodes=tuple(sorted(nodes)), is_sent=step in self.sent)
            for step, nodes in sorted(self.steps.items())
        )
        return Course(rows=tuple(rows), is_seen=True)


CourseForm: TypeAlias = dict[str, list[list[tuple[tuple[str, ...], bool]]]]
"""Courses by host, as JSON: for each row its nodes, and whether they were sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Courses and calls that were seen before."""

    courses: Mapping[str, tuple[Course, ...]] = field(default_factory=dict)
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def as_course(rows: Iterable[tuple[tuple[str, ...], bool]]) -> Course:
    """Return a course that was read from JSON."""
    made = (Row(nodes=nodes, is_sent=is_sent) for nodes, is_sent in rows)
    return Course(rows=tuple(made), is_seen=True)


class Passages(BaseCallbackHandler):
    """Notes which nodes run in which superstep, and the calls that they make.

    Args:
        names: The nodes that are watched, those of sub-graphs as `host/node`.
        moved: Graphs, by host, whose supersteps are not those of their source: what they pass says
            nothing of it.
    """

    run_inline = True  # on the stack of the call

    def __init__(self, names: Iterable[str], moved: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        self._moved = frozenset(moved)
        self._lock = threading.Lock()
        self._open: OrderedDict[UUID, _Passage] = OrderedDict()
        self._ended: dict[str, list[Course]] = {}
        self._calls: dict[str, Counter[str]] = {}

    @property
    def courses(self) -> dict[str, tuple[Course, ...]]:
        """The latest runs that came to their end, of the graph under `""` and of its sub-graphs."""
        with self._lock:
            return {host: tuple(found) for host, found in self._ended.items()}

    @property
    def calls(self) -> dict[str, dict[str, int]]:
        """How often each node called models, tools and retrievers, by `kind file:line`."""
        with self._lock:
            return {name: dict(found) for name, found in self._calls.items()}

    def added_to(self, config: RunnableConfig | None, own: RunnableConfig | None) -> RunnableConfig:
        """Return a configuration whose run is watched.

        Args:
            config: That of the call.
            own: That of the graph, which the one of the call goes before.
        """
        around = var_child_runnable_config.get() or {}
        given = next(
            (c for part in (config, own, around) if part and (c := part.get("callbacks"))), None
        )
        if given is None:
            return {**(config or {}), "callbacks": [self]}
        if isinstance(given, list):
            return {**(config or {}), "callbacks": [*given, self]}
        manager = given.copy()
        manager.add_handler(self, inherit=True)
        return {**(config or {}), "callbacks": manager}

    # What LangChain calls.

    def on_chain_start(self, *_args: Any, **given: Any) -> None:
        """Note a node that starts."""
        metadata = given.get("metadata") or {}
        name, step = _place(metadata), metadata.get("langgraph_step")
        run = given.get("parent_run_id")
        if name not in self._names or step is None or run is None:
            return
        if given.get("name") != metadata.get("langgraph_node"):
            return  # a chain inside of the node
        host, _, own = name.rpartition("/")
        with self._lock:
            passage = self._open.setdefault(run, _Passage(host))
            if len(passage.steps) < _MOST_STEPS:
                passage.steps.setdefault(step, set()).add(own)
            if str((metadata.get("langgraph_path") or ("",))[0]) == "__pregel_push":
                passage.sent.add(step)
            while len(self._open) > MOST_RUNS:
                self._open.popitem(last=False)

    def on_chain_end(self, *_args: Any, **given: Any) -> None:
        """Keep the course of a run that has ended."""
        with self._lock:
            passage = self._open.pop(given.get("run_id", UUID(int=0)), None)
            if passage is not None and passage.host not in self._moved:
                kept = self._ended.setdefault(passage.host, [])
                kept.append(passage.course())
                del kept[:-MOST_RUNS]

    def on_chain_error(self, *_args: Any, **given: Any) -> None:
        """Forget a run that failed: it shows no whole course."""
        with self._lock:
            self._open.pop(given.get("run_id", UUID(int=0)), None)

    def on_chat_model_start(self, *_args: Any, **given: Any) -> None:
        """Count a call of a chat model."""
        self._count("model", given)

    def on_llm_start(self, *_args: Any, **given: Any) -> None:
        """Count a call of a completion model."""
        self._count("model", given)

    def on_tool_start(self, *_args: Any, **given: Any) -> None:
        """Count a call of a tool."""
        self._count("tool", given)

    def on_retriever_start(self, *_args: Any, **given: Any) -> None:
        """Count a call of a retriever."""
        self._count("retriever", given)

    def _count(self, kind: str, given: Mapping[str, Any]) -> None:
        name = _place(given.get("metadata") or {})
        while name and name not in self._names:
            name = name.rpartition("/")[0]  # a graph that a function of the node has called
        if not name:
            return
        site = f"{kind} {_call_site()}".rstrip()
        with self._lock:
            counts = self._calls.setdefault(name, Counter())
            counts[site if site in counts or len(counts) < _MOST_SITES else "others"] += 1


def _place(metadata: Mapping[str, Any]) -> str:
    """Return the way to a node, such as `host/node`; empty where no node runs."""
    parts = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    return "/".join(part.rpartition(":")[0] for part in parts)


def _call_site() -> str:
    """Return `file:line` of the innermost code on the stack that is the user's own."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith((*_LIBRARIES, "<frozen")) and not any(p in path for p in _FOREIGN):
            return f"{Path(path).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
