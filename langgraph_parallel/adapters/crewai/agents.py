"""A copy of an agent for one task, so that tasks of one agent can run at the same time.

CrewAI gives an agent one executor, which refuses a second task while it is busy. The copy has an
executor of its own and the same identity, model and limits; what it learns goes back to the agent
when the task is committed.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Turn: TypeAlias = Callable[[], None]
"""Returns when it is the task's turn to be seen, or raises when it never will be."""


def private_agent(agent: Any) -> Any:
    """Return a copy of an agent with an executor and records of its own."""
    twin = copy.copy(agent)
    twin.agent_executor = None
    twin.tools_handler = copy.copy(agent.tools_handler)
    twin.tools_results = list(agent.tools_results)
    twin._tool_failures = []
    twin._last_messages = []
    return twin


def give_back(agent: Any, twin: Any, before: tuple[int, int]) -> None:
    """Put what a copy learned into the agent.

    Args:
        agent: The agent.
        twin: Its copy, which has carried out a task.
        before: What `records` returned for the copy when it was new.
    """
    results, times = before
    agent.tools_results.extend(twin.tools_results[results:])
    agent._times_executed += twin._times_executed - times
    agent._tool_failures.extend(twin._tool_failures)
    agent._last_messages = twin._last_messages


def records(twin: Any) -> tuple[int, int]:
    """Return how many tool results and failed attempts an agent has."""
    return len(twin.tools_results), twin._times_executed


def hold_back(twin: Any, wait: Turn) -> None:
    """Let a private agent end its task, and call back about its steps, only in its turn."""
    steps = _hold_steps(twin)
    carry_out = twin.execute_task

    def execute_task(*args: Any, **kwargs: Any) -> Any:
        result = carry_out(*args, **kwargs)
        wait()
        for told in steps():
            if inspect.iscoroutine(told):
                asyncio.run(told)
        return result

    object.__setattr__(twin, "execute_task", execute_task)


def hold_back_async(twin: Any, wait: Callable[[], Awaitable[None]]) -> None:
    """Do the same for a task that is awaited."""
    steps = _hold_steps(twin)
    carry_out = twin.aexecute_task

    async def aexecute_task(*args: Any, **kwargs: Any) -> Any:
        result = await carry_out(*args, **kwargs)
        await wait()
        for told in steps():
            if inspect.isawaitable(told):
                await told
        return result

    object.__setattr__(twin, "aexecute_task", aexecute_task)


def _hold_steps(twin: Any) -> Callable[[], Any]:
    """Note the steps of a private agent; return a function that tells the user's callback."""
    tell = twin.step_callback
    if tell is None:
        return tuple
    noted: list[Any] = []
    twin.step_callback = noted.append

    def steps() -> Any:
        while noted:
            yield tell(noted.pop(0))

    return steps
