"""From an agent, made by a library of its author's parts, to what running it runs.

agent = create_agent(llm, [search], middleware=[Log()])    a graph: its nodes hold `llm` and `Log()`
answer = agent.invoke({"messages": [...]})                 a sub-graph, which runs them
create_agent(llm, [search]).invoke(...)                    made in the node: known by its arguments

Whatever an agent holds counts as run; what is held and not known makes it unknown.
"""

from __future__ import annotations

import ast
import types
from typing import Any, Final

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.inference.calls.external import contact_of_model, is_own_model
from langgraph_parallel.inference.calls.middleware import (
    arguments_of_hook,
    call_hook,
    call_part,
    contact_of_middleware,
    hooks_of,
    leave_by_command,
)
from langgraph_parallel.inference.calls.runnables import library_node, run_returned, run_runnable
from langgraph_parallel.inference.code.datamodel import find, is_a, is_users, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.code.gentle import library_name, library_name_of_class
from langgraph_parallel.inference.code.ingredients import (
    ingredients_of,
    is_agents_code,
    is_middleware,
    is_middleware_class,
    parts_of_middleware,
)
from langgraph_parallel.inference.machine.annotations import hints_of, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_deep
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    Atom,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    Value,
    join,
    tame,
)
from langgraph_parallel.inference.objects.held import CONTAINERS, held_items
from langgraph_parallel.inference.objects.objects import Typed, class_of, look_at_object

# -- nodes of an agent's graph ---------------------------------------------------------------------


def _is_part_of_agent(function: Any) -> bool:
    """Tell whether a node's function is an agent library's, and not one of its author's."""
    if is_agents_code(function):
        return True
    is_bound = is_a(function, types.MethodType) and is_middleware(function.__self__)
    return is_bound and not is_users(function)


@library_node(_is_part_of_agent)
def _run_node(frame: Frame, function: Any, value: Value, node: ast.AST) -> Value:
    """Run a function that an agent library has made of its author's parts."""
    frame.escape(value, "passed to an agent", frame.where(node))
    roots = frame.recorder.shape.keys
    held = [*ingredients_of(function), *ingredients_of(getattr(function, "__func__", None))]
    for part in held:
        if is_a(part, BaseTool) or is_a(part, framework().tool_nodes):
            continue  # the model is only shown it, and it runs in a node of its own
        run_part(frame, part, node, roots, steps=False)
    update = frame.recorder.cells.setdefault((id(node), "agent"), Cell())
    update.open = update.shared = True
    update.roots = ALL
    return frozenset({update})


def run_part(frame: Frame, part: Any, node: ast.AST, roots: Keys, *, steps: bool) -> None:
    """Run something that an agent holds, with whatever it may be given.

    Args:
        frame: Where the agent runs.
        part: A runnable, a middleware, a function of the user's, a class.
        node: The place.
        roots: What the state of the agent may alias.
        steps: Whether hooks count that are nodes of the agent's graph.
    """
    if is_middleware(part):
        _run_middleware(frame, Live(part), node, roots, steps=steps)
    elif is_a(part, type):
        _make_answer(frame, part, node)
    elif is_a(part, Runnable):
        _run_shown(frame, Live(part), node)
        leave_by_command(frame, run_runnable(frame, part, tame(roots), node), node)
    elif is_a(part, (types.FunctionType, types.MethodType)):
        owner = getattr(part, "__self__", None)
        name = part.__name__ if owner is not None and is_middleware(owner) else ""
        given = call_part(frame, part, arguments_of_hook(name, roots), node)
        _run_given(frame, given, node, roots)
    else:
        frame.call(frozenset({Live(part)}), Arguments(node, (tame(roots),)))


def _run_middleware(frame: Frame, atom: Typed, node: ast.AST, roots: Keys, *, steps: bool) -> None:
    cls = class_of(atom)
    look_at_object(frame, atom, frame.where(node))
    if steps:
        _run_reducers(frame, getattr(cls, "state_schema", None), node)
    leave_by_command(frame, hooks_of(frame, atom, node, roots, steps=steps), node)
    if not contact_of_middleware(frame, cls, node):
        unknown(frame, f"runs a {cls.__name__}", frozenset({atom}), node)
    elif isinstance(atom, Live):
        is_own = not _is_librarys(cls)
        for part in parts_of_middleware(atom.obj):
            if steps if is_a(part, BaseTool) else not is_own:
                run_part(frame, part, node, roots, steps=steps)


def _run_reducers(frame: Frame, schema: Any, node: ast.AST) -> None:
    """Fold with the reducers of the user's that the state of an agent has."""
    for hint in hints_of(schema).values() if is_a(schema, type) else ():
        for mark in getattr(hint, "__metadata__", ()):
            if is_a(mark, types.FunctionType) and is_users(mark):
                frame.call(frozenset({Live(mark)}), Arguments(node, (tame(), tame())))


def _is_librarys(cls: type) -> bool:
    """Tell whether a middleware has code of the library's that runs what it holds."""
    return any(
        base.__module__.startswith("langchain.agents.middleware.")
        and base.__name__ != "AgentMiddleware"
        for base in cls.__mro__
    )


def _run_shown(frame: Frame, atom: Typed, node: ast.AST) -> None:
    """Show a model its tools: a model of the user's may do so in its own way."""
    for name in ("bind_tools", "bind", "with_structured_output"):
        found = find(class_of(atom), name)
        if found is not None and is_users(found[1]):
            shown = call_hook(frame, atom, found[1], (tame(), tame()), node)
            _run_given(frame, shown - {atom}, node, frozenset())


def _run_given(frame: Frame, given: Value, node: ast.AST, roots: Keys) -> None:
    """Run what a function gives that chooses a model or makes a prompt."""
    leave_by_command(frame, run_returned(frame, given, tame(roots), node), node)


