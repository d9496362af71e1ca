"""From what draws from a list, or shuffles it, to what that gives and changes."""

from __future__ import annotations

import random

from langgraph_parallel.inference.door.filling import change, collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import NONE, Cell, Const, Data, Made, Value, join
from langgraph_parallel.inference.objects.objects import Typed, class_of, is_container


def own_generator_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a generator that the node has made draws from a list; None for all else.

    Such a generator begins as its seed says, or by chance, and nobody else moves it on.
    """
    if not isinstance(atom, Made) or class_of(atom) not in (random.Random, random.SystemRandom):
        return None
    return None if atom.cell.open else draw_from(frame, name, given)


def draw_from(frame: Frame, name: str, given: Arguments) -> Value | None:
    """Return what drawing from a list gives; None for methods that are given none."""
    if name == "shuffle":
        return shuffle(frame, given)
    if name not in ("choice", "choices", "sample") or not given.positional:
        return None
    parts = iterate(frame, given.positional[0], given.node)
    frame.use(join(given.rest().all, given.unpacked), given.node)
    return parts if name == "choice" else collected(frame, given.node, parts)


def shuffle(frame: Frame, given: Arguments) -> Value:
    """Put the parts of a list into another order, which only assigns them to other places."""
    shuffled = given.positional[0] if given.positional else given.named.get("x", NONE)
    for atom in join(shuffled, given.unpacked):
        is_list = isinstance(atom, Cell) and atom.kind == "list"
        if is_list or isinstance(atom, (Const, Data)) or is_container(atom):
            parts = frame.part_of(frozenset({atom})) if isinstance(atom, Data) else given.all
            if not is_list or atom.open:  # type: ignore[union-attr]
                change(frame, atom, "shuffle", given.node, parts)
        else:
            unknown(frame, "shuffles an object of unknown type", given.all, given.node)
    return NONE
