"""Built-in functions that iterate: from `sorted(x, key=f)` to what it runs and gives."""

from __future__ import annotations

import functools
from typing import Any, Final

from langgraph_parallel.inference.calls.builtin_operators import Rule, first_of
from langgraph_parallel.inference.code.datamodel import find, is_users
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import binary, compare, truth
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of, holding, is_scalar
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Cell,
    Live,
    Made,
    Object,
    Value,
    const,
    join,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.objects.objects import class_of
from langgraph_parallel.inference.objects.special_methods import run_special


def _quantifier(frame: Frame, given: Arguments) -> Value:
    truth(frame, iterate(frame, given.all, given.node), given.node)
    return SCALAR


def _total(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, first_of(given), given.node)
    start = join(*given.positional[1:], *given.named.values(), given.unpacked)
    # The start is given back when there is nothing to add.
    start = start or const(0)
    return join(start, binary(frame, "__add__", join(items, start), items, given.node))


def _best(frame: Frame, given: Arguments) -> Value:
    node = given.node
    many = len(given.positional) > 1 or bool(given.unpacked)
    items = join(*given.positional, given.unpacked)
    items = join(iterate(frame, given.unpacked, node), items) if many else NOTHING
    if not many:
        items = iterate(frame, first_of(given), node)
    keyed = run_key(frame, given, items)
    compare(frame, "__lt__", keyed, keyed, node)
    default = given.named.get("default", NOTHING)
    return join(items, default)


def run_key(frame: Frame, given: Arguments, items: Value) -> Value:
    """Return what is compared: the items, or what the `key=` function gives for them."""
    key = given.named.get("key", NONE) - NONE
    return frame.call(key, Arguments(given.node, (items,))) if key else items


def _sorted(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, first_of(given), given.node)
    keyed = run_key(frame, given, items)
    if not is_scalar(keyed):
        compare(frame, "__lt__", keyed, keyed, given.node)
    return collected(frame, given.node, items)


def _collect(frame: Frame, given: Arguments) -> Value:
    constants = constants_of(first_of(given)) if given.positional else None
    if constants and all(isinstance(c, tuple) for c in constants):
        return first_of(given)
    if not given.all:
        return collected(frame, given.node, NOTHING)
    return collected(frame, given.node, iterate(frame, given.all, given.node))


def _collect_set(frame: Frame, given: Arguments) -> Value:
    found = _collect(frame, given)
    for atom in found:
        if isinstance(atom, Cell):
            frame.use(atom.everything(), given.node)  # it hashes and compares them
    return found


def lazily(frame: Frame, given: Arguments, parts: Value) -> Value:
    """Return a new iterator over `parts`."""
    made = collected(frame, given.node, parts)
    for atom in made:
        if isinstance(atom, Cell):
            atom.spent = True
    return made


def _enumerate(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, first_of(given), given.node)
    return lazily(frame, given, holding(join(SCALAR, items)))


def _zip(frame: Frame, given: Arguments) -> Value:
    values = [iterate(frame, value, given.node) for value in given.positional]
    if given.unpacked:
        values.append(iterate(frame, iterate(frame, given.unpacked, given.node), given.node))
    parts = join(*values)
    return lazily(frame, given, holding(parts))


def _map(frame: Frame, given: Arguments) -> Value:
    if not given.positional or given.unpacked:
        return unknown(frame, "calls map()", given.all, given.node)
    function, *iterables = given.positional
    items = tuple(iterate(frame, value, given.node) for value in iterables)
    found = frame.call(function, Arguments(given.node, items))
    return lazily(frame, given, found)


def _filter(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 2:
        return unknown(frame, "calls filter()", given.all, given.node)
    function, iterable = given.positional
    items = iterate(frame, iterable, given.node)
    answers = frame.call(function - NONE, Arguments(given.node, (items,)))
    truth(frame, join(answers, items if function >= NONE else NOTHING), given.node)
    return lazily(frame, given, items)


def _reduce(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) < 2 or given.unpacked:
        return unknown(frame, "calls reduce()", given.all, given.node)
    function, iterable, *start = given.positional
    items = iterate(frame, iterable, given.node)
    total = join(items, *start)
    for _ in range(3):
        grown = join(total, frame.call(function, Arguments(given.node, (total, items))))
        if grown == total:
            return total
        total = grown
    return join(total, opaque(roots_of(total)))


def _reversed(frame: Frame, given: Arguments) -> Value:
    value = first_of(given)
    special: Value = NOTHING
    for atom in value:
        if isinstance(atom, (Live, Made, Object)):
            special = join(special, run_special(frame, atom, "__reversed__", (), given.node))
    items = join(iterate(frame, value, given.node), iterate(frame, special, given.node))
    return lazily(frame, given, items)


def _iter(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) > 1:
        found = frame.call(given.positional[0], Arguments(given.node))
        frame.use(given.positional[1], given.node)
        return lazily(frame, given, found)
    return lazily(frame, given, iterate(frame, given.all, given.node))


def _next(frame: Frame, given: Arguments) -> Value:
    first = first_of(given)
    rest = join(*given.positional[1:], given.unpacked)
    parts: Value = NOTHING
    for atom in first:
        if isinstance(atom, Cell):
            parts = join(parts, iterate(frame, frozenset({atom}), given.node))
        elif isinstance(atom, (Live, Made, Object)):
            found = find(class_of(atom), "__next__")
            if found is not None and is_users(found[1]):
                done = run_special(frame, atom, "__next__", (), given.node)
                parts = join(parts, done)
            else:
                parts = join(parts, iterate(frame, frozenset({atom}), given.node))
        else:
            what = "moves an iterator on"
            parts = join(parts, unknown(frame, what, frozenset({atom}), given.node))
    return join(parts, rest)


ITERATIONS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((all, _quantifier), (any, _quantifier), (sum, _total), (min, _best), (max, _best)),
    *((sorted, _sorted), (list, _collect), (tuple, _collect), (set, _collect_set)),
    *((frozenset, _collect_set), (enumerate, _enumerate), (zip, _zip), (map, _map)),
    *((filter, _filter), (reversed, _reversed), (iter, _iter), (aiter, _iter), (next, _next)),
    (functools.reduce, _reduce),
)
"""The rule for each built-in that iterates."""
