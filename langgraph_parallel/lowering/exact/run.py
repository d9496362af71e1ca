"""One early run of a node: from the state as foreseen to a result that may be committed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from typing import Any, Final, NoReturn, Protocol

from langchain_core.runnables.config import RunnableConfig

from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.lowering.exact.events import HeldEvents
from langgraph_parallel.lowering.exact.restore import Restoring
from langgraph_parallel.lowering.exact.spread import (
    SpreadReads,
    SpreadState,
    settle,
    spread_result,
)
from langgraph_parallel.lowering.exact.twin import TwinReads
from langgraph_parallel.lowering.exact.values import Memo, NotCopyableError, copied
from langgraph_parallel.lowering.exact.view import (
    EarlyRunAbandoned,
    EarlyState,
    Reads,
    plain,
)

_REFERENCES: Final = 2
"""To a state that nobody has kept: our attribute, and the argument of `getrefcount`."""


class Outlook(Protocol):
    """The state that a node will find, as far as it can be told."""

    def present(self, keys: list[str]) -> list[str]:
        """Return those of some keys that have a value."""

    def expected(self, keys: list[str]) -> list[str]:
        """Return those of some keys that will have a value."""

    def value(self, key: str) -> Any:
        """Return what a key holds; `MISSING` when nothing."""


class EarlyRun:
    """A node that runs before its superstep; not to be used from two threads, but for `give_up`.

    Args:
        name: The node.
        step: Number of the superstep in which its turn comes.
        keys: The state keys of its input.
        lazy: Of these, keys that the node only gives back.
        eager: Of these, keys that it is expected to read.
        outlook: The values that they have for it.
        make_state: Makes an object of the values; None where the state is a dict.
        parent_run_id: The run that stands in as parent of what it calls.
        live: Let streams see what it does at once.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        name: str,
        step: int,
        keys: list[str],
        lazy: frozenset[str],
        eager: frozenset[str],
        outlook: Outlook,
        make_state: Callable[[dict[str, Any]], Any] | None,
        parent_run_id: Any,
        live: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.step = name, step
        self.held = HeldEvents(parent_run_id, self.check, self.refuse, live=live)
        self.config: RunnableConfig = {}
        self.context: Context
        self.thread: Future[None] | None = None
        self.task: asyncio.Future[None] | None = None
        self.result: Any = None
        self.has_result = False
        self.given_up = ""
        """Why the run is of no use, or empty."""
        self.by_itself = False
        """Whether the run has given itself up."""
        self._keys, self._outlook, self._make_state = keys, outlook, make_state
        self._lazy, self._eager = lazy, eager
        self._reads: Reads | None = None
        self._state: Any = None
        self._clock = clock
        self.started_s: float | None = None
        self.ended_s: float | None = None
        self.arrived_after_s = 0.0
        """Seconds that the run had been at work when its turn came."""

    # Being given up

    def give_up(self, why: str) -> None:
        """Let the run go no further than its next contact with LangChain or LangGraph."""
        self.given_up = self.given_up or why

    def refuse(self, what: str) -> NoReturn:
        """Give the run up from inside."""
        self.by_itself = True
        self.give_up(what)
        raise EarlyRunAbandoned(what)

    def check(self) -> None:
        """Raise if the run has been given up."""
        if self.given_up:
            raise EarlyRunAbandoned(self.given_up)

    # Running

    def work(self, call: Callable[[Any, RunnableConfig], Any]) -> None:
        """Run the node's function to its end, in whichever way."""
        try:
            self.check()
            self._end(call(self._begin(), self.config))
        except BaseException as error:  # the real run will show it, if it is one
            self._fail(error)

    async def awork(self, call: Callable[[Any, RunnableConfig], Any]) -> None:
        """Run the node's async function to its end, in whichever way."""
        try:
            self.check()
            self._end(await call(self._begin(), self.config))
        except BaseException as error:
            self._fail(error)
            if isinstance(error, KeyboardInterrupt):
                raise

    def _begin(self) -> Any:
        self.started_s = self._clock()
        if self._make_state is None:
            if self._lazy:
                expected = self._outlook.expected(self._keys)
                spread = SpreadReads(self._keys, self._outlook.value, expected)
                spread.prepare(self._eager)
                self._reads, self._state = spread, SpreadState(spread, self._lazy)
                return self._state
            self._reads = Reads(self._keys, self._outlook.value)
            self._reads.prepare(self._eager)
            self._state = EarlyState(self._reads, self._outlook.present(self._keys))
            return self._state
        state = self._make_state(self._values())
        fields = frozenset(self._keys)
        self._reads = reads = TwinReads(state, fields, self._lazy, self._eager)
        return reads.twin

    def _values(self) -> dict[str, Any]:
        """Return copies of what a state object is made of; of lazy keys, as far as is known."""
        memo: Memo = {}
        values = {}
        for key in self._keys:
            try:
                value = self._outlook.value(key)
                value = value if value is MISSING or key in self._lazy else copied(value, memo)
            except EarlyRunAbandoned:
                if key not in self._lazy:
                    raise
                continue
            if value is not MISSING:
                values[key] = value
        return values

    def _end(self, result: Any) -> None:
        if isinstance(self._reads, TwinReads):
            self._reads.look_at_result(result)
            result = spread_result(result) if self._lazy else plain(result)
            self._reads.retire()
        else:
            result = spread_result(result) if self._lazy else plain(result)
            if sys.getrefcount(self._state) > _REFERENCES:
                self.refuse("its state, which somebody has kept")
        self._state = None
        self.check()
        self.result, self.has_result = result, True
        self.ended_s = self._clock()

    def _fail(self, error: BaseException) -> None:
        if isinstance(self._reads, TwinReads):
            self._reads.retire()
        if isinstance(error, (EarlyRunAbandoned, NotCopyableError)) and not self.given_up:
            self.by_itself = True
            self.give_up(str(error))
        self._state = None
        self.ended_s = self._clock()

    @property
    def own_reason(self) -> str:
        """Why the run has given itself up; empty if it has not."""
        return self.given_up if self.by_itself else ""

    @property
    def is_on_thread(self) -> bool:
        """Whether a thread is at work for the run, be it cancelled or not."""
        return self.thread is not None and not self.thread.done()

    # Being judged

    @property
    def seconds(self) -> float:
        """How long the run has taken, until now if it has not ended."""
        if self.started_s is None:
            return 0.0
        return (self._clock() if self.ended_s is None else self.ended_s) - self.started_s

    def agrees_with(self, real: Any) -> bool:
        """Tell whether the real input has every value that the run has read so far."""
        if self.given_up:
            return False
        reads = self._reads
        if reads is None:
            return True
        if not isinstance(reads, TwinReads) and not isinstance(real, dict):
            return False
        return reads.hold_for(real)

    def settle(self, real: Any) -> bool:
        """Put the real values, and parts of them, into what the run gives back.

        Returns:
            Whether that could be done; if not, the run is given up.
        """
        if self._reads is None:
            return True
        restoring = Restoring(self._reads.likeness.real, may_hold_tokens=bool(self._lazy))
        try:
            self.held.settle(restoring.restore, real)
            if isinstance(self._reads, TwinReads):
                self.result = self._reads.settle(self.result, real, restoring.restore)
            elif self._lazy and type(self.result) is dict:
                self.result = settle(self.result, real, restoring.restore)
            else:
                self.result = restoring.restore(self.result)
        except Exception as error:  # an object of the user's that will not be looked at, or set
            self.by_itself = True
            self.give_up(str(error) or type(error).__name__)
            return False
        return True
