"""From a node that runs a model's tool calls to what its tools, and the functions around, do."""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.inference.calls.external import own_code_of, run_unknown
from langgraph_parallel.inference.calls.middleware import (
    arguments_of_hook,
    call_part,
    leave_by_command,
)
from langgraph_parallel.inference.calls.runnables import library_node, run_runnable
from langgraph_parallel.inference.calls.tool_arguments import takes_state
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.ingredients import ingredients_of, is_middleware
from langgraph_parallel.inference.door.state_keys import from_state
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Atom,
    Cell,
    Const,
    Injected,
    Live,
    Opaque,
    Routed,
    State,
    Value,
    const,
    fresh,
    join,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of


def _is_tool_node(obj: Any) -> bool:
    return is_a(obj, framework().tool_nodes)


@library_node(_is_tool_node)
def _run_tool_node(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run every tool of a node that runs the tool calls of the last message."""
    held = instance_dict(obj)
    tools = list(held.get("_tools_by_name", {}).values())
    frame.recorder.look(place_of(frame, obj), frame.where(node))
    frame.recorder.look(place_of(frame, held.get("_tools_by_name")), frame.where(node))
    key = held.get("_messages_key")
    is_own = type(obj).__module__.startswith("langgraph.") and not user_defined(type(obj))
    if not isinstance(key, str) or not is_own:
        return run_unknown(frame, obj, value, node)
    sees_all = any(takes_state(body) for tool in tools for body in own_code_of(tool))
    roots = _hand_over(frame, value, key, node, sees_all=sees_all)
    given = join(*(run_runnable(frame, tool, tame(roots), node) for tool in tools))
    given = join(given, _run_hooks(frame, held, node, roots))
    leave_by_command(frame, given, node)
    update = frame.recorder.cells.setdefault((id(obj), "tools"), Cell())
    frame.recorder.grown |= update.put(key, fresh(roots, plain=True))
    for atom in given:
        if isinstance(atom, Routed):
            _update_by(frame, update, atom)
        elif not _is_answer(atom):
            update.open = update.shared = True  # it may be a Command
    return frozenset({update})


def _hand_over(frame: Frame, value: Value, key: str, node: ast.AST, *, sees_all: bool) -> Keys:
    """Hand the messages, or all of what is given, to tools; return what that may alias."""
    if State() not in value:
        frame.escape(value, "passed to tools", frame.where(node))
        return roots_of(value)
    if sees_all:
        frame.recorder.read_all("passed to tools", frame.where(node))
        return ALL
    return roots_of(from_state(frame, const(key), node))


def _run_hooks(frame: Frame, held: Mapping[str, Any], node: ast.AST, roots: Keys) -> Value:
    """Run the handler of errors and the functions around each call."""
    given: Value = NOTHING
    handler = held.get("_handle_tool_errors")
    if is_a(handler, (types.FunctionType, types.MethodType)):
        for part in ingredients_of(handler):
            given = join(given, call_part(frame, part, (tame(),), node))
    for name in ("_wrap_tool_call", "_awrap_tool_call"):
        for part in ingredients_of(held.get(name)):
            if is_middleware(part):
                continue  # it has a node of its own, or stands beside the model
            arguments = arguments_of_hook("wrap_tool_call", roots)
            given = join(given, call_part(frame, part, arguments, node))
    return given


def _update_by(frame: Frame, update: Cell, command: Routed) -> None:
    for atom in command.update:
        if isinstance(atom, Cell) and atom.kind == "dict":
            frame.recorder.grown |= update.merge(atom)
        elif not (isinstance(atom, Const) and atom.value is None):
            update.open = update.shared = True


def _is_answer(atom: Atom) -> bool:
    """Tell whether what a tool gives is certainly no `Command`."""
    if isinstance(atom, Opaque):
        return atom.tame
    return not isinstance(atom, (Live, Injected, State))
