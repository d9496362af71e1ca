"""Batch form: schedules a list of plain call records, for programs that are no graphs.

```python
prioritized = atlas([LLMCall(program_id="a", prompt="..."), LLMCall(program_id="b", prompt="...")])
answers = balancer(prioritized, engines).execute()
```
"""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langgraph_rsm.config import BalancerName, PolicyName, SchedulerConfig
from langgraph_rsm.core.call import Call
from langgraph_rsm.errors import ConfigError
from langgraph_rsm.identity.run_tree import run_tree
from langgraph_rsm.runtime.engine import Engine, require_chat_model
from langgraph_rsm.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    Answers = Mapping[str, BaseMessage]
    """Answers of the calls that another one depends on, by call id."""


_USUAL_SLOTS = 256
"""Calls that an engine of unknown capacity is offered at once; each blocks a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMCall:
    """One model call of a batch."""

    program_id: str
    """Calls with the same id are one program."""
    prompt: Any
    """What the model is given: text, messages, or a function that makes it from the answers of the
    calls in `depends_on`, by their ids."""
    call_id: str = ""
    """Unique in the batch; empty takes its position, as text."""
    depends_on: tuple[str, ...] = ()
    """Calls that must be answered first."""
    call_site: str = ""
    """What kind of call it is; calls of the same kind are expected to cost alike."""
    tenant: str = "default"
    weight: float = 1.0
    """Share relative to others, above 0: of the tenant, or of the program without one."""
    prompt_tokens: int = 0
    """Estimated length of the prompt; 0 when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritized:
    """Calls, and the policy that is to order them."""

    policy: PolicyName
    calls: tuple[LLMCall, ...]
    """In the order given, each with an id."""


def prioritize(policy: str, llm_calls: Sequence[LLMCall]) -> Prioritized:
    """Check a batch, and choose the policy that orders it while it runs.

    Raises:
        ConfigError: The policy is unknown, an id occurs twice, or a call depends, maybe through
            others, on itself or on a call that is not in the batch.
    """
    if policy not in list(PolicyName):
        msg = f"unknown policy {policy!r}; known are {', '.join(PolicyName)}"
        raise ConfigError(msg)
    calls = tuple(
        call if call.call_id else replace(call, call_id=str(index))
        for index, call in enumerate(llm_calls)
    )
    _check(calls)
    return Prioritized(policy=PolicyName(policy), calls=calls)


def atlas(llm_calls: Sequence[LLMCall]) -> Prioritized:
    """Order a batch by the service on the critical path to each call; see `prioritize`."""
    return prioritize("atlas", llm_calls)


def plas(llm_calls: Sequence[LLMCall]) -> Prioritized:
    """Order a batch by the service that each program has had; see `prioritize`."""
    return prioritize("plas", llm_calls)


def fcfs(llm_calls: Sequence[LLMCall]) -> Prioritized:
    """Order a batch as it is given; see `prioritize`."""
    return prioritize("fcfs", llm_calls)


