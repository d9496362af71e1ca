"""From what DeerFlow's planner was asked for to the dependencies that it declares.

DeerFlow's `Step` has no field for them and drops what it does not know, but the planner's own JSON
stays in the messages. It is believed for the plan in the state only, step by step the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig

QUESTION: Final = """\
In the JSON of the plan, give every step one more field, "depends_on": the list of the numbers of \
the earlier steps, counted from 1, whose findings it needs. Give [] to a step that needs none."""


def asking(planner: Runnable[Any, Any]) -> Callable[..., Any]:
    """Return the planner's node with one more message at the end of what it is told."""

    async def ask(state: Any, config: RunnableConfig) -> Any:
        told = [*(state.get("messages") or ()), HumanMessage(QUESTION)]
        return await planner.ainvoke({**state, "messages": told}, config)

    return ask


def declared(plan: Any, messages: Sequence[Any]) -> list[tuple[int, ...]] | None:
    """Return for each step the positions of those that the planner says it needs.

    None when the last plan among the messages is another one, or says nothing that can be true.
    """
    for message in reversed(messages):
        text = getattr(message, "content", None)
        found = _steps(text) if isinstance(text, str) else None
        if found is not None:
            return _needs(found) if _is_same(found, plan) else None
    return None


def _steps(text: str) -> list[Mapping[str, Any]] | None:
    """Return the steps of a plan as JSON; None for text that is none."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return None
    try:
        plan = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    steps = plan.get("steps") if isinstance(plan, Mapping) else None
    is_plan = isinstance(steps, list) and all(isinstance(step, Mapping) for step in steps)
    return steps if is_plan else None


def _is_same(steps: Sequence[Mapping[str, Any]], plan: Any) -> bool:
    written = [(step.get("title"), step.get("description")) for step in steps]
    return written == [(step.title, step.description) for step in plan.steps]


def _needs(steps: Sequence[Mapping[str, Any]]) -> list[tuple[int, ...]] | None:
    found = []
    for number, step in enumerate(steps, start=1):
        needs = step.get("depends_on")
        if not isinstance(needs, list) or not all(
            isinstance(n, int) and 1 <= n < number for n in needs
        ):
            return None
        found.append(tuple(n - 1 for n in needs))
    return found
