"""A compiled graph with its plan, as every run of it needs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from langgraph_parallel.inference.code.plain import find_odd
from langgraph_parallel.lowering.exact.plan import EarlyPlan
from langgraph_parallel.lowering.exact.run import EarlyRun
from langgraph_parallel.lowering.exact.sandbox import NodeSetting
from langgraph_parallel.report.early import EarlyRuntime

_LOGGER: Final = logging.getLogger(__name__)


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
    relied_on: Mapping[str, frozenset[type]]
    """Keys that are taken to hold plain data when a run begins (`GraphView`)."""

    def understands(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a state is what the analysis took it for."""
        odd = find_odd(state, self.relied_on)
        if odd:
            _LOGGER.info("%s, of which the analysis knew nothing: nothing starts early", odd)
        return not odd


class Launcher(Protocol):
    """Runs early runs in the background."""

    def start(self, run: EarlyRun, runnable: Any, ended: Callable[[EarlyRun], None]) -> None:
        """Start a run in its context; call `ended` when it has come to its end."""

    def drop(self, run: EarlyRun) -> None:
        """Stop a run that was given up, as far as it can be stopped."""
