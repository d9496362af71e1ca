"""One scheduled model call: who calls, which attempt, on which engine, until when, how it ended.

`ScheduledCall` is the call as its caller sees it: one answer or one error. Beneath it, each
`Attempt` waits for a slot, holds it while the model works, and gives it back. An answer of which
the caller has seen anything is never begun anew, so text is neither lost nor said twice.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from langgraph_rsm.core.call import Call
from langgraph_rsm.errors import CallTimeoutError, SchedulerError
from langgraph_rsm.identity.call_identity import identify
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.runtime.attempt import Attempt, Closing
from langgraph_rsm.runtime.cancellation import Cancellation
from langgraph_rsm.runtime.clients import adapt_options, limit_time, own_retries
from langgraph_rsm.runtime.faults import is_time_out, refuses_priority
from langgraph_rsm.runtime.prompt import measure_prompt
from langgraph_rsm.runtime.retry import Attempts, RetryRules
from langgraph_rsm.runtime.watch import priority_sign, turn_priority_off

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatResult

    from langgraph_rsm.runtime.bindings import Binding
    from langgraph_rsm.runtime.scheduler import Scheduler


_LEVEL_STEP = 16
"""Between the priorities of two levels: more than what SGLang preempts for by default, 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the calls of one model may go."""

    scheduler: Scheduler
    """Where they queue."""
    models: Mapping[str, BaseChatModel]
    """The caller's own model for each engine, by engine id; at least one."""
    bindings: tuple[Binding, ...] = field(default=())
    """What was bound, in the words of each engine; empty when all engines speak alike."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Whose key the caller's model has for each engine, by engine id; empty when none has one."""

    def attempts(self) -> Attempts:
        """Return the rules for a call that has failed once, as they are at this moment."""
        config = self.scheduler.config
        retries = config.max_retries
        if retries is None:
            # Each of several engines is worth one attempt, whatever the clients would have done.
            retries = max(len(self.models) - 1, *map(own_retries, self.models.values()))
        rules = RetryRules(
            max_retries=retries, base_s=config.retry_base_s, cap_s=config.retry_cap_s
        )
        return Attempts(tuple(self.models), rules, self.scheduler.rng)

    def accounts_at(self, engine_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Return whose key a call uses at each of some engines."""
        return tuple(map(self.accounts.__getitem__, engine_ids)) if self.accounts else ()

    def options(
        self, engine_id: str, options: dict[str, Any], *, stream: bool, priority: int = 0
    ) -> dict[str, Any]:
        """Return the caller's keyword arguments as the engine's model should get them."""
        for binding in self.bindings:
            options = binding.translate(options, engine_id)
        usage = stream and self.scheduler.config.request_usage
        return adapt_options(self.models[engine_id], options, usage=usage, priority=priority)


class ScheduledCall:
    """One call of a model, over as many attempts as it takes.

    Args:
        route: Where it may go.
        messages: The prompt, to be measured only.
        run_manager: LangChain's manager of the run; None for streams, where the context tells.
        options: Keyword arguments of the call.
    """

    __slots__ = (
        "_attempt",
        "_attempts",
        "_began",
        "_deadline_s",
        "_options",
        "_prompt",
        "_route",
        "_who",
    )

    def __init__(
        self,
        route: Route,
        messages: Sequence[BaseMessage],
        run_manager: Any,
        options: dict[str, Any],
    ) -> None:
        self._route = route
        self._prompt = measure_prompt(messages)
        self._options = options
        self._who = identify(getattr(run_manager, "run_id", None))
        # Made when an attempt has failed: most calls need no rules for the next one.
        self._attempts: Attempts | None = None
        bound_s = route.scheduler.config.call_timeout_s
        self._deadline_s = None if bound_s is None else route.scheduler.clock() + bound_s
        self._attempt: Attempt | None = None
        self._began = 0

    # One function per kind of call; all have the same shape.

    def generate(self, ask: Callable[[Any, dict[str, Any]], ChatResult]) -> ChatResult:
        """Return the complete answer; `ask` is given the chosen model and its options."""
        with self:
            while True:
                try:
                    with self._begin() as attempt:
                        options = self._limited(attempt, self._adapted(attempt, stream=False))
                        return attempt.result(ask(attempt.model, options))
                except Exception as error:
                    pause_s = self._pause_after(error)
                    if pause_s is None:
                        self._raise_if_late(error)
                        raise
                time.sleep(pause_s)

    async def agenerate(
        self, ask: Callable[[Any, dict[str, Any]], Awaitable[ChatResult]]
    ) -> ChatResult:
        """Return the complete answer; `ask` is given the chosen model and its options."""
        with self:
            while True:
                try:
                    async with self._begin() as attempt:
                        options = self._adapted(attempt, stream=False)
                        asked = Cancellation()
                        answer = await self._bounded(attempt, ask(attempt.model, options))
                        asked.check()
                        return attempt.result(answer)
                except Exception as error:
                    pause_s = self._pause_after(error)
                    if pause_s is None:
                        self._raise_if_late(error)
                        raise
                await asyncio.sleep(pause_s)

    def stream(self, ask: Callable[[Any, dict[str, Any]], Iterator[Any]]) -> Iterator[Any]:
        """Yield the chunks of the answer; `ask` is given the chosen model and its options."""
        with self:
            while True:
                try:
                    with self._begin() as attempt:
                        options = self._limited(attempt, self._adapted(attempt, stream=True))
                        # Closed before the slot goes back: the engine is really free by then.
                        with Closing(ask(attempt.model, options)) as chunks:
                            for chunk in chunks:
                                yield from attempt.chunk(chunk)
                                self._check_deadline(attempt)
                    yield from attempt.held_back()
                    return
                except Exception as error:
                    pause_s = self._pause_after(error)
                    if pause_s is None:
                        self._raise_if_late(error)
                        raise
                time.sleep(pause_s)

    async def astream(
        self, ask: Callable[[Any, dict[str, Any]], AsyncIterator[Any]]
    ) -> AsyncIterator[Any]:
        """Yield the chunks of the answer; `ask` is given the chosen model and its options."""
        with self:
            while True:
                try:
                    async with self._begin() as attempt:
                        options = self._adapted(attempt, stream=True)
                        async with Closing(ask(attempt.model, options)) as chunks:
                            following, asked = aiter(chunks), Cancellation()
                            while True:
                                coming = anext(following, None)
                                if self._deadline_s is not None:
                                    coming = self._bounded(attempt, coming)
                                chunk = await coming
                                asked.check()
                                if chunk is None:
                                    break
                                for ready in attempt.chunk(chunk):
                                    yield ready
                    for ready in attempt.held_back():
                        yield ready
                    return
                except Exception as error:
                    pause_s = self._pause_after(error)
                    if pause_s is None:
                        self._raise_if_late(error)
                        raise
                await asyncio.sleep(pause_s)

    # Steps

    def _begin(self) -> Attempt:
        who, attempts = self._who, self._attempts
        engines = tuple(self._route.models) if attempts is None else attempts.engines
        call = Call(
            program_id=who.program_id,
            engines=engines,
            accounts=self._route.accounts_at(engines),
            thread_id=who.thread_id,
            call_site=who.call_site,
            graph=who.graph,
            tenant=who.tenant,
            weight=who.weight,
            parents=who.parents,
            remaining_path_s=who.remaining_path_s,
            prompt_tokens=self._prompt.tokens,
            prefix_id=self._prompt.prefix_id,
            prefix_tokens=self._prompt.prefix_tokens,
        )
        timeout_s, left_s = self._route.scheduler.config.queue_timeout_s, self._left_s()
        if left_s is not None:
            timeout_s = left_s if timeout_s is None else min(timeout_s, left_s)
        before = self._attempt
        slot = self._route.scheduler.slot(
            call, timeout_s=timeout_s, place=before.place if before else None
        )
        self._attempt = Attempt(call.call_id, slot, self._route.models)
        return self._attempt

    def _adapted(self, attempt: Attempt, *, stream: bool) -> dict[str, Any]:
        root = self._route.scheduler.server_at(attempt.engine_id)
        attempt.priority = _LEVEL_STEP * attempt.level * priority_sign(root)
        return self._route.options(
            attempt.engine_id, self._options, stream=stream, priority=attempt.priority
        )

    def _limited(self, attempt: Attempt, options: dict[str, Any]) -> dict[str, Any]:
        left_s = self._left_s()
        if left_s is None:
            return options
        self._check_deadline(attempt)
        return limit_time(attempt.model, options, left_s)

    def _pause_after(self, error: Exception) -> float | None:
        """Return seconds until the next attempt; None when the error is the answer."""
        attempt = self._attempt
        assert attempt is not None, "errors come from attempts"
        if isinstance(error, SchedulerError) or not attempt.began or attempt.spoke:
            return None
        if attempt.priority and refuses_priority(error):
            # It was ours, not the caller's: the server takes none, so it is asked again without.
            turn_priority_off(self._route.scheduler.server_at(attempt.engine_id) or "")
            return 0.0
        if self._attempts is None:
            self._attempts = self._route.attempts()
        pause_s = self._attempts.after(error, attempt.engine_id)
        left_s = self._left_s()
        if pause_s is None or (left_s is not None and pause_s >= left_s):
            return None
        return pause_s

    async def _bounded(self, attempt: Attempt, answer: Awaitable[Any]) -> Any:
        left_s = self._left_s()
        if left_s is None:
            return await answer
        try:
            async with asyncio.timeout(max(0.0, left_s)) as bound:
                return await answer
        except TimeoutError as error:
            if not bound.expired():
                raise  # the model's own time-out
            raise self._too_late(attempt) from error

    def _raise_if_late(self, error: Exception) -> None:
        """Raise the time-out of the call if a client gave up only because that had come."""
        if self._attempt is not None and self._left_s() == 0 and is_time_out(error):
            raise self._too_late(self._attempt) from error

    def _check_deadline(self, attempt: Attempt) -> None:
        left_s = self._left_s()
        if left_s is not None and left_s <= 0:
            raise self._too_late(attempt)

    def _too_late(self, attempt: Attempt) -> CallTimeoutError:
        bound_s = self._route.scheduler.config.call_timeout_s or 0.0
        return CallTimeoutError(engine_id=attempt.engine_id, timeout_s=bound_s)

    def _left_s(self) -> float | None:
        if self._deadline_s is None:
            return None
        return max(0.0, self._deadline_s - self._route.scheduler.clock())

    def __enter__(self) -> Self:
        if (run := self._who.run) is not None and run.work is not None:
            lineage, strand = run.work
            self._began = lineage.call_began(strand)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._who.run
        if run is not None:
            if run.work is not None:
                lineage, strand = run.work
                answered = self._attempt if error is None else None
                call_id = None if answered is None else answered.call_id
                lineage.call_left(strand, self._began, call_id)
            if error is not None and not isinstance(error, Exception):
                # LangChain does not tell handlers of a cancelled `ainvoke` that its run is over.
                run_tree.forget_chat(run.run_id)
        if self._who.transient:
            self._route.scheduler.end_program(self._who.program_id)
