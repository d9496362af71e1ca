"""What one call of a function has started ahead, and how its body takes it.

A *strand* runs the slice of one group, for one turn of a loop or in a row, on a thread or, where it
awaits, as a task. It makes its calls in order and keeps their outcomes; the body takes them one by
one. A strand that has not begun when the body arrives is called off: the body calls by itself.
"""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, Final

from langchain_core.runnables.config import var_child_runnable_config

from langgraph_parallel._compat.tracing import (
    adds_handlers_anywhere,
    drop_hook_handlers,
    with_hook_handlers,
)
from langgraph_parallel.lowering.bodies.body import Body, GroupCode
from langgraph_parallel.lowering.bodies.private import hand_over
from langgraph_parallel.lowering.bodies.strand import Outcome, Strand
from langgraph_parallel.lowering.bodies.turns import Turns
from langgraph_parallel.lowering.exact.restore import CannotRestoreError
from langgraph_parallel.lowering.exact.threads import DaemonThreads
from langgraph_parallel.lowering.exact.values import Memo, NotCopyableError

_AROUND: contextvars.ContextVar[DaemonThreads | None] = contextvars.ContextVar(
    "langgraph_parallel_threads", default=None
)
"""The threads of a function whose body, or whose strand, calls this one."""


class Ahead:
    """What one call of a function has started."""

    __slots__ = (
        *("_config", "_current", "_is_lent", "_most", "_off", "_slots", "_strands", "_threads"),
        "body",
    )

    def __init__(self, body: Body) -> None:
        self.body = body
        self._off: set[int] = set()
        """Groups of which a forecast was wrong in this call of the function."""
        self._strands: set[Strand] = set()
        self._current: dict[int, Strand] = {}
        self._threads: DaemonThreads | None = None
        self._is_lent = False
        self._slots: asyncio.Semaphore | None = None
        self._config = var_child_runnable_config.get()
        limit = (self._config or {}).get("max_concurrency")
        self._most = min(body.most, limit) if limit else body.most
        if not body.seen.holds() or self._is_watched():
            self._most = 1

    def _is_watched(self) -> bool:
        """Tell whether somebody follows all calls of this thread, who would see their order."""
        outside = self._config is None or not self._config.get("callbacks")
        return adds_handlers_anywhere() or (outside and bool(with_hook_handlers(())))

    @property
    def slots(self) -> asyncio.Semaphore:
        """Return what bounds the calls of tasks that are made at a time."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._most)
        return self._slots

    def inner(self, function: Any) -> Any:
        """Return the rewritten form of a function or bound method, or itself."""
        if isinstance(function, FunctionType):
            return self.body.inner.get(function, function)
        if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
            made = self.body.inner.get(function.__func__)
            return function if made is None else MethodType(made, function.__self__)
        return function

    # -- starting ----------------------------------------------------------------------------------

    def start(self, number: int, scope: Mapping[str, Any]) -> None:
        """Start a group of a row, with the variables of the body as they are now."""
        group = self.body.groups[number]
        self._forget(group)
        if self._most < 2 or self._is_off(number):
            return
        needs = self._needs(group, scope)
        if needs is not None:
            self._launch(number, (), needs)

    def turns(
        self, number: int, make: Any, arguments: tuple[Any, ...], scope: Mapping[str, Any]
    ) -> Any:
        """Return what a loop goes through, which starts its turns ahead of it.

        Args:
            number: The first group of the loop.
            make: Makes an iterator of the arguments; None: it is the only argument.
            arguments: What is gone through.
            scope: The variables of the body as the loop begins.
        """
        numbers = [i for i, group in enumerate(self.body.groups) if group.home == number]
        for one in numbers:
            self._forget(self.body.groups[one])
        real = arguments[0] if make is None else make(*arguments)
        if self._most < 2:
            return real
        foreseen = self._foreseen(make, arguments)
        if foreseen is None:
            return real
        found = {
            one: self._needs(self.body.groups[one], scope)
            for one in numbers
            if not self._is_off(one)
        }
        needs = {one: known for one, known in found.items() if known is not None}
        return self._going_ahead(real, foreseen, needs) if needs else real

    def _going_ahead(
        self, real: Any, foreseen: Iterator[Any], needs: Mapping[int, Mapping[str, Any]]
    ) -> Iterator[Any]:
        """Yield the elements of a loop, and keep the turns ahead of it started."""
        turns = Turns(self, foreseen, needs)
        for item in real:
            turns.enter()
            yield item
        turns.leave()

    def _foreseen(self, make: Any, arguments: tuple[Any, ...]) -> Iterator[Any] | None:
        """Return what a loop will go through; None where looking at it might use it up."""
        if not all(type(argument) in _PLAIN for argument in arguments):
            self.body.runtime.off = "what its loop goes through is made as it is asked for"
            return None
        if make is not None and make not in _PAIRING:
            return None
        # The body may change them; these stay as they are now.
        kept = [a if type(a) in _UNCHANGING else list(a) for a in arguments]
        return iter(kept[0]) if make is None else iter(make(*kept))

    def _is_off(self, number: int) -> bool:
        """Tell whether a group is not to be started, here or anywhere."""
        if self.body.groups[number].is_async and asyncio._get_running_loop() is None:
            return True  # somebody drives the coroutine by hand
        return number in self._off or self.body.is_off(number)

    def _needs(self, group: GroupCode, scope: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return copies of the variables that a group is handed; None if there are none."""
        memo: Memo = {}
        found = {}
        try:
            for name in group.needs:
                value = scope[name]
                keys = group.keys.get(name)
                if keys is not None and isinstance(value, dict):
                    value = {key: value[key] for key in keys if key in value}
                found[name] = hand_over(value, memo, self.body.seen.known)
            for name in group.steps:
                if type(found[name]) is not int:
                    return None
        except (KeyError, NotCopyableError, RecursionError) as error:
            self.body.runtime.off = str(error)
            return None
        self.body.runtime.off = ""
        return found

    def launch_turn(
        self, number: int, turn: int, item: Any, known: Mapping[str, Any]
    ) -> Strand | None:
        """Start a group for one turn of its loop; None where that is not to be."""
        group = self.body.groups[number]
        if self._is_off(number):
            return None
        try:
            element = hand_over(item, {}, self.body.seen.known)
        except (NotCopyableError, RecursionError) as error:
            self.body.runtime.off = str(error)
            return None
        raised = {name: known[name] + turn * step for name, step in group.steps.items()}
        return self._launch(number, (element,), {**known, **raised})

    def enter_turn(self, numbers: Iterable[int], strands: Mapping[int, Strand]) -> None:
        """Let the calls of the body be answered by the strands of a turn."""
        for number in numbers:
            group = self.body.groups[number]
            self._forget(group)
            if number in strands:
                self._current.update(dict.fromkeys(group.sites, strands[number]))

    def drop(self, strands: Iterable[Strand]) -> None:
        """Forget strands that are at their end, and give up the others."""
        for strand in strands:
            if strand.has_ended:
                self._strands.discard(strand)
            else:
                strand.abandon()

    @property
    def most(self) -> int:
        """Calls that are made at a time."""
        return self._most

    def _launch(
        self, number: int, arguments: tuple[Any, ...], needs: Mapping[str, Any]
    ) -> Strand | None:
        group = self.body.groups[number]
        strand = Strand(self, number, group, self._config)
        context = contextvars.copy_context()
        context.run(drop_hook_handlers)
        if group.is_async:
            work = strand.awork(arguments, needs)
            strand.task = asyncio.get_running_loop().create_task(work, context=context)
        else:
            threads = self._pool()
            context.run(_AROUND.set, threads)
            strand.future = threads.submit(context.run, strand.work, arguments, needs)
        self._strands.add(strand)
        if not group.is_loop:
            for site in group.sites:
                self._current[site] = strand
        return strand

    def _pool(self) -> DaemonThreads:
        if self._threads is None:
            around = _AROUND.get()
            self._is_lent = around is not None
            self._threads = around or DaemonThreads(self._most - 1)
        return self._threads

    def _forget(self, group: GroupCode) -> None:
        for site in group.sites:
            self._current.pop(site, None)

    # -- taking ------------------------------------------------------------------------------------

    def take(self, number: int, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return what a call gives: what it gave ahead, if it is the same call."""
        strand = self._current.get(number)
        outcome = None if strand is None else strand.next(number)
        if outcome is None or strand is None:
            return self.inner(function)(*args, **kwargs)
        if not self._accepts(strand, outcome, function, args, kwargs):
            return self.inner(function)(*args, **kwargs)
        outcome.early.tell()
        return _given_by(outcome)

    async def atake(self, number: int, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return what a call that is awaited gives: what it gave ahead, if it is the same."""
        strand = self._current.get(number)
        outcome = None if strand is None else await strand.anext(number)
        if outcome is None or strand is None:
            return await self.inner(function)(*args, **kwargs)
        if not self._accepts(strand, outcome, function, args, kwargs):
            return await self.inner(function)(*args, **kwargs)
        await outcome.early.atell()
        return _given_by(outcome)

    def _accepts(
        self,
        strand: Strand,
        outcome: Outcome,
        function: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> bool:
        if outcome.given.fits(function, args, kwargs) and self._restores(outcome):
            self.body.runtime.taken += 1
            return True
        self.body.runtime.missed += 1
        self.body.misses[strand.number] = self.body.misses.get(strand.number, 0) + 1
        self._off.add(strand.number)
        for other in self._strands:
            if other.number == strand.number:
                other.abandon()
        self._forget(self.body.groups[strand.number])
        return False

    def _restores(self, outcome: Outcome) -> bool:
        """Put the real arguments into a result that holds parts of them."""
        try:
            outcome.result = outcome.given.restored(outcome.result)
        except CannotRestoreError:
            return False
        return True

    # -- ending ------------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything that was started; nothing goes on after the body."""
        for strand in self._strands:
            strand.abandon()
        for strand in self._strands:
            strand.settle()
        if self._threads is not None and not self._is_lent:
            self._threads.shutdown(cancel_futures=True)

    def drop_all(self) -> None:
        """Give up everything that was started, where nobody may wait for its end."""
        for strand in self._strands:
            strand.abandon()
        self._strands.clear()

    async def aclose(self) -> None:
        """End everything that was started; nothing goes on after the body."""
        for strand in self._strands:
            strand.abandon()
        tasks = [strand.task for strand in self._strands if strand.task is not None]
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        self.close()


def _given_by(outcome: Outcome) -> Any:
    error = outcome.error
    if error is None:
        return outcome.result
    first: BaseException = error
    while first.__context__ is not None:
        first = first.__context__
    handled = sys.exc_info()[1]
    if handled is not None and first is not handled:
        first.__context__ = handled  # as it would have, had it been raised here
    context = error.__context__
    try:
        raise error.with_traceback(outcome.trace)
    finally:
        error.__context__ = context


_PLAIN: Final = frozenset(
    {
        *(list, tuple, dict, set, frozenset, str, range, int, bytes, deque),
        *(type({}.keys()), type({}.values()), type({}.items())),
    }
)
_UNCHANGING: Final = frozenset({tuple, frozenset, str, range, int, bytes})
_PAIRING: Final = (builtins.enumerate, builtins.zip, builtins.reversed, builtins.range)
