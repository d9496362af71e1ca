"""From the middleware of an agent to what its hooks run.

    class Trim(AgentMiddleware):
        def wrap_model_call(self, request, handler):    handler(request) runs the agent's model
            return handler(request.override(model=SMALL))    and this one another

Hooks of the user's are followed. Middleware of the library runs what it was given: models,
functions; what else it does stands in a table.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any, Final

from langgraph_parallel.effects import ALL, External, Keys
from langgraph_parallel.inference.code.datamodel import (
    find,
    is_a,
    is_users,
    mro_of,
    user_defined,
)
from langgraph_parallel.inference.code.gentle import library_name_of_class
from langgraph_parallel.inference.code.ingredients import ingredients_of
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Injected,
    Live,
    Routed,
    Value,
    join,
    tame,
)
from langgraph_parallel.inference.objects.objects import Typed, call_method, class_of
from langgraph_parallel.locations import world

_WRAPS: Final[Mapping[str, str]] = {
    "wrap_model_call": "model_request",
    "awrap_model_call": "model_request",
    "wrap_tool_call": "tool_request",
    "awrap_tool_call": "tool_request",
}
"""Hooks around a call, and what the request is that they are handed."""
_STEPS: Final = tuple(
    f"{a}{when}_{what}"
    for a in ("", "a")
    for when in ("before", "after")
    for what in ("agent", "model")
)
"""Hooks that are nodes of the agent's graph."""
_QUIET: Final = frozenset(
    {
        *("model_call_limit.ModelCallLimitMiddleware", "tool_call_limit.ToolCallLimitMiddleware"),
        *("model_retry.ModelRetryMiddleware", "tool_retry.ToolRetryMiddleware"),
        *("model_fallback.ModelFallbackMiddleware", "model_refusal.ModelRefusalMiddleware"),
        *("pii.PIIMiddleware", "todo.TodoListMiddleware", "tool_error.ToolErrorMiddleware"),
        *("context_editing.ContextEditingMiddleware", "tool_emulator.LLMToolEmulator"),
        *("tool_selection.LLMToolSelectorMiddleware", "summarization.SummarizationMiddleware"),
        "types.AgentMiddleware",
    }
)
"""Middleware of the library that does nothing beyond running what it holds."""
_CONTACTS: Final[Mapping[str, External]] = {
    "file_search.FilesystemFileSearchMiddleware": "read",
    "tool_emulator.LLMToolEmulator": "model",
    "tool_selection.LLMToolSelectorMiddleware": "model",
    "summarization.SummarizationMiddleware": "model",
}
_PAUSES: Final = frozenset({"human_in_the_loop.HumanInTheLoopMiddleware"})


def go_on(request: Any) -> Any:
    """Stand for the `handler` that a hook is handed: it runs what the agent runs anyway."""
    raise NotImplementedError


def hooks_of(frame: Frame, atom: Typed, node: ast.AST, roots: Keys, *, steps: bool) -> Value:
    """Run the hooks of a middleware; return what they give.

    Args:
        frame: Where the agent runs.
        atom: The middleware.
        node: The place.
        roots: What the state of the agent may alias.
        steps: Whether also those hooks that are nodes of the agent's graph.
    """
    cls = class_of(atom)
    given: Value = NOTHING
    for name in (*_WRAPS, *(_STEPS if steps else ())):
        found = find(cls, name)
        if found is None:
            continue
        arguments = arguments_of_hook(name, roots)
        if is_users(found[1]):
            given = join(given, call_hook(frame, atom, found[1], arguments, node))
        elif is_a(found[1], types.FunctionType) and _is_decorated(cls):
            for part in ingredients_of(found[1]):
                given = join(given, call_part(frame, part, arguments, node))
    return given


def _is_decorated(cls: type) -> bool:
    """Tell whether a class was made by `@before_model`, `@wrap_model_call` and the like."""
    return not library_name_of_class(cls) and not user_defined(cls)


def arguments_of_hook(name: str, roots: Keys) -> tuple[Value, ...]:
    """Return what a hook of an agent is called with, after `self`."""
    if name not in _WRAPS:
        return tame(roots), frozenset({Injected("runtime")})
    return frozenset({Injected(_WRAPS[name])}), frozenset({Live(go_on)})


def call_hook(
    frame: Frame, atom: Typed, function: Any, arguments: tuple[Value, ...], node: ast.AST
) -> Value:
    """Call a hook of the user's with as many arguments as it takes."""
    code = getattr(function, "__code__", None)
    count = len(arguments) if code is None else max(code.co_argcount - 1, 0)
    return call_method(frame, atom, function, arguments[:count], node)


def call_part(frame: Frame, part: Any, arguments: tuple[Value, ...], node: ast.AST) -> Value:
    """Call a function of the user's with as many arguments as it takes."""
    code = getattr(part, "__code__", None)
    if code is None:
        return frame.call(frozenset({Live(part)}), Arguments(node, arguments))
    bound = 1 if is_a(part, types.MethodType) else 0
    given = arguments[: max(code.co_argcount - bound, 0)]
    return frame.call(frozenset({Live(part)}), Arguments(node, given))


def contact_of_middleware(frame: Frame, cls: type, node: ast.AST) -> bool:
    """Record what the library's part of a middleware does; return False when it is not known."""
    where = frame.where(node)
    for base in mro_of(cls):
        full = library_name_of_class(base)
        name = full.removeprefix("langchain.agents.middleware.")
        if name == full:
            continue
        if name in _PAUSES:
            frame.recorder.leave("interrupt", f"{base.__name__} asks a person", where)
        elif name not in _QUIET and name not in _CONTACTS:
            return False
        if name in _CONTACTS:
            frame.recorder.contact(_CONTACTS[name], f"runs a {base.__name__}", where)
        if name.startswith("file_search."):
            frame.recorder.look(world("files"), where)
    return True


def leave_by_command(frame: Frame, given: Value, node: ast.AST) -> None:
    """Record that a tool, or a hook around one, may send its graph, or the one around it, on."""
    where = frame.where(node)
    for atom in given:
        if isinstance(atom, Routed) and (atom.elsewhere or atom.goto):
            goto = ALL if atom.elsewhere else frozenset[str]()
            frame.recorder.leave("goto", "a tool returns a Command", where, goto)