def _make_answer(frame: Frame, cls: type, node: ast.AST) -> None:
    if is_a(cls, type) and issubclass(cls, BaseModel):
        frame.call(frozenset({Live(cls)}), Arguments(node, unpacked=tame()))


# -- what agents give ------------------------------------------------------------------------------


def answers_of(function: Any) -> Value:
    """Return what the structured answer of an agent may be that has this node; empty: not known."""
    found: Value = NOTHING
    for part in ingredients_of(function) if is_agents_code(function) else ():
        if is_a(part, type) and not is_a(part, BaseTool):
            found = join(found, _answer(part), NONE)
    return found


def _answer(schema: Any) -> Value:
    promised = value_of_annotation(schema, frozenset())
    return tame() if any(isinstance(atom, Opaque) for atom in promised) else promised


# -- agents that are made in a node ----------------------------------------------------------------

_MAKERS: Final = frozenset(
    {
        "langchain.agents.factory.create_agent",
        "langgraph.prebuilt.chat_agent_executor.create_react_agent",
    }
)
_IDLE: Final = frozenset({"context_schema", "config_schema", "name", "version", "store"})
"""Arguments that only describe the agent."""


def make_agent(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return the agent that `create_agent(...)` makes in a node; None for any other function.

    What it would run counts as run where it is made.
    """
    name = library_name(getattr(function, "__wrapped__", function)) or library_name(function)
    if name not in _MAKERS:
        return None
    if given.unpacked:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    frame.recorder.contact("model", f"{given.callee} makes an agent", frame.where(given.node))
    for value in given.positional:
        _take_in(frame, value, given.node)
    for keyword, value in given.named.items():
        _take_setting(frame, keyword, value, given.node)
    answer = _answers(given.named.get("response_format", NOTHING))
    held: tuple[tuple[str, Value], ...] = (("messages", frozenset({Data(own=True, plain=True)})),)
    if answer:
        held += (("structured_response", answer),)
    return frozenset({Chain(frozenset({"model"}), tame(), held)})


def _take_setting(frame: Frame, keyword: str, value: Value, node: ast.AST) -> None:
    """Take in what a keyword of an agent's maker is given."""
    where = frame.where(node)
    if keyword in ("checkpointer", "cache") and value != NONE:
        frame.recorder.contact("write", "an agent keeps threads", where)
    elif keyword in ("interrupt_before", "interrupt_after") and value != NONE:
        frame.recorder.leave("interrupt", "an agent pauses", where)
    elif keyword == "state_schema":
        for atom in value:
            _run_reducers(frame, getattr(atom, "obj", None), node)
    elif keyword not in _IDLE:
        _take_in(frame, value, node)


def _answers(value: Value) -> Value:
    found: Value = NOTHING
    for atom in _flat(value):
        if isinstance(atom, Live) and is_a(atom.obj, type):
            found = join(found, _answer(atom.obj), NONE)
        elif not isinstance(atom, Const):
            found = join(found, tame())
    return found


def _take_in(frame: Frame, value: Value, node: ast.AST) -> None:
    """Run what an agent is made of."""
    for atom in _flat(value):
        if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
            _take_in(frame, held_items(frame, atom.obj, frame.where(node)) - value, node)
        elif isinstance(atom, Live):
            run_part(frame, atom.obj, node, ALL, steps=True)
        elif isinstance(atom, Made) and is_middleware_class(atom.cls):
            _run_middleware(frame, atom, node, ALL, steps=True)
        elif isinstance(atom, (Made, Object)) and is_own_model(atom.cls):
            contact_of_model(frame, atom, node)
            _run_shown(frame, atom, node)
        elif isinstance(atom, Closure):
            given = frame.call(frozenset({atom}), Arguments(node, unpacked=tame(ALL)))
            _run_given(frame, given, node, ALL)
        elif isinstance(atom, Chain):
            _run_given(frame, frozenset({atom}), node, ALL)
        elif not _is_idle(atom):
            unknown(frame, "makes an agent of something", frozenset({atom}), node)


def _flat(value: Value) -> list[Atom]:
    """Return what a value, and the containers made in the node that it may be, consists of."""
    found: list[Atom] = []
    for atom in value:
        if isinstance(atom, Cell):
            found += _flat(atom.everything())
        elif isinstance(atom, Data) and atom.parts is not None:
            found += _flat(atom.parts)
        else:
            found.append(atom)
    return found


def _is_idle(atom: Atom) -> bool:
    """Tell whether an atom is data, which an agent only shows to its model."""
    if isinstance(atom, Opaque):
        return atom.tame
    return isinstance(atom, Const) or is_deep(frozenset({atom}))


def make_agent_part(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return the part of an agent that calling a class gives: middleware, the form of an answer."""
    if cls.__module__ == "langchain.agents.structured_output" and library_name_of_class(cls):
        return frozenset({Data(own=True, plain=True, deep=False, parts=given.all)})
    if not is_middleware_class(cls) or user_defined(cls) or not library_name_of_class(cls):
        return None
    if not contact_of_middleware(frame, cls, given.node):
        return None
    _take_in(frame, given.all, given.node)
    return frozenset({Chain(frozenset(), tame())})


def override(frame: Frame, atom: Injected, given: Arguments) -> Value:
    """Return the request that `request.override(...)` gives: what it puts there is run."""
    passed = frozenset(a for a in given.all if not isinstance(a, Injected))
    frame.escape(passed, "put into a request", frame.where(given.node))
    for part in ("model", "tool", "tools"):
        _take_in(frame, given.named.get(part, NOTHING), given.node)
    if given.unpacked:
        return unknown(frame, "calls .override()", given.all, given.node)
    return frozenset({atom})
