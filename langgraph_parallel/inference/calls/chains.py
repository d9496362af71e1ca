"""From `a | b` to the chain of runnables, or the dictionary, that it makes."""

from __future__ import annotations

import ast

from langgraph_parallel.inference.calls.external import contact_of, gives_of, is_runnable
from langgraph_parallel.inference.door.filling import merge_into
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import Atom, Cell, Chain, Live, State, Value, join
from langgraph_parallel.inference.objects.held import MAPPINGS


def pipe(frame: Frame, left: Value, right: Value, node: ast.AST) -> Value | None:
    """Return what `left | right` gives for chains and dictionaries; None when it is neither."""
    both = left | right
    if any(isinstance(a, Chain) or (isinstance(a, Live) and is_runnable(a.obj)) for a in both):
        return chained(frame, left, right, node)
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


def chained(frame: Frame, left: Value, right: Value, node: ast.AST) -> Value | None:
    """Return the chain that `left | right` builds, or None when it builds none that is known."""
    chains = [as_chain(frame, atom, node) for atom in left | right]
    if not chains or None in chains:
        return None
    external = frozenset().union(*(c.external for c in chains if c))
    ends = [as_chain(frame, atom, node) for atom in right]
    return frozenset({Chain(external, join(*(c.gives for c in ends if c)))})


def as_chain(frame: Frame, atom: Atom, node: ast.AST) -> Chain | None:
    """Return the runnable of known parts that `atom` is, or None."""
    if isinstance(atom, Chain):
        return atom
    if not isinstance(atom, Live) or not is_runnable(atom.obj):
        return None
    external = contact_of(frame, atom.obj, node)
    return None if external is None else Chain(external, gives_of(atom.obj))
