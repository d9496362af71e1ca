"""From what an `ExitStack` made in the node enters, and calls at its end, to what that runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.inference.door.contexts import enter, is_shared_lock, leave
from langgraph_parallel.inference.door.iteration import await_value
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import Closure, Made, Value
from langgraph_parallel.inference.objects.objects import Typed, class_of

_STACKS: Final = (contextlib.ExitStack, contextlib.AsyncExitStack)
_ENTERS: Final[Mapping[str, bool]] = {"enter_context": False, "enter_async_context": True}
"""Methods that enter a context, and whether they do so asynchronously."""
_CALLS: Final = ("callback", "push_async_callback")


def exit_stack_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a stack gives that the node has made; None for any other.

    What it leaves or calls at its end counts as left or called at once.
    """
    if not isinstance(atom, Made) or class_of(atom) not in _STACKS or not given.positional:
        return None
    first = given.positional[0]
    if name in _ENTERS:
        if any(map(is_shared_lock, first)):
            return unknown(frame, "keeps a lock in a stack", first, given.node)
        is_async = _ENTERS[name]
        found = enter(frame, first, given.node, is_async=is_async)
        leave(frame, first, given.node, is_async=is_async)
        return found
    if name in _CALLS:
        for function in first:
            if isinstance(function, Closure):  # it sees what is assigned until the end
                frame.recorder.started[function, given.node] = function, given.rest()
        found = frame.call(first, given.rest())
        if name == "push_async_callback":
            await_value(frame, found, given.node)
        return first
    return None
