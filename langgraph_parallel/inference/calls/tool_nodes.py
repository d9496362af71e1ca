"""From a `ToolNode` to what running it does: what any of its tools does, asked by a message.

It reads the messages, runs the tools that the last one asks for, and adds what they give as new
messages. It goes where a `Command` says that a tool returns, and nowhere else.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any, Final, get_args

from langchain_core.tools import BaseTool
from langgraph.types import Command

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.inference.calls.external import own_code_of, run_unknown
from langgraph_parallel.inference.calls.middleware import arguments_of_hook, call_part
from langgraph_parallel.inference.calls.runnables import library_node, pick, run_tool
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a, is_users
from langgraph_parallel.inference.code.gentle import library_name_of_class
from langgraph_parallel.inference.code.ingredients import ingredients_of, is_middleware
from langgraph_parallel.inference.machine.annotations import hints_of, strip
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Atom,
    Cell,
    Chain,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    Routed,
    State,
    Value,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of


def run_tool_node(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Return the update that a `ToolNode` gives."""
    own, where = instance_dict(obj), frame.where(node)
    tools, injected = own.get("_tools_by_name"), own.get("_injected_args")
    key = own.get("_messages_key")
    if not (isinstance(tools, dict) and isinstance(injected, dict)):
        return run_unknown(frame, obj, value, node)
    if not isinstance(key, str):
        return run_unknown(frame, obj, value, node)
    frame.recorder.look(place_of(frame, obj), where)
    frame.recorder.look(place_of(frame, tools), where, by_name=True)
    is_missing = value == frozenset({State()}) and key not in frame.recorder.shape.keys
    messages = tame() if is_missing else pick(frame, value, key, node)
    frame.use(messages, node)
    _run_handler(frame, own.get("_handle_tool_errors"), node)
    asked = tame(roots_of(messages))
    found = _run_hooks(frame, own, node, roots_of(messages))
    for name, tool in tools.items():
        given = _injected_into(frame, injected.get(name), value, node)
        if given is None:
            return run_unknown(frame, obj, value, node)
        found = join(found, _results(tool, run_tool(frame, tool, asked, node, given)))
    return _as_update(frame, obj, key, found)


