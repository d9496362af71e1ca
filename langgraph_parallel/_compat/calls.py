"""The tasks of LangGraph's functional API, as a node that calls them sees them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.func import task

TASK: Final = type(task(lambda: None))
"""The class of what `@task` makes of a function, which is its `func`."""
_CALL: Final = "__pregel_call"
_TASK_ID: Final = "__pregel_task_id"


def can_index_calls(config: RunnableConfig) -> bool:
    """Tell whether `index_calls` can be used: in a node of a LangGraph that is built as known."""
    call = config.get("configurable", {}).get(_CALL)
    if not isinstance(call, functools.partial):
        return False
    return callable(call.keywords.get("schedule_task")) and callable(call.keywords.get("submit"))


def index_calls(config: RunnableConfig, index: int, start: Callable[..., Any]) -> RunnableConfig:
    """Return the config under which a functional task of this node has a given index.

    LangGraph finds the saved result of such a task by counting the calls of its node, which for
    concurrent calls differs from run to run.

    Args:
        config: The config that the node was called with; `can_index_calls` holds.
        index: The number that the next call gets.
        start: Starts the task instead of LangGraph's own executor, which holds a slot for the node
            that waits; called with a function and its arguments, it returns a future.
    """
    settings = config["configurable"]
    call, node_id = settings[_CALL], settings.get(_TASK_ID)
    schedule, submit = call.keywords["schedule_task"], call.keywords["submit"]

    def schedule_at(parent: Any, count: int, spec: Any) -> Any:
        # Tasks that this task calls come by here as well; they keep their own numbers.
        return schedule(parent, index if parent.id == node_id else count, spec)

    def submit_own(function: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        if task.path[1] != own_path or task.path[2] != index:
            return submit()(function, task, *args, **kwargs)
        plain = {key: value for key, value in kwargs.items() if not key.startswith("__")}
        return start(function, task, *args, **plain)

    own_path = _path_of(call)
    indexed = functools.partial(call, schedule_task=schedule_at, submit=lambda: submit_own)
    return {**config, "configurable": {**settings, _CALL: indexed}}


def _path_of(call: functools.partial[Any]) -> Any:
    """Return the path of the node that a call belongs to."""
    node = call.args[0]() if call.args else None
    return getattr(node, "path", None)


def run_slots(config: RunnableConfig) -> Any:
    """Return the semaphore that counts what a run does at a time; None when nothing limits it."""
    call = config.get("configurable", {}).get(_CALL)
    if not isinstance(call, functools.partial):
        return None
    submit = call.keywords["submit"]()
    return getattr(getattr(submit, "__self__", None), "semaphore", None)
