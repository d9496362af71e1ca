"""A compiled graph with its plan, as every run of it needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from langgraph_parallel.lowering.exact.plan import EarlyPlan
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.sandbox import NodeSetting
from langgraph_parallel.report.early import EarlyRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """A node of a compiled graph, as a session needs it."""

    runnable: Any
    setting: NodeSetting
    keys: list[str]
    lazy: frozenset[str]
    """Keys that it only gives back."""
    reads: frozenset[str]
    """Keys that it is expected to read."""
    writes: frozenset[str]
    """Keys that it may write."""
    make_state: Callable[[dict[str, Any]], Any] | None
    read_updates: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyProgram:
    """A compiled graph with its plan; shared by all its runs."""

    graph: Any
    plan: EarlyPlan
    nodes: dict[str, NodeEntry]
    runtime: EarlyRuntime
    most_runs: int
    most_guesses: int
    is_live: bool


class Launcher(Protocol):
    """Runs early runs in the background."""

    def start(self, run: EarlyRun, runnable: Any, ended: Callable[[EarlyRun], None]) -> None:
        """Start a run in its context; call `ended` when it has come to its end."""

    def drop(self, run: EarlyRun) -> None:
        """Stop a run that was given up, as far as it can be stopped."""