@library_node(lambda obj: library_name_of_class(_class_of(obj)) == _NAME)
def _run_tool_node(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    return run_tool_node(frame, obj, value, node)


def _class_of(obj: object) -> type:
    return type(obj)


_NAME: Final = "langgraph.prebuilt.tool_node.ToolNode"


def _run_hooks(frame: Frame, own: Mapping[str, Any], node: ast.AST, roots: Keys) -> Value:
    """Return what the functions around each call give instead of its answer."""
    given: Value = NOTHING
    for name in ("_wrap_tool_call", "_awrap_tool_call"):
        for part in ingredients_of(own.get(name)):
            if is_middleware(part):
                continue  # it has a node of its own, or stands beside the model
            arguments = arguments_of_hook("wrap_tool_call", roots)
            given = join(given, call_part(frame, part, arguments, node))
    kept = frozenset(atom for atom in given if isinstance(atom, Routed) or not _is_no_command(atom))
    return join(kept, fresh(roots_of(given - kept), plain=True)) if given else NOTHING


def _run_handler(frame: Frame, handler: Any, node: ast.AST) -> None:
    """Run what the user has given to handle the errors of tools."""
    if is_a(handler, (types.FunctionType, types.MethodType)) and is_users(handler):
        frame.call(frozenset({Live(handler)}), Arguments(node, (tame(),)))


def _injected_into(
    frame: Frame, asked: Any, value: Value, node: ast.AST
) -> Mapping[str, Value] | None:
    """Return the arguments that a tool is given beside those that a model says; None: not known."""
    if asked is None:
        return None
    given: dict[str, Value] = {}
    for name, field in asked.state.items():
        given[name] = value if field is None else pick(frame, value, field, node)
    if asked.store:
        given[asked.store] = frozenset({Injected("store")})
    if asked.runtime:
        is_whole = value == frozenset({State()})
        given[asked.runtime] = frozenset({Injected("tool_runtime")}) if is_whole else opaque(ALL)
    return given


def _results(tool: BaseTool, found: Value) -> Value:
    """Return what a tool gives: the `Command`s, and something unknown where it may give one."""
    kept: set[Atom] = set()
    promises = _promises_data(tool)
    for atom in found:
        if isinstance(atom, Routed):
            kept.add(atom)
        elif isinstance(atom, Cell) and atom.kind == "list" and not atom.shared:
            kept |= {part for part in atom.everything() if isinstance(part, Routed)}
            if not all(map(_is_no_command, atom.everything())) and not promises:
                kept |= {p for p in atom.everything() if not isinstance(p, Routed)}
        elif not promises and not _is_no_command(atom):
            kept.add(atom)
        else:
            kept |= fresh(roots_of(frozenset({atom})), plain=True)
    return join(frozenset(kept))


def _is_no_command(atom: Atom) -> bool:
    """Tell whether something is certainly neither a `Command` nor a list of them."""
    if isinstance(atom, Opaque):
        return atom.tame
    if isinstance(atom, Data):
        return atom.deep or (atom.parts is not None and all(map(_is_no_command, atom.parts)))
    if isinstance(atom, (Made, Object)):
        return not issubclass(atom.cls, Command)
    if isinstance(atom, Live):
        return not isinstance(atom.obj, Command)
    return isinstance(atom, (Const, Chain, Cell, State))


def _promises_data(tool: BaseTool) -> bool:
    """Tell whether all functions of a tool are annotated to return something but a `Command`."""
    bodies = own_code_of(tool)
    hints = [hints_of(getattr(body, "__func__", body)).get("return", Any) for body in bodies]
    return bool(hints) and all(_is_data(hint, 0) for hint in hints)


_DATA: Final = (str, int, float, bool, bytes, dict, type(None))


def _is_data(hint: Any, depth: int) -> bool:
    hint = strip(hint)
    if hint is None or hint in _DATA:
        return True
    inner = get_args(hint)
    return bool(inner) and depth < 3 and all(_is_data(part, depth + 1) for part in inner)


def _as_update(frame: Frame, obj: Any, key: str, found: Value) -> Value:
    """Return new messages at their key, beside the `Command`s among the results."""
    cell = frame.recorder.cells.setdefault(("tools", id(obj)), Cell())
    plain = frozenset(atom for atom in found if isinstance(atom, Data))
    frame.recorder.grown |= cell.put(key, fresh(roots_of(plain), plain=True))
    return join(frozenset({cell}), found - plain)


def make_tool_node(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return a `ToolNode` that a node makes; None for other classes, and where more is plugged in.

    Its tools count as run where it is made, on anything: what it gives then is new messages.
    """
    if library_name_of_class(cls) != _NAME or given.unpacked:
        return None
    tools = _listed(given.positional[0] if given.positional else given.named.get("tools", NOTHING))
    if tools is None or len(given.positional) > 1 or given.named.keys() - {"tools", "name", "tags"}:
        return None
    found: Value = NOTHING
    for tool in tools:
        if any(map(_is_filled_in, own_code_of(tool))):
            return None
        found = join(found, _results(tool, run_tool(frame, tool, tame(ALL), given.node)))
    if not all(isinstance(atom, Data) for atom in found):
        return None
    cell = frame.recorder.cells.setdefault(("tools", id(given.node)), Cell())
    frame.recorder.grown |= cell.put("messages", fresh(roots_of(found), plain=True))
    return frozenset({Chain(frozenset(), frozenset({cell}))})


def _listed(value: Value) -> list[BaseTool] | None:
    """Return the live tools that a list holds; None where it may hold anything else."""
    found: list[BaseTool] = []
    for atom in value:
        if isinstance(atom, Cell) and atom.kind == "list" and not atom.open:
            parts: list[Any] = [getattr(part, "obj", part) for part in atom.everything()]
        elif isinstance(atom, Live) and type(atom.obj) in (list, tuple):
            parts = list(atom.obj)
        else:
            return None
        if not all(isinstance(part, BaseTool) for part in parts):
            return None
        found += parts
    return found


def _is_filled_in(body: Any) -> bool:
    """Tell whether a function of a tool is given something beside what a model says."""
    hints = hints_of(getattr(body, "__func__", body))
    marked = any(getattr(hint, "__metadata__", ()) for hint in hints.values())
    return marked or "runtime" in body.__code__.co_varnames