def balancer(
    prioritized: Prioritized,
    engines: Sequence[BaseChatModel | Engine],
    *,
    policy: str = BalancerName.COST,
    scheduler: Scheduler | None = None,
) -> Batch:
    """Spread a batch over engines.

    Args:
        prioritized: The calls in their order.
        engines: Chat models, or engines with a capacity; at least one.
        policy: Name of the load balancer.
        scheduler: Shared with other work, which then decides the order; None makes one for this
            batch.

    Raises:
        ConfigError: There is no engine, one is not a chat model, or the policy is unknown.
    """
    if policy not in list(BalancerName):
        msg = f"unknown balancer {policy!r}; known are {', '.join(BalancerName)}"
        raise ConfigError(msg)
    if not engines:
        msg = "balancer(prioritized, engines) needs at least one engine"
        raise ConfigError(msg)
    config = SchedulerConfig(policy=prioritized.policy, balancer=BalancerName(policy))
    shared = scheduler or Scheduler(config=config)
    chosen = tuple(shared.register(_as_engine(engine)) for engine in engines)
    return Batch(calls=prioritized.calls, engines=chosen, scheduler=shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch that is ready to run; it can be run any number of times."""

    calls: tuple[LLMCall, ...]
    engines: tuple[Engine, ...]
    scheduler: Scheduler = field(repr=False)

    def execute(self) -> list[BaseMessage]:
        """Run all calls and return their answers in the order of the calls; blocks the thread.

        The first error stops the batch: what has not begun is dropped, what runs is awaited, and
        the error is raised.
        """
        tasks = _Tasks(self)
        usual = self.scheduler.config.default_capacity or _USUAL_SLOTS
        slots = sum(engine.capacity or usual for engine in self.engines)
        # Waiting calls block a thread each, so what can run at once, and as much to choose from.
        with ThreadPoolExecutor(max_workers=min(len(self.calls) or 1, 2 * slots + 8)) as pool:
            pending: dict[Future[BaseMessage], LLMCall] = {}
            try:
                while tasks.unfinished:
                    for call in tasks.pop_ready():
                        pending[pool.submit(self._run, call, tasks.prompt(call), tasks)] = call
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        tasks.finish(pending.pop(future), future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                tasks.end_programs()
        return tasks.results()

    async def aexecute(self) -> list[BaseMessage]:
        """Run all calls and return their answers in the order of the calls.

        The first error cancels the other calls, and is raised.
        """
        tasks = _Tasks(self)
        pending: dict[asyncio.Task[BaseMessage], LLMCall] = {}
        try:
            while tasks.unfinished:
                for call in tasks.pop_ready():
                    running = self._arun(call, tasks.prompt(call), tasks)
                    pending[asyncio.create_task(running)] = call
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    tasks.finish(pending.pop(task), task.result())
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            tasks.end_programs()
        return tasks.results()

    def _run(self, call: LLMCall, prompt: Any, tasks: _Tasks) -> BaseMessage:
        with self.scheduler.slot(tasks.scheduled(call)) as lease:
            return lease.engine.model.invoke(prompt)

    async def _arun(self, call: LLMCall, prompt: Any, tasks: _Tasks) -> BaseMessage:
        run_id = uuid.uuid4()
        async with self.scheduler.aslot(tasks.scheduled(call)) as lease:
            try:
                return await lease.engine.model.ainvoke(prompt, {"run_id": run_id})
            except asyncio.CancelledError:
                # LangChain does not tell handlers of a cancelled `ainvoke` that its run is over.
                run_tree.forget_chat(run_id)
                raise


class _Tasks:
    """Progress of one run of a batch."""

    def __init__(self, batch: Batch) -> None:
        self._calls = batch.calls
        self._scheduler = batch.scheduler
        self._engine_ids = tuple(engine.engine_id for engine in batch.engines)
        self._scheduled: dict[str, Call] = {}
        self._answers: dict[str, BaseMessage] = {}
        self._missing = {call.call_id: len(set(call.depends_on)) for call in batch.calls}
        self._children: dict[str, list[LLMCall]] = {}
        for call in batch.calls:
            for parent in set(call.depends_on):
                self._children.setdefault(parent, []).append(call)
        self._ready = [call for call in batch.calls if not call.depends_on]
        self.unfinished = len(batch.calls)

    def pop_ready(self) -> list[LLMCall]:
        """Return the calls whose dependencies are answered, each once, in the order given."""
        ready, self._ready = self._ready, []
        return ready

    def prompt(self, call: LLMCall) -> Any:
        """Return what the model is to be given."""
        if not callable(call.prompt):
            return call.prompt
        make: Callable[[Answers], Any] = call.prompt
        return make({parent: self._answers[parent] for parent in call.depends_on})

    def scheduled(self, call: LLMCall) -> Call:
        """Return the call as the scheduler knows it; ids are made anew for each run."""
        known = self._scheduled[call.call_id] = Call(
            program_id=f"{call.program_id}@{id(self):x}",
            engines=self._engine_ids,
            call_site=call.call_site,
            tenant=call.tenant,
            weight=call.weight,
            parents=tuple(self._scheduled[parent].call_id for parent in call.depends_on),
            prompt_tokens=call.prompt_tokens,
        )
        return known

    def finish(self, call: LLMCall, answer: BaseMessage) -> None:
        """Keep an answer; calls that have waited for it alone become ready."""
        self._answers[call.call_id] = answer
        self.unfinished -= 1
        for child in self._children.get(call.call_id, ()):
            self._missing[child.call_id] -= 1
            if not self._missing[child.call_id]:
                self._ready.append(child)

    def end_programs(self) -> None:
        """Tell the scheduler that the programs make no more calls."""
        for program_id in {call.program_id for call in self._scheduled.values()}:
            self._scheduler.end_program(program_id)

    def results(self) -> list[BaseMessage]:
        """Return all answers in the order of the calls."""
        return [self._answers[call.call_id] for call in self._calls]


def _check(calls: Sequence[LLMCall]) -> None:
    parents = {call.call_id: call.depends_on for call in calls}
    if len(parents) < len(calls):
        ids = [call.call_id for call in calls]
        twice = sorted({call_id for call_id in ids if ids.count(call_id) > 1})
        msg = f"calls of a batch need different ids; {twice} occur more than once"
        raise ConfigError(msg)
    done: set[str] = set()
    open_calls = set(parents)
    while open_calls:
        free = {call_id for call_id in open_calls if done.issuperset(parents[call_id])}
        if not free:
            stuck = sorted(open_calls)[:5]
            msg = f"calls {stuck} depend on calls that are not in the batch, or on each other"
            raise ConfigError(msg)
        done |= free
        open_calls -= free


def _as_engine(engine: BaseChatModel | Engine) -> Engine:
    if isinstance(engine, Engine):
        return engine
    require_chat_model(engine, "balancer(prioritized, engines)")
    return Engine(engine)
