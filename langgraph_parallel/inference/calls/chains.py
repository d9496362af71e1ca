"""From `a | b` in a node to the chain that it makes, or the dictionary.

chain = {"q": itemgetter("q")} | prompt | llm | (lambda answer: answer.text)
chain.invoke({"q": state["question"]})       each step runs on what the one before it gives
"""

from __future__ import annotations

import ast
import types
from typing import Any, Final

from langchain_core.runnables import (
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)

from langgraph_parallel.inference.calls.external import is_runnable
from langgraph_parallel.inference.calls.handlers import run_given_handlers
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.door.filling import fill_cell, merge_into
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    Atom,
    Cell,
    Chain,
    Closure,
    Live,
    Made,
    Method,
    Opaque,
    State,
    Value,
    join,
)
from langgraph_parallel.inference.objects.held import MAPPINGS


def pipe(frame: Frame, left: Value, right: Value, node: ast.AST) -> Value | None:
    """Return what `left | right` gives for chains and dictionaries; None when it is neither."""
    both = left | right
    if any(_is_chain(atom) for atom in both):
        return chained(left, right)
    if both and all(map(_is_mapping, both)):
        cell = frame.recorder.cells.setdefault(id(node), Cell())
        for atom in (*left, *right):
            merge_into(frame, cell, atom, node)
        return frozenset({cell})
    return None


def _is_mapping(atom: Atom) -> bool:
    """Tell whether something is certainly a dictionary that runs nobody's code."""
    if isinstance(atom, Live):
        return type(atom.obj) in MAPPINGS
    return isinstance(atom, State) or (isinstance(atom, Cell) and atom.kind == "dict")


def _is_chain(atom: Atom) -> bool:
    return isinstance(atom, Chain) or (isinstance(atom, Live) and is_runnable(atom.obj))


def chained(left: Value, right: Value) -> Value | None:
    """Return the chain that `left | right` builds, or None when it builds none that is known."""
    if not all(_is_chain(atom) for atom in left) and not all(_is_chain(atom) for atom in right):
        return None
    if not all(map(is_step, left | right)):
        return None
    return frozenset({Chain(steps=(*_steps_of(left), *_steps_of(right)))})


def _steps_of(value: Value) -> tuple[Value, ...]:
    """Return the steps of a part of a chain: its own, where it is itself a row of steps."""
    if len(value) == 1:
        atom = next(iter(value))
        if isinstance(atom, Chain) and atom.steps is not None and atom.way == "pipe":
            return atom.steps
    return (value,)


def is_step(atom: Atom) -> bool:
    """Tell whether something can be a step of a chain: what LangChain makes a runnable of."""
    if isinstance(atom, (Chain, Closure, Method)):
        return True
    if isinstance(atom, Live):
        is_code = is_a(atom.obj, (types.FunctionType, types.MethodType, types.BuiltinFunctionType))
        return is_code or is_runnable(atom.obj) or type(atom.obj) is dict or callable(atom.obj)
    if isinstance(atom, Cell):
        return atom.kind == "dict" and not atom.open and not atom.spread and not atom.rest
    if isinstance(atom, Made):
        return True
    return isinstance(atom, Opaque) and atom.tame and not atom.roots


def make_chain(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return the chain that calling a class of LangChain's makes in a node; None for others."""
    if cls not in _MADE or given.unpacked:
        return None
    run_given_handlers(frame, given.all, given.node)
    steps: list[Value] = list(given.positional)
    if cls is RunnablePassthrough:
        return frozenset({Chain(steps=())}) if not given.all else None
    if cls is RunnableParallel:
        cell = frame.recorder.cells.setdefault((id(given.node), "parallel"), Cell())
        fill_cell(frame, cell, given)
        steps = [frozenset({cell})]
    elif cls is RunnableBranch:
        return _branch(steps)
    elif given.named.keys() - _NAMES:
        return None
    elif cls is RunnableLambda:
        steps = [join(*steps, given.named.get("func", NOTHING), given.named.get("afunc", NOTHING))]
    if not all(step and all(map(is_step, step)) for step in steps):
        return None
    return frozenset({Chain(steps=tuple(steps))})


_MADE: Final = (
    *(RunnableLambda, RunnableParallel, RunnablePassthrough, RunnableSequence, RunnableBranch),
)
_NAMES: Final = frozenset({"func", "afunc", "name"})


def _branch(branches: list[Value]) -> Value | None:
    """Return the chain that runs some of several: tests, and what follows them."""
    parts: list[Any] = []
    for branch in branches:
        for atom in branch:
            parts += atom.everything() if isinstance(atom, Cell) and atom.kind == "list" else [atom]
    if not all(map(is_step, parts)):
        return None
    return frozenset({Chain(steps=tuple(frozenset({part}) for part in parts), way="any")})


def assigning(frame: Frame, given: Arguments) -> Chain | None:
    """Return the chain that `RunnablePassthrough.assign(key=...)` makes."""
    if given.positional or given.unpacked:
        return None
    cell = frame.recorder.cells.setdefault((id(given.node), "assign"), Cell())
    for key, value in given.named.items():
        if not all(map(is_step, value)):
            return None
        frame.recorder.grown |= cell.put(key, value)
    return Chain(steps=(frozenset({cell}),), way="assign")
