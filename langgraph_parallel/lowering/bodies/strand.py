"""One slice that runs ahead, on a thread or as a task, and the outcomes of its calls."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Protocol

from langchain_core.runnables.config import RunnableConfig
from langgraph.errors import GraphBubbleUp

from langgraph_parallel.lowering.bodies.body import MOST_MISSES, Body, GroupCode
from langgraph_parallel.lowering.bodies.early import EarlyCall
from langgraph_parallel.lowering.bodies.private import (
    Given,
    for_the_slice,
    is_as_seen,
    is_ready,
    keeps_answers,
)
from langgraph_parallel.lowering.exact.values import NotCopyableError
from langgraph_parallel.lowering.exact.view import EarlyRunAbandoned


class Home(Protocol):
    """The call of a function that a strand runs ahead of."""

    @property
    def body(self) -> Body:
        """The function."""

    @property
    def slots(self) -> asyncio.Semaphore:
        """What bounds the calls of tasks that are made at a time."""

    def inner(self, function: Any) -> Any:
        """Return the rewritten form of a function, or itself."""


@dataclass(slots=True)
class Outcome:
    """What one call that was made ahead has given."""

    given: Given
    early: EarlyCall
    result: Any = None
    error: Exception | None = None
    trace: TracebackType | None = None


class Strand:
    """One slice that runs ahead, on a thread or as a task."""

    def __init__(
        self, ahead: Home, number: int, group: GroupCode, config: RunnableConfig | None
    ) -> None:
        self._ahead, self.number, self._group, self._config = ahead, number, group, config
        self._outcomes: dict[int, deque[Outcome]] = {site: deque() for site in group.sites}
        self._changed = threading.Condition()
        self._ended = False
        self._given_up = ""
        self.future: Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self._news: asyncio.Event | None = asyncio.Event() if group.is_async else None

    # -- on its own thread or in its own task ------------------------------------------------------

    def work(self, arguments: tuple[Any, ...], needs: Mapping[str, Any]) -> None:
        """Run the slice."""
        try:
            self._group.run(self, *arguments, **needs)
        except BaseException as error:  # the body meets it itself, if it is there
            self._note(error)
        finally:
            self._end()

    async def awork(self, arguments: tuple[Any, ...], needs: Mapping[str, Any]) -> None:
        """Run the slice that awaits."""
        try:
            await self._group.run(self, *arguments, **needs)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the body meets it itself, if it is there
            self._note(error)
        finally:
            self._end()

    def _note(self, error: BaseException) -> None:
        """Keep for the report why the slice has not come to its end."""
        if not isinstance(error, EarlyRunAbandoned):
            self._ahead.body.runtime.off = f"{type(error).__name__}: {error}"

    def call(self, number: int, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call ahead; return what the slice goes on with."""
        given, early = self._prepare(function, args, kwargs)
        outcome = Outcome(given, early)
        try:
            with early:
                made = [early.own(value) for value in given.positional]
                named = {name: early.own(value) for name, value in given.named.items()}
                outcome.result = self._ahead.inner(function)(*made, **named)
        except Exception as error:
            self._fail(number, outcome, error)
        return self._publish(number, outcome)

    async def acall(self, number: int, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call ahead and wait for it; return what the slice goes on with."""
        given, early = self._prepare(function, args, kwargs)
        outcome = Outcome(given, early)
        try:
            async with self._ahead.slots:
                self.check()
                with early:
                    made = [early.own(value) for value in given.positional]
                    named = {name: early.own(value) for name, value in given.named.items()}
                    outcome.result = await self._ahead.inner(function)(*made, **named)
        except Exception as error:
            self._fail(number, outcome, error)
        return self._publish(number, outcome)

    def _prepare(
        self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Given, EarlyCall]:
        self.check()
        if keeps_answers(function):
            self.refuse("a model that keeps its answers")
        body = self._ahead.body
        if not is_as_seen(function, body.seen.known):
            self.refuse("a function that was not seen before")
        given = Given.of(function, args, kwargs, body.seen.known)
        values = (*given.positional, *given.named.values())
        early = EarlyCall(self._config, values, self.check, self.refuse, live=body.live)
        body.runtime.made += 1
        return given, early

    def _fail(self, number: int, outcome: Outcome, error: Exception) -> NoReturn:
        """Keep an error as the outcome of a call, and end the strand."""
        is_ours = isinstance(error, (GraphBubbleUp, NotCopyableError))
        if not is_ours and not (
            outcome.early.is_detached and _is_of_graphs(outcome.given.function)
        ):
            # As if raised by the body: what led to it ahead is no part of it.
            trace = error.__traceback__
            outcome.error, outcome.trace = error, trace and trace.tb_next
            self._add(number, outcome)
        self.refuse("its call has failed")

    def _publish(self, number: int, outcome: Outcome) -> Any:
        if not is_ready(outcome.result):
            if hasattr(outcome.result, "close"):
                outcome.result.close()
            self._ahead.body.misses[self.number] = MOST_MISSES
            self.refuse("a result that is still to come")
        goes_on = number != self._group.sites[-1] or self._group.repeats
        own = for_the_slice(outcome.result) if goes_on else None
        self._add(number, outcome)
        return own

    def _add(self, number: int, outcome: Outcome) -> None:
        with self._changed:
            self._outcomes[number].append(outcome)
            self._changed.notify_all()
        if self._news is not None:
            self._news.set()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._news is not None:
            self._news.set()

    def check(self) -> None:
        """Raise if nobody wants the strand any more."""
        if self._given_up:
            raise EarlyRunAbandoned(self._given_up)

    def refuse(self, what: str) -> NoReturn:
        """Give the strand up from inside."""
        self._given_up = self._given_up or what
        raise EarlyRunAbandoned(what)

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._ended

    # -- seen from the body ------------------------------------------------------------------------

    def next(self, number: int) -> Outcome | None:
        """Wait for the next outcome of a call; None where the strand will not make it."""
        if self.future is not None and self.future.cancel():
            self._end()
        with self._changed:
            while not self._outcomes[number]:
                if self._ended or self.future is None:
                    return None
                self._changed.wait()
            return self._outcomes[number].popleft()

    async def anext(self, number: int) -> Outcome | None:
        """Wait for the next outcome of a call; None where the strand will not make it."""
        if self._news is None:
            return self.next(number)
        while not self._outcomes[number]:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._outcomes[number].popleft()

    def abandon(self) -> None:
        """Let the strand go no further than the call that it is in."""
        self._given_up = self._given_up or "the body went another way"
        if self.future is not None and self.future.cancel():
            self._end()
        if self.task is not None:
            self.task.cancel()

    def settle(self) -> None:
        """Wait until the strand is at its end."""
        with self._changed:
            while not self._ended and self.future is not None:
                self._changed.wait()


def _is_of_graphs(function: Any) -> bool:
    return hasattr(getattr(function, "__self__", None), "get_graph")
